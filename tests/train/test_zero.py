"""DeepSpeed: two processes at every stage give the golden losses, one of them killed on the way; what overflows changes nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from debug_lesson import (
    GOLDEN,
    ROUNDING,
    SELDOM,
    SETTINGS,
    TINY,
    by_torchrun,
    killed_after,
    losses,
    run,
    workers,
)

from codetextbook.errors import MissingDependency, TrainingError
from codetextbook.model.phi import Phi
from codetextbook.train import loss
from codetextbook.train.group import Group
from codetextbook.train.parallel import learner
from codetextbook.train.settings import Placement

STAGES = (1, 2, 3)
SHORT = SETTINGS.replace({"dropout": 0.0, "steps": 6})


def on_two(stage: int) -> Placement:
    """Two processes of DeepSpeed."""
    return Placement(engine="deepspeed", zero_stage=stage, processes=2, save_every_minutes=SELDOM)


@pytest.mark.timeout(2_400)
@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_one_killed_give_the_golden_losses_and_one_process_goes_on_from_theirs(
    tmp_path: Path, stage: int
) -> None:
    slow = SETTINGS.replace({"validate_every_steps": 1, "validation_sequences": 12})  # so that it is caught midway
    with killed_after(tmp_path, steps=8):
        trained = by_torchrun(tmp_path, on_two(stage).replace({"save_every_steps": 2, "restarts": 1}), slow)
    assert losses(trained) == pytest.approx(GOLDEN, abs=ROUNDING)
    assert workers(tmp_path) == []
    for part in tmp_path.glob("step-00000030.*"):
        part.unlink()
    alone = run(tmp_path, slow)
    assert losses(alone) == pytest.approx(GOLDEN, abs=ROUNDING)
    assert losses(alone)[:28] == losses(trained)[:28]
    for name, weight in alone.model.state_dict().items():
        assert torch.allclose(weight, trained.model.state_dict()[name], atol=1e-5)


def by_two(work: Callable[[Path, int], object], folder: Path) -> list[object]:
    """What two processes of one group return, each given the folder and its number."""
    fresh = multiprocessing.get_context("spawn")
    children = [fresh.Process(target=_one_of_two, args=(work, folder, rank)) for rank in (0, 1)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def _one_of_two(work: Callable[[Path, int], object], folder: Path, rank: int) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", OMP_NUM_THREADS="1")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = work(folder, rank)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def _overflow(folder: Path, rank: int) -> list[object]:
    """At each stage: which steps were skipped when one gradient of the second process was not finite, and what is said when all are."""
    sound, found = loss.next_token_loss, []
    for stage in STAGES:
        calls: list[int] = []

        def once(*args: torch.Tensor, calls: list[int] = calls) -> torch.Tensor:
            calls.append(1)
            return sound(*args) * (float("nan") if rank == 1 and len(calls) == 2 else 1.0)  # type: ignore[arg-type]

        loss.next_token_loss = once
        rows = run(folder / f"once-{stage}-{rank}", SHORT, on_two(stage)).metrics
        loss.next_token_loss = lambda *args: sound(*args) * (float("nan") if rank == 1 else 1.0)
        try:
            run(folder / f"always-{stage}-{rank}", SETTINGS, on_two(stage))
        except TrainingError as error:
            found.append([[row["skipped"] for row in rows], error.what])
        loss.next_token_loss = sound
    return found


@pytest.mark.timeout(1_200)
def test_a_gradient_that_is_not_finite_on_one_process_skips_the_step_on_all_and_many_name_the_weights(
    tmp_path: Path,
) -> None:
    for told in by_two(_overflow, tmp_path):
        assert len(told) == len(STAGES)
        for skipped, what in told:
            assert skipped == [False, True, False, False, False, False]
            assert "not finite for 20 steps in a row" in what
            assert "21 weights' gradients, first embed.weight" in what


def _numbers(folder: Path, rank: int) -> dict[str, object]:
    """At each stage: losses in bf16, and the gradient's norm and a weight after one step with the loss scaled up and without."""
    found: dict[str, object] = {}
    for stage in STAGES:
        rounded = SHORT.replace({"precision": "bf16"})
        found[f"bf16 {stage}"] = losses(run(folder / f"{stage}-{rank}", rounded, on_two(stage)))
        ids_bt = torch.arange(64).view(2, 32)
        for scale in (1.0, 1_024.0):
            one = learner(Phi(TINY).initialise(0), SHORT, torch.float32, on_two(stage), Group(rank, 2))
            one.backward(one.loss(ids_bt, ids_bt, 0.0), 0.5, scale)
            norm = one.step(1e-3, scale)
            found[f"{scale:.0f} {stage}"] = [norm, *one.weights_saved()["blocks.0.norm.bias"].tolist()]
    return found


@pytest.mark.timeout(1_200)
def test_bf16_has_exact_masters_and_a_loss_scale_changes_no_step(tmp_path: Path) -> None:
    found, _ = by_two(_numbers, tmp_path)
    alone = losses(run(tmp_path / "alone", SHORT.replace({"precision": "bf16"})))
    for stage in STAGES:
        assert found[f"bf16 {stage}"] == pytest.approx(alone, abs=2e-3)
        assert found[f"1024 {stage}"] == pytest.approx(found[f"1 {stage}"], rel=1e-4)


def test_what_is_missing_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    with pytest.raises(MissingDependency, match="no DeepSpeed") as told:
        learner(Phi(TINY), SETTINGS, torch.float32, on_two(2), Group(0, 2))
    assert told.value.where == 'site.toml [training] engine = "deepspeed"'
    assert 'pip install "codetextbook[deepspeed]"' in told.value.hint
    with pytest.raises(TrainingError, match="no fp16 on CPUs"):
        learner(Phi(TINY), SETTINGS, torch.float16, on_two(2), Group(0, 2))
