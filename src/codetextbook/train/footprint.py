"""What a training will take on GPUs, by arithmetic: memory, tokens a second, hours, dollars. Loads no torch.

The model, stated so that it can be checked:

- Work: 6 FLOP a token for each weight in a matrix product (embedding apart), and 6 x layers x hidden x context for causal attention.
- Utilisation: half of an A100's bf16 peak is the paper's own (770 GPU-hours, §2.3) by this arithmetic. For H100 and H200 we assume 40 %
  of peak, half of what plain matrix products reach there. Not yet measured by us.
- Memory a weight: fp32 masters, gradients and two moments, 16 bytes, and where the passes compute in 16 bits 4 for their copies and their
  gradients; `fsdp2` shares all out but one gathered block and the root's matrices. Of `deepspeed`, ZeRO 1 shares out masters and moments,
  2 their gradients too, 3 is as `fsdp2`; at stages 1 and 2 the passes have weights of their own in fp32 too.
- Memory an activation: what autograd keeps, 9 hidden + 2 mlp numbers a token and block (`tests/train/test_footprint.py` counts them),
  and 2 hidden bytes of dropout; with recomputing only what enters each block, and one block whole. One chunk of logits.
"""

from __future__ import annotations

from typing import NamedTuple

from codetextbook.model.config import PhiConfig
from codetextbook.train.settings import Placement, Training

CHUNK_TOKENS = 2_048
"""Tokens whose logits exist at once (loss.py)."""


class Card(NamedTuple):
    """A GPU."""

    name: str
    memory_gigabytes: float
    peak_tflops: float
    """Dense bf16, as published by the maker."""
    utilisation: float
    """Share of the peak that training reaches."""
    dollars_per_hour: float
    """Ours: about what clouds asked on demand in 2025; yours will differ."""


CARDS = (
    Card("A100", 80, 312, 0.50, 2.0),
    Card("H100", 80, 989, 0.40, 3.0),
    Card("H200", 141, 989, 0.40, 3.5),
)


class Footprint(NamedTuple):
    """What one training takes on a number of cards of one kind."""

    gigabytes: float
    """A card, at the recipe's micro batch."""
    fitting_micro_batch: int | None
    """Largest micro batch that fits; None where not even one sequence does."""
    tokens_per_second: float
    """All cards together."""
    hours: float
    dollars: float


def footprint(model: PhiConfig, training: Training, placement: Placement, card: Card, cards: int) -> Footprint:
    """A training on `cards` cards."""
    micro = min(training.micro_batch_sequences, training.batch_sequences)
    pieces = [n for n in range(1, training.batch_sequences + 1) if not training.batch_sequences % (n * cards)]
    fitting = [n for n in pieces if _gigabytes(model, training, placement, n, cards) < 0.95 * card.memory_gigabytes]
    work = 1 + placement.recompute / 3  # the forward pass once more
    rate = cards * card.peak_tflops * 1e12 * card.utilisation / (flop_per_token(model) * work)
    hours = training.steps * training.batch_sequences * model.context / rate / 3_600
    return Footprint(
        _gigabytes(model, training, placement, micro, cards),
        max(fitting, default=None),
        rate,
        hours,
        hours * cards * card.dollars_per_hour,
    )


def flop_per_token(model: PhiConfig) -> float:
    """Floating-point operations of one token's forward and backward pass."""
    embedding = 0 if model.tied else model.vocabulary * model.hidden
    return 6.0 * (model.parameters - embedding) + 6.0 * model.layers * model.hidden * model.context


def activation_bytes(model: PhiConfig, dropout: float, number_bytes: int) -> int:
    """Bytes that a block keeps of one token until the way back."""
    return (9 * model.hidden + 2 * model.mlp) * number_bytes + (2 * model.hidden if dropout else 0)


def _gigabytes(model: PhiConfig, training: Training, placement: Placement, micro: int, cards: int) -> float:
    half = training.precision != "fp32"
    number = 2 if half else 4
    tokens = micro * model.context
    block = activation_bytes(model, training.dropout, number)
    per_token = block + model.layers * model.hidden * number if placement.recompute else model.layers * block
    logits = 3 * 4 * min(CHUNK_TOKENS, tokens) * model.vocabulary
    return (_state_bytes(model, placement, cards, half) + tokens * per_token + logits) / 1e9


def _state_bytes(model: PhiConfig, placement: Placement, cards: int, half: bool) -> float:
    weights = model.parameters
    copies = 4 * weights if half else 0
    gathered = 2 * (2 if half else 4) * (2 * model.vocabulary * model.hidden + weights / model.layers)
    if placement.engine == "fsdp2" or (placement.engine == "deepspeed" and placement.zero_stage == 3):
        return 16 * weights / cards + gathered
    if placement.engine == "deepspeed":
        shared = 12 if placement.zero_stage == 1 else 16
        return shared * weights / cards + (16 - shared) * weights + 4 * weights
    return 16 * weights + copies
