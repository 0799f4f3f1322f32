"""Where merges end: a vocabulary's cuts, found for many texts at once in passes over arrays of bytes.

Only ASCII is cut here, since only the vocabulary's own tables know all other letters and digits for certain. Two bytes that are in no
UTF-8 are marks: `TEXT_END` after every text, and `FOREIGN` in the place of a stretch that has characters beyond ASCII, which the
vocabulary encodes by itself. Every mark is a piece of its own, and at a mark a text begins and ends.

`like_gpt2`, `like_codegen` and `for_code` say for each byte whether a piece begins there, as these regular expressions would:

- GPT-2: `'(?:[sdmt]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^\\sA-Za-z0-9]+|\\s+(?!\\S)|\\s+`
- CodeGen: runs of 2 to 31 spaces and of 2 to 9 tabs are taken out first, then each stretch between them is cut like GPT-2's
- ours: `\\n+|^[ \\t]+|[ _]?[A-Za-z]+|[0-9]| ?[^\\sA-Za-z0-9_]+| ?_+|[^\\S\\n]+`
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

TEXT_END, FOREIGN = 0xFF, 0xFE

_MARK, _RUN, _NEWLINE, _WHITE, _LETTER, _DIGIT, _OTHER, _UNDERSCORE = range(8)
_SPACE, _TAB, _APOSTROPHE = b" \t'"
_LONGEST_RUN = {_SPACE: 31, _TAB: 9}


class Cuts(NamedTuple):
    """How a vocabulary cuts text before merges."""

    begins: Callable[[Bytes], Flags]
    """Which bytes begin a piece; the last byte is a mark."""
    stretches: re.Pattern[str]
    """Finds places between which a text can be encoded apart, whatever its characters."""


def _kinds(newline: int, underscore: int) -> Bytes:
    kinds = np.full(256, _OTHER, np.uint8)
    for characters, kind in ((b"\t\v\f\r ", _WHITE), (b"\n", newline), (b"0123456789", _DIGIT), (b"_", underscore)):
        kinds[list(characters)] = kind
    kinds[[code for code in range(128) if chr(code).isalpha()]] = _LETTER
    kinds[[TEXT_END, FOREIGN]] = _MARK
    return kinds


_KINDS_LIKE_GPT2 = _kinds(_WHITE, _OTHER)
_KINDS_FOR_CODE = _kinds(_NEWLINE, _UNDERSCORE)


def like_gpt2(bytes_n: Bytes) -> Flags:
    """GPT-2's."""
    return _words(bytes_n, np.take(_KINDS_LIKE_GPT2, bytes_n))


def like_codegen(bytes_n: Bytes) -> Flags:
    """CodeGen's."""
    kind_n = np.take(_KINDS_LIKE_GPT2, bytes_n)
    begins_n = np.zeros(len(bytes_n), bool)
    for byte, longest in _LONGEST_RUN.items():
        is_n = bytes_n == byte
        starts, stops = np.flatnonzero(is_n & ~_before(is_n)), np.flatnonzero(is_n & ~_after(is_n)) + 1
        several = np.flatnonzero(stops - starts > 1)
        in_run_n = is_n & (_before(is_n) | _after(is_n))
        kind_n[in_run_n] = _RUN
        begins_n[starts[several]] = True
        for run in several[stops[several] - starts[several] > longest].tolist():
            begins_n[starts[run] : stops[run] : longest] = True
            if (stops[run] - starts[run]) % longest == 1:
                kind_n[stops[run] - 1] = _WHITE
    return begins_n | (_words(bytes_n, kind_n) & (kind_n != _RUN))


def _words(bytes_n: Bytes, kind_n: Bytes) -> Flags:
    """A piece is a stretch of one kind with the space before it; of white space before a word, the last character is apart."""
    before_n = _before(kind_n)
    is_word_n = kind_n > _WHITE
    begins_n = (kind_n != before_n) | (kind_n == _MARK)
    begins_n |= (kind_n == _WHITE) & _after(is_word_n)
    begins_n &= ~(is_word_n & (before_n == _WHITE) & (_before(bytes_n) == _SPACE))
    for start, stop in _contractions(bytes_n, begins_n):
        begins_n[start + 1], begins_n[stop] = False, True
    return begins_n


def _contractions(bytes_n: Bytes, begins_n: Flags) -> list[tuple[int, int]]:
    """Where pieces such as `'s` and `'re` start and stop."""
    data = bytes_n.tobytes()
    starts = np.flatnonzero((bytes_n == _APOSTROPHE) & begins_n).tolist()
    found = []
    for start in starts:
        if data[start + 1] in b"sdmt":
            found.append((start, start + 2))
        elif data[start + 1 : start + 3] in (b"re", b"ve", b"ll"):
            found.append((start, start + 3))
    return found


def for_code(bytes_n: Bytes) -> Flags:
    """Those of a vocabulary that was learnt here (`vocabulary.CUTS`)."""
    kind_n = np.take(_KINDS_FOR_CODE, bytes_n)
    before_n = _before(kind_n)
    begins_n = (kind_n != before_n) | (kind_n == _MARK) | (kind_n == _DIGIT)
    white_n, underscore_n = kind_n == _WHITE, kind_n == _UNDERSCORE
    starts_line_n = white_n & ((before_n == _NEWLINE) | (before_n == _MARK))
    alone_n = begins_n & (bytes_n == _SPACE) & ~starts_line_n & ~_after(white_n)
    taken_n = _before(alone_n)  # by the space before it
    begins_n &= ~(taken_n & (kind_n != _DIGIT) & (kind_n > _WHITE))
    one_n = underscore_n & ~taken_n & (before_n != _UNDERSCORE)
    begins_n &= ~(_before(one_n) & (kind_n == _LETTER))
    indented = np.flatnonzero(starts_line_n & ((bytes_n == _SPACE) | (bytes_n == _TAB)))
    others = np.flatnonzero(white_n & (bytes_n != _SPACE) & (bytes_n != _TAB))
    if len(indented) and len(others):  # an indentation ends at the first white space of another kind
        begins_n[_first_in_run(indented, others, white_n)] = True
    return begins_n


def _first_in_run(starts: NDArray[np.int64], others: NDArray[np.int64], run_n: Flags) -> NDArray[np.int64]:
    """For each run that starts at one of `starts` the first of `others` that is in it."""
    stops = np.flatnonzero(run_n & ~_after(run_n))
    ends = stops[np.searchsorted(stops, starts)]
    which = np.minimum(np.searchsorted(others, starts), len(others) - 1)
    first = others[which]
    return first[(first > starts) & (first <= ends)]


def _before(values_n: NDArray[Any]) -> NDArray[Any]:
    """Each place's neighbour to the left; nothing, or a mark, before the first."""
    shifted = np.zeros_like(values_n)
    shifted[1:] = values_n[:-1]
    return shifted


def _after(values_n: NDArray[Any]) -> NDArray[Any]:
    shifted = np.zeros_like(values_n)
    shifted[:-1] = values_n[1:]
    return shifted


_AT_NEWLINE = re.compile(r"(?<=[!-~])(?=\n)")
LIKE_GPT2 = Cuts(like_gpt2, _AT_NEWLINE)
LIKE_CODEGEN = Cuts(like_codegen, _AT_NEWLINE)
FOR_CODE = Cuts(for_code, re.compile(r"(?<=\n)(?=[^\n])"))
