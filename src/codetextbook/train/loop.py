"""The training loop: batches in, a trained model and its metrics out; resumes bit for bit where it was killed (paper §2.3).

What a step does follows from the settings and its number: sequences, learning rate and dropout are drawn from seed and step. Progress is
kept in checkpoints, at most 2 % of the time being spent on writing them. A step whose gradient is not finite changes nothing and is
counted; too many in a row end the training. Equal bits hold for one machine, one torch and one number of threads.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from codetextbook.errors import TrainingError
from codetextbook.model.phi import Phi
from codetextbook.train import checkpoint
from codetextbook.train.loader import Sequences
from codetextbook.train.loss import next_token_loss
from codetextbook.train.memory import keep_freed_memory
from codetextbook.train.optimizer import Masters
from codetextbook.train.precision import choose, resolve_device
from codetextbook.train.schedule import learning_rate
from codetextbook.train.settings import Training

SKIPS_IN_A_ROW = 20
CHECKPOINT_SECONDS = 30.0
CHECKPOINT_SHARE = 0.02
"""Share of the time that writing checkpoints may take."""

METRICS = pa.schema(
    [
        ("step", pa.int64()),
        ("tokens", pa.int64()),
        ("loss", pa.float64()),
        ("learning_rate", pa.float64()),
        ("gradient_norm", pa.float64()),
        ("validation_loss", pa.float64()),
        ("bits_per_byte", pa.float64()),
        ("skipped", pa.bool_()),
    ]
)
"""One optimizer step, counted from 1; losses in nats a token. Validation is null where it was not measured."""


@dataclass(frozen=True)
class Data:
    """What is learnt from, and what is measured on."""

    train: Sequences
    validation: Sequences | None
    validation_bytes_per_token: float


class Trained(NamedTuple):
    """A model in full precision and the rows of METRICS."""

    model: Phi
    metrics: list[dict[str, Any]]


Progress = Callable[[int, int, dict[str, float]], None]
"""Told (steps done, steps in all, facts)."""
Visitor = Callable[[int, Callable[[], Phi]], None]
"""Told each step that is done, with a way to get the model as it is then, in full precision."""


def train(
    model: Phi,
    settings: Training,
    data: Data,
    *,
    device: str,
    threads: int,
    scratch: Path,
    progress: Progress | None = None,
    visit: Visitor | None = None,
) -> Trained:
    """Train for `settings.steps` steps, going on from the newest checkpoint in `scratch` if there is one.

    Raises:
        TrainingError: the gradients stay not finite; memory ran out; the device is not there.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    place = resolve_device(device)
    devices = [torch.cuda.current_device()] if place == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            return _Loop(model.to(place), settings, data, place, scratch).run(progress, visit)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "the GPU's memory ran out",
            where=f"micro_batch_sequences = {settings.micro_batch_sequences}",
            hint="a smaller micro_batch_sequences; the batch stays the same",
        ) from error


