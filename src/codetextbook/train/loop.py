"""The training loop: batches in, a trained model and its metrics out; resumes bit for bit where it was killed (paper §2.3).

What a step does follows from the settings and its number: sequences, learning rate and dropout are drawn from seed and step. Progress is
kept in checkpoints, at most 2 % of the time being spent on writing them. A step whose gradient is not finite changes nothing and is
counted; too many in a row end the training, with the batch kept. Equal bits hold for one machine, one torch, one number of threads and of
processes; on other numbers losses agree to rounding.
"""

from __future__ import annotations

import gc
import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from codetextbook.errors import TrainingError
from codetextbook.model.phi import Cache, Phi
from codetextbook.train import checkpoint
from codetextbook.train.group import Group
from codetextbook.train.loader import Sequences
from codetextbook.train.memory import fitting_micro_batch, is_out_of_memory, keep_freed_memory
from codetextbook.train.parallel import learner
from codetextbook.train.precision import LossScale, choose, resolve_device
from codetextbook.train.schedule import learning_rate
from codetextbook.train.settings import Placement, Training

SKIPS_IN_A_ROW = 20
CHECKPOINT_SHARE = 0.02
"""Share of the time that writing checkpoints may take."""

SAMPLE_TOKENS = 48
"""Tokens of the validation array that a sample goes on from, and as many more."""

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


Progress = Callable[[int, int, dict[str, Any]], None]
"""Told (steps done, steps in all, facts): numbers, and now and then the ids of a `sample`."""
Keep = Callable[[int, Callable[[], Phi]], None]
"""Told a step that is to be kept, with a way to get the model as it is then, in full precision."""


@dataclass(frozen=True)
class Keeping:
    """Models to be kept on the way: after every so many steps, and after the last."""

    every_steps: int
    keep: Keep


