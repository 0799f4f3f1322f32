"""Real code of educational value: a forest learns the grades from embeddings and judges every document (paper §2.1).

The paper trains a random forest on the sample's embeddings and keeps about 17 % of the tokens [derived]; forest size, pooling and threshold
are not published. Ours: the vectors of `embed`, scikit-learn's forest, and a threshold that keeps a stated share of the
characters, or one that you name.

A filter can learn length or comments instead of value, so the forest's agreement with the teacher stands beside that of length alone,
comments alone, a syntax-tree rule, logistic regression and a forest taught shuffled labels; packages are never split between folds.
Agreement is not the proof: train with and without the filter. Limits: only the head of a file is read; documents that were graded are
judged by a forest that has seen their grade (their out-of-fold judgement is beside it in `scores`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import DOCUMENT, REJECTED
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.teacher import rule
from codetextbook.teacher.facts import facts

# scikit-learn and torch take seconds to load: only the functions that need them do.
if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

    from codetextbook.teacher.agreement import Fold

ROWS_PER_PART = 2_000
BORDERLINE = 20
EXCERPT_CHARACTERS = 400
TREES_OF_A_SHUFFLE = 50
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
"""One judged document. `grade` and `out_of_fold` only where the teacher graded it."""


class Curate(Config):
    """Forest and threshold."""

    good_from: float = Field(default=3.0, gt=0.0, le=5.0)
    """Grade from which a document counts as good (FineWeb-Edu's cut of its 0 to 5 scale)."""
    trees: int = Field(default=300, ge=1, le=100_000)
    """Trees of the forest (ours: more no longer move the area under the curve)."""
    depth: int | None = Field(default=None, ge=1)
    """Greatest depth of a tree; unset grows until leaves are pure (scikit-learn's default)."""
    min_leaf: int = Field(default=2, ge=1)
    """Least graded documents in a leaf (ours)."""
    folds: int = Field(default=5, ge=2, le=50)
    """Folds of the cross-validation, with each package wholly in one (ours)."""
    resamples: int = Field(default=200, ge=0, le=100_000)
    """Bootstrap draws behind each interval (ours)."""
    shuffles: int = Field(default=10, ge=1, le=1_000)
    """Times that the labels are shuffled for the control: one shuffle alone scatters by about 0.08 around its mean of 0.5 (ours)."""
    keep_share: float = Field(default=0.17, gt=0.0, le=1.0)
    """Share of the characters to keep, best first (paper §2.1: 6B of over 35B tokens)."""
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """Quality from which documents are kept; when set, `keep_share` is not used."""
    seed: int = Field(default=0, ge=0)
    """Seed of the forest, the folds and the bootstrap."""


def forest(cfg: Curate, workers: int = 1) -> RandomForestClassifier:
    """The paper's classifier, not yet taught."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=cfg.trees,
        max_depth=cfg.depth,
        min_samples_leaf=cfg.min_leaf,
        class_weight="balanced",
        random_state=cfg.seed,
        n_jobs=workers,
    )


def group_of(source: str, path: str) -> str:
    """What is never split between folds: a package, or a folder of any other source."""
    first, slash, _ = path.partition("/")
    return source if source.startswith("package:") or not slash else f"{source}/{first}"


def choose_threshold(quality: np.ndarray, characters: np.ndarray, keep_share: float) -> float:
    """The highest threshold whose documents hold at least `keep_share` of the characters; equal qualities stay together."""
    order = np.argsort(-quality, kind="stable")
    held = np.cumsum(characters[order])
    return float(quality[order][min(int(np.searchsorted(held, keep_share * held[-1])), len(order) - 1)])


def judges(
    texts: Sequence[str], vectors: np.ndarray, good: np.ndarray, folds: Sequence[Fold], cfg: Curate, workers: int
) -> dict[str, np.ndarray]:
    """Scores of the graded documents by the forest and by everything it must beat, each by a model that has not seen them."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from codetextbook.teacher.agreement import out_of_fold

    own = [facts(text) for text in texts]

    def small() -> RandomForestClassifier:
        return RandomForestClassifier(50, max_depth=3, class_weight="balanced", random_state=cfg.seed, n_jobs=workers)

    def linear() -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2_000))

    return {
        "forest": out_of_fold(partial(forest, cfg, workers), vectors, good, folds),
        "logistic_regression": out_of_fold(linear, vectors, good, folds),
        "syntax_tree_rule": np.array([rule.weigh(fact).score if fact.parses else 0.0 for fact in own]),
        "comment_share_alone": out_of_fold(small, np.array([[fact.comment_share] for fact in own]), good, folds),
        "length_alone": out_of_fold(small, np.array([[len(text)] for text in texts]), good, folds),
    }


