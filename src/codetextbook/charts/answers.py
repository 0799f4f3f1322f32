"""What models answered, as facts of the report: completions to read, and every problem's verdict at a glance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from codetextbook.nouns import Verdict
from codetextbook.store import Artifact

GRID_PROBLEMS = 600
"""Problems of a benchmark that the grid shows."""

LETTERS = {
    Verdict.PASSED: "+",
    Verdict.FAILED: "-",
    Verdict.TIMED_OUT: "t",
    Verdict.CRASHED: "c",
    Verdict.OUT_OF_MEMORY: "m",
    Verdict.UNPARSABLE: "u",
    Verdict.UNSPLITTABLE: "s",
    Verdict.SANDBOX_BROKE: "b",
}
"""A verdict as one letter, so that a problem is one cell and no colour alone says how it went."""


def completions(artifact: Artifact | None) -> list[dict[str, Any]] | None:
    """All completions of an exam."""
    if artifact is None or not artifact.parts("completions"):
        return None
    table: pa.Table = artifact.table("completions")
    return table.to_pylist()


def samples(rows: Sequence[dict[str, Any]], cap: int) -> list[dict[str, Any]]:
    """Completions to read: of each model, benchmark and verdict in turn, the first ones; those that passed come first in each turn."""
    ranked: list[tuple[int, bool, int, dict[str, Any]]] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for order, row in enumerate(rows):
        key = (row["model"], row["benchmark"], row["verdict"])
        ranked.append((seen[key], row["verdict"] != Verdict.PASSED.value, order, row))
        seen[key] += 1
    ranked.sort(key=lambda entry: entry[:3])
    return [row | {"entry_point": entry_point(row["prompt"])} for *_, row in ranked[:cap]]


def entry_point(prompt: str) -> str:
    """The function that a prompt asks for: the last one that it begins."""
    names = re.findall(r"^(?:async )?def (\w+)", prompt, flags=re.MULTILINE)
    return names[-1] if names else ""


def grid(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each benchmark its problems in order, and for each model a letter a problem: the verdict on its first sample."""
    problems: dict[str, dict[str, str]] = {}
    letters: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        if row["sample"] == 0:
            problems.setdefault(row["benchmark"], {}).setdefault(row["task_id"], entry_point(row["prompt"]))
            own = letters.setdefault((row["benchmark"], row["model"]), {})
            own[row["task_id"]] = LETTERS[Verdict(row["verdict"])]
    return [
        {
            "benchmark": benchmark,
            "left_out": max(0, len(asked) - GRID_PROBLEMS),
            "problems": [{"task_id": task, "name": name} for task, name in list(asked.items())[:GRID_PROBLEMS]],
            "models": [
                {"model": model, "letters": "".join(own.get(task, " ") for task in list(asked)[:GRID_PROBLEMS])}
                for (name, model), own in letters.items()
                if name == benchmark
            ],
        }
        for benchmark, asked in problems.items()
    ]
