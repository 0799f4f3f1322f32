"""The live panel of a run: a line for every stage, done, running or to come; of the running one how far it is, how fast, what it costs,
and a glimpse of what the model or the teacher writes.

Whatever is shown of a text is cut and freed of control characters, escapes and bidirectional marks, and is never read as markup. The
panel fits the terminal's height: where it does not, the oldest and the last lines are told as a number.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Literal, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from codetextbook.panel import JsonLines, Lines, Mode, Quiet, clock, summary, told
from codetextbook.stages.contract import Step
from codetextbook.store import Artifact
from codetextbook.text.unseen import glimpse

BAR_CELLS, SHORTEST_BAR_CELLS = 20, 4
MARKS = {"done": "✓", "found": "✓", "running": "▸", "waiting": "…", "to come": "·", "stopped": "✗"}
STYLES = {
    "done": "green",
    "found": "dim",
    "running": "bold cyan",
    "waiting": "yellow",
    "to come": "dim",
    "stopped": "red",
}
RATE_OVER = 64
"""Newest reports of progress that the time to go is judged by."""
INDENT = "    "

State = Literal["to come", "running", "waiting", "done", "found", "stopped"]


@dataclass
class Row:
    """What is known of a stage of the run."""

    name: str
    expected_seconds: float | None = None
    state: State = "to come"
    began: float = 0.0
    done: int = 0
    total: int = 0
    unit: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    """Once it is finished: what it kept."""
    seconds: float = 0.0
    """Once it is finished: what it took."""
    reports: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=RATE_OVER))

    def hear(self, done: int, total: int, unit: str, facts: Mapping[str, Any]) -> None:
        """Take in how far it is; facts stay until newer ones come."""
        if (total, unit) != (self.total, self.unit) or done < self.done:
            self.reports.clear()
        self.done, self.total, self.unit = done, total, unit
        self.facts.update(facts)
        self.reports.append((time.monotonic(), done))

    def seconds_left(self) -> float | None:
        """At the speed of the newest reports; before there are two, what is expected, until it takes longer."""
        if self.state == "to come":
            return self.expected_seconds
        if len(self.reports) > 1:
            (first, before), (last, now) = self.reports[0], self.reports[-1]
            if now > before and last > first:
                since = time.monotonic() - last
                return max(0.0, (self.total - now) * (last - first) / (now - before) - since)
        left = (self.expected_seconds or 0.0) - (time.monotonic() - self.began)
        return left if left > 0 else None


class Panel(Lines):
    """Every stage of the run as a line that stays in its place."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._rows: dict[str, Row] = {}
        self._began = time.monotonic()
        self._lock = RLock()
        self._ended = False
        self._live = Live(get_renderable=self.draw, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        with self._lock:
            self._ended = True
            for row in self._rows.values():
                if row.state in ("running", "waiting"):
                    row.state, row.words = "stopped", f"stopped at {_count(row)}" if row.total else "stopped"
                    row.seconds = time.monotonic() - row.began
        self._live.__exit__(*error)

    def planned(self, steps: Sequence[Step], seconds: Mapping[str, float]) -> None:
        with self._lock:
            for step in steps:
                self._rows.setdefault(step.id, Row(step.name, seconds.get(step.id)))

    def started(self, step: Step) -> None:
        with self._lock:
            row = self._row(step)
            row.state, row.began = "running", time.monotonic()

    def waiting(self, step: Step) -> None:
        with self._lock:
            self._row(step).state = "waiting"

    def progress(self, step: Step, done: int, total: int, unit: str, facts: dict[str, Any]) -> None:
        with self._lock:
            row = self._row(step)
            row.state = "running"
            row.hear(done, total, unit, facts)

    def finished(self, step: Step, artifact: Artifact, made: bool) -> None:
        with self._lock:
            row = self._row(step)
            if row.state != "done":
                row.state = "done" if made else "found"
            row.words, row.seconds = summary(artifact), artifact.manifest["seconds"]

    def _row(self, step: Step) -> Row:
        return self._rows.setdefault(step.id, Row(step.name))

    def draw(self) -> Group:
        """The panel as it is now, no higher and no wider than the terminal."""
        with self._lock:
            width = self.console.width
            rows = list(self._rows.values())
            if not rows:
                return Group()
            name_cells = min(24, max(len(row.name) for row in rows))
            lines = {state: [_line(row, name_cells, width) for row in rows if row.state == state] for state in MARKS}
            running = [
                line for row in rows if row.state in ("running", "waiting") for line in _block(row, name_cells, width)
            ]
            behind = [*_found(rows, width), *(lines["done"])]
            ahead = lines["stopped"] + lines["to come"]
            foot = _foot(rows, time.monotonic() - self._began, width)
            room = len(behind) + len(ahead) if self._ended else max(2, self.console.height - 2 - len(running))
            names = [row.name for row in rows if row.state == "to come"]
            return Group(*_folded(behind, ahead, running, room, width, names), foot)


def watch(console: Console, mode: Mode = "") -> Lines:
    """The panel on a terminal, plain lines elsewhere; nothing, or JSON, where that was asked for."""
    if mode:
        return Quiet(console) if mode == "quiet" else JsonLines(console)
    return Panel(console) if console.is_terminal else Lines(console)


def _folded(
    behind: list[Text], ahead: list[Text], running: list[Text], room: int, width: int, names: Sequence[str]
) -> list[Text]:
    """The lines in their order; those that there is no room for are told as a number, those to come also by their names."""
    shown_ahead = min(len(ahead), max(room // 2, room - len(behind)))
    shown_behind = min(len(behind), room - shown_ahead)
    before, after = behind[len(behind) - shown_behind :], ahead[:shown_ahead]
    if shown_behind < len(behind):
        hidden = len(behind) - shown_behind + 1
        before = [_cut(Text(f"{MARKS['done']} {hidden} lines more, done", STYLES["found"]), width), *before[1:]]
    if shown_ahead < len(ahead):
        hidden = len(ahead) - shown_ahead + 1
        words = f"{MARKS['to come']} {hidden} stages more to come: {', '.join(names[-hidden:])}"
        after = [*after[:-1], _cut(Text(words, STYLES["to come"]), width)]
    return [*before, *running, *after]


def _found(rows: Sequence[Row], width: int) -> list[Text]:
    """One line for all that was there before."""
    names = [row.name for row in rows if row.state == "found"]
    return [_cut(Text(f"{MARKS['found']} made before: {', '.join(names)}", STYLES["found"]), width)] if names else []


def _line(row: Row, name_cells: int, width: int) -> Text:
    """A stage on one line: its mark, its name, what there is to say, and a time on the right."""
    left = row.seconds_left()
    right = {
        "done": clock(row.seconds),
        "stopped": clock(row.seconds),
        "to come": "" if left is None else f"about {clock(left)}",
    }.get(row.state, _running_time(row, left))
    said = row.words if row.state in ("done", "stopped") else row.state if row.state == "to come" else ""
    said = "another run is making it; waiting" if row.state == "waiting" else said
    style = STYLES[row.state]
    begin = Text.assemble(
        (f"{MARKS[row.state]} ", style), (_cut(Text(row.name), name_cells, pad=True).plain, style), "  "
    )
    cells = max(0, width - begin.cell_len - len(right) - 2)
    middle = _bar(row, cells) if row.state == "running" else Text(said, "dim" if row.state == "to come" else "")
    return _cut(Text.assemble(begin, _cut(middle, cells, pad=True), "  ", (right, "dim")), width)


def _running_time(row: Row, left: float | None) -> str:
    passed = clock(time.monotonic() - row.began)
    return passed if left is None else f"{passed}, eta {clock(left)}"


def _block(row: Row, name_cells: int, width: int) -> list[Text]:
    """The running stage: its line, its numbers, and a glimpse of a text."""
    lines = [_line(row, name_cells, width)]
    numbers = told(row.facts)
    if numbers:
        lines.append(_cut(Text(INDENT + glimpse(numbers, 4 * width), "cyan"), width))
    sample = row.facts.get("sample")
    if sample:
        lines.append(_cut(Text(f"{INDENT}» {glimpse(str(sample), width)}", "italic"), width))
    return lines


def _bar(row: Row, cells: int) -> Text:
    """How far a stage is, once it has said so; where there is little room the number goes before the bar."""
    if not row.total:
        return Text("at work", "dim")
    count = f"  {_count(row)}"
    room = min(BAR_CELLS, cells - Text(count).cell_len)
    if room < SHORTEST_BAR_CELLS:
        return Text(count.strip())
    full = round(room * min(1.0, row.done / row.total))
    return Text.assemble(("━" * full, "cyan"), ("─" * (room - full), "dim"), count)


def _count(row: Row) -> str:
    return f"{row.done:,} of {row.total:,} {row.unit}"


def _foot(rows: Sequence[Row], passed: float, width: int) -> Text:
    """How far the run is, and how long it will still take as far as that is known."""
    over = sum(row.state in ("done", "found") for row in rows)
    words = [f"{over} of {len(rows)} stages", f"{clock(passed)} so far"]
    lefts = [row.seconds_left() for row in rows if row.state in ("running", "to come")]
    known = [left for left in lefts if left is not None]
    if known:
        words.append(
            f"about {clock(sum(known))} left" + (", and what is not known yet" if len(known) < len(lefts) else "")
        )
    return _cut(Text(f"  {' · '.join(words)}", "dim"), width)


def _cut(text: Text, cells: int, *, pad: bool = False) -> Text:
    """At most so many cells of a terminal, which a wide character takes two of; the copy does not wrap."""
    cut = text.copy()
    cut.no_wrap = True
    cut.truncate(cells, overflow="ellipsis", pad=pad)
    return cut
