"""The share of a machine that a training uses: the maker's figure or a measured one, and what the artifact keeps of it."""

from __future__ import annotations

import pytest
import torch

from codetextbook.model.config import PhiConfig
from codetextbook.run import Run
from codetextbook.train.footprint import flop_per_token
from codetextbook.train.settings import Placement
from codetextbook.train.utilisation import MACHINE, Machine, machine, measured_peak, published_peak

TINY = PhiConfig(layers=1, hidden=32, heads=2, mlp=64, rotary_dims=8, vocabulary=400, context=256)


def test_published_peaks_are_of_the_very_card() -> None:
    assert published_peak("NVIDIA H100 80GB HBM3") == 989e12
    assert published_peak("NVIDIA A100-SXM4-80GB") == 312e12
    for other in ("NVIDIA H100 PCIe", "NVIDIA H100 NVL", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "Tesla T4"):
        assert published_peak(other) is None


def test_a_measured_peak_is_measured_once_and_leaves_the_threads_alone() -> None:
    threads = torch.get_num_threads()
    first = measured_peak("cpu", torch.float32)
    assert first > 1e8 and measured_peak("cpu", torch.float32) == first
    assert torch.get_num_threads() == threads


def test_the_share_counts_the_models_own_arithmetic() -> None:
    one = machine(TINY, "fp32", "cpu", 2, Placement())
    assert one.flop_per_token == flop_per_token(TINY) and (one.peak_is, one.precision) == ("measured", "float32")
    assert one.peak_flop_per_second == 2 * measured_peak("cpu", torch.float32)
    told = Machine("x", "float32", 2e6, 4e9, "measured").shares(1_000.0)
    assert told == {"FLOP/s": 2e9, "of peak": 0.5}


def test_machines_that_train_together_add_up() -> None:
    placement = Placement(engine="ddp", processes=2, machines=3, rendezvous="host:1")
    many, one = (machine(TINY, "fp32", "cpu", 1, where) for where in (placement, Placement()))
    assert many.peak_flop_per_second == pytest.approx(3 * one.peak_flop_per_second)
    assert many.name.startswith("3 x ")


def test_a_training_keeps_what_it_ran_on_outside_its_digest(tiny_run: Run) -> None:
    made = tiny_run.make("pretrain")
    assert made.json(MACHINE.removesuffix(".json"))["flop_per_token"] == flop_per_token(tiny_run.recipe.pretrain.model)
    assert MACHINE in made.manifest["volatile"]
