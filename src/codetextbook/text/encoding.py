"""Texts to ids, several times as fast as the vocabulary itself and equal to it, id for id.

Python's own regular expressions cut a text where merges end, and a piece that was met before is looked up, all in passes over arrays: no
object is made for a token. New pieces are encoded by the vocabulary, and so are lines beyond ASCII, whose letters and digits only the
vocabulary's own tables know for certain. `<|endoftext|>` written in a text is text.

Only the cuts that this package's vocabularies make are known here; any other vocabulary encodes everything itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer, pre_tokenizers

from codetextbook.text.vocabulary import RUNS, cut_for_code, cut_like_gpt2

KEPT_CHARACTERS = 1 << 24
"""Characters of pieces that are remembered; then remembering begins anew, so that memory does not grow with the corpus."""


class Cuts(NamedTuple):
    """How a vocabulary cuts text before merges."""

    pieces: re.Pattern[str]
    """Finds all pieces of a text of ASCII characters."""
    lines: re.Pattern[str]
    """Finds places between two lines that can be encoded apart, whatever their characters."""


_GPT2 = r"'(?:[sdmt]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+"
_SPACE_BEFORE_RUN = r"(?:(?!  |\t\t)\s)+"

LIKE_GPT2 = Cuts(re.compile(_GPT2 + r"|\s+(?!\S)|\s+", re.ASCII), re.compile(r"(?<=[!-~]\n)(?=[!-~])"))
"""GPT-2's."""
LIKE_CODEGEN = Cuts(
    re.compile(rf" {{2,31}}|\t{{2,9}}|{_GPT2}|{_SPACE_BEFORE_RUN}(?!\S)|{_SPACE_BEFORE_RUN}", re.ASCII),
    re.compile(r"(?<=[!-~]\n)(?=[!-~]|  |\t\t)"),
)
"""CodeGen's: the runs of spaces and tabs are taken out first, and what is before one is cut as if the text ended there."""
FOR_CODE = Cuts(
    re.compile(
        r"\n+|^[ \t]+|[ _]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9_]+| ?_+|[^\S\n]+",
        re.ASCII | re.MULTILINE,
    ),
    re.compile(r"(?<=\n)(?=[^\n])"),
)
"""Those of a vocabulary that was learnt here (`vocabulary.CUTS`)."""


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
        self._uncut = Tokenizer(vocabulary.model)  # type: ignore[arg-type]
        self._uncut.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        self._forget()

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The ids that the vocabulary gives."""
        if self._cuts is None:
            return self._joined(_ids(self.vocabulary, texts))
        if self._met.characters > KEPT_CHARACTERS:
            self._forget()
        numbers: list[int] = []
        ends = [0]
        for text in texts:
            numbers += map(self._met.__getitem__, _pieces(text, self._cuts))
            ends.append(len(numbers))
        self._learn()
        number = np.array(numbers, dtype=np.int64)
        counts = self._known.lengths[number]
        after = np.concatenate([[0], counts.cumsum()])
        places = np.arange(after[-1]) + np.repeat(self._starts[number] - after[:-1], counts)
        return Encoded(self._known.tokens[places], np.diff(after[ends]))

    def _forget(self) -> None:
        self._met = _Met()
        self._known, self._starts = self._joined([]), np.empty(0, np.int64)

    def _learn(self) -> None:
        """Take the ids of the pieces that were met for the first time."""
        new, self._met.new = self._met.new, []
        if not new:
            return
        whole = [piece.isascii() and piece not in RUNS for piece in new]
        by_uncut = iter(_ids(self._uncut, [piece for piece, one in zip(new, whole, strict=True) if one]))
        by_itself = iter(_ids(self.vocabulary, [piece for piece, one in zip(new, whole, strict=True) if not one]))
        more = self._joined([next(by_uncut if one else by_itself) for one in whole])
        tokens, lengths = (np.concatenate(both) for both in zip(self._known, more, strict=True))
        self._known, self._starts = Encoded(tokens, lengths), lengths.cumsum() - lengths

    def _joined(self, ids: Sequence[Sequence[int]]) -> Encoded:
        lengths = np.array([len(one) for one in ids], dtype=np.int64)
        return Encoded(np.fromiter(chain.from_iterable(ids), self.dtype, lengths.sum()), lengths)


class _Met(dict[str, int]):
    """A number for every piece, given when it is first met."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []
        self.characters = 0

    def __missing__(self, piece: str) -> int:
        number = self[piece] = len(self)
        self.new.append(piece)
        self.characters += len(piece)
        return number


def _ids(vocabulary: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [one.ids for one in vocabulary.encode_batch_fast(list(texts), add_special_tokens=False)]


def _pieces(text: str, cuts: Cuts) -> list[str]:
    """The pieces of a text; a line with characters beyond ASCII is one piece."""
    if text.isascii():
        return cuts.pieces.findall(text)
    found: list[str] = []
    for line in cuts.lines.split(text):
        found += cuts.pieces.findall(line) if line.isascii() else (line,)
    return found
