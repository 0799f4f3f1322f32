"""A model and a lesson small enough to be taught in a second, shared by the tests of training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.store import Artifact
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


def losses(trained: Trained) -> list[float]:
    """Loss of each step."""
    return [row["loss"] for row in trained.metrics]


def same_weights(first: Phi, second: Phi) -> bool:
    """Whether two models are equal to the bit."""
    return all(
        torch.equal(one, other)
        for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
