"""Take out what leaks from the benchmarks: real code, textbook pages and exercises, all splits (paper §5).

Four detectors (`codetextbook.benchmarks.leaks`), each with a policy: `remove` takes the row out, `report` only writes the match down,
`off` does not look. Every match is in the table `matches`, removed or not, with both sides of it; what a person has marked as a false
alarm is in it too, says so, and removes nothing. The problems that were met are whole in the table `problems`. The table `screened` has
one row for each text: what it was compared by, and what became of it. How much of each benchmark's language the kept texts speak is a
fact of the manifest (`coverage`); nothing is chosen by it.

Trade-off: a file is removed whole when one of its functions matches. The paper decontaminated only the exercises and only for an ablation
(its headline figures are from the unpruned set), with tau from .95 down to .80; we do it before training, and .95 is our default.
The embedding distance is off by default: it costs as much as embedding every text and every function in it (`docs/decontamination.md` has
the measured times), which on a laptop is many times what all the rest of this stage takes. Turn it on where `site.device` is a GPU.
Limit: a problem retold with other words and another structure is seen by the embedding distance alone, so by default it is not seen.
Held-out exercises are screened against the benchmarks like the others; that they share no family with the training split is the affair
of `exercises`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from codetextbook.benchmarks.alarms import Alarm, AlarmFile, Mark, load_marks
from codetextbook.benchmarks.leaks import DETECTORS, Detector, LeakIndex, Limits, Screened
from codetextbook.benchmarks.problems import BenchmarkFile, load, problems_digest
from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import DOCUMENT, EXERCISE, PAGE, REJECTED, Problem
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.text.coverage import Runs, met, runs_of, shares
from codetextbook.text.embedding import Embedding

Policy = Literal["remove", "report", "off"]

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
        ("basis", pa.string()),
        ("removed", pa.bool_()),
        ("false_alarm", pa.bool_()),
        ("marked", pa.string()),
        ("where", pa.string()),
        ("shared", pa.string()),
        ("text_excerpt", pa.string()),
        ("benchmark_excerpt", pa.string()),
    ]
)
"""One text, one problem, one detector. `score`: n-grams shared, L2 distance, or match rate; `kind`: document, page or exercise; `basis`:
whether `ast` compared trees, tokens or, of short code, every word (`spelling`); `removed`: whether the text is gone, by this match or
another; `marked`: who says that it is a false alarm, and why."""

PROBLEM = pa.schema(
    [("benchmark", pa.string()), ("task_id", pa.string()), ("prompt", pa.string()), ("reference", pa.string())]
)
"""A problem that some text matched, whole: an artifact is read where the benchmark's file may not be."""

SCREENED = pa.schema(
    [
        ("document_id", pa.string()),
        ("kind", pa.string()),
        ("split", pa.string()),
        ("basis", pa.string()),
        ("functions", pa.int64()),
        ("matches", pa.int64()),
        ("removed_by", pa.string()),
    ]
)
"""One text. `basis`: compared by its `tree`, by `tokens` since some of it does not parse, or `none` since it holds no code."""


class Decontaminate(Config):
    """What is compared with which benchmarks, and what happens to a match."""

    benchmarks: tuple[str, ...] = ("humaneval",)
    """Benchmarks that ship with a package (paper §5: HumanEval)."""
    files: tuple[BenchmarkFile, ...] = ()
    """Benchmarks of your own: JSON Lines files."""
    false_alarms: AlarmFile | None = None
    """Matches that a person found to be none: a JSON Lines file. They are shown and remove nothing (paper §5 judges its 13-grams so)."""
    ngram_words: int = Field(default=13, ge=5, le=100)
    """Words in a row that count as a match (paper §5: 13)."""
    tau: float = Field(default=0.95, ge=0.5, le=1.0)
    """Match rate of syntax trees from which two functions count as the same (paper §5: .95, .9, .85, .8)."""
    min_nodes: int = Field(default=20, ge=1)
    """Nodes of a function's body below which it must be spelt as the problem's, word for word (ours: shorter trees match by chance)."""
    distance: float = Field(default=0.5, ge=0.0, le=2.0)
    """L2 distance of vectors up to which two texts count as the same (the paper states none; ours: docs/decontamination.md)."""
    embedder: Embedding = Embedding()
    """The model of the embedding distance (paper §5: codegen-350M-mono)."""
    docstring_ngram: Policy = "remove"
    """What happens to a text that shares a docstring's n-gram."""
    text_ngram: Policy = "remove"
    """What happens to a text that shares any n-gram."""
    ast: Policy = "remove"
    """What happens to a text that holds a function with the tree of a problem's reference."""
    embedding: Policy = "off"
    """What happens to a text whose vector, or that of one of its functions, is near a problem's."""
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


