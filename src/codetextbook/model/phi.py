"""phi: a decoder whose attention and MLP run in parallel off one LayerNorm (paper §2.3). The architecture and nothing else.

Shapes, as suffixes of names:  b batch   t tokens   d hidden   m mlp   k heads   h head_dim   r rotary_dims   v vocabulary
                               s cached and new tokens   1 one, to be broadcast

    x_btd ── LayerNorm ─┬─ q, k, v ─ rotary on r of h dims ─ causal attention ─ dense ─┐
      │                 └─ fc1 ─ GELU (tanh) ─ fc2 ────────────────────────────────────┤
      └────────────────────────────────────────────────────────────────────────────────┴─ + ─ next block

q, k, v and fc1 share their input, so they are one matrix here, `inward` (faster on CPUs and GPUs alike); `hf.py` gives them their public
names. Biases everywhere, the head's too; head and embedding are not tied. With the paper's sizes: 1,418,270,720 and 356,794,368 parameters.

Off in the paper, each one switch of `PhiConfig`: heads that share keys and values, a tied head, documents kept apart, stretched positions.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from codetextbook.model.config import INIT_STD, LAYER_NORM_EPS, ROPE_BASE, PhiConfig


class Cache:
    """Keys and values of texts in progress, in tensors of a fixed size: a row for each text, filled from its first place on."""

    def __init__(self, config: PhiConfig, rows: int, tokens: int, like: Tensor) -> None:
        shape = (config.layers, 2, rows, config.shared_heads, tokens, config.head_dim)
        self.kv = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.lengths = [0] * rows
        """Places of each row that are filled; whoever feeds a row counts them on."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Put what one row begins with, so many places of it, in the place of another row."""
        self.kv[:, :, target, :, :length] = self.kv[:, :, source, :, :length]
        self.lengths[target] = length


class Slot(NamedTuple):
    """Where one pass writes into the cache, and what it may read there. The same for all layers."""

    rows: slice
    into_n: Tensor
    """Places of the new keys, and of the new values, in a layer's cache seen as a list of heads."""
    until: int
    """Places that any row has filled after this pass."""


class Block(nn.Module):
    """Attention and MLP in parallel."""

    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        d = config.hidden
        q, k, v, m = config.inward_sizes
        self.heads, self.shared_heads, self.head_dim = config.heads, config.shared_heads, config.head_dim
        self.sizes = (q + k, v, m)
        self.norm = nn.LayerNorm(d, eps=LAYER_NORM_EPS)
        self.inward = nn.Linear(d, sum(config.inward_sizes))
        self.dense = nn.Linear(d, d)
        self.fc2 = nn.Linear(config.mlp, d)

    def forward(
        self,
        x_btd: Float[Tensor, "b t d"],
        rotary: tuple[Tensor, Tensor],
        mask: Bool[Tensor, "b 1 t s"] | None,
        dropout: float,
        cached: Tensor | None,
        slot: Slot | None,
    ) -> Float[Tensor, "b t d"]:
        b, t, _ = x_btd.shape
        qk_btd, v_btd, up_btm = self.inward(self.norm(x_btd)).split(self.sizes, dim=-1)
        qk_bkth, v_bkth = (y.view(b, t, -1, self.head_dim).transpose(1, 2) for y in (qk_btd, v_btd))
        q_bkth, k_bkth = rotate(qk_bkth, *rotary).split((self.heads, self.shared_heads), dim=1)
        if cached is not None and slot is not None:
            for new_bkth, kept in ((k_bkth, cached[0]), (v_bkth, cached[1])):
                kept.view(-1, self.head_dim).index_copy_(0, slot.into_n, new_bkth.reshape(-1, self.head_dim))
            if slot.until > t:
                k_bkth, v_bkth = cached[:, slot.rows, :, : slot.until]
        if t == 1 and slot is not None:
            a_bkth = attend_from_one(q_bkth, k_bkth, v_bkth, mask)
        else:
            a_bkth = F.scaled_dot_product_attention(
                q_bkth,
                k_bkth,
                v_bkth,
                attn_mask=mask,
                dropout_p=dropout,
                is_causal=mask is None and t > 1,
                enable_gqa=self.heads != self.shared_heads,
            )
        attended_btd = self.dense(a_bkth.transpose(1, 2).reshape(b, t, -1))
        fed_btd = self.fc2(F.gelu(up_btm, approximate="tanh"))
        if dropout:
            attended_btd, fed_btd = F.dropout(attended_btd, dropout), F.dropout(fed_btd, dropout)
        return x_btd + attended_btd + fed_btd


class TiedHead(nn.Linear):
    """The embedding's matrix, read the other way; only the bias is its own (off in the paper)."""

    def __init__(self, embed: nn.Embedding) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = embed.embedding_dim, embed.num_embeddings
        self.bias = nn.Parameter(torch.zeros(embed.num_embeddings))
        self._embed = (embed,)  # in a tuple, so that it is not a part of this module too

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """(v, d), the embedding's."""
        return self._embed[0].weight


