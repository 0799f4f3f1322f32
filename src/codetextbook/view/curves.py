"""Training as it goes: the metrics of finished and of running trainings, and small figures of them.

A running training is a folder that has a log of metrics and no manifest yet. Its last line may be half written, and steps after a crash
are in the log twice: the later one counts.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from codetextbook.store import MANIFEST
from codetextbook.view.catalog import Catalog

QUIET_SECONDS = 60
"""Without a new step for so long, a training that has not finished is called stopped."""
POINTS = 300
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 420, 170, 50, 22, 10, 12

Point = tuple[float, float]


class Training(NamedTuple):
    """One training and its steps."""

    name: str
    id: str
    state: str
    """"finished", "running" or "stopped"."""
    rows: list[dict[str, Any]]


class Figure(NamedTuple):
    """One small figure and what it says in words."""

    title: str
    svg: Markup
    last: str


def trainings(catalog: Catalog) -> list[Training]:
    """Every training in the workspace, the newest first."""
    names = {artifact.id: step for step, artifact in catalog.steps().items()}
    found = []
    for path in catalog.root.glob("*/*/metrics.jsonl"):
        if (path.parent / MANIFEST).exists() and path.resolve().is_relative_to(catalog.root):
            folder = path.parent
            found.append(
                (
                    path.stat().st_mtime,
                    Training(names.get(folder.name, folder.parent.name), folder.name, "finished", read(path)),
                )
            )
    for path in catalog.root.glob("*/*/.scratch/metrics.jsonl"):
        folder = path.parent.parent
        if not (folder / MANIFEST).exists() and path.resolve().is_relative_to(catalog.root):
            written = path.stat().st_mtime
            state = "running" if time.time() - written < QUIET_SECONDS else "stopped"
            found.append((written, Training(folder.parent.name, folder.name, state, read(path))))
    return [training for _, training in sorted(found, key=lambda one: -one[0])]


def read(path: Path) -> list[dict[str, Any]]:
    """The steps of a log, each once."""
    steps: dict[int, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
            steps[int(row["step"])] = row
        except (ValueError, KeyError, TypeError):
            continue  # the line that is being written
    return [steps[step] for step in sorted(steps)]


def figures(training: Training) -> list[Figure]:
    """Loss, bits per byte, learning rate, gradient norm, tokens a second; those that have points."""
    rows = training.rows
    loss, validation = _points(rows, "loss"), _points(rows, "validation_loss")
    wanted = [
        ("loss, nats a token", [("training", loss), ("validation", validation)]),
        ("bits per byte, validation", [("validation", _points(rows, "bits_per_byte"))]),
        ("learning rate", [("training", _points(rows, "learning_rate"))]),
        ("gradient norm", [("training", _points(rows, "gradient_norm"))]),
        ("tokens a second", [("training", _rates(rows))]),
    ]
    return [
        _figure(title, [one for one in series if one[1]]) for title, series in wanted if any(one[1] for one in series)
    ]


def _points(rows: Sequence[dict[str, Any]], name: str) -> list[Point]:
    return [
        (float(row["step"]), float(row[name]))
        for row in rows
        if isinstance(row.get(name), (int, float)) and math.isfinite(row[name])
    ]


def _rates(rows: Sequence[dict[str, Any]]) -> list[Point]:
    """Tokens a second between steps some way apart; not across the start of another attempt."""
    stride = max(1, len(rows) // 60)
    points = []
    for before, after in zip(rows[::stride], rows[stride::stride], strict=False):
        seconds = after.get("seconds_since_start", 0) - before.get("seconds_since_start", 0)
        if seconds > 0:
            points.append((float(after["step"]), (after["tokens"] - before["tokens"]) / seconds))
    return points


def _figure(title: str, series: list[tuple[str, list[Point]]]) -> Figure:
    every = [point for _, points in series for point in points]
    low, high = min(y for _, y in every), max(y for _, y in every)
    if high == low:
        low, high = low - abs(low or 1) / 10, high + abs(high or 1) / 10
    first, last = min(x for x, _ in every), max(x for x, _ in every)
    across = (WIDTH - LEFT - RIGHT) / max(last - first, 1)
    upwards = (HEIGHT - TOP - BOTTOM) / (high - low)

    def place(point: Point) -> str:
        return f"{LEFT + (point[0] - first) * across:.1f},{HEIGHT - BOTTOM - (point[1] - low) * upwards:.1f}"

    parts = [_grid(low, high, first, last)]
    for name, points in series:
        line = " ".join(map(place, _thin(points)))
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(name, line))
        if len(points) == 1:
            x, y = place(points[0]).split(",")
            parts.append(Markup('<circle class="{}" cx="{}" cy="{}" r="3"/>').format(name, x, y))
    said = ", ".join(f"{name} {points[-1][1]:.4g}" for name, points in series)
    label = f"{title} by step, from {first:.0f} to {last:.0f}; last: {said}"
    svg = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join(parts)
    )
    return Figure(title, svg, said)


def _grid(low: float, high: float, first: float, last: float) -> Markup:
    lines = []
    for share in (0, 0.5, 1):
        y = HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
        lines.append(
            Markup('<line x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" text-anchor="end">{}</text>').format(
                LEFT,
                WIDTH - RIGHT,
                f"{y:.1f}",
                f"{y:.1f}",
                LEFT - 6,
                f"{y + 4:.1f}",
                _short(low + share * (high - low)),
            )
        )
    for x, anchor, step in ((LEFT, "start", first), (WIDTH - RIGHT, "end", last)):
        lines.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, HEIGHT - 5, anchor, f"step {step:,.0f}")
        )
    return Markup("").join(lines)


def _short(value: float) -> str:
    """A number that fits beside an axis."""
    if abs(value) >= 1_000:
        return f"{value / 1_000:.3g}k"
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}".replace("e-0", "e-")


def _thin(points: list[Point]) -> list[Point]:
    """No more points than a figure can show, the last one always among them."""
    stride = -(-len(points) // POINTS)
    return points[:-1:stride] + points[-1:]