def shuffled_labels(
    vectors: np.ndarray, good: np.ndarray, folds: Sequence[Fold], cfg: Curate, workers: int
) -> dict[str, Any]:
    """The control: forests taught shuffled labels, held against the true ones: chance, if the folds leak nothing. Mean, 95 % range."""
    from codetextbook.teacher.agreement import figures, out_of_fold, with_ranges

    small = cfg.replace({"trees": min(cfg.trees, TREES_OF_A_SHUFFLE)})
    draws = []
    for number in range(cfg.shuffles):
        shuffled = np.random.default_rng([cfg.seed, 1, number]).permutation(good)
        draws.append(figures(good, out_of_fold(partial(forest, small, workers), vectors, shuffled, folds)))
    return with_ranges(np.mean(draws, axis=0).tolist(), draws)


def kept_curve(quality: np.ndarray, characters: np.ndarray) -> list[dict[str, float | int]]:
    """What thresholds from 0 to 1 would keep, in documents and characters."""
    total = max(int(characters.sum()), 1)
    rows: list[dict[str, float | int]] = []
    for step in range(21):
        kept = quality >= step / 20
        held = int(characters[kept].sum())
        rows.append(
            {
                "threshold": step / 20,
                "documents": int(kept.sum()),
                "characters": held,
                "share": round(held / total, 4),
            }
        )
    return rows


def slices(names: Sequence[str], quality: np.ndarray, kept: np.ndarray) -> list[dict[str, Any]]:
    """Documents, share kept and mean quality of each kind; a kind that vanishes is an alarm."""
    members = defaultdict(list)
    for place, name in enumerate(names):
        members[name].append(place)
    rows = []
    for name, places in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        shares = {"share_kept": float(kept[places].mean()), "mean_quality": float(quality[places].mean())}
        rows.append({"name": name, "documents": len(places)} | {key: round(value, 4) for key, value in shares.items()})
    return rows


def refuse_empty(quality: np.ndarray, threshold: float) -> None:
    """Say which threshold would keep something.

    Raises:
        StageFailed: nothing has this quality.
    """
    if (quality >= threshold).any():
        return
    steps = [0.5, *(step / 20 for step in range(19, -1, -1))]
    other = next(step for step in steps if step < threshold and (quality >= step).any())
    raise StageFailed(
        f"threshold {threshold:g} keeps 0 of {len(quality):,} documents",
        where="[curate] threshold",
        hint=f"{other:.2f} keeps {int((quality >= other).sum()):,}",
    )