class Phi(nn.Module):
    """The decoder."""

    def __init__(self, config: PhiConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocabulary, config.hidden)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.final_norm = nn.LayerNorm(config.hidden, eps=LAYER_NORM_EPS)
        self.head = TiedHead(self.embed) if config.tied else nn.Linear(config.hidden, config.vocabulary)

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
        rows: slice = slice(None),
    ) -> Float[Tensor, "b t d"]:
        """What the head reads: the last block's output after the final LayerNorm.

        With a cache, the ids go on the texts in these `rows` of it. Each such text is taken for one document.
        """
        if cache is None:
            slot, place_bt, mask = None, torch.arange(ids_bt.shape[1], device=ids_bt.device)[None], self._mask(ids_bt)
        else:
            place_bt = torch.tensor(cache.lengths[rows], device=ids_bt.device)[:, None] + torch.arange(
                ids_bt.shape[1], device=ids_bt.device
            )
            slot, mask = _slot(cache, rows, place_bt)
        rotary = rotations(place_bt / self.config.rope_factor, self.config.rotary_dims, self.embed.weight.dtype)
        x_btd = self.embed(ids_bt)
        for number, block in enumerate(self.blocks):
            x_btd = block(x_btd, rotary, mask, dropout, None if cache is None else cache.kv[number], slot)
        return self.final_norm(x_btd)

    def _mask(self, ids_bt: Tensor) -> Tensor | None:
        """No mask but the causal one, unless documents are kept apart: a document begins at the token that ends the one before."""
        if self.config.document_end is None:
            return None
        number_bt = (ids_bt == self.config.document_end).cumsum(1)
        same = number_bt[:, None, :, None] == number_bt[:, None, None, :]
        return same.tril()

    def forward(self, ids_bt: Int[Tensor, "b t"]) -> Float[Tensor, "b t v"]:
        """Logits of the next token at every place."""
        return self.head(self.hidden_states(ids_bt))


def _slot(cache: Cache, rows: slice, place_bt: Int[Tensor, "b t"]) -> tuple[Slot, Tensor | None]:
    """Where the tokens of these places go, and the mask of what they may see; none where causality says it all."""
    starts, t, device = cache.lengths[rows], place_bt.shape[1], place_bt.device
    heads, tokens = cache.kv.shape[3:5]
    first = (rows.start or 0) * heads
    row_bk = torch.arange(first, first + len(starts) * heads, device=device).view(-1, heads)
    slot = Slot(rows, (row_bk[:, :, None] * tokens + place_bt[:, None]).flatten(), max(starts) + t)
    if slot.until == t or (t == 1 and min(starts) == max(starts)):
        return slot, None
    seen_s = torch.arange(slot.until, device=device)
    return slot, (seen_s <= place_bt[:, :, None])[:, None]


def attend_from_one(
    q_bk1h: Float[Tensor, "b k 1 h"], k_bksh: Tensor, v_bksh: Tensor, mask: Bool[Tensor, "b 1 1 s"] | None
) -> Float[Tensor, "b k 1 h"]:
    """Attention of one new token, as plain products: on CPUs several times as fast as the fused kernel, which is made for many."""
    b, k, _, h = q_bk1h.shape
    shared = k_bksh.shape[1]
    q_bkgh = q_bk1h.reshape(b, shared, k // shared, h) * h**-0.5
    scores_bkgs = q_bkgh @ k_bksh.transpose(2, 3)
    if mask is not None:
        scores_bkgs = scores_bkgs.masked_fill(~mask, float("-inf"))
    return (scores_bkgs.float().softmax(-1).to(v_bksh.dtype) @ v_bksh).view(b, k, 1, h)


def rotations(positions: Num[Tensor, "b t"], dims: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (b, 1, t, r / 2), of the angles position x base^(-2i/r)."""
    steps = torch.arange(0, dims, 2, device=positions.device, dtype=torch.float32)
    frequencies = torch.exp(steps * (-math.log(ROPE_BASE) / dims))
    angles = positions[:, None, :, None].float() * frequencies
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x_bkth: Float[Tensor, "b k t h"], cos: Tensor, sin: Tensor) -> Float[Tensor, "b k t h"]:
    """Rotary position on the first r dims of each head, rotate-half form; the rest passes through.

    One split and one concatenation: slices would cost a tensor of zeros each on the way back.
    """
    half = cos.shape[-1]
    low, high, passing = x_bkth.split((half, half, x_bkth.shape[-1] - 2 * half), dim=-1)
    return torch.cat([low * cos - high * sin, high * cos + low * sin, passing], dim=-1)
