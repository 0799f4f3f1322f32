"""Many processes by a real torchrun: the golden losses on every engine, one process killed, and other numbers of processes after a stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
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

from codetextbook.errors import ConfigError, TrainingError
from codetextbook.model.phi import Phi
from codetextbook.site import Site
from codetextbook.train.group import Group
from codetextbook.train.loop import Keeping
from codetextbook.train.parallel import learner
from codetextbook.train.settings import Placement


@pytest.mark.timeout(2_400)
def test_two_processes_give_the_golden_losses_even_when_one_is_killed(tmp_path: Path) -> None:
    kept = []

    def keep(step: int, current: Callable[[], Phi]) -> None:
        kept.append((step, current().embed.weight.shape))

    slow = SETTINGS.replace({"validate_every_steps": 1, "validation_sequences": 12})  # so that it is caught midway
    placement = Placement(engine="ddp", processes=2, save_every_minutes=SELDOM, save_every_steps=2, restarts=1)
    with killed_after(tmp_path, steps=8):
        trained = by_torchrun(tmp_path, placement, slow, Keeping(1, keep))
    assert losses(trained) == pytest.approx(GOLDEN, abs=ROUNDING)
    assert sorted(set(kept)) == [(step, (64, 32)) for step in range(1, 31)]
    assert workers(tmp_path) == []


@pytest.mark.timeout(2_400)
def test_fsdp2_goes_on_from_one_process_and_one_process_from_fsdp2(tmp_path: Path) -> None:
    every_ten = Placement(save_every_minutes=SELDOM, save_every_steps=10)
    run(tmp_path, SETTINGS.replace({"steps": 10, "schedule_steps": 30}), every_ten)
    assert len(list(tmp_path.glob("step-00000010.*.json"))) == 1
    sharded = by_torchrun(
        tmp_path, Placement(engine="fsdp2", processes=2, save_every_minutes=SELDOM, save_every_steps=10)
    )
    assert losses(sharded) == pytest.approx(GOLDEN, abs=ROUNDING)
    halves = [path.stat().st_size for path in tmp_path.glob("step-00000020.*.safetensors")]
    assert len(halves) == 2
    for part in tmp_path.glob("step-00000030.*"):
        part.unlink()
    alone = run(tmp_path)
    assert losses(alone) == pytest.approx(GOLDEN, abs=ROUNDING)
    assert losses(alone)[:20] == losses(sharded)[:20]


def test_what_does_not_go_together_is_refused_with_what_would() -> None:
    model, dtype = Phi(TINY), Phi(TINY).embed.weight.dtype
    with pytest.raises(TrainingError, match="2 pieces, which 3 processes cannot share evenly"):
        learner(model, SETTINGS, dtype, Placement(engine="ddp", processes=3), Group(0, 3))
    with pytest.raises(TrainingError, match='Muon needs whole matrices.*engine = "ddp"'):
        learner(model, SETTINGS.replace({"optimizer": "muon"}), dtype, Placement(engine="fsdp2"), Group())
    for wrong in ({"processes": 2}, {"engine": "ddp", "machines": 2}):
        with pytest.raises(ConfigError):
            Site.parse({"training": wrong}, where="site.toml")
