"""Take out what leaks from the benchmarks: real code, textbook pages and exercises, all splits (paper §5).

Three detectors (`codetextbook.benchmarks.leaks`): word 13-grams of docstrings, word 13-grams of the whole text, and the match rate of
syntax trees. Each has a policy: `remove` takes the row out, `report` only writes the match down. Every match is in the table `matches`,
removed or not, with an excerpt of both sides, so that a reader can tell a leak from a false alarm.

Trade-off: a file is removed whole when one of its functions matches. The paper decontaminated only the exercises and only for an ablation
(its headline figures are from the unpruned set), with tau from .95 down to .80; we do it before training, and .95 is our default.
The paper's embedding distance is left out: it needs a 350M-parameter model, and catches meaning rather than copies.
Held-out exercises are screened against the benchmarks like the others; that they share no family with the training split is the affair
of `exercises`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field

from codetextbook.benchmarks.leaks import Leak, LeakIndex
from codetextbook.benchmarks.problems import BenchmarkFile, load, problems_digest
from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import DOCUMENT, EXERCISE, PAGE, REJECTED
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer

Policy = Literal["remove", "report"]

ROWS_PER_PART = 2_000
ROWS_PER_TASK = 100

MATCH = pa.schema(
    [
        ("benchmark", pa.string()),
        ("task_id", pa.string()),
        ("document_id", pa.string()),
        ("kind", pa.string()),
        ("split", pa.string()),
        ("detector", pa.string()),
        ("score", pa.float64()),
        ("removed", pa.bool_()),
        ("where", pa.string()),
        ("text_excerpt", pa.string()),
        ("benchmark_excerpt", pa.string()),
    ]
)
"""One text, one problem, one detector. `score`: n-grams shared, or the match rate of trees; `kind`: document, page or exercise."""


class Decontaminate(Config):
    """What is compared with which benchmarks, and what happens to a match."""

    benchmarks: tuple[str, ...] = ("humaneval",)
    """Benchmarks that ship with a package (paper §5: HumanEval)."""
    files: tuple[BenchmarkFile, ...] = ()
    """Benchmarks of your own: JSON Lines files."""
    ngram_words: int = Field(default=13, ge=5, le=100)
    """Words in a row that count as a match (paper §5: 13)."""
    tau: float = Field(default=0.95, ge=0.5, le=1.0)
    """Match rate of syntax trees from which two functions count as the same (paper §5: .95, .9, .85, .8)."""
    min_nodes: int = Field(default=20, ge=1)
    """Nodes of a function's body below which its tree is not compared (ours: shorter ones match by chance)."""
    docstring_ngram: Policy = "remove"
    """What happens to a text that shares a docstring's n-gram."""
    text_ngram: Policy = "remove"
    """What happens to a text that shares any n-gram."""
    ast: Policy = "remove"
    """What happens to a text that holds a function with the tree of a problem's reference."""
    max_removed_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the texts above which the stage fails (the paper's strictest pruning, tau .80, took 40 % of the exercises)."""


class Kind(NamedTuple):
    """A table that is screened: its name, schema, and the word for one of its rows."""

    table: str
    noun: str
    schema: pa.Schema


KINDS = (
    Kind("documents", "document", DOCUMENT),
    Kind("pages", "page", PAGE),
    Kind("exercises", "exercise", EXERCISE),
)


@lru_cache(maxsize=2)
def leak_index(cfg: Decontaminate) -> LeakIndex:
    """The benchmarks of a setting, made ready once in each process."""
    problems = [problem for group in load(cfg.benchmarks, cfg.files).values() for problem in group]
    return LeakIndex(problems, ngram_words=cfg.ngram_words, tau=cfg.tau, min_nodes=cfg.min_nodes)


def screen(texts: list[str], cfg: Decontaminate) -> list[list[Leak]]:
    """What each text shares with the benchmarks."""
    return leak_index(cfg).leaks(texts)


def text_of(row: dict[str, Any]) -> str:
    """What a model would read of a row."""
    return row["text"] if "text" in row else row["prompt"] + row["solution"]


def verdict(leaks: list[Leak], cfg: Decontaminate) -> str | None:
    """The first detector, in the order of the settings, that has a row removed; None keeps it."""
    removing = {leak.detector for leak in leaks if getattr(cfg, leak.detector) == "remove"}
    return next((name for name in ("docstring_ngram", "text_ngram", "ast") if name in removing), None)


def reject_row(row: dict[str, Any], reason: str, leaks: list[Leak]) -> dict[str, Any]:
    """A row of the table `rejected`."""
    shown = [f"{leak.benchmark} {leak.task_id} ({leak.score:g})" for leak in leaks if leak.detector == reason]
    return {
        "id": row["id"],
        "reason": reason,
        "detail": ", ".join(shown[:5]) + (f", and {len(shown) - 5} more" if len(shown) > 5 else ""),
        "text": text_of(row),
        "source": row.get("source") or row.get("writer") or "",
    }


def match_rows(row: dict[str, Any], kind: Kind, leaks: list[Leak], cfg: Decontaminate) -> Iterator[dict[str, Any]]:
    """Rows of the table `matches`."""
    removed = verdict(leaks, cfg) is not None
    for leak in leaks:
        extra = {"document_id": row["id"], "kind": kind.noun, "split": row.get("split", ""), "removed": removed}
        yield leak._asdict() | extra


@stage(version=1)
def decontaminate(
    cfg: Decontaminate, filtered: Artifact, pages: Artifact, drills: Artifact, *, out: Writer, site: Site
) -> None:
    """Screen the three tables, part by part."""
    engine = site.engine()
    sources = dict(zip(KINDS, (filtered, pages, drills), strict=True))
    total = sum(source.rows(kind.table) for kind, source in sources.items())
    done = serial = 0
    for kind, source in sources.items():
        table = source.table(kind.table)
        for index, part in enumerate(split(table.num_rows, ROWS_PER_PART)):
            if not out.has(f"{kind.table}-{index:05d}"):
                own = to_rows(table, part)
                batches = [own[start : start + ROWS_PER_TASK] for start in range(0, len(own), ROWS_PER_TASK)]
                texts = [[text_of(row) for row in batch] for batch in batches]
                leaks = [one for batch in engine.map(partial(screen, cfg=cfg), texts) for one in batch]
                _write(kind, index, serial, list(zip(own, leaks, strict=True)), cfg, out)
            done, serial = done + len(part), serial + 1
            out.progress(done, total, "texts")
    _facts(cfg, out)
    kept = sum(Artifact(out.folder).rows(kind.table) for kind in KINDS)
    if total - kept > cfg.max_removed_share * total:
        raise StageFailed(
            f"{total - kept:,} of {total:,} texts match a benchmark, more than {cfg.max_removed_share:.0%}",
            where="[decontaminate] max_removed_share",
            hint=f'read the table `matches` in {out.folder}; a higher tau or min_nodes, or the policy "report"',
        )
    out.flow(rows_in=total, unit="texts", rows_kept=kept)


def _write(
    kind: Kind,
    index: int,
    serial: int,
    screened: list[tuple[dict[str, Any], list[Leak]]],
    cfg: Decontaminate,
    out: Writer,
) -> None:
    """Write a part; the kept rows last, since their being there says that the part is done."""
    verdicts = [verdict(leaks, cfg) for _, leaks in screened]
    kept = [row for (row, _), why in zip(screened, verdicts, strict=True) if why is None]
    gone = [
        reject_row(row, why, leaks) for (row, leaks), why in zip(screened, verdicts, strict=True) if why is not None
    ]
    matches = [match for row, leaks in screened for match in match_rows(row, kind, leaks, cfg)]
    out.table("matches", serial, to_table(matches, MATCH))
    out.table("rejected", serial, to_table(gone, REJECTED))
    out.table(kind.table, index, to_table(kept, kind.schema))


def _facts(cfg: Decontaminate, out: Writer) -> None:
    """Counts for the manifest, from the parts, so that a resumed attempt has them too."""
    matches = Artifact(out.folder).table("matches").select(["kind", "split", "detector", "removed", "document_id"])
    by_detector: dict[str, dict[str, int]] = {}
    removed: dict[str, set[str]] = {kind.noun: set() for kind in KINDS}
    for match in matches.to_pylist():
        counts = by_detector.setdefault(match["detector"], Counter())
        counts[match["kind"]] += 1
        if match["removed"]:
            removed[match["kind"]].add(match["document_id"])
    out.fact("matches", by_detector)
    out.fact("removed", {noun: len(ids) for noun, ids in removed.items()})
    problems = load(cfg.benchmarks, cfg.files)
    out.fact("benchmarks", {name: problems_digest(group) for name, group in problems.items()})
    index = leak_index(cfg)
    out.fact("problems_compared_by_tree", index.problems_compared_by_tree)
    out.fact("problems", len(index.problems))
