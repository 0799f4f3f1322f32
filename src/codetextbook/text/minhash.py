"""Which texts are nearly the same: code-token shingles, MinHash to find candidates, exact Jaccard to judge them.

Tokens are code tokens: operators, case, identifiers and numbers are kept, so that `a < b` and `a > b` differ. Shingles are runs of
`SHINGLE_TOKENS` tokens. Bands are loose (28 bands of 4 hashes) on purpose: a shared band only makes a candidate, and each candidate is
compared exactly, so that nothing is removed that is not at the threshold or above. At similarity 0.7 a pair shares a band with
probability 1 - (1 - 0.7^4)^28 > 0.999.

Everything works on whole batches in NumPy; hashes are fixed constants, never Python's seeded `hash`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHINGLE_TOKENS = 5
BANDS, HASHES_PER_BAND = 28, 4

_TOKEN = re.compile(r"\w+|[^\w\s]")
_MIX = np.uint64(0x9E3779B97F4A7C15)

Hashes = NDArray[np.uint64]


class Removal(NamedTuple):
    """A text that is as good as another: its number, the number of the one that stays, their Jaccard similarity."""

    removed: int
    keeper: int
    similarity: float


def shingles(text: str) -> Hashes:
    """Sorted distinct 64-bit hashes of the text's token runs; a text of fewer tokens is one run."""
    tokens = _TOKEN.findall(text)
    ids = np.fromiter((zlib.crc32(token.encode("utf-8", "surrogatepass")) for token in tokens), np.uint64, len(tokens))
    if len(ids) == 0:
        return np.zeros(0, np.uint64)
    length = min(SHINGLE_TOKENS, len(ids))
    count = len(ids) - length + 1
    runs = np.zeros(count, np.uint64)
    for offset in range(length):
        runs = _scramble(runs * np.uint64(31) + ids[offset : offset + count] + np.uint64(offset + 1))
    return np.unique(runs)


def signature(hashes: Hashes, seed: int) -> NDArray[np.uint32]:
    """MinHash signature: for each of 112 hash functions the least value over the shingles; zeros for no shingles."""
    if len(hashes) == 0:
        return np.zeros(BANDS * HASHES_PER_BAND, np.uint32)
    rng = np.random.default_rng([seed, 112])
    factors = rng.integers(0, 2**63, BANDS * HASHES_PER_BAND, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    least = np.full(len(factors), np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(hashes), 4096):  # bounds memory: 4,096 shingles x 112 functions
        block = hashes[start : start + 4096, None] * factors[None, :]
        np.minimum(least, block.min(axis=0), out=least)
    return (least >> np.uint64(32)).astype(np.uint32)


def candidates(signatures: NDArray[np.uint32]) -> list[tuple[int, int]]:
    """Pairs of row numbers that share a band, each once, in order. One band at a time bounds memory.

    Within a bucket every row is paired with every other: buckets are small once exact copies are gone.
    """
    pairs: set[tuple[int, int]] = set()
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * HASHES_PER_BAND : (band + 1) * HASHES_PER_BAND])
        keys = part.view(np.dtype((np.void, part.dtype.itemsize * HASHES_PER_BAND))).ravel()
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
        for bucket in np.split(order, edges):
            if len(bucket) > 1:
                rows = sorted(bucket.tolist())
                pairs.update((a, b) for i, a in enumerate(rows) for b in rows[i + 1 :])
    return sorted(pairs)


def jaccard(first: Hashes, second: Hashes) -> float:
    """Exact Jaccard similarity of two sorted sets of shingles; two empty sets are not alike."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    total = len(first) + len(second) - shared
    return shared / total if total else 0.0


def near_duplicates(sets: Sequence[Hashes], keys: Sequence[str], threshold: float, seed: int) -> list[Removal]:
    """Remove greedily: go through the texts from the longest, keep each that is below the threshold to all kept so far.

    `keys` decide between texts of equal length, so that the result does not depend on their order. Every removal names a keeper that
    stays and is at least `threshold` similar; no two kept texts that share a band are.
    """
    if not sets:
        return []
    pairs = candidates(np.stack([signature(hashes, seed) for hashes in sets]))
    alike: dict[int, list[tuple[int, float]]] = {}
    for a, b in pairs:
        shorter, longer = sorted((len(sets[a]), len(sets[b])))
        if longer == 0 or shorter / longer < threshold:
            continue
        similarity = jaccard(sets[a], sets[b])
        if similarity >= threshold:
            alike.setdefault(a, []).append((b, similarity))
            alike.setdefault(b, []).append((a, similarity))
    kept = [True] * len(sets)
    judged = [False] * len(sets)
    removals = []
    for row in sorted(alike, key=lambda row: (-len(sets[row]), keys[row])):
        judged[row] = True
        keepers = [
            (similarity, keys[other], other) for other, similarity in alike[row] if judged[other] and kept[other]
        ]
        if keepers:
            similarity, _, keeper = max(keepers)
            kept[row] = False
            removals.append(Removal(row, keeper, similarity))
    return sorted(removals)


def _scramble(values: Hashes) -> Hashes:
    """A bijection of 64 bits that spreads every input bit (xor, multiply, xor)."""
    values = (values ^ (values >> np.uint64(29))) * _MIX
    return values ^ (values >> np.uint64(32))
