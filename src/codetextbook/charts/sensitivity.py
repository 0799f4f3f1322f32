"""The table of `codetextbook sensitivity`, as Markdown: each benchmark in each way, against itself as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line for each benchmark and way, and what the paired test says of each in words."""
    head = (
        "benchmark",
        "prompts",
        "altered",
        "solved before",
        "after",
        "points (95 %)",
        "p",
        "bits per byte of references (95 %)",
    )
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *map(_line, rows)]
    words = [f"- {row['benchmark']}, {row['way']}: {row['paired']['words']}" for row in rows]
    return "\n".join((*lines, "", *words)) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    paired, problems = row["paired"], row["problems"]
    change, low, high = (-100 * paired[key] for key in ("difference", "bootstrap_high", "bootstrap_low"))
    cells = [
        row["benchmark"],
        row["way"],
        f"{row['altered']} of {problems}",
        str(row["solved"]),
        str(row["solved_altered"]),
        f"{change + 0.0:+.1f} ({low + 0.0:+.1f} to {high + 0.0:+.1f})",
        f"{paired['p_value']:.2g}",
        f"{row['dearer']:+.3f} ({row['dearer_low']:+.3f} to {row['dearer_high']:+.3f})",
    ]
    return "| " + " | ".join(cells) + " |"
