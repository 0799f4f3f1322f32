"""Which texts are nearly the same: MinHash bands to find candidates, exact Jaccard to judge them, the first in rank to stay.

Bands are loose on purpose: a shared band only makes a candidate, and each candidate is compared exactly, so that nothing is removed that is
not at the threshold or above. They are as loose as it takes for a pair at the threshold to share one with a probability above 0.999: 28
bands of 4 hashes at 0.7, 18 of 6 at 0.85.

One band is looked at at a time: sorted, and neighbours compared. That is flat in memory and needs no hash table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from codetextbook.text.shingles import Hashes

HASHES = 112
MAX_MISSED = 0.001
"""Share of pairs at the threshold that may share no band (ours)."""

_SHINGLES_PER_BLOCK = 1 << 15
"""So many, and what is computed of them, stay in the processor's cache."""
_MIX = np.uint64(0xC2B2AE3D27D4EB4F)


class Removal(NamedTuple):
    """A text that is as good as another: its number, the number of the one that stays, their Jaccard similarity."""

    removed: int
    keeper: int
    similarity: float


class Sets(Protocol):
    """The shingles of each text by its number: a list, or a shelf on disk."""

    def __getitem__(self, number: int, /) -> Hashes: ...


class Keys(Protocol):
    """What decides between equals, for each text by its number."""

    def __getitem__(self, number: int, /) -> Any: ...


class _Chance(NamedTuple):
    """What a seed decides."""

    factor: np.uint32
    """Odd: which of the shingles of a slot is the least."""
    steps: list[int]
    """How far from an empty slot to look for a full one, in this order."""


