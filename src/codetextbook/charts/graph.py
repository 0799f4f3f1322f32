"""Which artifact was made from which, as one SVG: a row for each depth, what it was made from above it.

Every box leads to the artifact's settings on the page. A line that follows from others is left out. Drawn by ourselves: a run has about
fifteen steps, and a library for graphs would be the largest thing on the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

BOX_WIDTH, BOX_HEIGHT, ROW_HEIGHT, BETWEEN = 124, 26, 58, 14
BOXES_BESIDE = 3
"""Boxes in a row of a run as it is shipped: no wider, so that a phone shows their names at a readable size."""


def draw(rows: Sequence[Mapping[str, Any]]) -> str:
    """`rows` of the lineage hold `step`, `id` and `inputs` (ids by name); inputs that are no row are left out."""
    by_id = {row["id"]: row for row in rows}
    parents = {
        row["id"]: list(dict.fromkeys(one for one in (row["inputs"] or {}).values() if one in by_id)) for row in rows
    }
    levels: dict[int, list[str]] = {}
    for key, depth in _depths(parents).items():
        levels.setdefault(depth, []).append(key)
    width = (BOX_WIDTH + BETWEEN) * max(BOXES_BESIDE, *map(len, levels.values()), 0)
    centres = {
        key: (width * (place + 0.5) / len(level), ROW_HEIGHT * depth + BOX_HEIGHT / 2 + 4)
        for depth, level in levels.items()
        for place, key in enumerate(level)
    }
    height = ROW_HEIGHT * max(levels, default=0) + BOX_HEIGHT + 8
    edges = [_edge(centres[one], centres[key]) for key, above in _needed(parents).items() for one in above]
    boxes = [_box(by_id[key]["step"], *centres[key]) for key in centres]
    label = quoteattr("Which step was made from which; the text below has the same as a list")
    return f'<svg viewBox="0 0 {width} {height}" role="group" aria-label={label}>{"".join(edges + boxes)}</svg>'


def _depths(parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The row of each artifact: below all that it was made from."""
    found: dict[str, int] = {}

    def depth(key: str) -> int:
        if key not in found:
            found[key] = 1 + max(map(depth, parents[key]), default=-1)
        return found[key]

    for key in parents:
        depth(key)
    for key, above in parents.items():
        users = [found[other] for other, needed in parents.items() if key in needed]
        if not above and users:
            found[key] = min(users) - 1  # what is made from nothing stands beside what it is first used with
    return found


def _needed(parents: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Of each artifact's inputs those that are not also made into another of its inputs: the other lines follow from these."""
    above: dict[str, set[str]] = {}

    def ancestors(key: str) -> set[str]:
        if key not in above:
            above[key] = set(parents[key]).union(*map(ancestors, parents[key]))
        return above[key]

    return {
        key: [one for one in own if not any(one in ancestors(other) for other in own)] for key, own in parents.items()
    }


def _edge(above: tuple[float, float], below: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = (above[0], above[1] + BOX_HEIGHT / 2), (below[0], below[1] - BOX_HEIGHT / 2)
    middle = (y1 + y2) / 2
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{path}" class="edge"/>'


def _box(step: str, x: float, y: float) -> str:
    name, label = quoteattr(f"#made-{step}"), quoteattr(f"{step}: its settings")
    return (
        f'<a href={name} aria-label={label}><rect x="{x - BOX_WIDTH / 2:.1f}" y="{y - BOX_HEIGHT / 2:.1f}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="5" class="box"/><text x="{x:.1f}" y="{y + 4.5:.1f}">{escape(step)}</text></a>'
    )
