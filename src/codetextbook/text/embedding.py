"""Which model turns how much of a text into a vector; apart from `embed.py` so that reading a recipe does not load torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from codetextbook.config import Config

TEXTS_PER_BATCH = 32
CHARACTERS_PER_TOKEN = 12
"""Far above what real code has, so that a long file is cut before the tokenizer and no window is left short by it."""


class Embedding(Config):
    """Which model reads how much of a text."""

    kind: Literal["minilm", "huggingface"] = "minilm"
    """`minilm` ships as a package (extra `laptop`); `huggingface` is any folder or name that transformers can load."""
    model: str = ""
    """Folder or name of a `huggingface` model (paper §5: codegen-350M-mono). A name is fetched by transformers, a folder never."""
    pooling: Literal["mean", "last"] = "mean"
    """One vector from a window's tokens: their mean, or the last one (for causal models)."""
    window_tokens: int = Field(default=96, ge=8, le=32_768)
    """Tokens of one window (ours: forests on 64, 96, 128 and 256 agreed with the grades to .866, .887, .883 and .885)."""
    windows: int = Field(default=1, ge=1, le=1_000)
    """Windows read of one text, from its start (ours: the head of a file carries its documentation)."""


def visible(text: str, settings: Embedding) -> str:
    """The start of a text, no shorter than what the windows can hold."""
    return text[: settings.window_tokens * settings.windows * CHARACTERS_PER_TOKEN]


def batches(texts: Sequence[str], texts_per_batch: int = TEXTS_PER_BATCH) -> list[list[int]]:
    """Places of texts, in groups of like length; the same groups whatever the number of workers."""
    order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
    return [order[start : start + texts_per_batch] for start in range(0, len(order), texts_per_batch)]
