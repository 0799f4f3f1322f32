"""Tests over seeds: exact where they are exact, right on cases worked by hand, and blind to nothing that they are given."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from codetextbook.benchmarks.seeds import (
    Scores,
    effect,
    equivalent_tokens,
    holm,
    in_words,
    mean_interval,
    page_test,
    permutation_test,
    share_interval,
    sign_test,
)


def scores(by_seed: list[float], items: int = 50, spread: float = 0.1) -> Scores:
    """Seeds with these means, items scattered about them alike in every seed."""
    noise = np.random.default_rng(0).normal(0, spread, items)
    return Scores(np.array(by_seed)[:, None] + (noise - noise.mean()), np.ones(items))


def test_a_measure_is_bits_over_bytes_not_a_mean_of_ratios() -> None:
    found = Scores(np.array([[8.0, 2.0]]), np.array([4.0, 1.0])).by_seed
    assert found.tolist() == [2.0]


def test_five_seeds_that_agree_reach_the_floor_of_both_tests() -> None:
    differences = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert sign_test(differences) == pytest.approx(2 / 32)
    assert permutation_test(differences) == pytest.approx(2 / 32)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8))
def test_sign_test_is_the_binomial_test(values: list[float]) -> None:
    nonzero = [value for value in values if value != 0]
    expected = stats.binomtest(sum(value > 0 for value in nonzero), len(nonzero)).pvalue if nonzero else 1.0
    assert sign_test(np.array(values)) == pytest.approx(expected)


def test_permutation_test_counts_every_flip() -> None:
    values = np.array([3.0, -1.0, 2.0])
    means = [
        abs(sum(sign * value for sign, value in zip(signs, values, strict=True)))
        for signs in product((1, -1), repeat=3)
    ]
    assert permutation_test(values) == pytest.approx(sum(mean >= 4 for mean in means) / 8)


def test_holm_steps_down_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_page_sees_an_order_and_not_its_reverse() -> None:
    rng = np.random.default_rng(1)
    falling = [3 - level + 0.01 * rng.normal(size=5) for level in range(3)]
    assert page_test(falling) < 0.001
    assert page_test(falling[::-1]) > 0.9


def test_an_interval_holds_what_seeds_and_items_scatter() -> None:
    low, high = mean_interval(scores([1.0, 1.1, 0.9, 1.05]))
    assert low < 1.0125 < high
    narrow = mean_interval(scores([1.0, 1.0, 1.0, 1.0], spread=0.001))
    assert narrow[1] - narrow[0] < 0.01 < high - low


def test_shown_reversed_and_not_shown_are_said() -> None:
    worse, better = scores([2.0, 2.1, 2.05, 2.0, 2.1]), scores([1.0, 1.1, 1.02, 1.0, 1.1])
    assert in_words(effect(worse, better), ("U", "F"), 1.0).startswith("shown: F lies")
    assert in_words(effect(better, worse), ("U", "F"), 1.0).startswith("reversed: F lies")
    same = effect(scores([1.0, 1.1, 1.2]), scores([1.1, 1.0, 1.2]))
    assert in_words(same, ("U", "F"), 1.0).startswith("not shown")


def test_few_seeds_show_nothing() -> None:
    found = effect(scores([2.0, 2.1]), scores([1.0, 1.1]))
    assert in_words(found, ("U", "F"), 1.0).startswith("seen in 2 seeds, too few")


def test_none_solved_is_not_certain() -> None:
    low, high = share_interval(Scores(np.zeros((3, 100)), np.ones(100)))
    assert low == 0
    assert 0.03 < high < 0.04


def test_only_seeds_that_both_have_are_paired() -> None:
    found = effect(scores([2.0, 2.0, 9.0]), scores([1.0, 1.5]))
    assert found.seeds == 2
    assert found.difference == pytest.approx(0.75)
    assert found.seeds_above == 2


def test_equivalent_tokens_lie_on_the_line_in_log_tokens() -> None:
    tokens, values = [1_000, 4_000, 2_000], [3.0, 1.0, 2.0]
    assert equivalent_tokens(2.5, tokens, values) == pytest.approx(1_000 * 2**0.5)
    assert equivalent_tokens(0.5, tokens, values) is None
    assert equivalent_tokens(3.5, tokens, values) is None
