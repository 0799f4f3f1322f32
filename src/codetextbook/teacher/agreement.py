"""How well a judge of quality agrees with the teacher's grades: areas and F1 with their intervals, and predictions for unseen
documents.

Documents of one package resemble each other, so folds and resamples are drawn by group where there are enough groups: a forest
must judge packages that it has not seen, and the intervals are those of another draw of packages. Where there are too few
groups, both fall back to single documents, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

MIN_GROUPS_FOR_BOOTSTRAP = 10
CURVE_POINTS = 25
LEAST_OF_A_KIND = 5
"""Good and other documents that an area within a slice needs, each (ours: with fewer it says nothing)."""
FIGURES = ("auc", "average_precision", "f1")
"""What `figures` gives, in its order."""

Fold = tuple[np.ndarray, np.ndarray]


class Folds(NamedTuple):
    """Training and test places of each fold, and what was kept together."""

    folds: list[Fold]
    kept_together: str


def make_folds(good: np.ndarray, groups: Sequence[str], number: int, seed: int) -> Folds:
    """Folds with both kinds in every training set, by group where that is possible, else by document.

    Raises:
        ValueError: fewer than `number` documents of one kind.
    """
    from sklearn.model_selection import (
        StratifiedGroupKFold,
        StratifiedKFold,
    )  # here, so that a plan does not wait for it

    minority = int(min(good.sum(), (~good).sum()))
    if minority < number:
        raise ValueError(f"{minority} documents of one kind cannot make {number} folds")
    places = np.zeros(len(good))
    if len(set(groups)) >= number:
        splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
        folds = list(splitter.split(places, good, groups=np.asarray(groups)))
        if all(len(test) and 0 < good[train].sum() < len(train) for train, test in folds):
            return Folds(folds, "package")
    plain = StratifiedKFold(number, shuffle=True, random_state=seed)
    return Folds(list(plain.split(places, good)), "document")


def out_of_fold(make: Callable[[], Any], features: np.ndarray, labels: np.ndarray, folds: Sequence[Fold]) -> np.ndarray:
    """Probability of `True` for each row, by a model that has not seen its fold."""
    found = np.zeros(len(labels))
    for train, test in folds:
        if 0 < labels[train].sum() < len(train):
            model = make().fit(features[train], labels[train])
            if hasattr(model, "n_jobs"):
                model.n_jobs = 1  # threads would add the trees up in the order in which they end
            found[test] = model.predict_proba(features[test])[:, 1]
        else:
            found[test] = labels[train].mean()
    return found


def agreement(
    good: np.ndarray, judged: Mapping[str, np.ndarray], own: str, groups: Sequence[str], *, resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Of each judge the area under the ROC curve, average precision and F1, and how far the area of `own` lies above its area.

    F1 is taken at the cutoff that calls as many documents good as the teacher did, so that no judge has its cutoff tuned. Intervals are
    the middle 95 % of a bootstrap; all judges are measured on the same draws, so that their differences are paired.
    """
    places = _resample(good, groups, resamples, seed)
    drawn = {name: [figures(good[some], scores[some]) for some in places] for name, scores in judged.items()}
    whole = {name: figures(good, scores) for name, scores in judged.items()}
    found = {}
    for name in judged:
        found[name] = with_ranges(whole[name], drawn[name])
        if name != own:
            lead = [mine[0] - theirs[0] for mine, theirs in zip(drawn[own], drawn[name], strict=True)]
            found[name] |= _ranged("lead", whole[own][0] - whole[name][0], lead)
    return found


def at_cutoff(
    good: np.ndarray, scores: np.ndarray, cutoff: float, groups: Sequence[str], *, resamples: int, seed: int
) -> dict[str, Any]:
    """Precision, recall and F1 of calling good what has `cutoff` or more, with bootstrap intervals, and how many are called."""
    called = scores >= cutoff
    names = ("precision", "recall", "f1")
    draws = [_called(good[some], called[some]) for some in _resample(good, groups, resamples, seed)]
    result: dict[str, Any] = {"called": int(called.sum())}
    for column, (name, value) in enumerate(zip(names, _called(good, called), strict=True)):
        result |= _ranged(name, value, [draw[column] for draw in draws])
    return result


