"""Texts to ids, many times as fast as the vocabulary itself and equal to it, id for id.

Texts are cut where merges end (`text/cuts.py`), and a piece that was met before is looked up, all in passes over arrays: no object is made
for a token. New pieces are encoded by the vocabulary's model, and stretches beyond ASCII by the vocabulary. `<|endoftext|>` written in a
text is text.

Only the cuts that this package's vocabularies make are known here; any other vocabulary encodes everything itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from codetextbook.text.cuts import FOR_CODE, FOREIGN, LIKE_CODEGEN, LIKE_GPT2, TEXT_END, Cuts
from codetextbook.text.vocabulary import RUNS, cut_for_code, cut_like_gpt2

KEPT_CHARACTERS = 1 << 24
"""Characters of pieces that are remembered; then remembering begins anew, so that memory does not grow with the corpus."""
CHARACTERS_PER_BLOCK = 1 << 18
"""Arrays over so many characters stay in the processor's cache; a longer text is a block of its own."""

_SHORT = 15
"""Bytes of a piece that stand in two numbers, its length in the sixteenth."""
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)
_SLOT_BITS = 18
_MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_AS_CHARACTERS = str.maketrans({byte: chr(256 + place) for place, byte in enumerate((*range(33), 127))})
"""How a byte-level vocabulary spells the bytes of ASCII that cannot be printed."""


def cuts_of(vocabulary: Tokenizer) -> Cuts | None:
    """The vocabulary's cuts, if they are among those known here."""
    if vocabulary.normalizer is not None or vocabulary.post_processor is not None or vocabulary.truncation is not None:
        return None
    added = {token.content for token in vocabulary.get_added_tokens_decoder().values() if not token.special}
    known = (
        (cut_like_gpt2(), frozenset[str](), LIKE_GPT2),
        (cut_like_gpt2(), frozenset(RUNS), LIKE_CODEGEN),
        (cut_for_code(), frozenset[str](), FOR_CODE),
    )
    own = vocabulary.pre_tokenizer and vocabulary.pre_tokenizer.__getstate__()
    return next((cuts for cut, runs, cuts in known if (cut.__getstate__(), runs) == (own, added)), None)


class Encoded(NamedTuple):
    """Ids of several texts, one after the other."""

    tokens: np.ndarray
    """(n,) unsigned integers: 16 bits where the vocabulary allows, else 32."""
    lengths: np.ndarray
    """(texts,) tokens of each text."""


