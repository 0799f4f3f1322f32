"""What is told of a run as plain lines; and what these and the live panel (`live.py`) say of numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from rich.console import Console
from rich.table import Table

from codetextbook.stages.contract import Step
from codetextbook.store import Artifact

REASONS_TOLD = 4
_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_BETWEEN_EVENTS = 1.0


_FOR_TRACKERS = ("learning_rate", "gradient_norm", "bits_per_byte")
"""Facts that would crowd a line; trackers and the report have them."""

_TOGETHER = ("FLOP/s", "of peak", "dollars", "dollars limit", "tokens/s", "sample")
"""Facts that are told in words of their own, or on a line of their own."""


def told(facts: Mapping[str, Any]) -> str:
    """The numbers of a running stage on one line: loss and others by name, speed, utilisation, dollars of their limit."""
    hidden = (*_FOR_TRACKERS, *_TOGETHER)
    words = [
        f"{key.replace('_', ' ')} {f'{value:,.4g}' if isinstance(value, float) else value}"
        for key, value in facts.items()
        if key not in hidden
    ]
    if facts.get("tokens/s"):
        words.append(f"{rough(facts['tokens/s'])} tokens/s")
    if facts.get("FLOP/s"):
        share = f" ({facts['of peak']:.0%} of peak)" if facts.get("of peak") else ""
        words.append(f"{flop_rate(facts['FLOP/s'])}{share}")
    if "dollars" in facts:
        limit = f" of ${facts['dollars limit']:,.2f}" if facts.get("dollars limit") else ""
        words.append(f"${facts['dollars']:,.2f}{limit}")
    return " · ".join(words)


def clock(seconds: float) -> str:
    """A time as a person says it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.0f} s"


def rough(number: float) -> str:
    """A large number to three digits."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def flop_rate(number: float) -> str:
    """Floating-point operations a second, to three digits."""
    unit, size = next(
        ((unit, size) for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9)) if number >= size), ("M", 1e6)
    )
    return f"{number / size:.3g} {unit}FLOP/s"


def summary(artifact: Artifact) -> str:
    """A finished step in one line: rows in, kept, and the reasons of those that were not."""
    flow = artifact.manifest["flow"]
    line = f"{flow['rows_in']:,} {flow['unit']} in, {flow['rows_kept']:,} kept"
    reasons = sorted(flow["rejected"].items(), key=lambda entry: -entry[1])
    shown = reasons if len(reasons) <= REASONS_TOLD + 1 else reasons[:REASONS_TOLD]
    if shown:
        line += "; " + ", ".join(f"{count:,} {reason}" for reason, count in shown)
    return line + (f", and {len(reasons) - len(shown)} other reasons" if len(reasons) > len(shown) else "")


class Lines:
    """Plain lines: for logs, pipes and continuous integration."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._last = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def planned(self, steps: Sequence[Step], seconds: Mapping[str, float]) -> None: ...

    def started(self, step: Step) -> None:
        self._last = time.monotonic()
        self._say(f"… {step.name}")

    def waiting(self, step: Step) -> None:
        self._say(f"… {step.name}: another run is making it; waiting")

    def progress(self, step: Step, done: int, total: int, unit: str, facts: dict[str, Any]) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self._say(f"  {step.name}: {done:,} of {total:,} {unit}  {told(facts)}".rstrip())

    def finished(self, step: Step, artifact: Artifact, made: bool) -> None:
        if made:
            self._say(f"✓ {step.name}: {summary(artifact)}  ({artifact.manifest['seconds']:.0f} s)")


class Quiet(Lines):
    """Says nothing; errors still do."""

    def _say(self, line: str) -> None: ...


class JsonLines(Lines):
    """One line of JSON for each thing that happens: for programs that follow a run."""

    def _tell(self, event: str, step: Step, **facts: Any) -> None:
        self._say(json.dumps({"event": event, "step": step.name, "id": step.id} | facts))

    def started(self, step: Step) -> None:
        self._tell("started", step)

    def waiting(self, step: Step) -> None:
        self._tell("waiting", step)

    def progress(self, step: Step, done: int, total: int, unit: str, facts: dict[str, Any]) -> None:
        if done == total or time.monotonic() - self._last >= _SECONDS_BETWEEN_EVENTS:
            self._last = time.monotonic()
            self._tell("progress", step, done=done, total=total, unit=unit, facts=facts)

    def finished(self, step: Step, artifact: Artifact, made: bool) -> None:
        told = {name: artifact.manifest[name] for name in ("flow", "seconds", "digest")}
        self._tell("finished", step, made=made, folder=str(artifact.folder), **told)


Mode = Literal["", "quiet", "json"]


def overview(artifacts: Mapping[str, Artifact]) -> Table:
    """What a run has made, as a table: artifacts by step."""
    table = Table("step", "artifact", "in", "kept", "unit", "dollars", "time", box=None)
    for step, artifact in artifacts.items():
        flow, dollars = artifact.manifest["flow"], artifact.manifest["facts"].get("dollars")
        rows = [f"{flow[name]:,}" for name in ("rows_in", "rows_kept")]
        paid = f"{dollars:,.2f}" if dollars else ""
        table.add_row(step, artifact.id, *rows, flow["unit"], paid, clock(artifact.manifest["seconds"]))
    for column in (2, 3, 5, 6):
        table.columns[column].justify = "right"
    return table