def cutoff_for(scores: np.ndarray, number: int) -> float:
    """The score from which on `number` documents are called good; those of equal score stay together."""
    return float(np.sort(scores)[::-1][min(max(number, 1), len(scores)) - 1])


def area_within(good: np.ndarray, scores: np.ndarray, *, resamples: int, seed: int) -> dict[str, Any]:
    """Area under the ROC curve among some documents, with its interval; None where too few of one kind are among them."""
    if min(int(good.sum()), int((~good).sum())) < LEAST_OF_A_KIND:
        return {"auc": None, "auc_interval": None}
    alone = [str(place) for place in range(len(good))]
    draws = [figures(good[some], scores[some])[0] for some in _resample(good, alone, resamples, seed)]
    return _ranged("auc", figures(good, scores)[0], draws)


def _called(good: np.ndarray, called: np.ndarray) -> tuple[float, float, float]:
    right = int((good & called).sum())
    precision, recall = right / max(int(called.sum()), 1), right / max(int(good.sum()), 1)
    return precision, recall, 2 * right / max(int(called.sum()) + int(good.sum()), 1)


def _ranged(name: str, value: float, draws: Sequence[float]) -> dict[str, Any]:
    """A value and the range of the middle 95 % of its draws; without draws, the value itself."""
    low, high = np.percentile(draws, [2.5, 97.5]) if draws else (value, value)
    return {name: round(float(value), 4), f"{name}_interval": [round(float(low), 4), round(float(high), 4)]}


def with_ranges(values: Sequence[float], draws: Sequence[Sequence[float]]) -> dict[str, Any]:
    """FIGURES by name, each with the range of the middle 95 % of its draws; without draws, the value itself."""
    result: dict[str, Any] = {}
    for column, (name, value) in enumerate(zip(FIGURES, values, strict=True)):
        result |= _ranged(name, value, [draw[column] for draw in draws])
    return result


def precision_recall(good: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    """Precision and recall against the teacher at a few cutoffs of a score."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, cutoffs = precision_recall_curve(good, scores)
    places = np.unique(np.linspace(0, len(cutoffs) - 1, CURVE_POINTS).round().astype(int))
    return [
        {
            "threshold": round(float(cutoffs[place]), 4),
            "precision": round(float(precision[place]), 4),
            "recall": round(float(recall[place]), 4),
        }
        for place in places
    ]


def figures(good: np.ndarray, scores: np.ndarray) -> tuple[float, float, float]:
    """Area, average precision and F1; scikit-learn's figures at a hundredth of its time, which the bootstrap needs."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(good[order])
    number = int(hits[-1])
    f1 = float(hits[number - 1]) / number
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    true, called = hits[ends], ends + 1
    recall = np.concatenate([[0.0], true / number])
    wrong = np.concatenate([[0.0], (called - true) / (len(good) - number)])
    area = float(np.sum(np.diff(wrong) * (recall[1:] + recall[:-1]) / 2))
    return area, float(np.sum(np.diff(recall) * true / called)), f1


def _resample(good: np.ndarray, groups: Sequence[str], resamples: int, seed: int) -> list[np.ndarray]:
    """Draws with replacement, of groups or of documents, that hold both kinds."""
    generator = np.random.default_rng([seed, len(good)])
    names = sorted(set(groups))
    if len(names) >= MIN_GROUPS_FOR_BOOTSTRAP:
        members = [np.flatnonzero(np.asarray(groups) == name) for name in names]
    else:
        members = [np.array([place]) for place in range(len(good))]
    draws = []
    for _ in range(resamples):
        chosen = np.concatenate([members[k] for k in generator.integers(len(members), size=len(members))])
        if 0 < good[chosen].sum() < len(chosen):
            draws.append(chosen)
    return draws