@lru_cache(maxsize=4)
def _chance(seed: int) -> _Chance:
    rng = np.random.default_rng([seed, HASHES])
    factor = rng.integers(0, 2**31, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return _Chance(factor, (1 + rng.permutation(HASHES - 1)).tolist())


def signatures(sets: Sequence[Hashes], seed: int) -> NDArray[np.uint32]:
    """MinHash signatures of 112 slots, in one pass over each text's shingles; zeros for no shingles.

    A shingle falls into one slot, by its hash, and a slot takes the least of its own; an empty slot takes over what another has, found by
    the same steps in every text. Two texts agree in a slot with a probability of their Jaccard similarity, as with 112 hash functions
    (Shrivastava, "Optimal Densification for Fast and Accurate Minwise Hashing", 2017).
    """
    found = np.zeros((len(sets), HASHES), np.uint32)
    full = np.zeros(found.shape, bool)
    block: list[int] = []
    size = 0
    for place, one in enumerate(sets):
        if block and size + len(one) > _SHINGLES_PER_BLOCK:
            found[block], full[block] = _slots([sets[place] for place in block], _chance(seed).factor)
            block, size = [], 0
        if len(one):
            block.append(place)
            size += len(one)
    if block:
        found[block], full[block] = _slots([sets[place] for place in block], _chance(seed).factor)
    lacking = np.flatnonzero(full.any(axis=1) & ~full.all(axis=1))
    if len(lacking):
        found[lacking] = _filled(found[lacking], full[lacking], _chance(seed).steps)
    return found


def _slots(sets: Sequence[Hashes], factor: np.uint32) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """The least shingle of each slot, and which slots have one, of texts that have shingles. These are in order, and so are their slots."""
    hashes = np.concatenate(sets)
    slots = (hashes >> np.uint64(32)) * np.uint64(HASHES) >> np.uint64(32)
    slots += np.repeat(np.arange(len(sets), dtype=np.uint64) * np.uint64(HASHES), [len(one) for one in sets])
    starts = np.flatnonzero(np.concatenate(([True], slots[1:] != slots[:-1])))
    found, full = np.zeros(len(sets) * HASHES, np.uint32), np.zeros(len(sets) * HASHES, bool)
    found[slots[starts]] = np.minimum.reduceat(hashes.astype(np.uint32) * factor, starts)
    full[slots[starts]] = True
    return found.reshape(-1, HASHES), full.reshape(-1, HASHES)


def _filled(found: NDArray[np.uint32], full: NDArray[np.bool_], steps: Sequence[int]) -> NDArray[np.uint32]:
    """Signatures whose empty slots have taken over what the first full one has that these steps lead to."""
    filled, known = found.copy(), full.copy()
    for step in steps:
        others = (np.arange(HASHES) + step) % HASHES
        rows, slots = np.nonzero(~known & full[:, others])
        filled[rows, slots] = found[rows, others[slots]]
        known[rows, slots] = True
        if known.all():
            break
    return filled


def hashes_per_band(threshold: float) -> int:
    """The most hashes a band may have, and at most 8, so that hardly any pair at the threshold is missed."""
    fit = [size for size in range(1, 9) if (1 - threshold**size) ** (HASHES // size) < MAX_MISSED]
    return max(fit, default=1)


def band_keys(sets: Sequence[Hashes], seed: int, per_band: int) -> NDArray[np.uint64]:
    """A key for each band and text: row `b` is band `b`. Equal keys make candidates."""
    bands = HASHES // per_band
    if not sets:
        return np.zeros((bands, 0), np.uint64)
    least = signatures(sets, seed)[:, : bands * per_band].astype(np.uint64)
    keys = np.zeros((len(sets), bands), np.uint64)
    for place in range(per_band):
        keys = (keys ^ (keys >> np.uint64(31))) * _MIX + least[:, place::per_band]
    return np.ascontiguousarray(keys.T)


def jaccard(first: Hashes, second: Hashes) -> float:
    """Exact Jaccard similarity of two sorted sets of shingles; two empty sets are not alike."""
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) == 0:
        return 0.0
    places = np.minimum(np.searchsorted(longer, shorter), len(longer) - 1)
    shared = int(np.count_nonzero(longer[places] == shorter))
    return shared / (len(first) + len(second) - shared)


class Buckets(NamedTuple):
    """For each text that shares a band with another: the buckets it is in. A bucket is one key of one band."""

    rows: NDArray[np.int64]
    """Numbers of these texts, in order."""
    starts: NDArray[np.int64]
    """Where in `buckets` each text's begin; one more at the end."""
    buckets: NDArray[np.int64]


def buckets_of(band: Callable[[int], NDArray[np.uint64]], bands: int, count: int) -> Buckets:
    """Buckets of more than one text, over all bands, one band in memory at a time."""
    rows, buckets = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for number in range(bands):
        keys = band(number)
        order = np.argsort(keys, kind="stable")
        same = keys[order][1:] == keys[order][:-1]
        shared = np.zeros(count, bool)
        shared[:-1] |= same
        shared[1:] |= same
        which = np.concatenate(([0], np.cumsum(~same)))[:count] if count else np.zeros(0, np.int64)
        rows.append(order[shared].astype(np.int32))
        buckets.append(which[shared] + number * count)
    row, bucket = np.concatenate(rows).astype(np.int64), np.concatenate(buckets)
    order = np.argsort(row, kind="stable")
    distinct, starts = np.unique(row[order], return_index=True)
    return Buckets(distinct, np.append(starts, len(row)), bucket[order])


def near_duplicates(
    sets: Sets,
    sizes: NDArray[np.int64],
    keys: Keys,
    buckets: Buckets,
    rank: Sequence[NDArray[Any]],
    threshold: float,
    *,
    settled: int = 0,
) -> list[Removal]:
    """Remove greedily: go through the texts by rank, keep each that is below the threshold to all kept so far.

    `rank` are columns to sort by, the most important first. `keys` decide between keepers that are equally alike, so that the result does
    not depend on the order of the texts. The first `settled` texts stay whatever they are like. Every removal names a keeper that stays
    and is at least `threshold` similar; no two kept texts that share a band are. Only kept texts are compared with: a cluster of n copies
    costs n comparisons.
    """
    rows = buckets.rows
    order = np.lexsort((*(column[rows] for column in reversed(rank)), rows >= settled))
    kept_in: dict[int, list[int]] = {}
    removals = []
    for place in order.tolist():
        row = int(rows[place])
        own = buckets.buckets[buckets.starts[place] : buckets.starts[place + 1]].tolist()
        if row >= settled:
            others = {other for bucket in own for other in kept_in.get(bucket, ())}
            alike = _alike(sets, sizes, row, others, threshold)
            if alike:
                similarity, _, keeper = max((similarity, keys[other], other) for other, similarity in alike)
                removals.append(Removal(row, keeper, similarity))
                continue
        for bucket in own:
            kept_in.setdefault(bucket, []).append(row)
    return sorted(removals)


def _alike(
    sets: Sets, sizes: NDArray[np.int64], row: int, others: set[int], threshold: float
) -> list[tuple[int, float]]:
    """Which of some texts are at the threshold, and how alike they are."""
    size = int(sizes[row])
    near = [
        other
        for other in sorted(others)
        if size and sizes[other] and min(size, sizes[other]) / max(size, sizes[other]) >= threshold
    ]
    if not near:
        return []
    own = sets[row]
    judged = [(other, jaccard(own, sets[other])) for other in near]
    return [(other, similarity) for other, similarity in judged if similarity >= threshold]
