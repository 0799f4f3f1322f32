"""Real code of educational value: a forest learns the grades from vectors and judges every document (paper §2.1).

The paper trains a random forest on the sample's embeddings and keeps about 17 % of the tokens [derived]; size, depth and threshold are
not published. Ours: the vectors of `embed`; size and depth by nested cross-validation (`teacher.forest`); votes made probabilities by
what forests said of documents that they had not seen (`teacher.calibration`); and a threshold by share, budget, precision or value.

A filter can learn length or comments instead of value, so `quality.json` holds the same figures for all that it must beat
(`teacher.judges`), for slices by length, comments, source and kind, and says in words what they show; packages are never split between
folds. Agreement is not the proof: train with and without the filter. Limits: documents that were graded are judged by a forest that has
seen their grade (their out-of-fold judgement is beside it in `scores`); tokens are estimated from characters.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import DOCUMENT, REJECTED
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.teacher import filtering
from codetextbook.teacher.kinds import kind_of
from codetextbook.teacher.syntax import Syntax

ROWS_PER_PART = 2_000
BORDERLINE = 20
EXCERPT_CHARACTERS = 400
DIGITS = 6

SCORE = pa.schema(
    [
        ("document_id", pa.string()),
        ("quality", pa.float64()),
        ("kept", pa.bool_()),
        ("grade", pa.float64()),
        ("out_of_fold", pa.float64()),
        ("characters", pa.int64()),
    ]
)
"""One judged document: calibrated probabilities. `grade` and `out_of_fold` only where the teacher graded it."""


class Curate(Config):
    """Forest and threshold."""

    good_from: float = Field(default=3.0, gt=0.0, le=5.0)
    """Grade from which a document counts as good (FineWeb-Edu's cut of its 0 to 5 scale)."""
    trees: tuple[int, ...] = Field(default=(50, 200), min_length=1)
    """Trees of the forest; of several, one is chosen by nested cross-validation (ours)."""
    depths: tuple[int, ...] = Field(default=(6, 0), min_length=1)
    """Greatest depth of a tree, 0 for leaves that are pure; of several, one is chosen likewise (ours)."""
    min_leaf: int = Field(default=2, ge=1)
    """Least graded documents in a leaf (ours)."""
    folds: int = Field(default=5, ge=2, le=50)
    """Folds of the cross-validation, with each package wholly in one (ours)."""
    inner_folds: int = Field(default=3, ge=2, le=50)
    """Folds within each training part, on which trees and depth are chosen (ours)."""
    resamples: int = Field(default=200, ge=0, le=100_000)
    """Bootstrap draws behind each interval (ours)."""
    shuffles: int = Field(default=10, ge=1, le=1_000)
    """Times that the labels are shuffled for the control: one shuffle alone scatters by about 0.08 around its mean of 0.5 (ours)."""
    keep_share: float = Field(default=0.17, gt=0.0, le=1.0)
    """Share of the characters to keep, best first (paper §2.1: 6B of over 35B tokens)."""
    keep_tokens: int | None = Field(default=None, ge=1)
    """Tokens to keep at most, best first, estimated from characters; when set, `keep_share` is not used."""
    precision: float | None = Field(default=None, gt=0.0, le=1.0)
    """Share of the kept documents that must be good by the teacher's word, as measured out of fold; when set, `keep_share` is not used."""
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """Quality from which documents are kept; when set, `keep_share` is not used."""
    characters_per_token: float = Field(default=3.3, gt=0.0)
    """Characters of one token (measured: CodeGen's vocabulary on every twentieth of the first 2,000 documents of the laptop corpus)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the forest, the folds and the bootstrap."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        said = [name for name in ("keep_tokens", "precision", "threshold") if getattr(self, name) is not None]
        if len(said) > 1:
            raise ValueError(f"{' and '.join(said)} each draw a line: set one of them")
        if (
            min(self.trees) < 1
            or min(self.depths) < 0
            or len(set(self.trees)) + len(set(self.depths)) < len(self.trees) + len(self.depths)
        ):
            raise ValueError("trees are 1 or more, depths 0 or more, each named once")
        return self


class Graded(NamedTuple):
    """The graded documents among those that are judged."""

    places: np.ndarray
    """Their places in the table of documents."""
    good: np.ndarray
    groups: list[str]
    """What is never split between folds."""


class Learnt(NamedTuple):
    """What the forest says, and how well everybody agrees with the teacher."""

    quality: np.ndarray
    """Calibrated probability of every document."""
    out_of_fold: np.ndarray
    """The same of the graded ones, by forests and curves that had not seen them."""
    judged: dict[str, np.ndarray]
    """Scores of the graded documents by each judge."""
    record: dict[str, Any]


def group_of(source: str, path: str) -> str:
    """What is never split between folds: a package, or a folder of any other source."""
    first, slash, _ = path.partition("/")
    return source if source.startswith("package:") or not slash else f"{source}/{first}"


def judged(documents: pa.Table, vectors: pa.Table) -> tuple[pa.Table, np.ndarray, pa.Table]:
    """The documents that have a vector, their vectors `[documents, width]`, and the documents that have none."""
    place_of = {identity: place for place, identity in enumerate(vectors["document_id"].to_pylist())}
    known = [identity in place_of for identity in documents["id"].to_pylist()]
    table = documents.filter(pa.array(known, pa.bool_()))
    flat = vectors["vector"].combine_chunks()
    matrix = flat.flatten().to_numpy().reshape(len(flat), flat.type.list_size)
    places = [place_of[identity] for identity in table["id"].to_pylist()]
    return table, matrix[places].astype(np.float32), documents.filter(pa.array([not one for one in known], pa.bool_()))


@stage(version=4)
def curate(
    cfg: Curate, documents: Artifact, grades: Artifact, vectors: Artifact, *corpus: Artifact, out: Writer, site: Site
) -> None:
    """Learn, judge, and write down what was kept and why the rest was not. `corpus`: what `read` made, if it wrote facts."""
    from threadpoolctl import threadpool_limits

    table, matrix, lost = judged(documents.table("documents"), vectors.table("vectors"))
    if table.num_rows == 0:
        raise StageFailed("there are no documents to judge", where="[curate]", hint="more sources in [read]")
    rows = grades.table("grades")
    scores = dict(zip(rows["document_id"].to_pylist(), rows["score"].to_pylist(), strict=True))
    graded = _graded(cfg, table, scores)
    syntax = Syntax([part for one in corpus for part in one.parts("facts")], table["id"].to_pylist())
    with threadpool_limits(limits=1):
        learnt = _learn(cfg, table, matrix, graded, syntax, site.workers)
        threshold = _threshold(cfg, table, graded, learnt)
        filtering.refuse_empty(learnt.quality, threshold)
        kept = learnt.quality >= threshold
        record = _record(cfg, table, graded, learnt, syntax, threshold)
    _write_rows(table, graded, learnt, scores, threshold, out)
    _write_lost(lost, table.num_rows, out)
    out.json("quality", record)
    characters = _characters(table)
    out.fact("threshold", threshold)
    out.fact("share_of_characters_kept", round(int(characters[kept].sum()) / max(int(characters.sum()), 1), 4))
    out.fact("forest_auc", record["agreement"]["forest"]["auc"])
    out.fact("folds_keep_together", record["folds_keep_together"])
    out.fact("keeps_everything", bool(kept.all()))
    out.flow(rows_in=table.num_rows + lost.num_rows, unit="documents", kept="documents")


def _characters(table: pa.Table) -> np.ndarray:
    return np.array([len(text) for text in table["text"].to_pylist()], dtype=np.int64)


def _graded(cfg: Curate, table: pa.Table, scores: dict[str, float]) -> Graded:
    """Which documents were graded, and which of them are good.

    Raises:
        StageFailed: fewer of one kind than there are folds.
    """
    ids, sources, paths = (table[name].to_pylist() for name in ("id", "source", "path"))
    places = [place for place, identity in enumerate(ids) if identity in scores]
    own = [scores[ids[place]] for place in places]
    good = np.array([score >= cfg.good_from for score in own], dtype=bool)
    _both_kinds(cfg, own, good)
    return Graded(np.array(places), good, [group_of(sources[place], paths[place]) for place in places])


def _learn(cfg: Curate, table: pa.Table, matrix: np.ndarray, graded: Graded, syntax: Syntax, workers: int) -> Learnt:
    """Teach the forest, judge every document, and let everybody judge the graded ones."""
    from codetextbook.teacher import calibration, forest, judges
    from codetextbook.teacher.agreement import make_folds

    growing = forest.Growing(cfg.trees, cfg.depths, cfg.min_leaf, cfg.inner_folds, cfg.seed, workers)
    vectors, good = matrix[graded.places], graded.good
    folds, kept_together = make_folds(good, graded.groups, cfg.folds, cfg.seed)
    votes, chosen = forest.nested(growing, vectors, good, graded.groups, folds)
    sizes = forest.sizes(growing, vectors, good, graded.groups)
    model = forest.plant(growing, sizes[0]).fit(vectors, good)
    curve = calibration.fit(votes, good)
    out_of_fold = calibration.cross_fitted(votes, good, folds)
    ids, texts = (table[name].take(pa.array(graded.places)).to_pylist() for name in ("id", "text"))
    known = [syntax.counts(identity, text) for identity, text in zip(ids, texts, strict=True)]
    others = judges.rivals([len(text) for text in texts], known, vectors, good, folds, growing)
    record = {
        "graded": {"documents": len(good), "good": int(good.sum()), "good_from": cfg.good_from}
        | {"groups": len(set(graded.groups))},
        "folds_keep_together": kept_together,
        "forest": {"sizes": [one._asdict() for one in sizes], "chosen_in_folds": [one._asdict() for one in chosen]},
        "calibration": calibration.reliability(votes, out_of_fold, good, curve),
        "shuffled": judges.shuffled_labels(vectors, good, folds, growing, cfg.shuffles),
        "comment_shares": [round(one.comment_share, 4) for one in known],
    }
    quality = np.round(curve(forest.probabilities(model, matrix, workers)), DIGITS)
    return Learnt(quality, np.round(out_of_fold, DIGITS), {"forest": votes} | others, record)


def _threshold(cfg: Curate, table: pa.Table, graded: Graded, learnt: Learnt) -> float:
    """The line, by the rule that the settings name."""
    if cfg.threshold is not None:
        return cfg.threshold
    if cfg.precision is not None:
        return filtering.by_precision(graded.good, learnt.out_of_fold, cfg.precision)
    if cfg.keep_tokens is not None:
        budget = cfg.keep_tokens * cfg.characters_per_token
        return filtering.by_budget(learnt.quality, _characters(table), budget)
    return filtering.by_share(learnt.quality, _characters(table), cfg.keep_share)


def _both_kinds(cfg: Curate, scores: list[float], good: np.ndarray) -> None:
    """Refuse grades of one kind only, and name the cut that would split them best."""
    if min(int(good.sum()), int((~good).sum())) >= cfg.folds:
        return
    cuts = sorted(set(scores))[1:]
    best = max(cuts, key=lambda cut: min(sum(s >= cut for s in scores), sum(s < cut for s in scores)), default=None)
    hint = "more grades, with worse and better files among them"
    if best is not None:
        hint = f"good_from = {best:g} would split them {sum(s >= best for s in scores):,} to {sum(s < best for s in scores):,}"
    raise StageFailed(
        f"{int(good.sum()):,} of {len(good):,} graded documents are good; {cfg.folds} folds need {cfg.folds} of each kind",
        where="[curate] good_from",
        hint=hint,
    )


def _write_rows(
    table: pa.Table, graded: Graded, learnt: Learnt, grades: dict[str, float], threshold: float, out: Writer
) -> None:
    unseen = dict(zip(graded.places.tolist(), learnt.out_of_fold.tolist(), strict=True))
    for index, part in enumerate(split(table.num_rows, ROWS_PER_PART)):
        good, bad, scores = [], [], []
        for place, row in zip(part, to_rows(table, part), strict=True):
            value, identity = float(learnt.quality[place]), row["id"]
            kept = value >= threshold
            said = {"grade": grades.get(identity), "out_of_fold": unseen.get(place)}
            scores.append(
                {"document_id": identity, "quality": value, "kept": kept, "characters": len(row["text"])} | said
            )
            if kept:
                good.append(row | {"quality": value})
            else:
                why = {"reason": "below_threshold", "detail": f"quality {value:.4f} is under {threshold:.4f}"}
                bad.append({name: row[name] for name in ("id", "text", "source")} | why)
        out.table("scores", index, to_table(scores, SCORE))
        out.table("rejected", index, to_table(bad, REJECTED))
        out.table("documents", index, to_table(good, DOCUMENT))


def _write_lost(lost: pa.Table, number: int, out: Writer) -> None:
    """What `embed` could not make a vector of, as one more part."""
    why = {"reason": "no_vector", "detail": "`embed` has no vector of it"}
    rows = [{name: row[name] for name in ("id", "text", "source")} | why for row in to_rows(lost)]
    out.table("rejected", len(split(number, ROWS_PER_PART)), to_table(rows, REJECTED))


def _record(
    cfg: Curate, table: pa.Table, graded: Graded, learnt: Learnt, syntax: Syntax, threshold: float
) -> dict[str, Any]:
    """What the report tells about the filter."""
    from codetextbook.teacher import judges
    from codetextbook.teacher.agreement import agreement, at_cutoff, cutoff_for, precision_recall

    characters, kept = _characters(table), learnt.quality >= threshold
    counts, edges = np.histogram(learnt.quality, bins=20, range=(0.0, 1.0))
    drawing = {"resamples": cfg.resamples, "seed": cfg.seed}
    compared = agreement(graded.good, learnt.judged, judges.OWN, graded.groups, **drawing)
    line = at_cutoff(graded.good, learnt.out_of_fold, threshold, graded.groups, **drawing)
    for name, values in learnt.judged.items():
        cutoff = cutoff_for(values, line["called"])
        one = at_cutoff(graded.good, values, cutoff, graded.groups, **drawing)
        compared[name] |= {f"{key}_at_threshold": one[key] for key in ("f1", "f1_interval")}
    record = {name: value for name, value in learnt.record.items() if name not in ("shuffled", "comment_shares")}
    return (
        record
        | {
            "threshold": threshold,
            "rule": _rule(cfg),
            "at_threshold": line,
            "agreement": compared | {"shuffled_labels": learnt.record["shuffled"]},
            "in_words": [*judges.in_words(compared), *_line_in_words(kept)],
            "precision_recall": precision_recall(graded.good, learnt.out_of_fold),
            "histogram": {"edges": [round(float(edge), 4) for edge in edges], "counts": counts.tolist()},
            "kept_curve": filtering.kept_curve(learnt.quality, characters, cfg.characters_per_token),
            "borderline": _borderline(table, learnt.quality, threshold),
        }
        | _slices(cfg, table, graded, learnt, syntax, kept)
    )


def _rule(cfg: Curate) -> str:
    """The rule that drew the line, with its number."""
    for name in ("threshold", "precision", "keep_tokens"):
        if getattr(cfg, name) is not None:
            return f"{name} = {getattr(cfg, name)}"
    return f"keep_share = {cfg.keep_share:g}"


def _line_in_words(kept: np.ndarray) -> list[str]:
    return ["The threshold keeps every document: nothing was filtered."] if kept.all() else []


def _slices(
    cfg: Curate, table: pa.Table, graded: Graded, learnt: Learnt, syntax: Syntax, kept: np.ndarray
) -> dict[str, Any]:
    """How the filter fares among like files; those by comments are of the graded documents alone, whose syntax trees are always known."""
    sources, paths, texts = (table[name].to_pylist() for name in ("source", "path", "text"))
    names: dict[str, list[str]] = {
        "by_source": sources,
        "by_length": [
            f"{10 ** len(str(size)) // 10:,} to {10 ** len(str(size)) - 1:,} characters" for size in map(len, texts)
        ],
        "by_kind": [kind_of(path, text) for path, text in zip(paths, texts, strict=True)],
    }
    if syntax:
        names |= syntax.labels(table["id"].to_pylist())
    drawing = {"resamples": cfg.resamples, "seed": cfg.seed}
    found: dict[str, Any] = {
        name: filtering.slices(labels, learnt.quality, kept, graded.places, graded.good, learnt.out_of_fold, **drawing)
        for name, labels in names.items()
    }
    places = graded.places
    found["by_comments"] = filtering.slices(
        [_comments(share) for share in learnt.record["comment_shares"]],
        learnt.quality[places],
        kept[places],
        np.arange(len(places)),
        graded.good,
        learnt.out_of_fold,
        **drawing,
    )
    return found


def _comments(share: float) -> str:
    """A quarter of the scale of comment shares, in words."""
    low = min(int(share * 4), 3) * 25
    return f"{low} to {low + 25} % comments"


def _borderline(table: pa.Table, quality: np.ndarray, threshold: float) -> list[dict[str, Any]]:
    """The documents nearest to the line, to be read by a person."""
    ids = table["id"].to_pylist()
    near = sorted(range(len(quality)), key=lambda place: (abs(quality[place] - threshold), ids[place]))[:BORDERLINE]
    rows = []
    for place in near:
        row = {name: table[name][place].as_py() for name in ("source", "path", "text")}
        value = float(quality[place])
        shown = {"document_id": ids[place], "source": row["source"], "path": row["path"], "quality": value}
        rows.append(shown | {"kept": value >= threshold, "excerpt": row["text"][:EXCERPT_CHARACTERS]})
    return rows
