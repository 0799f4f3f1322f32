"""The exercises without those near a benchmark: what Section 5 finetunes again on (paper §5).

An exercise of the training split goes if its AST match rate with any problem is tau or more. The other splits stay as they are, so that the
model finetuned again is selected and examined on the same exercises as the first. The table `closest` says for each problem which exercise
comes nearest, with both texts: it is what splits the problems into similar and not similar.

Unlike `decontaminate`, this compares short functions too (`min_nodes` 1), as the paper seems to: it must err on the side of pruning. What
`decontaminate` has removed before is not here to be pruned; `[decontaminate] ast = "report"` leaves the paper's whole experiment to this.
Limit: the rate sees shape and not meaning, so short functions of one shape go together, whatever they compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from codetextbook.benchmarks.section5 import Closest, Nearness, closest, join, problems_of
from codetextbook.errors import StageFailed
from codetextbook.nouns import EXERCISE, REJECTED
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer

EXERCISES_PER_TASK = 500
TRAIN = "train"

CLOSEST = pa.schema(
    [
        ("benchmark", pa.string()),
        ("task_id", pa.string()),
        ("rate", pa.float64()),
        ("exercise_id", pa.string()),
        ("exercise", pa.string()),
        ("problem", pa.string()),
    ]
)
"""A problem and the training exercise nearest to it; no row where none is at tau."""


def nearest(texts: Sequence[str], cfg: Nearness) -> Closest:
    """Neighbours at tau or more of a batch of exercises."""
    return closest(problems_of(cfg), texts, floor=cfg.tau, min_nodes=cfg.min_nodes)


@stage(version=1)
def prune(cfg: Nearness, clean: Artifact, *, out: Writer, site: Site) -> None:
    """Find each training exercise's nearest problem, and part the near ones from the rest."""
    rows = to_rows(clean.table("exercises"))
    train = [row for row in rows if row["split"] == TRAIN]
    texts = [row["prompt"] + row["solution"] for row in train]
    parts = split(len(texts), EXERCISES_PER_TASK)
    found: list[Closest] = []
    for one in site.engine().map(partial(nearest, cfg=cfg), [texts[part.start : part.stop] for part in parts]):
        found.append(one)
        out.progress(min(len(found) * EXERCISES_PER_TASK, len(texts)), len(texts), "exercises")
    near = join(found, [len(part) for part in parts])
    if texts and len(near.of_text) == len(texts):
        raise StageFailed(
            f"every one of {len(texts):,} training exercises is near a problem at tau {cfg.tau:g}",
            where="[contamination] taus",
            hint="a higher tau, or more nodes in min_nodes",
        )
    gone = {train[number]["id"]: rate for number, rate in near.of_text.items()}
    out.table("closest", 0, to_table(_closest_rows(cfg, near, train), CLOSEST))
    out.table(
        "rejected", 0, to_table([_reject_row(row, gone[row["id"]]) for row in rows if row["id"] in gone], REJECTED)
    )
    out.table("exercises", 0, to_table([row for row in rows if row["id"] not in gone], EXERCISE))
    out.fact("tau", cfg.tau)
    out.fact("training_exercises", len(train))
    out.fact("pruned", len(gone))
    out.fact("problems_similar", len(near.of_problem))
    out.flow(rows_in=len(rows), unit="exercises")


def _closest_rows(cfg: Nearness, near: Closest, train: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    problems = problems_of(cfg)
    return [
        {
            "benchmark": cfg.benchmark,
            "task_id": problems[number].task_id,
            "rate": rate,
            "exercise_id": train[place]["id"],
            "exercise": train[place]["prompt"] + train[place]["solution"],
            "problem": problems[number].prompt + problems[number].reference,
        }
        for number, (rate, place) in sorted(near.of_problem.items())
    ]


def _reject_row(row: dict[str, Any], rate: float) -> dict[str, Any]:
    return {
        "id": row["id"],
        "reason": "near_a_problem",
        "detail": f"match rate {rate:.4f}",
        "text": row["prompt"] + row["solution"],
        "source": row["writer"],
    }
