"""One line of the paper's Table 3: a tau, its similar and other problems, and two models' scores on each (paper §5).

The first model is the run's own; the second was finetuned again, from the same base and with the same settings, on the exercises that
`prune` left. Both sat the same exam: a difference in their protocols is refused. If the score on similar problems falls and the score on
the others does not, the first model had been helped by what it had seen; the paired test on all problems says how sure that is.

Limits: one finetuning each, so the seed's own scatter is not told apart from the pruning's. The smaller set is trained on for the same
number of steps, so more often. `benchmarks.section5` has the arithmetic and the paper's own table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator

from codetextbook.benchmarks.problems import HUMANEVAL, BenchmarkFile
from codetextbook.benchmarks.scoring import compare, passed_by_task
from codetextbook.benchmarks.section5 import Cell, Nearness, Scores, problems_of, scores_on, split_problems
from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer

MODEL = "best"


class Contamination(Config):
    """The taus of Section 5, and the benchmark they speak of."""

    benchmark: str = HUMANEVAL
    """The benchmark: one that `evaluate` asks, or the name of one of its `files` (paper §5: HumanEval)."""
    taus: tuple[float, ...] = Field(default=(0.95, 0.9, 0.85, 0.8), min_length=1)
    """Match rates from which an exercise is near a problem; each costs one more finetuning (paper §5, Table 3)."""
    min_nodes: int = Field(default=1, ge=1)
    """Nodes below which a function is not compared (ours: all are, as the paper names no exception)."""

    @field_validator("taus")
    @classmethod
    def _each_once(cls, taus: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(taus)) != len(taus) or not all(0.5 <= tau <= 1.0 for tau in taus):
            raise ValueError("each tau once, from 0.5 to 1")
        return taus

    def each(self, files: Sequence[BenchmarkFile]) -> tuple[Nearness, ...]:
        """The settings of one branch for each tau; `files` are those of `evaluate`."""
        file = next((one for one in files if one.name == self.benchmark), None)
        return tuple(
            Nearness(benchmark=self.benchmark, file=file, tau=tau, min_nodes=self.min_nodes) for tau in self.taus
        )


def passed_of(completions: list[dict[str, Any]]) -> dict[str, float]:
    """pass@1 of each problem."""
    samples, passed = passed_by_task(completions)
    return {task: passed[task] / count for task, count in samples.items()}


def row_of(tau: float, facts: Mapping[str, Any], models: Mapping[str, Scores]) -> dict[str, Any]:
    """A line of the table as JSON: counts of problems and exercises, then each model's cells."""
    first = next(iter(models.values()))
    return {
        "tau": tau,
        "similar": first.similar.problems,
        "not_similar": first.not_similar.problems,
        "training_exercises": facts["training_exercises"],
        "pruned": facts["pruned"],
        "models": {
            name: {side: _cell(cell) for side, cell in scores._asdict().items()} for name, scores in models.items()
        },
    }


@stage(version=1)
def contamination(
    cfg: Nearness, pruned: Artifact, scores: Artifact, again: Artifact, *, out: Writer, site: Site
) -> None:
    """Split the problems, score both models on both sides, compare them in pairs."""
    if _exam(scores, cfg.benchmark) != _exam(again, cfg.benchmark):
        raise StageFailed("the two models did not sit the same exam", where="contamination")
    problems = problems_of(cfg)
    rates = {row["task_id"]: row["rate"] for row in pruned.table("closest").to_pylist()}
    split = split_problems(problems, rates, cfg.tau)
    sat = [_completions(artifact, cfg.benchmark) for artifact in (scores, again)]
    models = {
        name: scores_on(split, passed_of(rows)) for name, rows in zip(("as_trained", "retrained"), sat, strict=True)
    }
    row = row_of(cfg.tau, pruned.manifest["facts"], models)
    out.json(
        "row",
        row | {"paired": compare([one.task_id for one in problems], *sat), "task_ids_similar": list(split.similar)},
    )
    out.flow(rows_in=len(problems), unit="problems", rows_kept=len(problems), rejected={})


def _exam(artifact: Artifact, benchmark: str) -> dict[str, Any]:
    """The protocol, of this benchmark alone: the second model need not sit the others."""
    protocol: dict[str, Any] = artifact.json("scores")["protocol"]
    return protocol | {"problems": protocol["problems"].get(benchmark)}


def _completions(artifact: Artifact, benchmark: str) -> list[dict[str, Any]]:
    rows = artifact.table("completions").to_pylist()
    return [row for row in rows if row["model"] == MODEL and row["benchmark"] == benchmark]


def _cell(cell: Cell) -> dict[str, Any]:
    return cell._asdict() | {"percent": cell.percent}
