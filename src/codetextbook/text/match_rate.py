"""AST match rate at scale: every pair of shapes at or above tau, exactly, from hundreds of millions of pairs (paper §5).

The match rate of two shapes is 1 - edit distance / length of the longer. At tau, a pair may differ by (1 - tau) * longer at most, and two
bounds under the edit distance are far cheaper than the distance: the difference of the lengths, and the difference of the histograms (how
often each kind of node occurs; `(L1 + difference of lengths) / 2` edits are needed to make them equal). Only what passes both is measured,
by rapidfuzz, with a cutoff. Nothing is approximate: the bounds never exceed the distance, and rounding is on the side of measuring.

`python -m benchmarks.decontaminate` prints pairs per second with and without the bounds. Memory is bounded by `PAIRS_PER_BLOCK`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

PAIRS_PER_BLOCK = 1 << 20
"""Pairs whose lengths are compared at once: 1 million, some 30 MB."""
PAIRS_PER_GATHER = 1 << 14
"""Pairs whose histograms are compared at once."""
BUCKETS = 32
"""Columns of a histogram. Kinds of nodes that share a column only weaken the bound."""
_ROUNDING = 1e-9


class Pair(NamedTuple):
    """Two shapes that are near each other."""

    shape: int
    """Place among the shapes looked through."""
    known: int
    """Place among the known shapes."""
    rate: float
    """Match rate, tau to 1."""


def match_rate(first: str, second: str) -> float:
    """AST match rate of two shapes, 0 to 1 (paper §5); two empty ones are the same."""
    return 1 - Levenshtein.distance(first, second) / max(len(first), len(second), 1)


def pairs_above(shapes: Sequence[str], known: Sequence[str], tau: float) -> Iterator[Pair]:
    """Every pair whose match rate is tau or more, in the order of `shapes`, then of `known`.

    Equal shapes are best given once: the caller knows who has them.
    """
    if not shapes or not known:
        return
    theirs = _Measured(_lengths(known), _histograms(known))
    rows = max(1, PAIRS_PER_BLOCK // len(known))
    for start in range(0, len(shapes), rows):
        block = shapes[start : start + rows]
        mine = _Measured(_lengths(block), _histograms(block))
        left, right, allowed = _within_bounds(mine, theirs, tau)
        edits = _edits([block[place] for place in left.tolist()], [known[place] for place in right.tolist()], allowed)
        for place in np.flatnonzero(edits <= allowed).tolist():
            longer = max(len(block[left[place]]), len(known[right[place]]), 1)
            yield Pair(start + int(left[place]), int(right[place]), 1 - int(edits[place]) / longer)


class _Measured(NamedTuple):
    lengths: np.ndarray
    bags: np.ndarray


def _lengths(shapes: Sequence[str]) -> np.ndarray:
    return np.fromiter(map(len, shapes), dtype=np.int32, count=len(shapes))


def _histograms(shapes: Sequence[str]) -> np.ndarray:
    """Nodes in each bucket, `[shapes, BUCKETS]`, 255 at most: cutting both sides off alike only brings them nearer."""
    letters = np.frombuffer("".join(shapes).encode("utf-32-le"), dtype=np.uint32)
    rows = np.repeat(np.arange(len(shapes)), _lengths(shapes))
    counts = np.bincount(rows * BUCKETS + letters % BUCKETS, minlength=len(shapes) * BUCKETS)
    return np.minimum(counts, 255).astype(np.uint8).reshape(len(shapes), BUCKETS)


def _within_bounds(mine: _Measured, theirs: _Measured, tau: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the pairs that neither bound rules out, and the edits that each may have."""
    longer = np.maximum(mine.lengths[:, None], theirs.lengths[None, :])
    allowed = np.floor((1 - tau) * longer + _ROUNDING).astype(np.int32)
    apart = np.abs(mine.lengths[:, None] - theirs.lengths[None, :])
    left, right = np.nonzero(apart <= allowed)
    apart, allowed = apart[left, right], allowed[left, right]
    keep = np.zeros(len(left), dtype=bool)
    for start in range(0, len(left), PAIRS_PER_GATHER):
        some = slice(start, start + PAIRS_PER_GATHER)
        ours, other = mine.bags[left[some]], theirs.bags[right[some]]
        l1 = (np.maximum(ours, other) - np.minimum(ours, other)).sum(axis=1, dtype=np.int32)
        keep[some] = l1 + apart[some] <= 2 * allowed[some]
    return left[keep], right[keep], allowed[keep]


def _edits(first: list[str], second: list[str], allowed: np.ndarray) -> np.ndarray:
    """Edit distances of the pairs; anything above `allowed` where a pair has more.

    In edits and not in rates: rapidfuzz's cutoff on a normalised score loses pairs that are exactly at tau, such as 2 edits in 10 at .8.
    """
    edits = np.zeros(len(first), dtype=np.int32)
    for most in np.unique(allowed).tolist():
        places = np.flatnonzero(allowed == most)
        edits[places] = cpdist(
            [first[place] for place in places],
            [second[place] for place in places],
            scorer=Levenshtein.distance,
            score_cutoff=most,
            dtype=np.int32,
        )
    return edits
