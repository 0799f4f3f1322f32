"""What a row has written, as bytes: stops found as soon as they appear, and text given out as soon as it is settled.

A byte-level vocabulary spells every token as bytes, so a text is the sum of its tokens' bytes; only whole characters are shown, and nothing
that may yet become a stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from tokenizers import Tokenizer

from codetextbook.errors import InputError

_UNFINISHED_BYTES = 3
"""Bytes at the end that may be the beginning of one character of UTF-8."""


@lru_cache(maxsize=1)
def _byte_of_character() -> dict[str, int]:
    """GPT-2's spelling of bytes as printable characters."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}


def spell(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of every token by its id; none for special ones.

    Raises:
        InputError: the vocabulary is not a byte-level one.
    """
    added = tokenizer.get_added_tokens_decoder()
    byte_of = _byte_of_character()
    spelt = [b""] * (max(tokenizer.get_vocab().values()) + 1)
    try:
        for token, number in tokenizer.get_vocab(with_added_tokens=False).items():
            if number not in added:
                spelt[number] = bytes(byte_of[character] for character in token)
    except KeyError as error:
        raise InputError(f"the vocabulary is not of bytes: {error}", where="tokenizer.json") from None
    for number, special in added.items():
        spelt[number] = b"" if special.special else special.content.encode()
    return spelt


class Transcript:
    """The text of one row as it grows."""

    def __init__(self, spelt: Sequence[bytes], stops: Sequence[str]) -> None:
        self._spelt = spelt
        self._stops = [stop.encode() for stop in stops]
        self._longest = max(map(len, self._stops), default=1)
        self._bytes = bytearray()
        self._cut: int | None = None
        self._shown = 0

    def add(self, token: int) -> bool:
        """Write a token; whether a stop is there now."""
        piece = self._spelt[token]
        since = max(0, len(self._bytes) - self._longest + 1)
        self._bytes += piece
        places = [place for stop in self._stops if (place := self._bytes.find(stop, since)) >= 0]
        if places:
            self._cut = min(places)
        return bool(places)

    @property
    def raw(self) -> str:
        """All that was written, a stop included."""
        return self._bytes.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """What was written before the stop."""
        return self._bytes[: self._cut].decode("utf-8", "replace")

    def settled(self, ended: bool) -> str:
        """What can be shown and has not been: whole characters that no later token can make part of a stop."""
        until = len(self._bytes) if self._cut is None else self._cut
        if not ended:
            until = self._before_a_stop(_whole(self._bytes, until))
        piece = self._bytes[self._shown : until].decode("utf-8", "replace")
        self._shown = max(self._shown, until)
        return piece

    def _before_a_stop(self, until: int) -> int:
        """Up to where no stop has begun."""
        tail = bytes(self._bytes[:until][-self._longest :])
        for size in range(min(self._longest - 1, len(tail)), 0, -1):
            if any(stop.startswith(tail[-size:]) for stop in self._stops):
                return _whole(self._bytes, until - size)
        return until


def _whole(written: bytearray, until: int) -> int:
    """Up to where the characters are whole."""
    for back in range(1, min(_UNFINISHED_BYTES, until) + 1):
        byte = written[until - back]
        if byte < 0x80:
            return until
        if byte >= 0xC0:
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return until - back if size > back else until
    return until
