"""What a person sees while a recipe runs: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from codetextbook.stages.contract import Step
from codetextbook.store import Artifact

_SECONDS_BETWEEN_LINES = 15.0
_SECONDS_BETWEEN_EVENTS = 1.0


_FOR_TRACKERS = ("learning_rate", "gradient_norm", "bits_per_byte")
"""Facts that would crowd a line; trackers and the report have them."""


def _facts(facts: dict[str, Any]) -> str:
    return "  ".join(
        f"{key} {value:,.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in facts.items()
        if key not in _FOR_TRACKERS
    )


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


def summary(artifact: Artifact) -> str:
    """A finished step in one line: rows in, kept, and the reasons of those that were not."""
    flow = artifact.manifest["flow"]
    line = f"{flow['rows_in']:,} {flow['unit']} in, {flow['rows_kept']:,} kept"
    reasons = sorted(flow["rejected"].items(), key=lambda entry: -entry[1])
    if reasons:
        line += "; " + ", ".join(f"{count:,} {reason}" for reason, count in reasons[:4])
    return line + (f", and {len(reasons) - 4} reasons more" if len(reasons) > 4 else "")


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

    def started(self, step: Step) -> None:
        self._last = time.monotonic()
        self._say(f"… {step.name}")

    def waiting(self, step: Step) -> None:
        self._say(f"… {step.name}: another run is making it; waiting")

    def progress(self, step: Step, done: int, total: int, unit: str, facts: dict[str, Any]) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self._say(f"  {step.name}: {done:,} of {total:,} {unit}  {_facts(facts)}".rstrip())

    def finished(self, step: Step, artifact: Artifact, made: bool) -> None:
        if made:
            self._say(f"✓ {step.name}: {summary(artifact)}  ({artifact.manifest['seconds']:.0f} s)")


class Panel(Lines):
    """The live panel: a bar for the running stage under the lines of those that are finished."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description:<14}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            TextColumn("[cyan]{task.fields[facts]}", markup=True),
            console=console,
        )
        self._live = Live(self._bars, console=console, refresh_per_second=4)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        kind: type[BaseException] | None = error[0]
        value: BaseException | None = error[1]
        trace: TracebackType | None = error[2]
        self._live.__exit__(kind, value, trace)

    def started(self, step: Step) -> None:
        self._tasks[step.id] = self._bars.add_task(step.name, total=None, count="", facts="")

    def progress(self, step: Step, done: int, total: int, unit: str, facts: dict[str, Any]) -> None:
        count = f"{done:,}/{total:,} {unit}"
        self._bars.update(self._tasks[step.id], completed=done, total=total, count=count, facts=_facts(facts))

    def finished(self, step: Step, artifact: Artifact, made: bool) -> None:
        if step.id in self._tasks:
            self._bars.remove_task(self._tasks.pop(step.id))
        super().finished(step, artifact, made)


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


def watch(console: Console, mode: Mode = "") -> Lines:
    """The panel on a terminal, plain lines elsewhere; nothing, or JSON, where that was asked for."""
    if mode:
        return Quiet(console) if mode == "quiet" else JsonLines(console)
    return Panel(console) if console.is_terminal else Lines(console)


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
