"""Training: golden losses, accumulation, number formats, and what happens when numbers go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from debug_lesson import GOLDEN, ROUNDING, SELDOM, SETTINGS, TINY, losses, run, same_weights

from codetextbook.errors import InputError, TrainingError
from codetextbook.model.phi import Phi
from codetextbook.train import loss
from codetextbook.train.loader import Sequences
from codetextbook.train.precision import SCALE_DOUBLES_AFTER, LossScale
from codetextbook.train.settings import Placement


def test_the_first_thirty_losses_are_golden(tmp_path: Path) -> None:
    found = losses(run(tmp_path))
    assert found == pytest.approx(GOLDEN, abs=ROUNDING)
    assert found[-1] < found[0]


def test_two_runs_are_equal_to_the_bit_and_another_seed_is_not(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a"), run(tmp_path / "b")
    assert first.metrics == second.metrics
    assert same_weights(first.model, second.model)
    other = run(tmp_path / "c", SETTINGS.replace({"seed": 1}))
    assert losses(other) != losses(first)


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


def test_fp16_follows_fp32_and_a_step_that_overflows_is_counted_and_halves_the_scale(tmp_path: Path) -> None:
    plain = SETTINGS.replace({"dropout": 0.0, "steps": 8})
    exact = run(tmp_path / "fp32", plain)
    found = run(tmp_path / "fp16", plain.replace({"precision": "fp16"}))
    assert [row["skipped"] for row in found.metrics] == [False] * 8
    assert all(np.isfinite(row["gradient_norm"]) for row in found.metrics)
    assert losses(found) == pytest.approx(losses(exact), abs=0.01)
    assert losses(found) != losses(exact)
    log = [json.loads(line) for line in (tmp_path / "fp16" / "metrics.jsonl").read_text().splitlines()]
    assert {row["loss_scale"] for row in log} == {65_536.0}


def test_fp16_skips_until_the_scale_fits_and_goes_on_with_it_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.replace({"dropout": 0.0, "steps": 8, "precision": "fp16"})
    start = LossScale.__init__

    def too_large(self: LossScale, dtype: torch.dtype) -> None:
        start(self, dtype)
        self.value = 2.0**24

    monkeypatch.setattr(LossScale, "__init__", too_large)
    rows = run(tmp_path / "whole", settings, Placement(save_every_minutes=SELDOM, save_every_steps=4)).metrics
    skips = [row["skipped"] for row in rows]
    assert skips[0]
    assert not any(skips[skips.index(False) :])
    log = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert log[-1]["loss_scale"] == 2.0 ** (24 - sum(skips))
    for part in (tmp_path / "whole").glob("step-00000008*"):
        part.unlink()
    monkeypatch.undo()
    assert run(tmp_path / "whole", settings).metrics == rows


def test_the_loss_scale_doubles_after_a_long_calm() -> None:
    scale = LossScale(torch.float16)
    for _ in range(SCALE_DOUBLES_AFTER):
        scale.update(finite=True)
    assert scale.value == 2 * 65_536


def test_a_step_without_a_finite_gradient_changes_nothing_and_many_end_the_training_with_the_batch_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = loss.next_token_loss
    calls = []

    def poisoned(*args: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return sound(*args) * (float("nan") if len(calls) == 4 else 1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(loss, "next_token_loss", poisoned)
    rows = run(tmp_path / "once", SETTINGS.replace({"steps": 6})).metrics
    assert [row["skipped"] for row in rows] == [False, True, False, False, False, False]
    assert rows[1]["loss"] is None
    monkeypatch.setattr(loss, "next_token_loss", lambda *args: sound(*args) * float("nan"))
    with pytest.raises(TrainingError, match=r"not finite for 20 steps in a row: .* first embed.weight") as told:
        run(tmp_path / "always")
    kept = Path(told.value.where.rpartition(" ")[2])
    batch = Sequences(np.load(tmp_path / "always/packed/train-00000.npy"), TINY.context, 0).batch(19, 4)
    assert np.array_equal(np.load(kept)["ids"], batch.ids_bt.numpy())


def test_recomputing_keeps_less_and_leaves_every_bit(tmp_path: Path) -> None:
    kept: list[int] = []

    def count(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    settings = SETTINGS.replace({"steps": 3, "warmup_steps": 0})
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        usual = run(tmp_path / "usual", settings)
        whole = sum(kept)
        kept.clear()
        recomputed = run(tmp_path / "recomputed", settings, Placement(recompute=True))
    assert losses(recomputed) == losses(usual)
    assert sum(kept) < whole / 2


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch.compile's own look
def test_compiled_blocks_learn_the_same_dropout_included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SETTINGS.replace({"steps": 3, "warmup_steps": 0, "dropout": 0.1})
    usual = run(tmp_path / "usual", settings)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    compiled = run(tmp_path / "compiled", settings, Placement(compiled=True))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
    assert losses(compiled) == pytest.approx(losses(usual), rel=1e-5)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrainingError, match="no C\\+\\+ compiler"):
        run(tmp_path / "without", settings, Placement(compiled=True))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_blocks_learn_the_same_in_bf16_without_dropout(tmp_path: Path) -> None:
    settings = SETTINGS.replace({"steps": 3, "warmup_steps": 0, "dropout": 0.0, "precision": "bf16"})
    usual = run(tmp_path / "usual", settings)
    compiled = run(tmp_path / "compiled", settings, Placement(compiled=True))
    assert losses(compiled) == pytest.approx(losses(usual), rel=2e-2)


def test_what_the_model_writes_on_the_way_is_shown_and_changes_nothing(tmp_path: Path) -> None:
    usual = run(tmp_path / "usual")
    shown = run(tmp_path / "shown", placement=Placement(sample_every_steps=10))
    assert losses(shown) == losses(usual) and same_weights(shown.model, usual.model)
    log = [json.loads(line) for line in (tmp_path / "shown" / "metrics.jsonl").read_text().splitlines()]
    found = {row["step"]: row["sample"] for row in log if "sample" in row}
    assert list(found) == [10, 20, 30]
    ids = found[30]
    half = TINY.context // 2
    assert len(ids) == 2 * half and ids[:half] == found[10][:half]
    with torch.no_grad():
        likeliest = shown.model(torch.tensor([ids[:-1]])).argmax(-1)[0, half - 1 :]
    assert likeliest.tolist() == ids[half:]


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
