"""The sizes of phi, as settings; apart from `phi.py` so that reading a recipe does not load torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from pydantic import Field, model_validator

from codetextbook.config import Config

LAYER_NORM_EPS = 1e-5
ROPE_BASE = 10_000.0
INIT_STD = 0.02


def _off(default: object) -> Callable[[object], bool]:
    """Leaves a switch that is off out of what is written, so that the identity of what was made before it existed stands."""
    return lambda value: value == default


class PhiConfig(Config):
    """Sizes of the model, and switches that the paper leaves off. The defaults are phi-1-small's (paper §2.3)."""

    vocabulary: int = Field(default=51_200, ge=2)
    """Rows of the embedding; CodeGen's 50,295 tokens padded to 51,200 (published configuration)."""
    layers: int = Field(default=20, ge=1)
    """Blocks (paper §2.3: 24, small 20)."""
    hidden: int = Field(default=1024, ge=8)
    """Width d (paper §2.3: 2048, small 1024)."""
    heads: int = Field(default=16, ge=1)
    """Attention heads (paper §2.3: 32, small 16)."""
    mlp: int = Field(default=4096, ge=8)
    """Inner width of the MLP (paper §2.3: 8192, small 4096)."""
    rotary_dims: int = Field(default=32, ge=2)
    """Dimensions of each head that rotate with position (paper §2.3: 32 of 64)."""
    context: int = Field(default=2048, ge=8)
    """Tokens that the model sees at once (paper §2.3)."""
    kv_heads: int | None = Field(default=None, ge=1, exclude_if=_off(None))
    """Heads of keys and values, each shared by heads / kv_heads queries; unset: as many as heads (paper: no sharing; ours, as GQA)."""
    tied: bool = Field(default=False, exclude_if=_off(False))
    """One matrix for embedding and head, which halves a small model (published configuration: two)."""
    document_end: int | None = Field(default=None, ge=0, exclude_if=_off(None))
    """Id of the token between documents, across which nothing is then attended to; unset: sequences run through (paper §2.3)."""
    rope_factor: float = Field(default=1.0, ge=1.0, exclude_if=_off(1.0))
    """Positions are divided by it, to stretch a trained context (linear RoPE scaling; published configuration: none)."""

    @property
    def shared_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def inward_sizes(self) -> tuple[int, int, int, int]:
        """Rows of q, k, v and of the MLP's first matrix, which are one matrix."""
        shared = self.shared_heads * self.head_dim
        return self.hidden, shared, shared, self.mlp

    @property
    def head_dim(self) -> int:
        """Dimensions of one head."""
        return self.hidden // self.heads

    @property
    def parameters(self) -> int:
        """Trained numbers in all."""
        d, m, v = self.hidden, self.mlp, self.vocabulary
        block = 2 * d + sum(self.inward_sizes) * (d + 1) + d * (d + 1) + d * (m + 1)
        return v * d + self.layers * block + 2 * d + v * (1 if self.tied else d + 1)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        if self.heads % self.shared_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.document_end is not None and self.document_end >= self.vocabulary:
            raise ValueError(f"document_end ({self.document_end}) must be an id below vocabulary ({self.vocabulary})")
        if self.rotary_dims % 2 or self.rotary_dims > self.head_dim:
            raise ValueError(
                f"rotary_dims ({self.rotary_dims}) must be even and at most hidden / heads ({self.head_dim})"
            )
        return self
