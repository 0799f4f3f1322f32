"""The live panel on a real terminal (a pty): every stage has a line, numbers are told, hostile text is harmless, and it fits."""

from __future__ import annotations

import io
import os
import pty
import re
import struct
import termios
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.live import Panel, watch
from codetextbook.panel import Lines
from codetextbook.site import Site
from codetextbook.stages.contract import Stage, Step
from codetextbook.store import Artifact, Store, Writer

NAMES = ("read", "dedup", "pretrain", "finetune", "report")
HOSTILE = "def f(x):\n    \x1b[2J\x1b]0;owned\x07return \u202ex # [bold red]not markup[/]\r\n" + 300 * "y"


class Nothing(Config):
    """No settings."""


def step(name: str) -> Step:
    def made(cfg: Nothing, *, out: Writer, site: Site) -> None: ...

    return Step(Stage(name, 1, made, Nothing, ()), Nothing())


STEPS = [step(name) for name in NAMES]


def finished(store: Store, one: Step) -> Artifact:
    out = Writer(store.folder(one.name, one.id))
    out.flow(rows_in=26, rows_kept=24, rejected={"empty": 2})
    return out.finish({"id": one.id, "stage": one.name, "version": 1, "config": {}, "inputs": {}}, 9.0)


class Terminal:
    """A pty of a size, and what was written to it."""

    def __init__(self, columns: int, rows: int) -> None:
        self.outer, self.inner = pty.openpty()
        ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.set_blocking(self.outer, False)
        self.file = os.fdopen(self.inner, "w", encoding="utf-8")
        self.console = Console(file=self.file, width=columns, height=rows, force_terminal=True, _environ={})

    def raw(self) -> str:
        """Everything since the last look."""
        self.file.flush()
        pieces = []
        try:
            while piece := os.read(self.outer, 1 << 16):
                pieces.append(piece)
        except BlockingIOError:
            pass
        return b"".join(pieces).decode("utf-8")

    def close(self) -> None:
        self.file.close()
        os.close(self.outer)


@pytest.fixture
def terminal() -> Iterator[Callable[[int, int], Terminal]]:
    opened: list[Terminal] = []

    def open_one(columns: int, rows: int) -> Terminal:
        opened.append(Terminal(columns, rows))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def shown(panel: Panel, columns: int = 100, rows: int = 40) -> list[str]:
    """The lines of the panel as it is now."""
    console = Console(width=columns, height=rows, record=True, file=io.StringIO())
    console.print(panel.draw())
    text: str = console.export_text()
    return [line.rstrip() for line in text.splitlines()]


def test_on_a_terminal_every_stage_has_a_line(terminal: Callable[[int, int], Terminal], tmp_path: Path) -> None:
    tty, store = terminal(100, 40), Store(tmp_path)
    with watch(tty.console) as panel:
        assert isinstance(panel, Panel)
        panel.planned(STEPS, {STEPS[3].id: 90.0})
        panel.finished(STEPS[0], finished(store, STEPS[0]), False)
        panel.started(STEPS[1])
        panel.finished(STEPS[1], finished(store, STEPS[1]), True)
        panel.started(STEPS[2])
        panel.progress(STEPS[2], 3, 6, "steps", {"loss": 2.5, "tokens/s": 18_400.0, "FLOP/s": 1.21e10, "of peak": 0.31})
        lines = shown(panel)
        panel.finished(STEPS[2], finished(store, STEPS[2]), True)
    assert [line[:12].rstrip() for line in lines] == [
        "✓ made befor",
        "✓ dedup",
        "▸ pretrain",
        "    loss 2.5",
        "· finetune",
        "· report",
        "  2 of 5 sta",
    ]
    assert "read" in lines[0] and "26 documents in, 24 kept; 2 empty" in lines[1] and lines[1].endswith("9 s")
    assert "━" in lines[2] and "3 of 6 steps" in lines[2]
    assert lines[3].strip().split(" · ") == ["loss 2.5", "18.4k tokens/s", "12.1 GFLOP/s (31% of peak)"]
    assert lines[4].endswith("about 90 s") and "about 90 s left, and what is not known yet" in lines[6]
    assert "✓ pretrain" in re.sub(r"\x1b\[[0-9;]*m", "", tty.raw())


