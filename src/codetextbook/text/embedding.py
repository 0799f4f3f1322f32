"""Which model turns how much of a text into a vector; apart from `embed.py` so that reading a recipe does not load torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from codetextbook.config import Config
from codetextbook.text.weights_folder import digest_of

TEXTS_PER_BATCH = 32
TOKENS_PER_BATCH = {"cpu": 16_384, "cuda": 131_072}
"""Tokens of one batch at most: what the activations of a model of 350M parameters leave room for (ours)."""
CHARACTERS_PER_TOKEN = 12
"""Far above what real code has, so that a long file is cut before the tokenizer and no window is left short by it."""


class Embedding(Config):
    """Which model reads how much of a text."""

    kind: Literal["minilm", "huggingface"] = "minilm"
    """`minilm` ships as a package (extra `laptop`); `huggingface` is any folder or name that transformers can load."""
    model: str = ""
    """Folder or name of a `huggingface` model (paper §5: codegen-350M-mono). A name is fetched by transformers, a folder never."""
    revision: str = ""
    """Commit of a model that is fetched by name; empty takes the newest, which then is not told apart from an older one."""
    model_sha256: str = ""
    """Digest of a model folder's content; filled in when it is there, so that other weights are another artifact."""
    pooling: Literal["mean", "last"] = "mean"
    """One vector from a window's tokens: their mean, or the last one (for causal models)."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """What the model computes in: bf16 on a GPU or a processor that has it (cosine to fp32 over 0.999), fp32 elsewhere."""
    window_tokens: int = Field(default=96, ge=8, le=32_768)
    """Tokens of one window (ours: forests on 64, 96, 128 and 256 agreed with the grades to .866, .887, .883 and .885)."""
    windows: int = Field(default=1, ge=1, le=1_000)
    """Windows read of one text, from its start (ours: the head of a file carries its documentation)."""

    @model_validator(mode="before")
    @classmethod
    def _know_the_content(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("model") and not values.get("model_sha256"):
            folder = Path(str(values["model"]))
            if folder.is_dir():
                return {**values, "model_sha256": digest_of(folder)}
        return values


def visible(text: str, settings: Embedding) -> str:
    """The start of a text, no shorter than what the windows can hold."""
    return text[: settings.window_tokens * settings.windows * CHARACTERS_PER_TOKEN]


def texts_per_batch(settings: Embedding, device: str) -> int:
    """How many texts go through the model at once: on a processor few, since it gains nothing by more."""
    if device.startswith("cuda"):
        return max(1, TOKENS_PER_BATCH["cuda"] // settings.window_tokens)
    return max(1, min(TEXTS_PER_BATCH, TOKENS_PER_BATCH["cpu"] // settings.window_tokens))


def batches(texts: Sequence[str], texts_per_batch: int = TEXTS_PER_BATCH) -> list[list[int]]:
    """Places of texts, in groups of like length; the same groups whatever the number of workers."""
    order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
    return [order[start : start + texts_per_batch] for start in range(0, len(order), texts_per_batch)]
