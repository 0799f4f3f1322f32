"""How far two graders of the same documents agree: Cohen's kappa and rank correlation, with bootstrap intervals.

One measure for every pair: a teacher asked twice, two teachers, a teacher and a person. `kappa` is of the answer yes or no at a cut
(Cohen, 1960), `weighted_kappa` of whole grades with quadratic weights (Cohen, 1968), `rank_correlation` is Spearman's, ties at their mean
rank. A measure that is not defined (one of the two gave a single answer throughout) is None, never 1. Limit: intervals are rough below
some 30 documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

RESAMPLES = 500
CUT = 3.0
"""Grade from which a document is called good (FineWeb-Edu's cut of its 0 to 5 scale)."""


def compare(pairs: Sequence[tuple[float, float]], *, compared: str, cut: float = CUT, seed: int = 0) -> dict[str, Any]:
    """Agreement of the two grades of each document, in one row: what was compared, how many, each measure with its interval."""
    both = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    first, second = both[:, 0], both[:, 1]
    found: dict[str, Any] = {"compared": compared, "documents": len(pairs), "cut": cut}
    found["exact"] = round(float((first == second).mean()), 4) if pairs else None
    found["within_one"] = round(float((np.abs(first - second) <= 1).mean()), 4) if pairs else None
    generator = np.random.default_rng([seed, len(pairs)])
    draws = [generator.integers(len(pairs), size=len(pairs)) for _ in range(RESAMPLES)] if pairs else []
    sides = {
        "kappa": (_kappa, first >= cut, second >= cut),
        "weighted_kappa": (_kappa, np.round(first), np.round(second)),
        "rank_correlation": (_spearman, first, second),
    }
    for name, (measure, one, other) in sides.items():
        found |= _with_interval(name, measure, one, other, draws)
    return found


def _with_interval(
    name: str,
    measure: Callable[[np.ndarray, np.ndarray], float | None],
    first: np.ndarray,
    second: np.ndarray,
    draws: Sequence[np.ndarray],
) -> dict[str, Any]:
    value = measure(first, second)
    drawn = [one for places in draws if (one := measure(first[places], second[places])) is not None]
    if value is None or not drawn:
        return {name: None, f"{name}_interval": None}
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {name: round(value, 4), f"{name}_interval": [round(float(low), 4), round(float(high), 4)]}


def _kappa(first: np.ndarray, second: np.ndarray) -> float | None:
    """1 - observed / expected disagreement, with squared distances: quadratic weights, and plain kappa where there are two answers."""
    one, other = first.astype(np.float64), second.astype(np.float64)
    if not len(one):
        return None
    expected = one.var() + other.var() + (one.mean() - other.mean()) ** 2
    return None if expected < 1e-12 else float(1 - ((one - other) ** 2).mean() / expected)


def _spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    from scipy.stats import rankdata  # here, so that a plan does not wait for it

    one, other = rankdata(first), rankdata(second)
    return float(np.corrcoef(one, other)[0, 1])
