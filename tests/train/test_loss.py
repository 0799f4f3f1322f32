"""The chunked cross-entropy against PyTorch's own, forward and backward, whatever the chunks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from codetextbook.train import loss as module
from codetextbook.train.loss import next_token_loss


@pytest.mark.parametrize("tokens_per_chunk", [1, 7, 64])
def test_loss_and_gradients_equal_those_of_the_whole_table(
    tokens_per_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOKENS_PER_CHUNK", tokens_per_chunk)
    generator = torch.Generator().manual_seed(0)
    head = torch.nn.Linear(16, 50)
    states = torch.randn(40, 16, generator=generator)
    targets = torch.randint(0, 50, (40,), generator=generator)
    ours, theirs = states.clone().requires_grad_(), states.clone().requires_grad_()
    (3 * next_token_loss(ours, head, targets)).backward()
    mine = [head.weight.grad.clone(), head.bias.grad.clone()]
    head.zero_grad()
    whole = F.cross_entropy(head(theirs), targets)
    (3 * whole).backward()
    torch.testing.assert_close(next_token_loss(states, head, targets), whole)
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(mine, [head.weight.grad, head.bias.grad])


def test_no_gradient_is_made_where_none_is_wanted() -> None:
    head = torch.nn.Linear(4, 9)
    with torch.no_grad():
        found = next_token_loss(torch.ones(5, 4), head, torch.zeros(5, dtype=torch.long))
    assert not found.requires_grad
    torch.testing.assert_close(found, F.cross_entropy(head(torch.ones(5, 4)), torch.zeros(5, dtype=torch.long)))
