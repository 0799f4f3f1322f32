"""Comparing ways of training, not trained models: the seed is the unit of inference.

Thousands of items scored by two models say how these two differ; whether the way of training differs, only training again can tell. So
every test here is on seeds: one number a seed, paired where two arms share a seed's initial weights. With few seeds exact tests have a
floor (five pairs: 0.0625 two-sided), so an order over all arms is tested too, and intervals come from a bootstrap over seeds and items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from codetextbook.benchmarks.passk import Interval, wilson

RESAMPLES = 10_000
FEWEST_SEEDS = 5
"""Seeds from which a step may be called shown: an interval over fewer is too narrow (ours)."""


class Scores(NamedTuple):
    """One measure of one arm."""

    values: np.ndarray
    """(seeds, items) float: bits of a text, or 1 where a problem was solved."""
    weights: np.ndarray
    """(items,) float: bytes of a text, or ones."""

    @property
    def by_seed(self) -> np.ndarray:
        """(seeds,) the measure of each seed: bits per byte, or the share solved."""
        found: np.ndarray = self.values.sum(axis=1) / self.weights.sum()
        return found


class Effect(NamedTuple):
    """How much lower the second arm lies than the first, on the seeds that both have."""

    seeds: int
    difference: float
    """First minus second, mean over seeds: above 0 where the second is lower."""
    low: float
    """Lower end of the 95 % interval by two-way bootstrap."""
    high: float
    seeds_above: int
    """Seeds on which the difference is above 0."""
    sign_p: float
    """Two-sided sign test."""
    permutation_p: float
    """Two-sided paired permutation test, exact, on the seeds' differences."""


def mean_interval(scores: Scores, *, seed: int = 0) -> Interval:
    """95 % interval of a measure's mean: bootstrap over seeds and items at once."""
    return _range(_resampled(scores.values, scores.weights, seed))


def share_interval(scores: Scores, *, seed: int = 0) -> Interval:
    """The same for a share of problems solved; where none or all are, which a bootstrap takes for certain, Wilson's over the problems."""
    if scores.values.min() == scores.values.max():
        return wilson(int(scores.values[0].sum()), scores.values.shape[1])
    return mean_interval(scores, seed=seed)


def effect(first: Scores, second: Scores, *, seed: int = 0) -> Effect:
    """The second arm against the first; both have the same items, and their rows are the same seeds in the same order."""
    count = min(len(first.values), len(second.values))
    paired = first.values[:count] - second.values[:count]
    by_seed = paired.sum(axis=1) / first.weights.sum()
    low, high = _range(_resampled(paired, first.weights, seed))
    above = int((by_seed > 0).sum())
    return Effect(count, float(by_seed.mean()), low, high, above, sign_test(by_seed), permutation_test(by_seed))


def sign_test(differences: np.ndarray) -> float:
    """Two-sided exact sign test; differences of 0 are left out."""
    nonzero = differences[differences != 0]
    count, above = len(nonzero), int((nonzero > 0).sum())
    tail = sum(math.comb(count, k) for k in range(min(above, count - above) + 1)) / 2**count
    return min(1.0, 2 * tail)


def permutation_test(differences: np.ndarray) -> float:
    """Two-sided exact test of a mean of 0: the share of all sign flips whose mean lies as far out. (n,) with n up to about 16."""
    flips = np.array(list(product((1.0, -1.0), repeat=len(differences))))
    means = np.abs(flips @ differences)
    return float((means >= abs(differences.sum()) - 1e-12).mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number by Holm's step-down, in the order given."""
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = worst
    return adjusted


def page_test(columns: Sequence[np.ndarray]) -> float:
    """Page's trend test: P-value of no order against falling from each arm to the next.

    `columns`: (seeds,) of each arm, in the order predicted.
    """
    from scipy.stats import page_trend_test

    table = -np.stack(columns, axis=1)
    return float(page_trend_test(table, method="exact").pvalue)


def equivalent_tokens(value: float, tokens: Sequence[int], values: Sequence[float]) -> float | None:
    """Tokens at which a baseline would have reached a value, between its measured lengths of training, straight in log tokens.

    None where the value lies outside of what the baseline reached.
    """
    points = sorted(zip(tokens, values, strict=True))
    for (fewer, before), (more, after) in pairwise(points):
        if min(before, after) <= value <= max(before, after) and before != after:
            share = (before - value) / (before - after)
            return math.exp(math.log(fewer) + share * (math.log(more) - math.log(fewer)))
    return None


def in_words(found: Effect, names: tuple[str, str], holm_p: float) -> str:
    """Shown, not shown or reversed, and by what right: few seeds show nothing, wherever their interval lies."""
    verdict = "shown" if found.low > 0 else "reversed" if found.high < 0 else "not shown"
    if verdict != "not shown" and found.seeds < FEWEST_SEEDS:
        verdict = f"{'seen' if found.low > 0 else 'seen reversed'} in {found.seeds} seeds, too few to show it"
    agree = max(found.seeds_above, found.seeds - found.seeds_above)
    told = (
        f"{verdict}: {names[1]} lies {abs(found.difference):.3f} {'below' if found.difference >= 0 else 'above'} {names[0]} "
        f"({found.low:.3f} to {found.high:.3f}), alike in {agree} of {found.seeds} seeds"
    )
    return f"{told}; permutation p = {found.permutation_p:.2g}, {holm_p:.2g} after Holm's correction."


def _resampled(values: np.ndarray, weights: np.ndarray, seed: int) -> np.ndarray:
    """(RESAMPLES,) measures of drawn seeds and drawn items, drawn with replacement and independently."""
    rng = np.random.default_rng(seed)
    seeds, items = values.shape
    seed_counts = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES).astype(np.float64)
    item_counts = rng.multinomial(items, np.full(items, 1 / items), size=RESAMPLES).astype(np.float64)
    sums = np.einsum("rs,rs->r", seed_counts, item_counts @ values.T)
    drawn: np.ndarray = sums / (seeds * (item_counts @ weights))
    return drawn


def _range(drawn: np.ndarray) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(low), float(high))
