"""A packed array as training sees it: one flat array in several files, mapped from disk, and the way from a token back to its text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from codetextbook.errors import InputError
from codetextbook.store import Artifact


class Tokens:
    """Shards as one array, of which only the slices that are asked for are read."""

    def __init__(self, shards: Sequence[np.ndarray]) -> None:
        self._shards = list(shards)
        self._starts = np.cumsum([0, *map(len, self._shards)])

    @classmethod
    def of(cls, folder: Path, name: str) -> Self:
        """The shards `name-00000.npy` and so on of a folder; none make an empty array."""
        return cls([np.load(path, mmap_mode="r") for path in sorted(folder.glob(f"{name}-[0-9]*.npy"))])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, some: slice) -> np.ndarray:
        """The tokens from `some.start` to before `some.stop`, (n,) unsigned integers. Steps are not taken."""
        start, stop, _ = some.indices(len(self))
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        parts = []
        while start < stop:
            end = min(stop, int(self._starts[first + 1]))
            parts.append(self._shards[first][start - self._starts[first] : end - self._starts[first]])
            start, first = end, first + 1
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint16), *parts])

    def count(self, token: int) -> int:
        """How often a token is there."""
        return sum(int(np.count_nonzero(shard == token)) for shard in self._shards)


class Place(NamedTuple):
    """Where a token comes from."""

    id: str
    """Of the document, page or exercise."""
    part: str
    """Table of the clean texts that holds it."""
    offset: int
    """Tokens of the text before this one; the last token of every text is `<|endoftext|>`."""


class TextIndex:
    """The texts of one array, by place."""

    def __init__(self, packed: Artifact, split: str = "train") -> None:
        texts = packed.table("texts")
        own: pa.Table = texts.filter(pc.equal(texts["split"], split))
        self._first = own["first_token"].to_numpy()
        self._tokens = int(pc.sum(own["tokens"]).as_py() or 0)
        self._ids, self._parts = own["id"], own["part"]

    def at(self, position: int) -> Place:
        """The text that the token at this position of the array belongs to.

        Raises:
            InputError: the array has no such position.
        """
        if not 0 <= position < self._tokens:
            raise InputError(f"no token {position:,}: the array has {self._tokens:,}", where="the packed array")
        row = int(np.searchsorted(self._first, position, side="right")) - 1
        return Place(self._ids[row].as_py(), self._parts[row].as_py(), position - int(self._first[row]))
