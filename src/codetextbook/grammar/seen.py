"""A set of digests that says whether one is new, in 8 bytes and a little air each: a million take 16 MiB, in Python's set 130.

Open addressing over the first 64 bits of each digest. That any two of a million different digests agree in those has a chance of one in
37 million; one new exercise would then be taken for a repetition.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

_LEAST_SLOTS = 1 << 10


class Seen:
    """Digests in hexadecimal. Made for `expected` of them, it does not grow until there are more."""

    def __init__(self, expected: int = 0, digests: Iterable[str] = ()) -> None:
        self._slots = array("Q", bytes(8 * max(_LEAST_SLOTS, 1 << (max(0, 2 * expected - 1)).bit_length())))
        self._count = 0
        for digest in digests:
            self.add(digest)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, digest: str) -> bool:
        key = _key(digest)
        return self._slots[self._place(key)] == key

    def add(self, digest: str) -> bool:
        """Take a digest in; False where it was there already."""
        key = _key(digest)
        place = self._place(key)
        if self._slots[place] == key:
            return False
        self._slots[place] = key
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return True

    def discard(self, digest: str) -> None:
        """Forget a digest, if it was there."""
        slots, mask = self._slots, len(self._slots) - 1
        place = self._place(_key(digest))
        if not slots[place]:
            return
        slots[place] = 0
        self._count -= 1
        place = (place + 1) & mask
        while slots[place]:  # those behind it may have been pushed on by it
            key, slots[place] = slots[place], 0
            slots[self._place(key)] = key
            place = (place + 1) & mask

    def _place(self, key: int) -> int:
        """Where a key is, or would be."""
        slots = self._slots
        mask = len(slots) - 1
        place = key & mask
        while slots[place] and slots[place] != key:
            place = (place + 1) & mask
        return place

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(2 * 8 * len(old)))
        for key in old:
            if key:
                self._slots[self._place(key)] = key


def _key(digest: str) -> int:
    return int(digest[:16], 16) or 1
