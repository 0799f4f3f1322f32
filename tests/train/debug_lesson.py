"""A model and a lesson small enough to be taught in a second, shared by the tests of training."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.store import Artifact
from codetextbook.train.launch import Job, launch
from codetextbook.train.lesson import Lesson
from codetextbook.train.loop import Data, Keeping, Trained, train
from codetextbook.train.settings import Placement, Training

TINY = PhiConfig(vocabulary=64, layers=2, hidden=32, heads=2, mlp=64, rotary_dims=8, context=32)
SETTINGS = Training(
    steps=30,
    batch_sequences=4,
    micro_batch_sequences=2,
    warmup_steps=5,
    dropout=0.1,
    precision="fp32",
    validate_every_steps=10,
    validation_sequences=4,
)
SELDOM = 600.0
"""Minutes between checkpoints that no test lasts."""
EVERY_STEP = Placement(save_every_steps=1, save_every_minutes=SELDOM)
GOLDEN: list[float] = json.loads((Path(__file__).parent / "golden_losses.json").read_text())
"""The first thirty losses of the debug model, in nats; every engine gives them to within ROUNDING."""
ROUNDING = 2e-4


def packed(folder: Path) -> Artifact:
    """A packed artifact whose sequence can be learnt: each token follows from the two before it."""
    tokens = np.zeros(4_000, dtype=np.uint16)
    tokens[:2] = 3, 5
    for place in range(2, len(tokens)):
        tokens[place] = (tokens[place - 1] * 5 + tokens[place - 2] + 1) % 64
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "train-00000.npy", tokens[:3_600])
    np.save(folder / "validation-00000.npy", tokens[3_600:])
    (folder / "manifest.json").write_text(json.dumps({"facts": {"validation_bytes_per_token": 2.0}}))
    return Artifact(folder)


def data(folder: Path, context: int) -> Data:
    """The same, ready to be taught."""
    return Lesson.of(packed(folder / "packed"), context=context, seed=0).data


def run(
    scratch: Path,
    settings: Training = SETTINGS,
    placement: Placement | None = None,
    keeping: Keeping | None = None,
    model: PhiConfig = TINY,
) -> Trained:
    """Teach it in this process."""
    scratch.mkdir(parents=True, exist_ok=True)
    return train(
        Phi(model).initialise(0),
        settings,
        data(scratch, model.context),
        device="cpu",
        threads=1,
        scratch=scratch,
        placement=placement,
        keeping=keeping,
    )


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


@contextlib.contextmanager
def killed_after(scratch: Path, steps: int) -> Iterator[None]:
    """Meanwhile, one of the workers in this folder gets a SIGKILL once so many steps are done; asserted at the end."""
    killed = []

    def kill_one() -> None:
        log = scratch / "metrics.jsonl"
        while not log.exists() or log.read_bytes().count(b"\n") < steps:
            time.sleep(0.01)
        killed.append(workers(scratch)[-1])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    yield
    killer.join(timeout=60)
    assert killed


def losses(trained: Trained) -> list[float]:
    """Loss of each step."""
    return [row["loss"] for row in trained.metrics]


def same_weights(first: Phi, second: Phi) -> bool:
    """Whether two models are equal to the bit."""
    return all(
        torch.equal(one, other)
        for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