class Judged(NamedTuple):
    """A row with what was found in it, and the detector that has it removed, if one has."""

    row: dict[str, Any]
    screened: Screened
    marks: list[Mark | None]
    """One for each leak: the mark of a person that it is none."""
    removed_by: Detector | None


def policy(cfg: Decontaminate, detector: Detector) -> Policy:
    """What happens to a match of this detector."""
    found: Policy = getattr(cfg, detector)
    return found


@lru_cache(maxsize=2)
def leak_index(cfg: Decontaminate) -> LeakIndex:
    """The benchmarks of a setting, made ready once in each process."""
    problems = [problem for group in load(cfg.benchmarks, cfg.files).values() for problem in group]
    embedder = None if cfg.embedding == "off" else cfg.embedder
    return LeakIndex(problems, Limits(cfg.ngram_words, cfg.tau, cfg.min_nodes, cfg.distance, embedder))


def screen(texts: list[str], cfg: Decontaminate, device: str = "cpu") -> list[Screened]:
    """What each text shares with the benchmarks."""
    detectors = [detector for detector in DETECTORS if policy(cfg, detector) != "off"]
    return leak_index(cfg).screen(texts, detectors, device)


def text_of(row: Mapping[str, Any]) -> str:
    """What a model would read of a row."""
    text: str = row["text"] if "text" in row else row["prompt"] + row["solution"]
    return text


def judge(row: dict[str, Any], screened: Screened, marks: Mapping[Alarm, Mark], cfg: Decontaminate) -> Judged:
    """What becomes of a row: the surest detector whose match is no false alarm and whose policy is to remove has it."""
    own = [marks.get(Alarm(leak.benchmark, leak.task_id, row["id"], leak.detector)) for leak in screened.leaks]
    removing = {
        leak.detector
        for leak, mark in zip(screened.leaks, own, strict=True)
        if mark is None and policy(cfg, leak.detector) == "remove"
    }
    return Judged(row, screened, own, next((detector for detector in DETECTORS if detector in removing), None))


def reject_row(judged: Judged) -> dict[str, Any]:
    """A row of the table `rejected`."""
    leaks = zip(judged.screened.leaks, judged.marks, strict=True)
    shown = [
        f"{leak.benchmark} {leak.task_id} ({leak.score:g})"
        for leak, mark in leaks
        if leak.detector == judged.removed_by and mark is None
    ]
    return {
        "id": judged.row["id"],
        "reason": judged.removed_by,
        "detail": ", ".join(shown[:5]) + (f", and {len(shown) - 5} more" if len(shown) > 5 else ""),
        "text": text_of(judged.row),
        "source": judged.row.get("source") or judged.row.get("writer") or "",
    }


def match_rows(judged: Judged, kind: Kind) -> Iterator[dict[str, Any]]:
    """Rows of the table `matches`."""
    for leak, mark in zip(judged.screened.leaks, judged.marks, strict=True):
        yield leak._asdict() | {
            "document_id": judged.row["id"],
            "kind": kind.noun,
            "split": judged.row.get("split", ""),
            "removed": judged.removed_by is not None,
            "false_alarm": mark is not None,
            "marked": "" if mark is None else f"{mark.by}: {mark.why}",
        }


def screened_row(judged: Judged, kind: Kind) -> dict[str, Any]:
    """A row of the table `screened`."""
    return {
        "document_id": judged.row["id"],
        "kind": kind.noun,
        "split": judged.row.get("split", ""),
        "basis": judged.screened.basis,
        "functions": judged.screened.functions,
        "matches": len(judged.screened.leaks),
        "removed_by": judged.removed_by or "",
    }


@stage(version=4)
def decontaminate(
    cfg: Decontaminate, filtered: Artifact, pages: Artifact, drills: Artifact, *, out: Writer, site: Site
) -> None:
    """Screen the three tables, part by part."""
    marks = load_marks(cfg.false_alarms)
    device = _device(cfg, site)
    work = partial(screen, cfg=cfg, device=device)
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
                found = site.engine().map(work, texts) if device == "cpu" else map(work, texts)
                screened = [one for batch in found for one in batch]
                judged = [judge(row, one, marks, cfg) for row, one in zip(own, screened, strict=True)]
                _write(kind, index, serial, judged, out)
            done, serial = done + len(part), serial + 1
            out.progress(done, total, "texts")
    _facts(cfg, marks, out)
    out.fact("coverage", _coverage(cfg, out, site))
    kept = sum(Artifact(out.folder).rows(kind.table) for kind in KINDS)
    if total - kept > cfg.max_removed_share * total:
        raise StageFailed(
            f"{total - kept:,} of {total:,} texts match a benchmark, more than {cfg.max_removed_share:.0%}",
            where="[decontaminate] max_removed_share",
            hint=f'read the table `matches` in {out.folder}; a higher tau or min_nodes, or the policy "report"',
        )
    out.flow(rows_in=total, unit="texts", rows_kept=kept)


