"""Sequences from one array of tokens (paper §2.3): slices of the context's length, each seen once an epoch, in a drawn order.

The loader has no state: which sequences a step sees follows from the seed and the step's number, so training resumes exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from codetextbook.errors import InputError
from codetextbook.train.tokens import Tokens


class Batch(NamedTuple):
    """Tokens and the token after each, both (b, t)."""

    ids_bt: Tensor
    targets_bt: Tensor


@dataclass(frozen=True)
class Sequences:
    """An array of tokens as slices of `context` tokens."""

    tokens: np.ndarray | Tokens
    """(n,) unsigned integers; may be mapped from disk."""
    context: int
    seed: int

    def __post_init__(self) -> None:
        if len(self) < 1:
            raise InputError(
                f"{len(self.tokens):,} tokens do not fill one sequence of {self.context}",
                where="the packed array",
                hint="a larger corpus, or a shorter context",
            )

    def __len__(self) -> int:
        return max(0, (len(self.tokens) - 1) // self.context)

    def batch(self, step: int, sequences: int, start: int = 0, stop: int | None = None) -> Batch:
        """The sequences of one optimizer step, or those numbered `start` to `stop` of them."""
        first = step * sequences
        places = [self._place(first + number) for number in range(start, sequences if stop is None else stop)]
        return self.at(places)

    def at(self, places: list[int]) -> Batch:
        """The slices of these numbers."""
        starts = [place * self.context for place in places]
        cut = np.stack([self.tokens[start : start + self.context + 1] for start in starts]).astype(np.int64)
        both = torch.from_numpy(cut)
        return Batch(both[:, :-1], both[:, 1:])

    def _place(self, number: int) -> int:
        epoch, within = divmod(number, len(self))
        return int(self._order(epoch)[within])

    def _order(self, epoch: int) -> np.ndarray:
        kept: dict[int, np.ndarray] = self.__dict__.setdefault("_orders", {})
        if epoch not in kept:
            kept.clear()
            kept[epoch] = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return kept[epoch]
