"""Training: golden losses, exact resuming after SIGKILL, accumulation, and what happens when numbers go wrong."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from codetextbook.errors import InputError, TrainingError
from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.train import checkpoint, loop
from codetextbook.train.loader import Sequences
from codetextbook.train.loop import Data, Trained, train
from codetextbook.train.settings import Training

TINY = PhiConfig(vocabulary=64, layers=2, hidden=32, heads=2, mlp=64, rotary_dims=8, context=32)
SETTINGS = Training(
    steps=30,
    batch_sequences=4,
    micro_batch_sequences=4,
    warmup_steps=5,
    dropout=0.1,
    precision="fp32",
    validate_every_steps=10,
    validation_sequences=4,
)


def data() -> Data:
    """A sequence that can be learnt: each token follows from the two before it."""
    tokens = np.zeros(4_000, dtype=np.uint16)
    tokens[:2] = 3, 5
    for place in range(2, len(tokens)):
        tokens[place] = (tokens[place - 1] * 5 + tokens[place - 2] + 1) % 64
    return Data(Sequences(tokens[:3_600], 32, 0), Sequences(tokens[3_600:], 32, 0), 2.0)


def run(
    scratch: Path, settings: Training = SETTINGS, visit: Callable[[int, Callable[[], Phi]], None] | None = None
) -> Trained:
    scratch.mkdir(parents=True, exist_ok=True)
    model = Phi(TINY).initialise(0)
    return train(model, settings, data(), device="cpu", threads=1, scratch=scratch, visit=visit)


def same_weights(first: Phi, second: Phi) -> bool:
    return all(
        torch.equal(one, other)
        for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_the_first_thirty_losses_are_golden(tmp_path: Path) -> None:
    losses = [row["loss"] for row in run(tmp_path).metrics]
    golden = json.loads((Path(__file__).parent / "golden_losses.json").read_text())
    assert losses == pytest.approx(golden, abs=2e-4)
    assert losses[-1] < losses[0]


def test_two_runs_are_equal_to_the_bit_and_another_seed_is_not(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a"), run(tmp_path / "b")
    assert first.metrics == second.metrics
    assert same_weights(first.model, second.model)
    other = run(tmp_path / "c", SETTINGS.replace({"seed": 1}))
    assert [row["loss"] for row in other.metrics] != [row["loss"] for row in first.metrics]


def _die_at(step: int, scratch: Path, settings: Training) -> None:
    """Train with a checkpoint after every step, and die by SIGKILL in the middle of one."""
    loop.CHECKPOINT_SECONDS = loop.CHECKPOINT_SHARE = 0.0
    loop.CHECKPOINT_SHARE = 1e9

    def visit(done: int, _: Callable[[], Phi]) -> None:
        if done == step:
            write = checkpoint.save_file

            def half(*args: object) -> None:
                write(*args)
                os.kill(os.getpid(), signal.SIGKILL)

            checkpoint.save_file = half

    run(scratch, settings, visit=visit)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_killed_at_any_step_even_while_saving_and_resumed_is_never_interrupted(tmp_path: Path, optimizer: str) -> None:
    settings = SETTINGS.replace({"optimizer": optimizer})
    whole = run(tmp_path / "whole", settings)
    for step in (1, 4, 9, 10, 17, 29):
        child = multiprocessing.get_context("spawn").Process(target=_die_at, args=(step, tmp_path / "killed", settings))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
    resumed = run(tmp_path / "killed", settings)
    assert resumed.metrics == whole.metrics
    assert same_weights(resumed.model, whole.model)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.write(tmp_path, step, {"x": torch.full((8,), float(step))}, {"rows": [], "skips": 0})
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == ["step-00000002", "step-00000003"]
    newest = tmp_path / "step-00000003.safetensors"
    damaged = bytearray(newest.read_bytes())
    damaged[-1] ^= 1
    newest.write_bytes(damaged)
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert (found.step, found.tensors["x"][0].item()) == (2, 2.0)


def test_accumulated_gradients_equal_those_of_one_batch(tmp_path: Path) -> None:
    plain = SETTINGS.replace({"dropout": 0.0, "steps": 8})
    whole = run(tmp_path / "whole", plain)
    pieces = run(tmp_path / "pieces", plain.replace({"micro_batch_sequences": 1}))
    for one, other in zip(whole.metrics, pieces.metrics, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-5)


def test_validation_is_measured_where_the_settings_say(tmp_path: Path) -> None:
    rows = run(tmp_path).metrics
    measured = [row["step"] for row in rows if "validation_loss" in row]
    assert measured == [10, 20, 30]
    last = rows[-1]
    assert last["bits_per_byte"] == pytest.approx(last["validation_loss"] / np.log(2) / 2.0)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_what_can_be_learnt_is_learnt(tmp_path: Path, optimizer: str) -> None:
    settings = SETTINGS.replace({"dropout": 0.0, "steps": 60, "learning_rate": 5e-3, "optimizer": optimizer})
    assert run(tmp_path, settings).metrics[-1]["validation_loss"] < 0.5 * np.log(64)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_bf16_follows_fp32(tmp_path: Path, optimizer: str) -> None:
    plain = SETTINGS.replace({"dropout": 0.0, "optimizer": optimizer})
    exact = run(tmp_path / "fp32", plain).metrics[-1]["validation_loss"]
    rounded = run(tmp_path / "bf16", plain.replace({"precision": "bf16"})).metrics[-1]["validation_loss"]
    assert rounded == pytest.approx(exact, abs=0.05)
    assert rounded != exact


def test_a_step_without_a_finite_gradient_changes_nothing_and_many_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = loop.next_token_loss
    calls = []

    def poisoned(*args: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return sound(*args) * (float("nan") if len(calls) == 2 else 1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "next_token_loss", poisoned)
    rows = run(tmp_path / "once", SETTINGS.replace({"steps": 6})).metrics
    assert [row["skipped"] for row in rows] == [False, True, False, False, False, False]
    assert rows[1]["loss"] is None
    monkeypatch.setattr(loop, "next_token_loss", lambda *args: sound(*args) * float("nan"))
    with pytest.raises(TrainingError, match="not finite for 20 steps in a row"):
        run(tmp_path / "always")


def test_weight_decay_reaches_matrices_alone(tmp_path: Path) -> None:
    still = {
        "learning_rate": 0.5,
        "weight_decay": 1.0,
        "steps": 1,
        "warmup_steps": 0,
        "dropout": 0.0,
        "clip_norm": 1e-12,
    }
    before = {name: weight.clone() for name, weight in Phi(TINY).initialise(0).state_dict().items()}
    after = run(tmp_path, SETTINGS.replace(still | {"epsilon": 1e3})).model.state_dict()
    halved = {name for name in before if before[name].abs().sum() and torch.allclose(after[name], before[name] / 2)}
    assert halved == {name for name in before if name.endswith("weight") and "norm" not in name and "embed" not in name}


def test_every_sequence_is_seen_once_an_epoch(tmp_path: Path) -> None:
    loader = Sequences(np.arange(321, dtype=np.uint16), 32, 7)
    firsts = [int(loader.batch(step, 2).ids_bt[row, 0]) for step in range(5) for row in range(2)]
    assert sorted(firsts) == list(range(0, 320, 32))
    assert firsts != sorted(firsts)
    batch = loader.batch(0, 2)
    assert torch.equal(batch.targets_bt[:, :-1], batch.ids_bt[:, 1:])
    with pytest.raises(InputError, match="do not fill one sequence"):
        Sequences(np.arange(20, dtype=np.uint16), 32, 0)
