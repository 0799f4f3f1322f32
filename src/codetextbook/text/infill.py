"""Fill in the middle: a text cut in three at random and told in another order, so that a model learns to write what stands between.

After Bavarian et al., "Efficient training of language models to fill in the middle" (arXiv 2207.14255): cuts between characters, the three
parts encoded apart, half of the texts prefix-suffix-middle and half suffix-prefix-middle (their joint form). Not in the paper: off there.

    PSM   <|fim_prefix|> prefix <|fim_suffix|> suffix <|fim_middle|> middle
    SPM   <|fim_prefix|> <|fim_suffix|> suffix <|fim_middle|> prefix middle
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from tokenizers import Tokenizer

from codetextbook.nouns import SENTINELS


class Sentinels(NamedTuple):
    """Ids of the tokens between the parts."""

    prefix: int
    suffix: int
    middle: int


class Parts(NamedTuple):
    """A text in three."""

    prefix: str
    middle: str
    suffix: str


def sentinels_of(vocabulary: Tokenizer) -> Sentinels | None:
    """The vocabulary's sentinels, if it has them."""
    ids = [number for token in SENTINELS if (number := vocabulary.token_to_id(token)) is not None]
    return Sentinels(*ids) if len(ids) == len(SENTINELS) else None


def cut(text: str, first: float, second: float) -> Parts:
    """Cut at two places, each a uniform number from 0 up to 1 of the text's characters."""
    start, end = sorted(int(share * (len(text) + 1)) for share in (first, second))
    return Parts(text[:start], text[start:end], text[end:])


def told(parts: tuple[np.ndarray, np.ndarray, np.ndarray], sentinels: Sentinels, *, suffix_first: bool) -> np.ndarray:
    """The ids of prefix, middle and suffix, in the order they are learnt in."""
    prefix, middle, suffix = parts
    pre, suf, mid = (np.array([token], prefix.dtype) for token in sentinels)
    order = [pre, suf, suffix, mid, prefix, middle] if suffix_first else [pre, prefix, suf, suffix, mid, middle]
    return np.concatenate(order)


def restored(ids: list[int], vocabulary: Tokenizer) -> str:
    """The text that was told, whichever order it was told in; a text without sentinels as it is."""
    sentinels = sentinels_of(vocabulary)
    if sentinels is None or ids[:1] != [sentinels.prefix]:
        return vocabulary.decode(ids, skip_special_tokens=False)
    suf, mid = ids.index(sentinels.suffix), ids.index(sentinels.middle)
    prefix, suffix, middle = (vocabulary.decode(some) for some in (ids[1:suf], ids[suf + 1 : mid], ids[mid + 1 :]))
    return prefix + middle + suffix
