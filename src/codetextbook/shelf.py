"""Sets of hashes on disk, by number: what is too much for memory and is needed again in no order.

A shelf is filled in blocks, each written whole or not at all, so that filling goes on where it was cut short. Reading a set is one read of
a file; of the rest, only its sizes and ids are held in memory (28 bytes a set).
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from codetextbook.store import atomic

_MOST_OPEN = 64
"""Files of blocks that are open at once."""
_SETS_HELD = 256
"""Sets that are still in memory from being looked at: what is alike is looked at again."""


class Shelf:
    """Blocks of sets, each set with its size, 128 bits of identity and keys of its bands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._names: list[str] = []
        self._files: dict[str, int] = {}
        finalize(self, _close, self._files)
        self._read = lru_cache(_SETS_HELD)(self._from_disk)
        self._firsts = np.zeros(1, np.int64)
        self.sizes = np.zeros(0, np.int64)
        self._offsets = np.zeros(0, np.int64)

    def has(self, name: str) -> bool:
        """Whether a block stands."""
        return (self._folder / f"{name}.sizes.npy").exists()

    def put(self, name: str, sets: list[NDArray[np.uint64]], bands: NDArray[np.uint64]) -> None:
        """Write a block; its sizes last, since they say that it is whole."""
        with atomic(self._folder / f"{name}.sets") as partial, partial.open("wb") as file:
            np.concatenate([np.zeros(0, np.uint64), *sets]).tofile(file)
        for what, array in (("bands", bands), ("sizes", np.array([len(one) for one in sets], np.int64))):
            with atomic(self._folder / f"{name}.{what}.npy") as partial, partial.open("wb") as file:
                np.save(file, array)

    def open(self, names: list[str]) -> None:
        """Number the sets of these blocks, in this order."""
        sizes = [np.load(self._folder / f"{name}.sizes.npy") for name in names]
        self._names = names
        self._read.cache_clear()
        self._firsts = np.concatenate(([0], np.cumsum([len(one) for one in sizes]))).astype(np.int64)
        self.sizes = np.concatenate([np.zeros(0, np.int64), *sizes])
        self._offsets = np.concatenate([np.zeros(0, np.int64), *(np.cumsum(one) - one for one in sizes)])

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, number: int, /) -> NDArray[np.uint64]:
        return self._read(number)

    def _from_disk(self, number: int) -> NDArray[np.uint64]:
        block = int(np.searchsorted(self._firsts, number, side="right")) - 1
        count, offset = int(self.sizes[number]), int(self._offsets[number])
        return np.frombuffer(os.pread(self._file(self._names[block]), count * 8, offset * 8), np.uint64)

    def _file(self, name: str) -> int:
        """The open file of a block; the one opened first is closed where too many are."""
        if name not in self._files:
            if len(self._files) == _MOST_OPEN:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[name] = os.open(self._folder / f"{name}.sets", os.O_RDONLY)
        return self._files[name]

    def band(self, number: int) -> NDArray[np.uint64]:
        """One band's key of every set."""
        parts = [np.load(self._folder / f"{name}.bands.npy", mmap_mode="r")[number] for name in self._names]
        return np.concatenate([np.zeros(0, np.uint64), *parts])


def _close(files: dict[str, int]) -> None:
    for file in files.values():
        os.close(file)
