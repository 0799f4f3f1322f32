"""Muon: updates are orthogonal and of a known size, and matrices that share a weight are treated apart."""

from __future__ import annotations

import pytest
import torch

from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.train.muon import UPDATE_RMS, Matrix, Muon, orthogonal
from codetextbook.train.optimizer import Masters
from codetextbook.train.settings import Training


@pytest.mark.parametrize("shape", [(16, 16), (8, 64), (31, 33)])
def test_all_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrices))
    # The coefficients overshoot on purpose, so that small values rise fast; a square matrix has some that are too small for five steps.
    assert values.max() < 1.3
    assert values.median() > 0.65


def test_singular_vectors_stay() -> None:
    matrix = torch.randn(1, 8, 64, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.mT @ orthogonal(matrix) @ right.mT
    assert torch.allclose(turned, torch.diag_embed(turned.diagonal(dim1=1, dim2=2)), atol=1e-4)


def test_matrices_fused_in_one_weight_move_as_if_they_were_apart() -> None:
    generator = torch.Generator().manual_seed(2)
    start, grad = (torch.randn(48, 16, generator=generator) for _ in range(2))

    def moved(rows: tuple[int, ...], part: slice) -> torch.Tensor:
        weight = torch.nn.Parameter(start[part].clone())
        weight.grad = grad[part].clone()
        Muon([Matrix(weight, rows)], weight_decay=0.1, dtype=torch.float32).step(0.01)
        return weight.detach()

    together = moved((16, 32), slice(0, 48))
    assert torch.allclose(together[:16], moved((16,), slice(0, 16)), atol=1e-6)
    assert torch.allclose(together[16:], moved((32,), slice(16, 48)), atol=1e-6)
    assert not torch.allclose(together, moved((48,), slice(0, 48)), atol=1e-4)


@pytest.mark.parametrize("shape", [(64, 64), (256, 64), (64, 256)])
def test_an_update_has_about_the_size_of_one_of_adamw(shape: tuple[int, int]) -> None:
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    Muon([Matrix(weight, (shape[0],))], weight_decay=0.0, dtype=torch.float32).step(1.0)
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(UPDATE_RMS, rel=0.2)


def test_only_matrices_inside_the_blocks_are_its_own() -> None:
    config = PhiConfig(vocabulary=64, layers=2, hidden=32, heads=2, mlp=64, rotary_dims=8, context=32)
    masters = Masters(Phi(config).initialise(0), Training(optimizer="muon"), torch.float32)
    held = {name.removeprefix("momentum/") for name in masters.state() if name.startswith("momentum/")}
    assert held == {f"blocks.{n}.{part}.weight" for n in range(2) for part in ("inward", "dense", "fc2")}


def test_shared_heads_are_matrices_of_their_own_height() -> None:
    config = PhiConfig(vocabulary=64, layers=1, hidden=32, heads=4, mlp=64, rotary_dims=8, context=32, kv_heads=2)
    model = Phi(config).initialise(0)
    masters = Masters(model, Training(optimizer="muon"), torch.float32)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    model(torch.arange(8)[None]).square().mean().backward()
    masters.step(0.01)
    assert not torch.equal(before["blocks.0.inward.weight"], dict(model.named_parameters())["blocks.0.inward.weight"])
