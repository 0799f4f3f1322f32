"""The arithmetic of GPUs: the paper's 770 hours, and what autograd really keeps."""

from __future__ import annotations

import pytest
import torch

from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.recipe import Recipe
from codetextbook.train.footprint import CARDS, activation_bytes, flop_per_token, footprint
from codetextbook.train.settings import Placement

A100 = CARDS[0]


def test_the_papers_770_gpu_hours_come_out() -> None:
    recipe = Recipe.load("phi1")
    found = footprint(recipe.pretrain.model, recipe.pretrain, Placement(engine="ddp", processes=8), A100, 8)
    assert 8 * found.hours == pytest.approx(770, rel=0.03)
    assert found.dollars == pytest.approx(8 * found.hours * A100.dollars_per_hour)
    assert found.gigabytes < A100.memory_gigabytes
    assert flop_per_token(recipe.pretrain.model) == pytest.approx(6 * 1.42e9, rel=0.02)


def test_recomputing_and_sharing_out_save_memory_and_recomputing_costs_time() -> None:
    recipe = Recipe.load("phi1")
    usual, recomputed, shared = (
        footprint(recipe.pretrain.model, recipe.pretrain, placement, A100, 8)
        for placement in (
            Placement(engine="ddp", processes=8),
            Placement(engine="ddp", processes=8, recompute=True),
            Placement(engine="fsdp2", processes=8),
        )
    )
    assert recomputed.gigabytes < usual.gigabytes
    assert recomputed.hours > usual.hours
    assert shared.gigabytes < usual.gigabytes
    assert shared.fitting_micro_batch is not None
    assert usual.fitting_micro_batch is not None
    assert shared.fitting_micro_batch >= usual.fitting_micro_batch


def test_each_stage_of_zero_takes_less_memory_than_the_one_before() -> None:
    recipe = Recipe.load("phi1")
    placements = [Placement(engine="ddp", processes=8)]
    placements += [Placement(engine="deepspeed", zero_stage=stage, processes=8) for stage in (1, 2, 3)]
    sizes = [footprint(recipe.pretrain.model, recipe.pretrain, one, A100, 8).gigabytes for one in placements]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_a_block_keeps_as_many_bytes_as_the_arithmetic_says() -> None:
    two, one = (
        PhiConfig(vocabulary=64, layers=n, hidden=256, heads=4, mlp=1024, rotary_dims=32, context=128) for n in (2, 1)
    )
    expected = activation_bytes(one, 0.0, 4) * 2 * one.context
    assert _kept_bytes(two) - _kept_bytes(one) == pytest.approx(expected, rel=0.05)


def _kept_bytes(config: PhiConfig) -> int:
    """Bytes that autograd keeps of two texts' forward pass, weights apart."""
    model = Phi(config).initialise(0)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}
    alive = []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        alive.append(model.hidden_states(torch.zeros(2, config.context, dtype=torch.long)))
    return sum(kept.values())
