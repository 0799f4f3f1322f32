"""Many processes by a real torchrun: the golden losses on every engine, one process killed, and other numbers of processes after a stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from debug_lesson import GOLDEN, ROUNDING, SELDOM, SETTINGS, TINY, losses, packed, run

from codetextbook.errors import ConfigError, TrainingError
from codetextbook.model.phi import Phi
from codetextbook.site import Site
from codetextbook.train.group import Group
from codetextbook.train.launch import Job, launch
from codetextbook.train.loop import Keeping, Trained
from codetextbook.train.parallel import learner
from codetextbook.train.settings import Placement, Training


def by_torchrun(
    scratch: Path, placement: Placement, settings: Training = SETTINGS, keeping: Keeping | None = None
) -> Trained:
    """Teach the debug model by processes of torchrun."""
    scratch.mkdir(parents=True, exist_ok=True)
    every = keeping.every_steps if keeping else None
    job = Job(settings, TINY, packed(scratch / "packed").folder, placement, "cpu", 2, every)
    return launch(job, Phi(TINY).initialise(0), scratch, None, keeping)


def workers(scratch: Path) -> list[int]:
    """Processes of torchrun that train in this folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        if b"codetextbook.train.worker" in words and str(scratch).encode() in words and b"-u" in words:
            found.append(int(line.parent.name))
    return found


@pytest.mark.timeout(2_400)
def test_two_processes_give_the_golden_losses_even_when_one_is_killed(tmp_path: Path) -> None:
    killed, kept = [], []

    def kill_one() -> None:
        log = tmp_path / "metrics.jsonl"
        while not log.exists() or log.read_bytes().count(b"\n") < 8:
            time.sleep(0.01)
        killed.append(workers(tmp_path)[-1])
        os.kill(killed[0], signal.SIGKILL)

    def keep(step: int, current: Callable[[], Phi]) -> None:
        kept.append((step, current().embed.weight.shape))

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    slow = SETTINGS.replace({"validate_every_steps": 1, "validation_sequences": 12})  # so that it is caught midway
    placement = Placement(engine="ddp", processes=2, save_every_minutes=SELDOM, save_every_steps=2, restarts=1)
    trained = by_torchrun(tmp_path, placement, slow, Keeping(1, keep))
    killer.join(timeout=60)
    assert killed
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
