"""Sets of hashes on disk, by number: what is too much for memory and is needed again in no order.

A shelf is filled in blocks, each written whole or not at all, so that filling goes on where it was cut short. Reading a set is one read of
a file; of the rest, only its sizes and ids are held in memory (28 bytes a set).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetextbook.store import atomic


class Shelf:
    """Blocks of sets, each set with its size, 128 bits of identity and keys of its bands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._names: list[str] = []
        self._firsts = np.zeros(1, np.int64)
        self.sizes = np.zeros(0, np.int64)
        self._offsets = np.zeros(0, np.int64)

    def has(self, name: str) -> bool:
        """Whether a block stands."""
        return (self._folder / f"{name}.sizes.npy").exists()

    def put(self, name: str, sets: list[NDArray[np.uint64]], bands: NDArray[np.uint64]) -> None:
        """Write a block; its sizes last, since they say that it is whole."""
        with atomic(self._folder / f"{name}.sets") as partial, partial.open("wb") as file:
            for one in sets:
                one.tofile(file)
        for what, array in (("bands", bands), ("sizes", np.array([len(one) for one in sets], np.int64))):
            with atomic(self._folder / f"{name}.{what}.npy") as partial, partial.open("wb") as file:
                np.save(file, array)

    def open(self, names: list[str]) -> None:
        """Number the sets of these blocks, in this order."""
        sizes = [np.load(self._folder / f"{name}.sizes.npy") for name in names]
        self._names = names
        self._firsts = np.concatenate(([0], np.cumsum([len(one) for one in sizes]))).astype(np.int64)
        self.sizes = np.concatenate([np.zeros(0, np.int64), *sizes])
        self._offsets = np.concatenate([np.zeros(0, np.int64), *(np.cumsum(one) - one for one in sizes)])

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, number: int, /) -> NDArray[np.uint64]:
        block = int(np.searchsorted(self._firsts, number, side="right")) - 1
        path = self._folder / f"{self._names[block]}.sets"
        return np.fromfile(path, np.uint64, int(self.sizes[number]), offset=int(self._offsets[number]) * 8)

    def band(self, number: int) -> NDArray[np.uint64]:
        """One band's key of every set."""
        parts = [np.load(self._folder / f"{name}.bands.npy", mmap_mode="r")[number] for name in self._names]
        return np.concatenate([np.zeros(0, np.uint64), *parts])
