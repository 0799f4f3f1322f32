"""phi: a decoder whose attention and MLP run in parallel off one LayerNorm (paper §2.3). The architecture and nothing else.

Shapes, as suffixes of names:  b batch   t tokens   d hidden   m mlp   k heads   h head_dim   r rotary_dims   v vocabulary
                               s cached and new tokens

    x_btd ── LayerNorm ─┬─ q, k, v ─ rotary on r of h dims ─ causal attention ─ dense ─┐
      │                 └─ fc1 ─ GELU (tanh) ─ fc2 ────────────────────────────────────┤
      └────────────────────────────────────────────────────────────────────────────────┴─ + ─ next block

q, k, v and fc1 share their input, so they are one matrix here, `inward` (faster on CPUs and GPUs alike); `hf.py` gives them their public
names. Biases everywhere, the head's too; head and embedding are not tied. With the paper's sizes: 1,418,270,720 and 356,794,368 parameters.
"""

from __future__ import annotations

import math
from typing import Self

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from codetextbook.model.config import INIT_STD, LAYER_NORM_EPS, ROPE_BASE, PhiConfig


class Cache:
    """Keys and values of the tokens seen so far, in tensors of a fixed size."""

    def __init__(self, config: PhiConfig, batch: int, tokens: int, like: Tensor) -> None:
        shape = (config.layers, 2, batch, config.heads, tokens, config.head_dim)
        self.kv = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.length = 0

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all rows of the batch but these."""
        self.kv = self.kv[:, :, rows].contiguous()


class Block(nn.Module):
    """Attention and MLP in parallel."""

    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        d, m = config.hidden, config.mlp
        self.heads, self.sizes = config.heads, (d, d, d, m)
        self.norm = nn.LayerNorm(d, eps=LAYER_NORM_EPS)
        self.inward = nn.Linear(d, 3 * d + m)
        self.dense = nn.Linear(d, d)
        self.fc2 = nn.Linear(m, d)

    def forward(
        self,
        x_btd: Float[Tensor, "b t d"],
        rotary: tuple[Tensor, Tensor],
        mask: Bool[Tensor, "b 1 t s"] | None,
        dropout: float,
        cached: Tensor | None,
        start: int,
    ) -> Float[Tensor, "b t d"]:
        b, t, _ = x_btd.shape
        q_btd, k_btd, v_btd, up_btm = self.inward(self.norm(x_btd)).split(self.sizes, dim=-1)
        q_bkth, k_bkth, v_bkth = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in (q_btd, k_btd, v_btd))
        q_bkth, k_bkth = rotate(q_bkth, *rotary), rotate(k_bkth, *rotary)
        if cached is not None:
            cached[0, :, :, start : start + t], cached[1, :, :, start : start + t] = k_bkth, v_bkth
            k_bkth, v_bkth = cached[0, :, :, : start + t], cached[1, :, :, : start + t]
        a_bkth = F.scaled_dot_product_attention(
            q_bkth, k_bkth, v_bkth, attn_mask=mask, dropout_p=dropout, is_causal=mask is None and t > 1
        )
        attended_btd = self.dense(a_bkth.transpose(1, 2).reshape(b, t, -1))
        fed_btd = self.fc2(F.gelu(up_btm, approximate="tanh"))
        if dropout:
            attended_btd, fed_btd = F.dropout(attended_btd, dropout), F.dropout(fed_btd, dropout)
        return x_btd + attended_btd + fed_btd


class Phi(nn.Module):
    """The decoder."""

    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocabulary, config.hidden)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.final_norm = nn.LayerNorm(config.hidden, eps=LAYER_NORM_EPS)
        self.head = nn.Linear(config.hidden, config.vocabulary)

    def initialise(self, seed: int) -> Self:
        """Normal weights of deviation 0.02 and zero biases, drawn from `seed` alone (published configuration)."""
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            with torch.no_grad():
                if name.endswith("bias"):
                    parameter.zero_()
                elif "norm" in name:
                    parameter.fill_(1.0)
                else:
                    parameter.normal_(0.0, INIT_STD, generator=generator)
        return self

    def hidden_states(
        self,
        ids_bt: Int[Tensor, "b t"],
        *,
        dropout: float = 0.0,
        cache: Cache | None = None,
        first_bt: Int[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b t d"]:
        """What the head reads: the last block's output after the final LayerNorm.

        `first_bt`: for rows padded on the left, the place of each row's first real token; positions count from there.
        """
        t = ids_bt.shape[1]
        start = cache.length if cache is not None else 0
        places_t = torch.arange(start, start + t, device=ids_bt.device)
        positions = places_t[None, :] if first_bt is None else (places_t[None, :] - first_bt[:, None]).clamp(min=0)
        mask = None
        if first_bt is not None or (cache is not None and start > 0 and t > 1):
            seen_s = torch.arange(start + t, device=ids_bt.device)
            mask = (seen_s[None, :] <= places_t[:, None])[None, None]
            if first_bt is not None:
                mask = mask & (seen_s[None, :] >= first_bt[:, None])[:, None, None]
                mask = mask | (seen_s[None, :] == places_t[:, None])[None, None]  # padding sees itself: no empty row
        rotary = rotations(positions, self.config.rotary_dims, self.embed.weight.dtype)
        x_btd = self.embed(ids_bt)
        for number, block in enumerate(self.blocks):
            x_btd = block(x_btd, rotary, mask, dropout, None if cache is None else cache.kv[number], start)
        if cache is not None:
            cache.length += t
        return self.final_norm(x_btd)

    def forward(self, ids_bt: Int[Tensor, "b t"]) -> Float[Tensor, "b t v"]:
        """Logits of the next token at every place."""
        return self.head(self.hidden_states(ids_bt))


def rotations(positions: Int[Tensor, "b t"], dims: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (b, 1, t, r), of the angles position x base^(-2i/r), in both halves alike."""
    steps = torch.arange(0, dims, 2, device=positions.device, dtype=torch.float32)
    frequencies = torch.exp(steps * (-math.log(ROPE_BASE) / dims))
    angles = positions[:, None, :, None].float() * frequencies
    both = torch.cat([angles, angles], dim=-1)
    return both.cos().to(dtype), both.sin().to(dtype)


def rotate(x_bkth: Float[Tensor, "b k t h"], cos: Tensor, sin: Tensor) -> Float[Tensor, "b k t h"]:
    """Rotary position on the first r dims of each head, rotate-half form; the rest passes through."""
    r = cos.shape[-1]
    turning, passing = x_bkth[..., :r], x_bkth[..., r:]
    low, high = turning[..., : r // 2], turning[..., r // 2 :]
    turned = turning * cos + torch.cat([-high, low], dim=-1) * sin
    return torch.cat([turned, passing], dim=-1)
