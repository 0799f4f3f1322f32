"""Cross-entropy of the next token without the whole table of logits: chunk by chunk, gradients computed on the way.

At a vocabulary of 51,200 the logits of one sequence of 2,048 tokens take 420 MB in fp32, and their gradient as much again. Here only
one chunk of them exists at a time; the gradient of the hidden states and of the head is ready when the loss is.

Shapes, as suffixes:  n tokens   d hidden   v vocabulary
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from codetextbook.model.phi import Phi

TOKENS_PER_CHUNK = 2_048


def next_token_loss(
    states_nd: Float[Tensor, "n d"], head: nn.Linear, targets_n: Int[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats of `head(states)` against `targets`, in fp32."""
    return _ChunkedCrossEntropy.apply(states_nd, head.weight, head.bias, targets_n)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states_nd: Tensor, weight_vd: Tensor, bias_v: Tensor, targets_n: Tensor) -> Tensor:
        count = len(targets_n)
        total = torch.zeros((), dtype=torch.float32, device=states_nd.device)
        wanted = any(ctx.needs_input_grad[:3])
        grad_states_nd = torch.empty_like(states_nd) if wanted else None
        grad_weight_vd = torch.zeros_like(weight_vd, dtype=torch.float32) if wanted else None
        grad_bias_v = torch.zeros_like(bias_v, dtype=torch.float32) if wanted else None
        for start in range(0, count, TOKENS_PER_CHUNK):
            some = slice(start, start + TOKENS_PER_CHUNK)
            x, y = states_nd[some], targets_n[some]
            logits = F.linear(x, weight_vd, bias_v).float()
            rows = torch.arange(len(y), device=y.device)
            if grad_states_nd is None or grad_weight_vd is None or grad_bias_v is None:
                total += F.cross_entropy(logits, y, reduction="sum")
                continue
            shares = logits.log_softmax(-1)
            total -= shares[rows, y].sum()
            shares = shares.exp_()
            shares[rows, y] -= 1.0
            grad = shares.to(x.dtype)
            torch.mm(grad, weight_vd, out=grad_states_nd[some])
            grad_weight_vd += grad.T @ x
            grad_bias_v += shares.sum(0)
        if wanted:
            ctx.save_for_backward(grad_states_nd, grad_weight_vd, grad_bias_v)
            ctx.dtype = weight_vd.dtype
        return total / count

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        states, weight, bias = ctx.saved_tensors
        mean = outputs[0] / len(states)
        return states * mean, (weight * mean).to(ctx.dtype), (bias * mean).to(ctx.dtype), None


class Taught(nn.Module):
    """A model with its loss, as one forward pass: what engines wrap."""

    def __init__(self, model: Phi) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids_bt: Tensor, targets_bt: Tensor, dropout: float) -> Tensor:
        states_btd = self.model.hidden_states(ids_bt, dropout=dropout)
        return next_token_loss(states_btd.flatten(0, 1), self.model.head, targets_bt.reshape(-1))
