"""The sets that near duplicates are judged by: runs of `SHINGLE_TOKENS` code tokens, hashed, for whole batches of texts at once in NumPy.

Tokens are code tokens: operators, case, identifiers and numbers are kept, so that `a < b` and `a > b` differ: a run of word characters, or
any other character that is no white space, as the pattern `\\w+|[^\\w\\s]` has it. A token is hashed by eight bytes of its UTF-8 at a time,
wherever they stand; hashes are fixed constants, never Python's seeded `hash`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SHINGLE_TOKENS = 5

Hashes = NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xC2B2AE3D27D4EB4F)
_MODULUS = 2**64
_CHARACTERS_PER_BLOCK = 1 << 16
"""Arrays over so many characters stay in the processor's cache."""
_WORD_NUM_BYTES = 8
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(_WORD_NUM_BYTES + 1)], np.uint64)
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
    data = joined.encode("utf-8", "surrogatepass")
    if is_ascii:
        starts, stops = _token_places(np.take(_ascii_kinds(), np.frombuffer(data, np.uint8)))
        tokens = _token_hashes(data, starts, stops - starts)
    else:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        starts, stops = _token_places(_kinds(codes))
        widths = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
        offsets = np.concatenate(([0], np.cumsum(widths)))
        tokens = _token_hashes(data, offsets[starts], offsets[stops] - offsets[starts])
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


def _token_places(kinds: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each token starts, and where it stops, in order."""
    is_word, is_symbol = kinds == _WORD, kinds == _SYMBOL
    begins, ends = is_symbol | is_word, is_symbol | is_word
    begins[1:] &= ~(is_word[1:] & is_word[:-1])
    ends[:-1] &= ~(is_word[1:] & is_word[:-1])
    return np.flatnonzero(begins), np.flatnonzero(ends) + 1


def _token_hashes(data: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Hashes:
    """A hash of the bytes of each token."""
    padded = np.frombuffer(data + bytes(_WORD_NUM_BYTES), np.uint8)
    words = np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,))  # the eight bytes from each byte on
    hashes = _scramble(np.take(words, starts) & _MASKS[np.minimum(lengths, _WORD_NUM_BYTES)])
    longer, at = np.flatnonzero(lengths > _WORD_NUM_BYTES), _WORD_NUM_BYTES
    while len(longer):
        left = lengths[longer] - at
        more = words[starts[longer] + at] & _MASKS[np.minimum(left, _WORD_NUM_BYTES)]
        hashes[longer] = _scramble(hashes[longer] * _STEP + more)
        longer, at = longer[left > _WORD_NUM_BYTES], at + _WORD_NUM_BYTES
    return hashes


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
