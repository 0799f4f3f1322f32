"""How much of a benchmark's language a set of texts speaks: the share of its runs of words that occur in them.

It is told, and nothing is chosen by it: texts that were written to cover a benchmark would be a leak with other words. What a run of four
words or more tells is nearness; single words tell whether a model can know what is asked at all. Case is ignored; names are cut at
underscores, since a model reads them in pieces too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

LENGTHS = (1, 2, 4)
"""Words in a row (ours: below the 13 of the paper's leak detector, §5)."""

_WORD = re.compile(r"[^\W_]+")

Runs = Mapping[int, frozenset[str]]
"""For each length, the runs of that many words, joined by spaces."""


def runs_of(texts: Iterable[str]) -> Runs:
    """All runs of words in the texts, none across two of them."""
    found: dict[int, set[str]] = {length: set() for length in LENGTHS}
    for text in texts:
        words = _WORD.findall(text.lower())
        for length, runs in found.items():
            runs.update(" ".join(words[start : start + length]) for start in range(len(words) - length + 1))
    return {length: frozenset(runs) for length, runs in found.items()}


def met(texts: Sequence[str], wanted: Runs) -> Runs:
    """Those of the wanted runs that the texts hold."""
    found = runs_of(texts)
    return {length: runs & found[length] for length, runs in wanted.items()}


def shares(wanted: Runs, parts: Iterable[Runs]) -> dict[str, float]:
    """The share of the wanted runs of each length that are in any of the parts; 0 where nothing is wanted."""
    gathered: dict[int, frozenset[str]] = {length: frozenset() for length in wanted}
    for part in parts:
        gathered = {length: runs | part[length] for length, runs in gathered.items()}
    return {
        str(length): round(len(gathered[length]) / len(runs), 4) if runs else 0.0 for length, runs in wanted.items()
    }
