"""Kappa and rank correlation are those of the published definitions; what is not defined is None."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from codetextbook.teacher.two_graders import compare

RANDOM = np.random.default_rng(5)
FIRST = RANDOM.integers(0, 6, 80).astype(float)
SECOND = np.clip(FIRST + RANDOM.integers(-1, 2, 80), 0, 5)
PAIRS = list(zip(FIRST.tolist(), SECOND.tolist(), strict=True))


def test_measures_are_those_of_the_published_libraries() -> None:
    told = compare(PAIRS, compared="x")
    assert told["kappa"] == pytest.approx(cohen_kappa_score(FIRST >= 3, SECOND >= 3), abs=1e-4)
    assert told["weighted_kappa"] == pytest.approx(cohen_kappa_score(FIRST, SECOND, weights="quadratic"), abs=1e-4)
    assert told["rank_correlation"] == pytest.approx(spearmanr(FIRST, SECOND).statistic, abs=1e-4)
    assert told["exact"] == pytest.approx(float((FIRST == SECOND).mean()), abs=1e-4) and told["within_one"] == 1.0


def test_intervals_hold_the_value_narrow_with_more_and_are_the_same_each_time() -> None:
    told, many = compare(PAIRS, compared="x"), compare(PAIRS * 10, compared="x")
    for name in ("kappa", "weighted_kappa", "rank_correlation"):
        low, high = told[f"{name}_interval"]
        assert low < told[name] < high
        assert many[f"{name}_interval"][1] - many[f"{name}_interval"][0] < (high - low) / 2
    assert told == compare(PAIRS, compared="x")


@pytest.mark.parametrize("pairs", [[], [(3.0, 3.0)] * 20])
def test_what_is_not_defined_is_none_and_not_one(pairs: list[tuple[float, float]]) -> None:
    told = compare(pairs, compared="x")
    assert told["kappa"] is told["weighted_kappa"] is told["rank_correlation"] is None
    assert told["documents"] == len(pairs)
