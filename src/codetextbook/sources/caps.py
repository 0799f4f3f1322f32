"""Which files of all sources are read where there are more than the caps allow: a seeded sample, not the head of a list."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codetextbook.sources import AnySource, Packages, StandardLibrary

OVER, WANTED = 0, 1


class Caps(NamedTuple):
    """The most files that are read, and the seed of the sample."""

    per_source: int
    in_all: int
    seed: int


class Draw(NamedTuple):
    """Which files are read: for each, in the order of the sources, whether the caps leave it in."""

    wanted: NDArray[np.uint8]
    sources: int
    """Of how many sources files are read; each package is one."""


def draw(sources: Sequence[AnySource], caps: Caps, first: frozenset[str], scratch: Path) -> Draw:
    """Count all sources, and draw where there is more than the caps allow; paths in `first` are left out last.

    Raises:
        InputError: a source is missing.
    """
    spans: dict[str, list[range]] = {}
    preferred: list[int] = []
    total = 0
    for source in sources:
        for name, count, own in _counts(source, first, scratch):
            spans.setdefault(name, []).append(range(total, total + count))
            preferred += [total + place for place in own]
            total += count
    wanted, is_first = np.ones(total, np.uint8), np.zeros(total, bool)
    is_first[preferred] = True
    for name, ranges in spans.items():
        if sum(map(len, ranges)) > caps.per_source:
            places = np.concatenate([np.arange(one.start, one.stop) for one in ranges])
            _sample(wanted, places, is_first, caps.per_source, f"{caps.seed}/{name}")
    if int(wanted.sum()) > caps.in_all:
        _sample(wanted, np.flatnonzero(wanted), is_first, caps.in_all, f"{caps.seed}/all")
    return Draw(wanted, sum(any(wanted[one.start : one.stop].any() for one in ranges) for ranges in spans.values()))


def _counts(source: AnySource, first: frozenset[str], scratch: Path) -> Iterator[tuple[str, int, list[int]]]:
    """Name and number of files of each batch, and which of them are of the first to be kept."""
    if not isinstance(source, StandardLibrary | Packages):
        for name, count in source.sizes(scratch):
            yield name, count, []
        return
    for batch in source.batches(scratch):
        files = batch.files([True] * len(batch))
        yield batch.source, len(batch), [place for place, file in enumerate(files) if file.path in first]


def _sample(
    wanted: NDArray[np.uint8], places: NDArray[np.int64], is_first: NDArray[np.bool_], most: int, seed: str
) -> None:
    """Want only so many of some files: those that come first, then a seeded draw from the others."""
    preferred, others = places[is_first[places]], places[~is_first[places]]
    choice = random.Random(seed)
    wanted[places] = OVER
    if len(preferred) >= most:
        wanted[preferred[choice.sample(range(len(preferred)), most)]] = WANTED
    else:
        wanted[preferred] = WANTED
        wanted[others[choice.sample(range(len(others)), most - len(preferred))]] = WANTED
