"""Nothing is lost: killed at any moment, on a full disk, out of memory, with a damaged checkpoint."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from debug_lesson import EVERY_STEP, SELDOM, SETTINGS, TINY, losses, run, same_weights

from codetextbook.errors import TrainingError
from codetextbook.model.phi import Phi
from codetextbook.train import checkpoint
from codetextbook.train.checkpoint import Rows
from codetextbook.train.loop import Keeping
from codetextbook.train.settings import Placement, Training

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["codetextbook.train.lesson", "torch._dynamo"])  # what a child would load for seconds


def in_a_process(work: Callable[..., None], *args: object) -> int | None:
    """Do it in a fresh process; its exit status."""
    child = FORKS.Process(target=work, args=args)
    child.start()
    child.join()
    return child.exitcode


def _die_at(step: int, writing: bool, scratch: Path, settings: Training) -> None:
    """Train with a checkpoint after every step, and die by SIGKILL at one, or in the middle of writing it."""
    write = checkpoint.save_file

    def half(tensors: dict[str, torch.Tensor], path: Path) -> None:
        write(tensors, path)
        os.truncate(path, path.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    def keep(done: int, _: Callable[[], Phi]) -> None:
        if done == step and writing:
            checkpoint.save_file = half
        elif done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    run(scratch, settings, EVERY_STEP, Keeping(1, keep))


@pytest.mark.timeout(2_400)
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_killed_twenty_times_even_while_saving_and_resumed_is_never_interrupted(tmp_path: Path, optimizer: str) -> None:
    settings = SETTINGS.replace({"optimizer": optimizer})
    whole = run(tmp_path / "whole", settings)
    draw = random.Random(optimizer)
    for step in sorted(draw.sample(range(1, 30), 20)):
        died = in_a_process(_die_at, step, draw.random() < 0.5, tmp_path / "killed", settings)
        assert died == -signal.SIGKILL
    resumed = run(tmp_path / "killed", settings)
    assert resumed.metrics == whole.metrics
    assert same_weights(resumed.model, whole.model)


@pytest.mark.parametrize("damage", ["a bit", "the end"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_and_that_is_said(tmp_path: Path, damage: str) -> None:
    whole = run(tmp_path, SETTINGS, EVERY_STEP)
    assert sorted({path.name.partition(".")[0] for path in tmp_path.glob("step-*")}) == [
        "step-00000029",
        "step-00000030",
    ]
    newest = tmp_path / "step-00000030.0-of-1.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= damage == "a bit"
    newest.write_bytes(content if damage == "a bit" else content[:-1])
    with pytest.warns(RuntimeWarning, match="step 30 is damaged .*the one before it is used"):
        again = run(tmp_path)
    assert again.metrics == whole.metrics
    assert same_weights(again.model, whole.model)


def test_rows_written_by_three_processes_are_read_by_two(tmp_path: Path) -> None:
    table = torch.arange(21.0).view(7, 3)
    for rank, (first, stop) in enumerate([(0, 3), (3, 6), (6, 7)]):
        assert checkpoint.newest(tmp_path) is None
        checkpoint.write(tmp_path, 5, {"t": Rows(table[first:stop], first)}, {}, rank, 3)
    found = checkpoint.newest(tmp_path)
    assert found is not None
    for first, stop in ((0, 4), (4, 7)):
        assert torch.equal(found.tensors({"t": (first, stop)})["t"], table[first:stop])


def _train_on_a_full_disk(scratch: Path) -> None:
    """No file may grow over 4 kB until step 20: what a full disk does, for this process alone."""
    fits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def keep(done: int, _: Callable[[], Phi]) -> None:
        if done in (10, 20):
            resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, fits[1]) if done == 10 else fits)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        trained = run(scratch, SETTINGS, EVERY_STEP, Keeping(1, keep))
    told = [str(warning.message) for warning in said]
    (scratch / "told.json").write_text(json.dumps({"losses": losses(trained), "told": told}))


def test_on_a_full_disk_training_goes_on_says_so_and_saves_again_when_there_is_room(tmp_path: Path) -> None:
    assert in_a_process(_train_on_a_full_disk, tmp_path) == 0
    found = json.loads((tmp_path / "told.json").read_text())
    assert found["losses"] == losses(run(tmp_path / "usual"))
    failed = [said for said in found["told"] if "no checkpoint could be written" in said]
    assert 9 <= len(failed) <= 11
    newest = checkpoint.newest(tmp_path)
    assert newest is not None
    assert newest.step == 30


def _train_with_little_memory(scratch: Path, megabytes: int) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 1_000_000, resource.RLIM_INFINITY))
    wide = TINY.replace({"vocabulary": 1_024, "hidden": 128, "mlp": 2_048, "context": 512})
    greedy = SETTINGS.replace(
        {"batch_sequences": 64, "micro_batch_sequences": 64, "dropout": 0.0, "steps": 1, "warmup_steps": 0}
    )
    try:
        run(scratch, greedy, model=wide)
    except TrainingError as error:
        (scratch / "told.json").write_text(json.dumps([error.what, error.where, error.hint]))


def test_out_of_memory_names_a_batch_that_fits_and_it_does(tmp_path: Path) -> None:
    assert in_a_process(_train_with_little_memory, tmp_path, 400) == 0
    what, where, hint = json.loads((tmp_path / "told.json").read_text())
    assert "memory ran out" in what
    assert where == "micro_batch_sequences = 64"
    assert "fits, by trial" in hint
    assert 1 <= int(hint.split()[2]) < 64


def test_checkpoints_are_written_by_steps_and_by_minutes(tmp_path: Path) -> None:
    run(tmp_path / "steps", SETTINGS, Placement(save_every_minutes=SELDOM, save_every_steps=20))
    assert {path.name.partition(".")[0] for path in (tmp_path / "steps").glob("step-*")} == {"step-00000020"}
    run(tmp_path / "minutes", SETTINGS, Placement(save_every_minutes=1e-9))
    assert any((tmp_path / "minutes").glob("step-*"))
    run(tmp_path / "never", SETTINGS, Placement(save_every_minutes=SELDOM))
    assert not any((tmp_path / "never").glob("step-*"))