class _Loop:
    def __init__(self, model: Phi, settings: Training, data: Data, device: str, scratch: Path) -> None:
        self.model, self.settings, self.data, self.device, self.scratch = model, settings, data, device, scratch
        self.masters = Masters(model, settings, choose(settings.precision, device))
        self.rows: list[dict[str, Any]] = []
        self.skips = 0
        self.schedule_steps = settings.schedule_steps or settings.steps
        self.micro = min(settings.micro_batch_sequences, settings.batch_sequences)

    def run(self, progress: Progress | None, visit: Visitor | None) -> Trained:
        start = self._resume()
        began = saved = time.monotonic()
        cost = 0.0
        for step in range(start, self.settings.steps):
            row = self._step(step)
            self.rows.append(row)
            self._log(row, time.monotonic() - began)
            if visit is not None:
                visit(step + 1, self._full)
            if progress is not None:
                rate = (step + 1 - start) * self._tokens_per_step / (time.monotonic() - began)
                progress(step + 1, self.settings.steps, {"loss": row["loss"], "tokens/s": rate} | _told(row))
            if time.monotonic() - saved > max(CHECKPOINT_SECONDS, cost / CHECKPOINT_SHARE):
                before = time.monotonic()
                self._save(step + 1)
                saved = time.monotonic()
                cost = saved - before
        return Trained(self._full(), self.rows)

    @property
    def _tokens_per_step(self) -> int:
        return self.settings.batch_sequences * self.data.train.context

    def _step(self, step: int) -> dict[str, Any]:
        settings = self.settings
        batch = self.data.train.batch(step, settings.batch_sequences)
        pieces = settings.batch_sequences // self.micro
        loss = 0.0
        for piece in range(pieces):
            torch.manual_seed(_drawn(settings.seed, step, piece))
            some = slice(piece * self.micro, (piece + 1) * self.micro)
            part = self._loss(batch.ids_bt[some], batch.targets_bt[some], settings.dropout)
            (part / pieces).backward()
            self.masters.collect()
            loss += float(part.detach()) / pieces
        rate = learning_rate(
            step, peak=settings.learning_rate, warmup_steps=settings.warmup_steps, schedule_steps=self.schedule_steps
        )
        norm = self.masters.step(rate)
        skipped = not math.isfinite(norm)
        self.skips = self.skips + 1 if skipped else 0
        if self.skips >= SKIPS_IN_A_ROW:
            raise TrainingError(
                f"the gradient was not finite for {self.skips} steps in a row",
                where=f"step {step + 1}",
                hint='a lower learning_rate, a longer warm-up, or precision = "fp32"',
            )
        row = {
            "step": step + 1,
            "tokens": (step + 1) * self._tokens_per_step,
            "loss": loss if math.isfinite(loss) else None,
            "learning_rate": rate,
            "gradient_norm": None if skipped else norm,
            "skipped": skipped,
        }
        if (step + 1) % settings.validate_every_steps == 0 or step + 1 == settings.steps:
            row |= self._validate()
        return row

    def _loss(self, ids_bt: torch.Tensor, targets_bt: torch.Tensor, dropout: float) -> torch.Tensor:
        states = self.model.hidden_states(ids_bt.to(self.device), dropout=dropout)
        return next_token_loss(states.flatten(0, 1), self.model.head, targets_bt.reshape(-1).to(self.device))

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        held = self.data.validation
        if held is None:
            return {}
        count = min(self.settings.validation_sequences, len(held))
        total = 0.0
        for first in range(0, count, self.micro):
            places = list(range(first, min(first + self.micro, count)))
            batch = held.at(places)
            total += float(self._loss(batch.ids_bt, batch.targets_bt, 0.0)) * len(places)
        loss = total / count
        return {
            "validation_loss": loss,
            "bits_per_byte": loss / math.log(2) / self.data.validation_bytes_per_token,
        }

    def _full(self) -> Phi:
        with torch.device("meta"):
            copy = Phi(self.model.config)
        copy.load_state_dict({name: weight.clone() for name, weight in self.masters.as_saved().items()}, assign=True)
        return copy.eval()

    def _save(self, step: int) -> None:
        checkpoint.write(self.scratch, step, self.masters.state(), {"rows": self.rows, "skips": self.skips})

    def _resume(self) -> int:
        found = checkpoint.newest(self.scratch)
        if found is None:
            return 0
        self.masters.restore(found.tensors)
        self.rows, self.skips = list(found.notes["rows"]), int(found.notes["skips"])
        return found.step

    def _log(self, row: dict[str, Any], seconds: float) -> None:
        with (self.scratch / "metrics.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(row | {"seconds_since_start": round(seconds, 3)}) + "\n")


def _told(row: dict[str, Any]) -> dict[str, float]:
    """What whoever follows is told of a step beside its loss, as far as it was measured."""
    names = ("learning_rate", "gradient_norm", "validation_loss", "bits_per_byte")
    return {name: row[name] for name in names if row.get(name) is not None}


def _drawn(*numbers: int) -> int:
    """A seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
