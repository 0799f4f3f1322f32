"""Word n-grams: runs of words that two texts share (paper §5, n = 13).

A word begins with a letter, so that lists of numbers match nothing; case, punctuation, line breaks, comment signs and the marks of
doctests are gone, so that a prompt quoted in prose, in a comment or wrapped anew is the same run of words. Texts of fewer than n words
share nothing, whatever they say.

The texts looked for go into an index; the texts looked through are read once. Only runs of words that the index uses are cut into n-grams:
most text leaves at its first glance, and a megabyte costs one pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_WORD = re.compile(r"[^\W\d]\w*")


class Word(NamedTuple):
    """A word in lower case, and where it stands in its text."""

    text: str
    start: int
    end: int


class Shared(NamedTuple):
    """What a text shares with one owner of the index."""

    ngrams: int
    """Distinct n-grams shared."""
    start: int
    """Where the longest shared run begins, in characters of the text looked through."""
    end: int
    """Where it ends."""


def words(text: str) -> list[Word]:
    """The words of a text, in order."""
    return [Word(found.group().lower(), found.start(), found.end()) for found in _WORD.finditer(text)]


def _plain(text: str) -> list[str]:
    """The words alone. Lower case word by word: that of a whole text may split one, as with a dotted capital I."""
    found: list[str] = _WORD.findall(text)
    return [word.lower() for word in found]


def locate(text: str, phrase: str) -> int:
    """Where in a text the words of a phrase begin, in characters; 0 if they do not occur."""
    own, wanted = words(text), _plain(phrase)
    for place in range(len(own) - len(wanted) + 1):
        if [word.text for word in own[place : place + len(wanted)]] == wanted:
            return own[place].start
    return 0


class NgramIndex:
    """N-grams of known texts, each with the numbers of the owners that hold it."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._owners: dict[tuple[str, ...], list[int]] = {}
        self._vocabulary: set[str] = set()

    def add(self, owner: int, text: str) -> int:
        """Add a known text of an owner; returns the number of its n-grams, 0 for a text that is too short to be found."""
        own = _plain(text)
        starts = range(len(own) - self.length + 1)
        for start in starts:
            gram = tuple(own[start : start + self.length])
            owners = self._owners.setdefault(gram, [])
            if owner not in owners:
                owners.append(owner)
            self._vocabulary.update(gram)
        return len(starts)

    def shared(self, text: str) -> dict[int, Shared]:
        """What a text shares with each owner, by owner; owners with nothing in common are not in it."""
        own = _plain(text)
        places: dict[int, list[int]] = {}
        distinct: dict[int, set[tuple[str, ...]]] = {}
        for start in self._candidates(own):
            gram = tuple(own[start : start + self.length])
            for owner in self._owners.get(gram, ()):
                places.setdefault(owner, []).append(start)
                distinct.setdefault(owner, set()).add(gram)
        placed = words(text) if places else []
        found = {}
        for owner, starts in sorted(places.items()):
            first, last = _longest_run(starts)
            found[owner] = Shared(len(distinct[owner]), placed[first].start, placed[last + self.length - 1].end)
        return found

    def _candidates(self, own: Sequence[str]) -> list[int]:
        """Places where n words in a row are words of the index."""
        found: list[int] = []
        run_start = 0
        for position, word in enumerate(own):
            if word not in self._vocabulary:
                found += range(run_start, position - self.length + 1)
                run_start = position + 1
        found += range(run_start, len(own) - self.length + 1)
        return found


def _longest_run(starts: Sequence[int]) -> tuple[int, int]:
    """First and last of the longest run of consecutive places; the earliest of equals."""
    best = (starts[0], starts[0])
    first = starts[0]
    for before, place in zip((starts[0], *starts), starts, strict=False):
        if place > before + 1:
            first = place
        if place - first > best[1] - best[0]:
            best = (first, place)
    return best
