"""What we learnt: one offline page (`report.html`) and the facts it shows (`report.json`). The page is ours; the paper's figures that it
repeats are those of §2.1 to §5.

`report.json` is deterministic and part of the artifact's digest; the page also shows times, and the ablation on this run's data if the
workspace has one, so it is volatile. The paper's figures stand
in a table of their own with a sentence that they are not comparable. What a stage did not record is said to be missing, not left out.
Limit: nothing is measured here, so a report knows one run of one seed; `ablate` is what compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from codetextbook.benchmarks.section5 import Cell, Split, scores_on
from codetextbook.config import Config
from codetextbook.nouns import Verdict
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Store, Writer


class Report(Config):
    """What is told."""

    title: str = "A small code model on textbook-quality data"
    """Heading of the page."""
    max_samples: int = Field(default=48, ge=0, le=1000)
    """Completions shown, taken in turn from every model, benchmark and verdict."""
    max_matches: int = Field(default=8, ge=0, le=1000)
    """Matches shown for each detector of contamination."""


def both_ways(matches: Iterable[Mapping[str, Any]], answers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each model's score on the problems that some text matched, and on the others; of benchmarks that have both (paper §5).

    `matches`: rows of `decontaminate`, `answers`: rows of `evaluate`'s completions, of which the first to each problem counts.
    """
    near = {(row["benchmark"], row["task_id"]) for row in matches if not row["false_alarm"]}
    passed: dict[tuple[str, str], dict[str, float]] = {}
    for row in answers:
        if row["sample"] == 0:
            own = passed.setdefault((row["benchmark"], row["model"]), {})
            own[row["task_id"]] = float(row["verdict"] == Verdict.PASSED.value)
    rows = []
    for (benchmark, model), solved in sorted(passed.items()):
        matched = tuple(task for task in solved if (benchmark, task) in near)
        others = tuple(task for task in solved if (benchmark, task) not in near)
        if matched and others:
            told = scores_on(Split(0.0, matched, others), solved)
            rows.append(
                {
                    "benchmark": benchmark,
                    "model": model,
                    "matched": _side(told.similar),
                    "others": _side(told.not_similar),
                }
            )
    return rows


def _side(cell: Cell) -> dict[str, float]:
    return {
        "problems": cell.problems,
        "solved": round(cell.solved),
        "low": round(cell.low, 4),
        "high": round(cell.high, 4),
    }


@stage(version=5)
def report(
    cfg: Report,
    corpus: Artifact,
    unique: Artifact,
    grades: Artifact,
    vectors: Artifact,
    filtered: Artifact,
    pages: Artifact,
    drills: Artifact,
    clean: Artifact,
    vocab: Artifact,
    lessons: Artifact,
    base: Artifact,
    practice: Artifact,
    tuned: Artifact,
    best: Artifact,
    scores: Artifact,
    *,
    out: Writer,
    site: Site,
) -> None:
    """Gather the facts, write them, draw the page."""
    from codetextbook.charts import ablated, gather, render, timing  # loads the drawing library, which takes a second

    steps = {
        "read": corpus,
        "dedup": unique,
        "annotate": grades,
        "embed": vectors,
        "curate": filtered,
        "textbook": pages,
        "exercises": drills,
        "decontaminate": clean,
        "tokenizer": vocab,
        "pack_pretrain": lessons,
        "pretrain": base,
        "pack_finetune": practice,
        "finetune": tuned,
        "select": best,
        "evaluate": scores,
    }
    facts = gather(steps, max_samples=cfg.max_samples, max_matches=cfg.max_matches)
    if facts["contamination"] and scores.parts("completions"):
        answers = scores.table("completions").select(["benchmark", "model", "task_id", "sample", "verdict"])
        facts["contamination"]["both_ways"] = both_ways(clean.table("matches").to_pylist(), answers.to_pylist())
    out.json("report", facts)
    found = ablated.find(Store(out.folder.parent.parent), steps)
    with out.volatile("report.html") as path:
        page = render(facts, title=cfg.title, timing=timing(steps), ablation=found)
        path.write_text(page, encoding="utf-8")
    out.flow(rows_in=len(steps), unit="artifacts", rows_kept=len(steps), rejected={})
