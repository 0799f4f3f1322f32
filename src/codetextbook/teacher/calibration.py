"""A forest's votes as probabilities: a document of quality 0.8 is good in 8 of 10 cases, by the teacher's word.

Votes of a forest with balanced classes are no such probabilities. A logistic curve on their log-odds (after Platt, 1999), fitted on what
forests said of documents that they had not seen, makes them so; it keeps the order of the documents, so no filter by share changes.
Limits: it holds for documents like those that were graded; a sample richer in good files than the corpus makes all probabilities too
high.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from codetextbook.teacher.agreement import Fold

NEARLY_SURE = 1e-6
BINS = 10


class Curve(NamedTuple):
    """Probability = logistic(slope x log-odds + intercept)."""

    slope: float
    intercept: float

    def __call__(self, votes: np.ndarray) -> np.ndarray:
        """Probabilities `[rows]` of votes `[rows]`."""
        result: np.ndarray = 1.0 / (1.0 + np.exp(-(self.slope * _log_odds(votes) + self.intercept)))
        return result


AS_IT_IS = Curve(1.0, 0.0)


def fit(votes: np.ndarray, good: np.ndarray) -> Curve:
    """The curve that fits best; the votes as they are where a higher vote does not mean a better document."""
    from sklearn.linear_model import LogisticRegression

    if not 0 < good.sum() < len(good):
        return AS_IT_IS
    model = LogisticRegression(C=1e4).fit(_log_odds(votes)[:, None], good)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Curve(slope, intercept) if slope > 0 else AS_IT_IS


def cross_fitted(votes: np.ndarray, good: np.ndarray, folds: Sequence[Fold]) -> np.ndarray:
    """Probabilities of the graded documents, each by a curve that has not seen its fold."""
    found = np.zeros(len(votes))
    for train, test in folds:
        found[test] = fit(votes[train], good[train])(votes[test])
    return found


def reliability(votes: np.ndarray, probabilities: np.ndarray, good: np.ndarray, curve: Curve) -> dict[str, Any]:
    """How far the probabilities are from what happened, before and after; and what happened in each tenth of the scale."""
    places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    rows = []
    for number in range(BINS):
        own = places == number
        if own.any():
            said, came = float(probabilities[own].mean()), float(good[own].mean())
            rows.append({"said": round(said, 4), "came_true": round(came, 4), "documents": int(own.sum())})
    return {
        "slope": round(curve.slope, 4),
        "intercept": round(curve.intercept, 4),
        "brier_before": round(float(((votes - good) ** 2).mean()), 4),
        "brier": round(float(((probabilities - good) ** 2).mean()), 4),
        "calibration_error_before": round(_error(votes, good), 4),
        "calibration_error": round(_error(probabilities, good), 4),
        "bins": rows,
    }


def _error(probabilities: np.ndarray, good: np.ndarray) -> float:
    """Mean distance of what was said and what came true over the tenths of the scale, weighted by documents."""
    places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    apart = [abs(float((probabilities - good)[places == number].sum())) for number in range(BINS)]
    return sum(apart) / max(len(good), 1)


def _log_odds(votes: np.ndarray) -> np.ndarray:
    inside = np.clip(votes, NEARLY_SURE, 1 - NEARLY_SURE)
    result: np.ndarray = np.log(inside / (1 - inside))
    return result