def _device(cfg: Decontaminate, site: Site) -> str:
    """Where vectors are made, if any are."""
    if cfg.embedding == "off":
        return "cpu"
    from codetextbook.text.embed import pick_device

    return pick_device(site.device)


def _write(kind: Kind, index: int, serial: int, judged: list[Judged], out: Writer) -> None:
    """Write a part; the kept rows last, since their being there says that the part is done."""
    out.table("matches", serial, to_table([match for one in judged for match in match_rows(one, kind)], MATCH))
    out.table("screened", serial, to_table([screened_row(one, kind) for one in judged], SCREENED))
    out.table("rejected", serial, to_table([reject_row(one) for one in judged if one.removed_by], REJECTED))
    out.table(kind.table, index, to_table([one.row for one in judged if not one.removed_by], kind.schema))


def _facts(cfg: Decontaminate, marks: Mapping[Alarm, Mark], out: Writer) -> None:
    """Counts for the manifest and the problems met, from the parts, so that a resumed attempt has them too."""
    made = Artifact(out.folder)
    matches = made.table("matches").select(["kind", "detector", *Alarm._fields[:3], "false_alarm"]).to_pylist()
    by_detector: dict[str, dict[str, int]] = {}
    for match in matches:
        counts = by_detector.setdefault(match["detector"], Counter())
        counts[match["kind"]] += 1
    used = {Alarm(*(match[name] for name in Alarm._fields)) for match in matches if match["false_alarm"]}
    screened = made.table("screened").select(["kind", "basis", "removed_by"])
    out.fact("matches", by_detector)
    out.fact("removed", {kind.noun: _count(screened, kind, "removed_by", but="") for kind in KINDS})
    out.fact("not_parsed", {kind.noun: _count(screened, kind, "basis", only="tokens") for kind in KINDS})
    out.fact("false_alarms", {"marked": len(marks), "met": len(used), "not_met": len(marks) - len(used)})
    out.fact("policies", {detector: policy(cfg, detector) for detector in DETECTORS})
    problems = load(cfg.benchmarks, cfg.files)
    met_by_a_text = {(match["benchmark"], match["task_id"]) for match in matches}
    out.table("problems", 0, to_table(_problem_rows(problems, met_by_a_text), PROBLEM))
    out.fact("benchmarks", {name: problems_digest(group) for name, group in problems.items()})
    out.fact("problems_in_reach", leak_index(cfg).reach)


def _problem_rows(problems: Mapping[str, list[Problem]], wanted: set[tuple[str, str]]) -> Iterator[dict[str, str]]:
    for problem in (problem for group in problems.values() for problem in group):
        if (problem.benchmark, problem.task_id) in wanted:
            yield {name: getattr(problem, name) for name in PROBLEM.names}


def _coverage(cfg: Decontaminate, out: Writer, site: Site) -> dict[str, dict[str, dict[str, float]]]:
    """For each benchmark and kind of text, the share of the benchmark's runs of words that the kept texts hold."""
    made = Artifact(out.folder)
    wanted = {
        name: runs_of(problem.prompt + problem.reference for problem in group)
        for name, group in load(cfg.benchmarks, cfg.files).items()
    }
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in wanted}
    for kind in KINDS:
        parts = (
            [text_of(row) for row in to_rows(pq.read_table(part, partitioning=None))] for part in made.parts(kind.table)
        )
        held = list(site.engine().map(partial(_held, wanted=wanted), parts))
        for name, runs in wanted.items():
            found[name][kind.noun] = shares(runs, (part[name] for part in held))
    return found


def _held(texts: list[str], wanted: Mapping[str, Runs]) -> dict[str, Runs]:
    """What the texts hold of each benchmark."""
    return {name: met(texts, runs) for name, runs in wanted.items()}


def _count(screened: pa.Table, kind: Kind, column: str, *, only: str | None = None, but: str | None = None) -> int:
    """Rows of one kind whose column holds one value, or anything but one."""
    own = screened.filter(pc.equal(screened["kind"], kind.noun))[column]
    wanted = pc.equal(own, only) if but is None else pc.not_equal(own, but)
    return int(pc.sum(pc.cast(wanted, pa.int64())).as_py() or 0)
