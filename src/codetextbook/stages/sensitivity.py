"""How much a score hangs on how the problems are told (paper, appendix B: phi-1 is fragile to style, slips of grammar and long prompts).

The best model sits each benchmark as it is, and again altered in each way (`benchmarks.altered`), under one protocol. Compared problem by
problem: solved before and after, by McNemar's test, and the bits that a byte of the reference costs after the prompt, which moves where
pass@1 is at its floor. A problem that an alteration leaves as it is counts too; how many were altered is told.
Limit: alterations follow fixed rules, in English alone, and are milder than a person's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from pydantic import Field

from codetextbook.benchmarks.altered import WAYS, Way, altered
from codetextbook.benchmarks.passk import bootstrap
from codetextbook.benchmarks.scoring import compare
from codetextbook.config import Config
from codetextbook.nouns import Problem, Verdict
from codetextbook.shards import to_rows
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.stages.sitting import Evaluate, own, problems_of, sit_all
from codetextbook.store import Artifact, Writer

MODEL = "best"


class Altered(Evaluate):
    """The exams, their protocol, and the ways in which their prompts are altered."""

    ways: tuple[Way, ...] = Field(default=WAYS, min_length=1)
    """Alterations, each of which is one more exam."""


class Sensitivity(Config):
    """The ways in which the prompts of [evaluate] are altered; its exams and its protocol stay."""

    ways: tuple[Way, ...] = Field(default=WAYS, min_length=1)
    """Alterations, each of which is one more exam: typos, reworded, lengthened, renamed (paper, appendix B)."""

    def of(self, exams: Evaluate) -> Altered:
        """What is asked: the exams of [evaluate] as they are, and in each way."""
        return Altered(**exams.model_dump(), ways=self.ways)


def told_in_all_ways(problems: dict[str, list[Problem]], cfg: Altered) -> dict[str, list[Problem]]:
    """Every benchmark as it is and altered, by its name and way."""
    exams = {}
    for name, group in problems.items():
        exams[name] = group
        exams |= {f"{name} {way}": [altered(problem, way, cfg.seed) for problem in group] for way in cfg.ways}
    return exams


def row_of(
    name: str, way: Way, exams: dict[str, list[Problem]], completions: list[dict[str, Any]], costs: list[dict[str, Any]]
) -> dict[str, Any]:
    """One benchmark in one way, against itself as it is."""
    plain, other = name, f"{name} {way}"
    tasks = [problem.task_id for problem in exams[plain]]

    def rows(all_rows: list[dict[str, Any]], exam: str) -> list[dict[str, Any]]:
        return [row for row in all_rows if row["benchmark"] == exam]

    def bits_per_byte(exam: str) -> np.ndarray:
        by_task = {row["task_id"]: row["bits"] / max(row["num_bytes"], 1) for row in rows(costs, exam)}
        return np.array([by_task[task] for task in tasks])

    dearer = bits_per_byte(other) - bits_per_byte(plain)
    interval = bootstrap(dearer.tolist(), seed=0)
    changed = sum(a.prompt != b.prompt for a, b in zip(exams[plain], exams[other], strict=True))
    paired = compare(
        tasks, rows(completions, plain), rows(completions, other), names=("the plain prompt", f"the {way} one")
    )
    return {
        "benchmark": name,
        "way": way,
        "problems": len(tasks),
        "altered": changed,
        "solved": _passed(rows(completions, plain)),
        "solved_altered": _passed(rows(completions, other)),
        "paired": paired,
        "dearer": float(dearer.mean()),
        "dearer_low": interval.low,
        "dearer_high": interval.high,
    }


def _passed(completions: list[dict[str, Any]]) -> int:
    return sum(row["verdict"] == Verdict.PASSED.value for row in completions)


@stage(version=1)
def sensitivity(cfg: Altered, best: Artifact, clean: Artifact, *, out: Writer, site: Site) -> None:
    """One model, every exam, in every way; then each way against the plain one."""
    from codetextbook.benchmarks.exam import DTYPE  # loads torch, which reading a recipe should not
    from codetextbook.charts.sensitivity import markdown

    problems = problems_of(cfg, clean)
    exams = told_in_all_ways(problems, cfg)
    sit_all(cfg, exams, {MODEL: partial(own, MODEL, best, site)}, out, site, DTYPE)
    made = Artifact(out.folder)
    completions, costs = to_rows(made.table("completions")), to_rows(made.table("references"))
    rows = [row_of(name, way, exams, completions, costs) for name in problems for way in cfg.ways if problems[name]]
    scores = made.json("scores")["models"][MODEL]
    out.json("sensitivity", {"plain": {name: scores[name] for name in problems if problems[name]}, "rows": rows})
    with out.file("sensitivity.md") as path:
        path.write_text(markdown(rows), encoding="utf-8")
