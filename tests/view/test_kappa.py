"""Cohen's kappa: scikit-learn's value, and an interval that covers as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from codetextbook.view.kappa import agreement


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_the_value_is_the_known_one(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [one for one, _ in pairs], [two for _, two in pairs]
    found = agreement(first, second)
    assert found.documents == found.both_yes + found.only_first + found.only_second + found.both_no
    if len(set(first) | set(second)) == 1:
        assert found.kappa is None
        return
    assert found.kappa == pytest.approx(cohen_kappa_score(first, second))
    assert found.low is not None and found.high is not None and found.kappa is not None
    assert -1 <= found.low <= found.kappa <= found.high <= 1
    assert agreement(second, first).kappa == pytest.approx(found.kappa)


def test_the_interval_covers_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(0)
    cells = np.array([0.35, 0.10, 0.15, 0.40])
    truth = agreement(
        *(np.repeat(answers, (cells * 100).astype(int)) for answers in ([1, 1, 0, 0], [1, 0, 1, 0]))
    ).kappa
    assert truth is not None
    covered = 0
    for _ in range(1_000):
        drawn = generator.choice(4, size=150, p=cells)
        found = agreement(list(drawn < 2), list(drawn % 2 == 0))
        assert found.low is not None and found.high is not None
        covered += found.low <= truth <= found.high
    assert 925 <= covered <= 975


def test_no_answers_have_no_kappa() -> None:
    assert agreement([], []).kappa is None
    assert agreement([], []).share == 0
    with pytest.raises(ValueError, match="shorter"):
        agreement([True], [])
