"""The sets that near duplicates are judged by: runs of `SHINGLE_TOKENS` code tokens, hashed, for whole batches of texts at once in NumPy.

Tokens are code tokens: operators, case, identifiers and numbers are kept, so that `a < b` and `a > b` differ: a run of word characters, or
any other character that is no white space, as the pattern `\\w+|[^\\w\\s]` has it. A token's hash is a polynomial over its characters,
taken out of running sums over the batch; hashes are fixed constants, never Python's seeded `hash`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SHINGLE_TOKENS = 5

Hashes = NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_BASE = 0xD6E8FEB86659FD93
_STEP = np.uint64(0xC2B2AE3D27D4EB4F)
_MODULUS = 2**64
_CHARACTERS_PER_BLOCK = 1 << 17
_SPACE, _SYMBOL, _WORD = 0, 1, 2


def shingle_all(texts: Sequence[str]) -> list[Hashes]:
    """For each text the sorted distinct 64-bit hashes of its token runs; a text of fewer tokens is one run, one of none is empty."""
    found: list[Hashes] = [np.zeros(0, np.uint64)] * len(texts)
    for is_ascii in (True, False):
        block: list[int] = []
        size = 0
        for place in (place for place, text in enumerate(texts) if text.isascii() == is_ascii):
            if block and size + len(texts[place]) > _CHARACTERS_PER_BLOCK:
                _shingle_block(texts, block, is_ascii, found)
                block, size = [], 0
            block.append(place)
            size += len(texts[place]) + 1
        if block:
            _shingle_block(texts, block, is_ascii, found)
    return found


def _shingle_block(texts: Sequence[str], places: Sequence[int], is_ascii: bool, found: list[Hashes]) -> None:
    """Texts joined by a line end, which is in no token, so that their tokens stay apart."""
    joined = "\n".join(texts[place] for place in places)
    if is_ascii:
        codes: NDArray[np.uint32] | NDArray[np.uint8] = np.frombuffer(joined.encode("ascii"), np.uint8)
        kinds = _ascii_kinds()[codes]
    else:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        kinds = _kinds(codes)
    tokens, starts = _token_hashes(codes, kinds)
    ends = np.cumsum([len(texts[place]) + 1 for place in places])
    bounds = np.searchsorted(starts, ends)
    runs = _runs(tokens)
    first = 0
    for place, last in zip(places, bounds.tolist(), strict=True):
        count = last - first
        own = runs[first : last - SHINGLE_TOKENS + 1] if count >= SHINGLE_TOKENS else _short(tokens[first:last])
        own = np.sort(own)
        found[place] = own[np.concatenate(([True], own[1:] != own[:-1]))] if len(own) else own
        first = last


def _token_hashes(codes: NDArray[np.unsignedinteger], kinds: NDArray[np.uint8]) -> tuple[Hashes, NDArray[np.int64]]:
    """Hash and first character's place of each token, in order."""
    is_word, is_symbol = kinds == _WORD, kinds == _SYMBOL
    begins, ends = is_word.copy(), is_word.copy()
    begins[1:] &= ~is_word[:-1]
    ends[:-1] &= ~is_word[1:]
    starts = np.flatnonzero(begins | is_symbol)
    stops = np.flatnonzero(ends | is_symbol) + 1
    powers, inverses = _powers(max(_CHARACTERS_PER_BLOCK, 1 << (len(codes) + 1).bit_length()))
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum((codes.astype(np.uint64) + np.uint64(1)) * powers[: len(codes)], out=sums[1:])
    return _scramble((sums[stops] - sums[starts]) * inverses[starts]), starts


def _runs(tokens: Hashes) -> Hashes:
    """A hash for each run of tokens, also for those that go from one text into the next."""
    count = max(0, len(tokens) - SHINGLE_TOKENS + 1)
    runs = tokens[:count].copy()
    for offset in range(1, SHINGLE_TOKENS):
        runs *= _STEP
        runs += tokens[offset : offset + count]
    return _scramble(runs)


def _short(tokens: Hashes) -> Hashes:
    """The one run of a text of few tokens."""
    run = len(tokens)
    for token in tokens.tolist():
        run = (run * int(_STEP) + token) % _MODULUS
    return _scramble(np.array([run], np.uint64)) if len(tokens) else tokens


@lru_cache(maxsize=2)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Powers of the base, and of its inverse."""
    found = []
    for base in (_BASE, pow(_BASE, -1, _MODULUS)):
        factors = np.full(count, np.uint64(base))
        factors[0] = 1
        found.append(np.multiply.accumulate(factors))
    return found[0], found[1]


@lru_cache(maxsize=1)
def _ascii_kinds() -> NDArray[np.uint8]:
    return np.array([_kind(code) for code in range(128)], np.uint8)


@lru_cache(maxsize=1 << 16)
def _kind(code: int) -> int:
    character = chr(code)
    return _WORD if character.isalnum() or character == "_" else _SPACE if character.isspace() else _SYMBOL


def _kinds(codes: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    kinds = _ascii_kinds()[np.minimum(codes, 127)]
    others = np.flatnonzero(codes > 127)
    distinct, which = np.unique(codes[others], return_inverse=True)
    kinds[others] = np.array([_kind(code) for code in distinct.tolist()], np.uint8)[which]
    return kinds


def _scramble(values: Hashes) -> Hashes:
    """A bijection of 64 bits that spreads every input bit (xor, multiply, xor)."""
    values = (values ^ (values >> np.uint64(29))) * _MIX
    return values ^ (values >> np.uint64(32))