def train(
    model: Phi,
    settings: Training,
    data: Data,
    *,
    device: str,
    threads: int,
    scratch: Path,
    placement: Placement | None = None,
    progress: Progress | None = None,
    keeping: Keeping | None = None,
) -> Trained:
    """Train for `settings.steps` steps, going on from the newest checkpoint in `scratch` if there is one.

    Raises:
        TrainingError: the gradients stay not finite; memory ran out; the device is not there.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    place = resolve_device(device)
    placement = placement or Placement()
    devices = [torch.cuda.current_device()] if place == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            return _Loop(model.to(place), settings, data, place, scratch, placement).run(progress, keeping)
    except (RuntimeError, MemoryError) as error:  # torch's out-of-memory errors are RuntimeErrors
        if not is_out_of_memory(error):
            raise
        told = str(error).splitlines()[0][:200]
    model.zero_grad(set_to_none=True)
    model.to("cpu")
    gc.collect()  # what the failed step held is free only now, outside the except block
    micro = min(settings.micro_batch_sequences, settings.batch_sequences)
    fits = None
    if placement.engine in ("one", "ddp"):
        fits = fitting_micro_batch(
            model.config, settings, choose(settings.precision, place), place, placement.recompute
        )
    tried = f"micro_batch_sequences = {fits} fits, by trial" if fits else "a smaller model: not even one sequence fits"
    untried = f"micro_batch_sequences = {max(1, micro // 2)}"
    raise TrainingError(
        f"memory ran out ({told})",
        where=f"micro_batch_sequences = {micro}",
        hint=f"{tried if placement.engine in ('one', 'ddp') else untried}; or recompute = true in site.toml [training]",
    )


class _Loop:
    def __init__(
        self, model: Phi, settings: Training, data: Data, device: str, scratch: Path, placement: Placement
    ) -> None:
        self.config, self.settings, self.data, self.device, self.scratch = model.config, settings, data, device, scratch
        self.placement, self.group = placement, Group.joined(device)
        dtype = choose(settings.precision, device)
        self.learner = learner(model, settings, dtype, placement, self.group)
        self.scale = LossScale(dtype)
        self.saver = checkpoint.Saver(scratch, self.group)
        self.rows: list[dict[str, Any]] = []
        self.skips = 0
        self.schedule_steps = settings.schedule_steps or settings.steps
        self.micro = min(settings.micro_batch_sequences, settings.batch_sequences)

    def run(self, progress: Progress | None, keeping: Keeping | None) -> Trained:
        start = self._resume()
        began = self.saved = time.monotonic()
        try:
            for step in range(start, self.settings.steps):
                row = self._step(step)
                self.rows.append(row)
                done = step + 1
                every = self.placement.sample_every_steps
                sample = {"sample": self._sample()} if every and done % every == 0 else {}
                self._log(row | sample, time.monotonic() - began)
                if keeping is not None and (done % keeping.every_steps == 0 or done == self.settings.steps):
                    keeping.keep(done, self._full)
                if progress is not None:
                    rate = (done - start) * self._tokens_per_step / (time.monotonic() - began)
                    progress(done, self.settings.steps, {"loss": row["loss"], "tokens/s": rate} | _told(row | sample))
                if self._due(done):
                    self.saver.save(done, self.learner.state, self._notes())
                    self.saved = time.monotonic()
            self.saver.settle(self.settings.steps)
        finally:
            self.saver.close()
        return Trained(self._full(), self.rows)

    @property
    def _tokens_per_step(self) -> int:
        return self.settings.batch_sequences * self.data.train.context

    def _step(self, step: int) -> dict[str, Any]:
        settings, rank, world = self.settings, self.group.rank, self.group.world
        pieces = settings.batch_sequences // self.micro
        mine = range(rank * pieces // world, (rank + 1) * pieces // world)
        batch = self.data.train.batch(step, settings.batch_sequences, mine.start * self.micro, mine.stop * self.micro)
        loss = 0.0
        for place, piece in enumerate(mine):
            torch.manual_seed(_drawn(settings.seed, step, piece))
            some = slice(place * self.micro, (place + 1) * self.micro)
            part = self._loss(batch.ids_bt[some], batch.targets_bt[some], settings.dropout)
            self.learner.backward(part, 1 / pieces, self.scale.value)
            loss += float(part.detach()) / pieces
        (loss,) = self.group.total([loss])
        rate = learning_rate(
            step, peak=settings.learning_rate, warmup_steps=settings.warmup_steps, schedule_steps=self.schedule_steps
        )
        norm = self.learner.step(rate, self.scale.value)
        skipped = not math.isfinite(norm)
        self.skips = self.skips + 1 if skipped else 0
        if self.skips >= SKIPS_IN_A_ROW:
            raise self._never_finite(step, loss, batch)
        self.learner.clear()
        self.scale.update(finite=not skipped)
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
        return self.learner.loss(ids_bt.to(self.device), targets_bt.to(self.device), dropout)

    def _never_finite(self, step: int, loss: float, batch: Any) -> TrainingError:
        """What to say when steps stay not finite; the batch of the last one is kept for looking at."""
        kept = self.scratch / f"not-finite-step-{step + 1:08d}.{self.group.rank}.npz"
        np.savez(kept, ids=batch.ids_bt.numpy(), targets=batch.targets_bt.numpy())
        weights = self.learner.not_finite()
        return TrainingError(
            f"the gradient was not finite for {self.skips} steps in a row: the loss is {loss:.4g}, and so are "
            f"{len(weights)} weights' gradients, first {weights[0] if weights else 'none here'}",
            where=f"step {step + 1}, whose batch is kept in {kept}",
            hint='a lower learning_rate, a longer warm-up, or precision = "fp32"',
        )

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

    @torch.no_grad()
    def _sample(self) -> list[int]:
        """The beginning of the validation array and what the model writes after it, each time the likeliest token: as ids."""
        model = self._full()  # all have to ask
        if self.group.rank:
            return []
        config, source = model.config, self.data.validation or self.data.train
        ids = source.at([0]).ids_bt[0, : min(SAMPLE_TOKENS, config.context // 2)].tolist()
        cache, new = Cache(config, 1, 2 * len(ids), model.embed.weight), list(ids)
        for _ in range(len(ids)):
            states_btd = model.hidden_states(torch.tensor([new]), cache=cache)
            cache.lengths[0] += len(new)
            new = [int(model.head(states_btd[0, -1]).argmax())]
            ids += new
        return ids

    def _full(self) -> Phi:
        with torch.device("meta"):
            copy = Phi(self.config)
        copy.load_state_dict(self.learner.weights_saved(), assign=True)
        return copy.eval()

    def _due(self, step: int) -> bool:
        """Whether a checkpoint is to be written now; the first process decides for all."""
        every = self.placement.save_every_steps
        if every is not None and step % every == 0:
            return True
        calm = max(60 * self.placement.save_every_minutes, self.saver.cost / CHECKPOINT_SHARE)
        return self.group.agreed(time.monotonic() - self.saved > calm and not self.saver.busy)

    def _notes(self) -> dict[str, Any]:
        return {"rows": self.rows, "skips": self.skips, "scale": self.scale.state()}

    def _resume(self) -> int:
        found = checkpoint.newest(self.scratch, self.group)
        if found is None:
            return 0
        self.learner.restore(found)
        self.rows, self.skips = list(found.notes["rows"]), int(found.notes["skips"])
        self.scale.restore(found.notes["scale"])
        return found.step

    def _log(self, row: dict[str, Any], seconds: float) -> None:
        if self.group.rank:
            return
        facts = {"seconds_since_start": round(seconds, 3)}
        if self.scale.scales:
            facts["loss_scale"] = self.scale.value
        try:
            with (self.scratch / "metrics.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(row | facts) + "\n")
        except OSError as error:
            warnings.warn(f"step {row['step']:,} is missing in metrics.jsonl: {error}", RuntimeWarning, stacklevel=2)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """What whoever follows is told of a step beside its loss, as far as it was measured."""
    names = ("learning_rate", "gradient_norm", "validation_loss", "bits_per_byte", "sample")
    return {name: row[name] for name in names if row.get(name) is not None}


def _drawn(*numbers: int) -> int:
    """A seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
