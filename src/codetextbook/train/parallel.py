"""Who learns: one process, or many that each do a share of every step (site.toml [training] engine).

A step's pieces (micro batches) are dealt out to the processes; what a piece holds and drops out follows from seed, step and its number in
the step, so the same seed and global batch give the same losses on any engine, to rounding. `ddp` sums the gradients once a step, in fp32,
after all pieces: exact accumulation costs more bandwidth than summing in bf16, and at the paper's batch of 1,024 sequences less than 2 % of
a step. (torch's DistributedDataParallel sums in the gradients' own format.) `fsdp2` gathers a block's weights when it needs them and sums
after each piece. `deepspeed` is in `zero.py`.
"""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codetextbook.errors import TrainingError
from codetextbook.model.phi import Phi
from codetextbook.train.checkpoint import Checkpoint, Rows
from codetextbook.train.group import Group
from codetextbook.train.loss import Taught
from codetextbook.train.optimizer import Masters
from codetextbook.train.settings import Placement, Training
from codetextbook.train.zero import Zero


class Learner(Protocol):
    """A model that learns, on however many processes."""

    group: Group

    def loss(self, ids_bt: Tensor, targets_bt: Tensor, dropout: float) -> Tensor:
        """Mean cross-entropy of a piece; all processes call it equally often."""

    def backward(self, loss: Tensor, share: float, scale: float) -> None:
        """Add the gradient of share x scale x loss."""

    def step(self, rate: float, scale: float) -> float:
        """Update unless the gradient is not finite; its norm before clipping."""

    def not_finite(self) -> list[str]:
        """Names of weights whose gradient is not finite, before `clear`."""

    def clear(self) -> None:
        """Let go of the gradients."""

    def state(self) -> dict[str, Rows]:
        """This process's rows of everything that has to be kept."""

    def restore(self, found: Checkpoint) -> None:
        """Take over what `state` gave."""

    def weights_saved(self) -> dict[str, Tensor]:
        """The whole model in full precision; all processes have to ask."""


class Together:
    """One process, DDP and FSDP2: our masters and optimizer."""

    def __init__(self, model: Phi, settings: Training, dtype: torch.dtype, placement: Placement, group: Group) -> None:
        self.group = group
        self._taught = Taught(model)
        self._averages = placement.engine == "fsdp2"
        if self._averages:
            _shard(self._taught, dtype, group)
        self._masters = Masters(model, settings, dtype, group)

    def loss(self, ids_bt: Tensor, targets_bt: Tensor, dropout: float) -> Tensor:
        """See Learner."""
        return self._taught(ids_bt, targets_bt, dropout)

    def backward(self, loss: Tensor, share: float, scale: float) -> None:
        """See Learner. FSDP2 averages over processes where a sum is wanted."""
        loss = loss * share if self._averages is False else loss * (share * self.group.world)
        (loss if scale == 1.0 else loss * scale).backward()
        self._masters.collect()

    def step(self, rate: float, scale: float) -> float:
        """See Learner."""
        return self._masters.step(rate, scale)

    def not_finite(self) -> list[str]:
        """See Learner."""
        return self._masters.not_finite()

    def clear(self) -> None:
        """See Learner."""
        self._masters.clear()

    def state(self) -> dict[str, Rows]:
        """See Learner."""
        return self._masters.state()

    def restore(self, found: Checkpoint) -> None:
        """See Learner."""
        self._masters.restore(found)

    def weights_saved(self) -> dict[str, Tensor]:
        """See Learner."""
        return self._masters.weights_saved()


def learner(model: Phi, settings: Training, dtype: torch.dtype, placement: Placement, group: Group) -> Learner:
    """The model, ready to learn in this process.

    Raises:
        TrainingError: the settings do not go with the engine.
        MissingDependency: the engine's package is not installed.
    """
    pieces = settings.batch_sequences // min(settings.micro_batch_sequences, settings.batch_sequences)
    if pieces % group.world:
        raise TrainingError(
            f"a step has {pieces} pieces, which {group.world} processes cannot share evenly",
            where="micro_batch_sequences",
            hint=f"a micro_batch_sequences that divides {settings.batch_sequences} / {group.world}, or other processes",
        )
    if settings.optimizer == "muon" and placement.engine not in ("one", "ddp"):
        raise TrainingError(
            f"Muon needs whole matrices, which {placement.engine} cuts",
            where="optimizer",
            hint='engine = "ddp" in site.toml [training], or optimizer = "adamw"',
        )
    if placement.compiled:
        _compile(model)
    if placement.recompute:
        _recompute(model)
    if placement.engine == "deepspeed":
        return Zero(model, settings, dtype, placement, group)
    return Together(model, settings, dtype, placement, group)


def _shard(taught: Taught, dtype: torch.dtype, group: Group) -> None:
    """Cut every weight by rows over the processes; computed in `dtype`, summed in fp32."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(group.device, (group.world,))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    options: dict[str, Any] = {"mesh": mesh, "mp_policy": policy}
    for block in taught.model.blocks:
        fully_shard(block, **options)
    fully_shard(taught, **options)


def _compile(model: Phi) -> None:
    """One compiled pass for all blocks, which differ in their weights alone; random numbers are drawn as without."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++")):
        raise TrainingError(
            "no C++ compiler, which compiled = true needs",
            where="site.toml [training] compiled",
            hint="a package such as Debian's g++, or compiled = false",
        )
    block: Any
    for block in model.blocks:
        block.fc2.forward = partial(_bias_apart, block.fc2)
        block.forward = torch.compile(block.forward, options={"fallback_random": True})


def _bias_apart(linear: nn.Linear, x: Tensor) -> Tensor:
    """The same, the bias added at every place by itself, so that its gradient is summed over texts and then over places.

    Without dropout, the biases of `dense` and `fc2` have the same gradient. Summed in the same way, torch 2.15's compiler gives both sums
    one name in bf16 on a CPU, and fails.
    """
    return F.linear(x, linear.weight) + linear.bias.expand(x.shape[1], -1)


def _recompute(model: Phi) -> None:
    """Keep only what enters each block, and compute the block again on the way back, with the same dropout."""
    from torch.utils.checkpoint import checkpoint

    for block in model.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
