"""What we learnt: one offline page (`report.html`) and the facts it shows (`report.json`).

`report.json` is deterministic and part of the artifact's digest; the page also shows times, so it is volatile. The paper's figures stand
in a table of their own with a sentence that they are not comparable. What a stage did not record is said to be missing, not left out.
"""

from __future__ import annotations

from pydantic import Field

from codetextbook.config import Config
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer


class Report(Config):
    """What is told."""

    title: str = "A small code model on textbook-quality data"
    """Heading of the page."""
    max_samples: int = Field(default=48, ge=0, le=1000)
    """Completions shown, taken in turn from every model, benchmark and verdict."""
    max_matches: int = Field(default=8, ge=0, le=1000)
    """Matches shown for each detector of contamination."""


@stage(version=3)
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
    from codetextbook.charts import gather, render, timing  # loads the drawing library, which takes a second

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
    out.json("report", facts)
    with out.volatile("report.html") as path:
        path.write_text(render(facts, title=cfg.title, timing=timing(steps)), encoding="utf-8")
    out.flow(rows_in=len(steps), unit="artifacts", rows_kept=len(steps), rejected={})
