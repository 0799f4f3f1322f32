"""Choosing the next token, for a whole batch at once: greedy, or drawn after temperature, top-k and top-p.

A draw turns one uniform number of the text's own stream into a token, through the sums of the sorted probabilities. So what a text
becomes depends on its own seed and settings, whatever its batch-mates ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from codetextbook.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen, and when to stop."""

    max_tokens: int = 256
    """Tokens after which a text is cut."""
    temperature: float = 0.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Share of probability from which tokens are drawn, the likeliest first."""
    stops: tuple[str, ...] = ()
    """Texts at whose appearance writing ends; they stay in the raw text."""
    top_k: int = 0
    """Tokens from which one is drawn, the likeliest first; 0 is all."""

    def __post_init__(self) -> None:
        limits = {
            "max_tokens": self.max_tokens >= 1,
            "temperature": 0 <= self.temperature < float("inf"),
            "top_p": 0 < self.top_p <= 1,
            "top_k": self.top_k >= 0,
            "stops": all(self.stops),
        }
        for name, good in limits.items():
            if not good:
                raise InputError(f"{name} cannot be {getattr(self, name)!r}", where="sampling")

    @property
    def cuts(self) -> bool:
        """Whether some tokens can never be drawn."""
        return self.top_k > 0 or self.top_p < 1


def choose(logits_bv: Float[Tensor, "b v"], samplings: Sequence[Sampling], uniforms: Sequence[float]) -> list[int]:
    """A token for each row; `uniforms` are numbers from 0 up to 1, one a row, for the rows that are drawn."""
    greedy = logits_bv.numpy() if logits_bv.is_cpu else logits_bv  # numpy's argmax is twenty times as fast on CPUs
    chosen = greedy.argmax(-1).tolist()
    drawn = [row for row, sampling in enumerate(samplings) if sampling.temperature > 0]
    for cuts in (False, True):
        rows = [row for row in drawn if samplings[row].cuts == cuts]
        if rows:
            tokens = _draw(logits_bv[rows], [samplings[row] for row in rows], [uniforms[row] for row in rows], cuts)
            for row, token in zip(rows, tokens, strict=True):
                chosen[row] = token
    return chosen


def _draw(logits_bv: Tensor, samplings: Sequence[Sampling], uniforms: Sequence[float], cuts: bool) -> list[int]:
    def column(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=logits_bv.device)[:, None]

    shares_bv = (logits_bv.double() / column([sampling.temperature for sampling in samplings])).softmax(-1)
    if not cuts:
        return _inverse(shares_bv, column(uniforms)).tolist()
    ordered_bv, token_bv = shares_bv.sort(descending=True, stable=True)
    width = ordered_bv.shape[1]
    before_bv = ordered_bv.cumsum(-1) - ordered_bv
    rank_v = torch.arange(width, device=logits_bv.device)
    out_bv = (before_bv > column([sampling.top_p for sampling in samplings])) | (
        rank_v >= column([sampling.top_k or width for sampling in samplings])
    )
    ordered_bv[out_bv] = 0.0
    return token_bv.gather(1, _inverse(ordered_bv, column(uniforms))[:, None])[:, 0].tolist()


def _inverse(shares_bv: Tensor, uniform_b1: Tensor) -> Tensor:
    """The place at which the sum of shares passes the uniform number's part of the whole."""
    sums_bv = shares_bv.cumsum(-1)
    place_b = torch.searchsorted(sums_bv, uniform_b1 * sums_bv[:, -1:], right=True)[:, 0]
    last_b = (shares_bv > 0).long().cumsum(-1).argmax(-1)  # rounding never reaches a token whose share is 0
    return place_b.minimum(last_b)
