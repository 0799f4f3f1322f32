"""Scores with their uncertainty: unbiased pass@k, intervals, and paired comparison.

One HumanEval score near 50 % has a standard error of 3.9 points, so a score alone says little. Two models that sat the same problems
are compared by McNemar's exact test on the problems where they differ. The p-value speaks of these two trained models only; it does
not say that training again with another seed would give the same order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from codetextbook.errors import BenchmarkError


class Interval(NamedTuple):
    """A confidence interval, both ends as shares from 0 to 1."""

    low: float
    high: float


class Paired(NamedTuple):
    """Two models on the same problems."""

    problems: int
    only_first: int
    """Problems that only the first solved."""
    only_second: int
    """Problems that only the second solved."""
    difference: float
    """Share solved by the first minus share solved by the second."""
    low: float
    """Lower end of the difference's 95 % interval (Wald, paired)."""
    high: float
    """Upper end of the difference's 95 % interval (Wald, paired)."""
    p_value: float
    """Exact two-sided McNemar test."""


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that one of k samples passes, estimated without bias from n >= k samples (Codex paper, equation 1).

    Raises:
        BenchmarkError: fewer samples than k; more passed than sampled.
    """
    if not 1 <= k <= samples or not 0 <= passed <= samples:
        raise BenchmarkError(f"pass@{k} of {passed} passed out of {samples} samples does not exist")
    if samples - passed < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / n for n in range(samples - passed + 1, samples + 1))


def wilson(passed: int, total: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share; sound at 0 and at 1, where the usual one collapses. No trials: 0 to 1."""
    if total == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = passed / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low = 0.0 if passed == 0 else max(0.0, centre - half)
    high = 1.0 if passed == total else min(1.0, centre + half)
    return Interval(low, high)


def bootstrap(values: Sequence[float], *, seed: int, resamples: int = 10_000, confidence: float = 0.95) -> Interval:
    """Percentile interval of a mean over problems, resampling problems (not samples: those of one problem are alike)."""
    if not values:
        return Interval(0.0, 1.0)
    array = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng([seed, len(array)])
    rows_per_block = max(1, 4_000_000 // len(array))
    means = [
        array[rng.integers(0, len(array), size=(min(rows_per_block, resamples - start), len(array)))].mean(axis=1)
        for start in range(0, resamples, rows_per_block)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(low), float(high))


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> Paired:
    """Compare two models problem by problem.

    Raises:
        BenchmarkError: they did not sit the same number of problems.
    """
    if len(first) != len(second):
        raise BenchmarkError(f"a paired test needs the same problems, not {len(first)} and {len(second)}")
    total = len(first)
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    differing = only_first + only_second
    difference = (only_first - only_second) / total if total else 0.0
    error = math.sqrt(max(differing - (only_first - only_second) ** 2 / total, 0.0)) / total if total else 0.0
    z = NormalDist().inv_cdf(0.975)
    tail = sum(math.comb(differing, i) for i in range(min(only_first, only_second) + 1))
    p_value = min(1.0, 2 * tail / 2**differing)
    return Paired(total, only_first, only_second, difference, difference - z * error, difference + z * error, p_value)


def minimal_detectable_difference(
    problems: int, share_differing: float, *, significance: float = 0.05, power: float = 0.8
) -> float:
    """The smallest true difference that a paired test on so many problems finds with the given power.

    `share_differing`: share of problems that exactly one of the two models solves; with none seen, one problem is assumed.
    """
    if problems <= 0:
        return 1.0
    normal = NormalDist()
    z = normal.inv_cdf(1 - significance / 2) + normal.inv_cdf(power)
    differing = max(share_differing, 1 / problems)
    return min(1.0, z * math.sqrt(differing / problems))