@stage(version=3)
def curate(cfg: Curate, documents: Artifact, grades: Artifact, vectors: Artifact, *, out: Writer, site: Site) -> None:
    """Learn, judge, and write down what was kept and why the rest was not."""
    from threadpoolctl import threadpool_limits

    table, matrix, lost = judged(documents.table("documents"), vectors.table("vectors"))
    if table.num_rows == 0:
        raise StageFailed("there are no documents to judge", where="[curate]", hint="more sources in [read]")
    texts = table["text"].to_pylist()
    graded = grades.table("grades").select(["document_id", "score"])
    scores = dict(zip(graded["document_id"].to_pylist(), graded["score"].to_pylist(), strict=True))
    with threadpool_limits(limits=1):
        outcome = _learn(cfg, table, texts, matrix, scores, site.workers)
    quality, characters = outcome["quality"], np.array([len(text) for text in texts], dtype=np.int64)
    threshold = choose_threshold(quality, characters, cfg.keep_share) if cfg.threshold is None else cfg.threshold
    refuse_empty(quality, threshold)
    kept = quality >= threshold
    _write_rows(table, outcome, scores, kept, threshold, out)
    unseen = [
        {"id": row["id"], "text": row["text"], "source": row["source"]}
        | {"reason": "no_vector", "detail": "`embed` has no vector of it"}
        for row in to_rows(lost)
    ]
    out.table("rejected", table.num_rows // ROWS_PER_PART + 1, to_table(unseen, REJECTED))
    record = _record(table, texts, outcome, kept, threshold, characters)
    out.json("quality", record)
    out.fact("threshold", threshold)
    out.fact("share_of_characters_kept", round(int(characters[kept].sum()) / max(int(characters.sum()), 1), 4))
    out.fact("forest_auc", record["agreement"]["forest"]["auc"])
    out.fact("folds_keep_together", outcome["kept_together"])
    out.flow(rows_in=table.num_rows + lost.num_rows, unit="documents", kept="documents")


def judged(documents: pa.Table, vectors: pa.Table) -> tuple[pa.Table, np.ndarray, pa.Table]:
    """The documents that have a vector, their vectors `[documents, width]`, and the documents that have none."""
    place_of = {identity: place for place, identity in enumerate(vectors["document_id"].to_pylist())}
    known = [identity in place_of for identity in documents["id"].to_pylist()]
    table = documents.filter(pa.array(known, pa.bool_()))
    flat = vectors["vector"].combine_chunks()
    matrix = flat.values.to_numpy().reshape(len(flat), flat.type.list_size)
    places = [place_of[identity] for identity in table["id"].to_pylist()]
    return table, matrix[places].astype(np.float32), documents.filter(pa.array([not one for one in known], pa.bool_()))


def _learn(
    cfg: Curate, table: pa.Table, texts: list[str], vectors: np.ndarray, scores: dict[str, float], workers: int
) -> dict[str, Any]:
    """Teach the forest, judge every document, and measure all judges on the graded ones."""
    from codetextbook.teacher.agreement import agreement, make_folds, precision_recall

    ids = table["id"].to_pylist()
    taught = [place for place, identity in enumerate(ids) if identity in scores]
    good = np.array([scores[ids[place]] >= cfg.good_from for place in taught], dtype=bool)
    _both_kinds(cfg, [scores[ids[place]] for place in taught], good)
    sources, paths = table["source"].to_pylist(), table["path"].to_pylist()
    groups = [group_of(sources[place], paths[place]) for place in taught]
    folds, kept_together = make_folds(good, groups, cfg.folds, cfg.seed)
    found = judges([texts[place] for place in taught], vectors[taught], good, folds, cfg, workers)
    model = forest(cfg, workers).fit(vectors[taught], good)
    model.n_jobs = 1
    return {
        "quality": np.round(model.predict_proba(vectors)[:, 1], DIGITS),
        "out_of_fold": {
            ids[place]: round(float(value), DIGITS) for place, value in zip(taught, found["forest"], strict=True)
        },
        "kept_together": kept_together,
        "graded": {
            "documents": len(taught),
            "good": int(good.sum()),
            "good_from": cfg.good_from,
            "groups": len(set(groups)),
        },
        "agreement": {
            name: agreement(good, values, groups, resamples=cfg.resamples, seed=cfg.seed)
            for name, values in found.items()
        }
        | {"shuffled_labels": shuffled_labels(vectors[taught], good, folds, cfg, workers)},
        "precision_recall": precision_recall(good, found["forest"]),
    }


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
    table: pa.Table, outcome: dict[str, Any], grades: dict[str, float], kept: np.ndarray, threshold: float, out: Writer
) -> None:
    quality = outcome["quality"]
    for index, part in enumerate(split(table.num_rows, ROWS_PER_PART)):
        good, bad, scores = [], [], []
        for place, row in zip(part, to_rows(table, part), strict=True):
            value, identity = float(quality[place]), row["id"]
            extra = {"grade": grades.get(identity), "out_of_fold": outcome["out_of_fold"].get(identity)}
            scores.append(
                {"document_id": identity, "quality": value, "kept": bool(kept[place]), "characters": len(row["text"])}
                | extra
            )
            if kept[place]:
                good.append(row | {"quality": value})
            else:
                detail = f"quality {value:.4f} is under {threshold:.4f}"
                bad.append(
                    {
                        "id": identity,
                        "reason": "below_threshold",
                        "detail": detail,
                        "text": row["text"],
                        "source": row["source"],
                    }
                )
        out.table("scores", index, to_table(scores, SCORE))
        out.table("rejected", index, to_table(bad, REJECTED))
        out.table("documents", index, to_table(good, DOCUMENT))


def _record(
    table: pa.Table,
    texts: list[str],
    outcome: dict[str, Any],
    kept: np.ndarray,
    threshold: float,
    characters: np.ndarray,
) -> dict[str, Any]:
    """What the report tells about the filter."""
    quality = outcome["quality"]
    counts, edges = np.histogram(quality, bins=20, range=(0.0, 1.0))
    near = sorted(range(len(quality)), key=lambda place: (abs(quality[place] - threshold), table["id"][place].as_py()))
    lengths = [f"{10 ** len(str(size)) // 10:,} to {10 ** len(str(size)) - 1:,} characters" for size in characters]
    return {
        "threshold": threshold,
        "graded": outcome["graded"],
        "folds_keep_together": outcome["kept_together"],
        "agreement": outcome["agreement"],
        "precision_recall": outcome["precision_recall"],
        "histogram": {"edges": [round(float(edge), 4) for edge in edges], "counts": counts.tolist()},
        "kept_curve": kept_curve(quality, characters),
        "by_source": slices(table["source"].to_pylist(), quality, kept),
        "by_length": slices(lengths, quality, kept),
        "borderline": [
            {
                "document_id": table["id"][place].as_py(),
                "source": table["source"][place].as_py(),
                "path": table["path"][place].as_py(),
                "quality": float(quality[place]),
                "kept": bool(kept[place]),
                "excerpt": texts[place][:EXCERPT_CHARACTERS],
            }
            for place in near[:BORDERLINE]
        ],
    }