class Encoder:
    """A vocabulary at work, with the pieces that it has met."""

    def __init__(self, vocabulary: Tokenizer) -> None:
        vocabulary.encode_special_tokens = True
        self.vocabulary = vocabulary
        self.dtype = np.dtype(np.uint16 if vocabulary.get_vocab_size() <= 2**16 else np.uint32)
        self._cuts = cuts_of(vocabulary)
        self._forget()

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The ids that the vocabulary gives."""
        if self._cuts is None:
            return self._joined(_ids(self.vocabulary, texts))
        if self._met.characters > KEPT_CHARACTERS:
            self._forget()
        numbered = [self._numbered(block, self._cuts) for block in _blocks(texts)]
        self._learn()
        made = [self._spelt(*one) for one in numbered]
        tokens, lengths = zip(*made, strict=True) if made else ((), ())
        empty = Encoded(np.empty(0, self.dtype), np.empty(0, np.int64))
        return Encoded(np.concatenate([empty.tokens, *tokens]), np.concatenate([empty.lengths, *lengths]))

    def _numbered(self, texts: Sequence[str], cuts: Cuts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The number of each piece of a few texts, 0 for the end of one; and where these ends are."""
        data, foreign = _as_bytes(texts, cuts)
        bytes_n = np.frombuffer(data, np.uint8)
        starts = np.flatnonzero(cuts.begins(bytes_n))
        number_p = self._numbers(data, starts)
        marks = bytes_n[starts]
        number_p[marks == FOREIGN] = [self._met[stretch] for stretch in foreign]
        ends = np.flatnonzero(marks == TEXT_END)
        number_p[ends] = 0  # a piece of no tokens
        return number_p, ends

    def _spelt(self, number_p: NDArray[np.int64], ends: NDArray[np.int64]) -> Encoded:
        """Ids of numbered pieces."""
        count_p = self._known.lengths[number_p]
        after = np.concatenate([[0], count_p.cumsum()])
        places = np.arange(after[-1]) + np.repeat(self._starts[number_p] - after[:-1], count_p)
        return Encoded(self._known.tokens[places], np.diff(after[ends], prepend=0))

    def _numbers(self, data: bytes, starts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of each piece: of a short one by a table of the frequent, of others by a dictionary of all."""
        lengths = np.diff(starts, append=len(data))
        words = np.ndarray((len(data) + 8,), "<u8", data + bytes(16), strides=(1,))  # the eight bytes from each byte on
        first = np.take(words, starts) & _MASKS[np.minimum(lengths, 8)]
        second = np.take(words, starts + 8) & _MASKS[np.clip(lengths - 8, 0, 7)]
        second |= lengths.astype(np.uint64) << np.uint64(56)
        slots = (first * _MIX[0] ^ second * _MIX[1]) >> np.uint64(64 - _SLOT_BITS)
        number_p = np.take(self._slot_numbers, slots)
        found = (np.take(self._slot_keys[0], slots) == first) & (np.take(self._slot_keys[1], slots) == second)
        others = np.flatnonzero(~found | (lengths > _SHORT))
        stops = starts[others] + lengths[others]
        met = self._met
        number_p[others] = [met[data[a:b]] for a, b in zip(starts[others].tolist(), stops.tolist(), strict=True)]
        free = others[(self._slot_numbers[slots[others]] == 0) & (lengths[others] <= _SHORT)]
        for table, values in zip((*self._slot_keys, self._slot_numbers), (first, second, number_p), strict=True):
            table[slots[free]] = values[free]
        return number_p

    def _forget(self) -> None:
        self._met = _Met()
        self._slot_keys = np.zeros((2, 1 << _SLOT_BITS), np.uint64)
        self._slot_numbers = np.zeros(1 << _SLOT_BITS, np.int64)
        self._known, self._starts = self._joined([[]]), np.zeros(1, np.int64)

    def _learn(self) -> None:
        """Take the ids of the pieces that were met for the first time."""
        new, self._met.new = self._met.new, []
        if not new:
            return
        foreign = iter(_ids(self.vocabulary, [piece for piece in new if isinstance(piece, str)]))
        more = self._joined([next(foreign) if isinstance(piece, str) else self._merged(piece) for piece in new])
        tokens, lengths = (np.concatenate(both) for both in zip(self._known, more, strict=True))
        self._known, self._starts = Encoded(tokens, lengths), lengths.cumsum() - lengths

    def _merged(self, piece: bytes) -> list[int]:
        """Ids of a piece of ASCII."""
        text = piece.decode("latin-1")
        run = self.vocabulary.token_to_id(text) if text in RUNS else None
        if run is not None:  # CodeGen's; other vocabularies have none, and spell it
            return [run]
        return [token.id for token in self.vocabulary.model.tokenize(text.translate(_AS_CHARACTERS))]

    def _joined(self, ids: Sequence[Sequence[int]]) -> Encoded:
        lengths = np.array([len(one) for one in ids], dtype=np.int64)
        return Encoded(np.fromiter(chain.from_iterable(ids), self.dtype, lengths.sum()), lengths)


class _Met(dict[bytes | str, int]):
    """A number from 1 on for every piece, given when it is first met: bytes of ASCII, or a stretch with other characters."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[bytes | str] = []
        self.characters = 0

    def __missing__(self, piece: bytes | str) -> int:
        number = self[piece] = len(self) + 1
        self.new.append(piece)
        self.characters += len(piece)
        return number


def _ids(vocabulary: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [one.ids for one in vocabulary.encode_batch_fast(list(texts), add_special_tokens=False)]


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    block: list[str] = []
    size = 0
    for text in texts:
        if block and size + len(text) > CHARACTERS_PER_BLOCK:
            yield block
            block, size = [], 0
        block.append(text)
        size += len(text)
    if block:
        yield block


def _as_bytes(texts: Sequence[str], cuts: Cuts) -> tuple[bytes, list[str]]:
    """Texts with a mark after each; and the stretches that are beyond ASCII, which have marks in their place."""
    parts: list[bytes] = []
    foreign: list[str] = []
    for text in texts:
        for stretch in (text,) if text.isascii() else cuts.stretches.split(text):
            if stretch.isascii():
                parts.append(stretch.encode())
            else:
                parts.append(bytes([FOREIGN]))
                foreign.append(stretch)
        parts.append(bytes([TEXT_END]))
    return b"".join(parts), foreign
