"""The arms of the experiments: what each is trained on, and how their measurements are laid side by side.

U raw, R and L controls of the filter, F filtered, FT filtered and textbooks (paper Fig 2.1: The Stack, CodeTextbook); with X, finetuned
on the same exercises. For §3 of the paper: M is FT without the pages on concepts that no exercise has, FTS is FT finetuned on exercises
with each other's solutions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from codetextbook.benchmarks.seeds import Scores
from codetextbook.nouns import Verdict
from codetextbook.store import Artifact


class Key(NamedTuple):
    """One artifact of one training."""

    arm: str
    seed: int
    kind: str
    """The stage that made it."""


TOLD = {
    "U": "raw code",
    "R": "code drawn blind, as much from each source as the filtered",
    "L": "code drawn blind, as long as the filtered",
    "F": "filtered code",
    "FT": "filtered code and textbooks",
    "UX": "raw code, then exercises",
    "RX": "code drawn blind by source, then exercises",
    "FX": "filtered code, then exercises",
    "FTX": "filtered code and textbooks, then exercises",
    "M": "filtered code and textbooks silent on the held-out families",
    "MX": "the same, then exercises",
    "FTS": "filtered code and textbooks, then exercises with each other's solutions",
}
"""What an arm was trained on."""


def costs(made: Mapping[Key, Artifact], arm: str, seeds: Sequence[int], texts: str) -> Scores:
    """Bits of each text of a set, seed by seed."""
    rows = []
    for seed in seeds:
        table = made[Key(arm, seed, "perplexity")].table("costs").to_pylist()
        rows.append({row["id"]: (row["bits"], row["num_bytes"]) for row in table if row["set"] == texts})
    ids = sorted(rows[0])
    values = np.array([[row[key][0] for key in ids] for row in rows])
    return Scores(values, np.array([rows[0][key][1] for key in ids], dtype=np.float64))


def solved(made: Mapping[Key, Artifact], arm: str, seeds: Sequence[int], benchmark: str) -> Scores:
    """1 where a problem was solved, seed by seed."""
    rows = [_verdicts(made[Key(arm, seed, "examine")], benchmark) for seed in seeds]
    tasks = sorted(rows[0])
    return Scores(np.array([[float(row[task]) for task in tasks] for row in rows]), np.ones(len(tasks)))


def parsed(made: Mapping[Key, Artifact], arm: str, seeds: Sequence[int], benchmark: str) -> np.ndarray:
    """(seeds,) the share of completions that parse."""
    return np.array(
        [made[Key(arm, seed, "examine")].json("scores")["models"]["best"][benchmark]["syntax_valid"] for seed in seeds]
    )


def _verdicts(artifact: Artifact, benchmark: str) -> dict[str, bool]:
    rows: list[dict[str, Any]] = artifact.table("completions").to_pylist()
    return {
        row["task_id"]: row["verdict"] == Verdict.PASSED.value
        for row in rows
        if row["benchmark"] == benchmark and row["sample"] == 0
    }