def test_text_of_a_model_neither_steers_the_terminal_nor_is_markup(
    terminal: Callable[[int, int], Terminal], tmp_path: Path
) -> None:
    tty = terminal(100, 40)
    with watch(tty.console) as panel:
        panel.planned(STEPS, {})
        panel.started(STEPS[2])
        panel.progress(STEPS[2], 3, 6, "steps", {"loss": 2.5, "sample": HOSTILE, "last": "\x1b[31mred"})
        assert isinstance(panel, Panel)
        (line,) = [line for line in shown(panel) if "»" in line]
        panel.finished(STEPS[2], finished(Store(tmp_path), STEPS[2]), True)
    written = tty.raw()
    assert "def f(x): ␛[2J␛]0;owned␇return ⟦U+202E⟧x # [bold red]not markup[/]" in line and len(line) <= 100
    assert (
        "\x1b[2J" not in written
        and "\x1b]0" not in written
        and "\u202e" not in written
        and "\x1b[31mred" not in written
    )


@pytest.mark.parametrize(("columns", "rows"), [(100, 12), (60, 8), (30, 24)])
def test_it_fits_the_terminal(
    terminal: Callable[[int, int], Terminal], tmp_path: Path, columns: int, rows: int
) -> None:
    steps, store = [step(f"stage_{number:02d}") for number in range(30)], Store(tmp_path)
    panel = Panel(terminal(columns, rows).console)
    panel.planned(steps, {one.id: 3.0 for one in steps})
    for one in steps[:12]:
        panel.started(one)
        panel.finished(one, finished(store, one), True)
    panel.started(steps[12])
    panel.progress(steps[12], 3, 6, "文件", {"loss": 2.5, "sample": "漢字" * 200})
    lines = shown(panel, columns, rows)
    assert len(lines) < rows
    text = "\n".join(lines)
    assert "stage_12" in text and "lines more, done" in text and "stages more" in text
    assert "stage_11" in text and "stage_13" in text and (columns < 60 or "3 of 6 文件" in text)
    console = Console(width=columns, file=io.StringIO())
    assert all(console.measure(line).maximum <= columns for line in lines)


def test_dollars_are_told_of_their_limit() -> None:
    panel = Panel(Console(width=100))
    panel.planned(STEPS, {})
    panel.started(STEPS[0])
    panel.progress(STEPS[0], 1, 9, "replies", {"dollars": 1.234, "dollars limit": 5.0, "from the journal": 0})
    panel.progress(STEPS[0], 200, 2_000, "pages", {"sample": "## A heading\n\nand text"})
    text = "\n".join(shown(panel))
    assert "$1.23 of $5.00" in text and "» ## A heading and text" in text and "200 of 2,000 pages" in text


def test_the_time_to_go_follows_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("codetextbook.live.time.monotonic", lambda: now[0])
    panel = Panel(Console(width=100))
    panel.planned(STEPS, {STEPS[0].id: 50.0, STEPS[1].id: 7.0})
    panel.started(STEPS[0])
    now[0] += 10
    assert any("eta 40 s" in line for line in shown(panel))
    for done in (10, 20, 30):
        panel.progress(STEPS[0], done, 100, "steps", {})
        now[0] += 2
    assert any("eta 12 s" in line for line in shown(panel))
    assert any("about 19 s left, and what is not known yet" in line for line in shown(panel))


def test_a_failure_leaves_the_stage_where_it_stopped(terminal: Callable[[int, int], Terminal]) -> None:
    tty = terminal(100, 40)
    with pytest.raises(StageFailed), watch(tty.console) as panel:
        panel.planned(STEPS, {})
        panel.started(STEPS[0])
        panel.progress(STEPS[0], 5, 9, "files", {})
        raise StageFailed("no more", where="read")
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", tty.raw()).splitlines()
    assert any(line.startswith("✗ read") and "stopped at 5 of 9 files" in line for line in last)


def test_plain_lines_tell_utilisation_and_no_sample(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(Console(force_terminal=False, width=200))
    facts: dict[str, Any] = {"loss": 2.5, "FLOP/s": 2.5e12, "of peak": 0.405, "sample": "secret", "learning_rate": 1e-3}
    lines._last = -1e9
    lines.progress(STEPS[2], 3, 6, "steps", facts)
    assert capsys.readouterr().out == "  pretrain: 3 of 6 steps  loss 2.5 · 2.5 TFLOP/s (40% of peak)\n"
