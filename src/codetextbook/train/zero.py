"""Training by DeepSpeed, the paper's own engine (§2.3): ZeRO 1, 2 and 3 (Rajbhandari et al. 2020, arXiv 1910.02054).

Stage 1 shares out masters and moments over the processes, stage 2 the gradients too, stage 3 the weights too. Optimizer, decay, clipping,
schedule and loss scale are ours, so the losses are those of the other engines to rounding. Checkpoints are ours too (docs/decisions/0007):
DeepSpeed's parts follow its own layout of numbers, not rows, so a weight is put together on every process, one after the other, and each
keeps its rows. That costs one gathering of the state for each checkpoint, and lets any engine go on from it.

Of DeepSpeed's compiled operations none is used: torch's own fused AdamW does the same, and nothing is compiled when training starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from codetextbook.errors import MissingDependency, TrainingError
from codetextbook.model.phi import Phi
from codetextbook.train.checkpoint import Checkpoint, Rows
from codetextbook.train.group import BUCKET_NUMBERS, Group
from codetextbook.train.loss import Taught
from codetextbook.train.optimizer import decays
from codetextbook.train.settings import Placement, Training

MOMENTS = ("exp_avg", "exp_avg_sq")
_NUMBERS = {torch.float16: "fp16", torch.bfloat16: "bf16"}


class Zero:
    """A Learner whose weights, gradients or moments DeepSpeed shares out.

    Raises:
        MissingDependency: DeepSpeed is not installed.
        TrainingError: fp16 on a CPU.
    """

    def __init__(self, model: Phi, settings: Training, dtype: torch.dtype, placement: Placement, group: Group) -> None:
        self.group = group
        self._stage = placement.zero_stage
        if dtype == torch.float16 and group.device == "cpu":
            hint = 'precision = "bf16" or "fp32", or another engine'
            raise TrainingError("DeepSpeed has no fp16 on CPUs", where="precision", hint=hint)
        self._deepspeed = _imported(group.device)
        self._named = dict(model.named_parameters())
        masters = {name: weight.detach().float().clone() for name, weight in self._named.items()}
        micro = min(settings.micro_batch_sequences, settings.batch_sequences)
        taught = Taught(model)
        self._engine, *_ = self._deepspeed.initialize(
            model=taught,
            optimizer=_adamw(self._named, settings),
            config=_config(settings, dtype, self._stage, micro, group.world, self._named.values()),
        )
        self._optimizer = self._engine.optimizer
        self._adamw: torch.optim.AdamW = self._optimizer.optimizer
        if self._stage == 3:
            for weight in (model.head.weight, model.head.bias):  # the loss reads them outside of the head's own pass
                self._deepspeed.zero.register_external_parameter(taught, weight)
        self._scale, self._suspect = 1.0, False
        self._not_finite: list[str] = []
        self._open_moments()
        for name, master in masters.items():  # DeepSpeed's own are rounded to `dtype`
            self._take(name, "weight", master)
        self._to_model()

    def loss(self, ids_bt: Tensor, targets_bt: Tensor, dropout: float) -> Tensor:
        """See Learner."""
        return self._engine(ids_bt, targets_bt, dropout)

    def backward(self, loss: Tensor, share: float, scale: float) -> None:
        """See Learner. DeepSpeed divides by pieces and averages over processes, which together is the share."""
        if scale != self._scale:  # only in fp16: what DeepSpeed has for bf16 at stage 1 knows no loss scale
            self._optimizer.override_loss_scale(scale)
            self._scale = scale
        self._engine.backward(loss)
        if not self._engine.is_gradient_accumulation_boundary():
            self._engine.step()

    def step(self, rate: float, scale: float) -> float:
        """See Learner. After a step that was skipped, the next one's gradients are looked at: DeepSpeed lets go of those it skips."""
        if self._suspect:
            self._not_finite = self._names_not_finite()
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._engine.step()
        self._suspect = bool(self._optimizer.overflow)
        return float(self._engine.get_global_grad_norm())

    def not_finite(self) -> list[str]:
        """See Learner. Known from the second step in a row that is skipped."""
        return self._not_finite

    def clear(self) -> None:
        """See Learner. DeepSpeed has let go of them with the step."""
        self._not_finite = []

    def state(self) -> dict[str, Rows]:
        """See Learner; all processes have to ask."""
        steps = self._adamw.state[self._flats[0]]["step"].reshape(1)[: 1 if self.group.rank == 0 else 0]
        kept = {}
        for name, weight in self._named.items():
            first, stop = self.group.rows(_rows(weight))
            for key in ("weight", *MOMENTS):
                kept[f"{key}/{name}"] = Rows(self._whole(weight, key)[first:stop].clone(), first)
            kept[f"step/{name}"] = Rows(steps, 0)
        return kept

    @torch.no_grad()
    def restore(self, found: Checkpoint) -> None:
        """See Learner."""
        for name, weight in self._named.items():
            keys = ("weight", *MOMENTS)
            read = found.tensors({f"{key}/{name}": (0, _rows(weight)) for key in keys} | {f"step/{name}": (0, 1)})
            for key in keys:
                if f"{key}/{name}" in read:
                    self._take(name, key, read[f"{key}/{name}"])
        if f"step/{name}" in read:
            for flat in self._flats:
                self._adamw.state[flat]["step"].copy_(read[f"step/{name}"][0])
        self._to_model()

    def weights_saved(self) -> dict[str, Tensor]:
        """See Learner."""
        return {name: self._whole(weight).to("cpu", copy=True) for name, weight in self._named.items()}

    @property
    def _flats(self) -> list[Tensor]:
        """This process's part of the masters, as the optimizer sees it: one tensor for each group of weights."""
        if self._stage == 3:
            return list(self._optimizer.fp32_partitioned_groups_flat)
        return [flat for group in self._adamw.param_groups for flat in group["params"]]

    def _whole(self, weight: nn.Parameter, key: str = "weight") -> Tensor:
        """A master, or a moment of it, put together from all processes, in the weight's own shape."""
        utils = self._deepspeed.utils
        whole: Tensor = (
            utils.safe_get_full_fp32_param(weight)
            if key == "weight"
            else utils.safe_get_full_optimizer_state(weight, key)
        )
        return whole.detach()

    def _take(self, name: str, key: str, whole: Tensor) -> None:
        """Put this process's part of a whole master, or of a moment of it, in place."""
        weight: Any = self._named[name]
        utils, whole = self._deepspeed.utils, whole.to(weight.device)
        if self._stage != 3 and key == "weight":
            utils.safe_set_full_fp32_param(weight, whole)
        elif self._stage != 3:
            utils.safe_set_full_optimizer_state(weight, whole, key)
        else:
            part = torch.zeros(
                weight.ds_tensor.numel(), device=whole.device
            )  # the last one is longer than what is left
            own = whole.flatten()[self.group.rank * len(part) :][: len(part)]
            part[: len(own)] = own
            if key == "weight":
                utils.safe_set_local_fp32_param(weight, part)
                weight.ds_tensor.data.copy_(part)
            else:
                utils.safe_set_local_optimizer_state(weight, part, key)

    def _to_model(self) -> None:
        """Give the model the masters' numbers; at stage 3 `_take` has done it."""
        if self._stage != 3:
            self._optimizer.update_lp_params()

    def _open_moments(self) -> None:
        """Moments of zeros, before the first step and for all weights at once.

        The optimizer would make each group's at that group's first step; DeepSpeed links weights to moments after the first group's.
        """
        for flat in self._flats:
            zeros = {key: torch.zeros_like(flat) for key in MOMENTS}
            self._adamw.state[flat] = {"step": torch.zeros((), device=flat.device), **zeros}
        if self._stage != 3:
            self._optimizer._hp_optimizer_states_linked = False
            self._optimizer._lazy_init_hp_params_optimizer_state()

    def _names_not_finite(self) -> list[str]:
        """Weights whose gradient is not finite on any process."""
        get = self._deepspeed.utils.safe_get_full_grad
        bad = [float(not bool(get(weight).isfinite().all())) for weight in self._named.values()]
        return [name for name, count in zip(self._named, self.group.total(bad), strict=True) if count]


def _imported(device: str) -> Any:
    """The package, told where it computes and to compile nothing.

    Raises:
        MissingDependency: it is not installed.
    """
    os.environ.setdefault("DS_ACCELERATOR", device)
    try:
        import deepspeed
    except ImportError as error:
        hint = 'pip install "codetextbook[deepspeed]", or engine = "fsdp2"'
        raise MissingDependency(
            f"no DeepSpeed: {error}", where='site.toml [training] engine = "deepspeed"', hint=hint
        ) from error
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # for inference; building it takes a minute
    return deepspeed


def _adamw(named: dict[str, nn.Parameter], settings: Training) -> torch.optim.AdamW:
    decayed = [weight for name, weight in named.items() if decays(name)]
    plain = [weight for name, weight in named.items() if not decays(name)]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, eps=settings.epsilon, fused=True)


def _config(
    settings: Training, dtype: torch.dtype, stage: int, micro: int, world: int, weights: Iterable[nn.Parameter]
) -> dict[str, Any]:
    """DeepSpeed's settings: https://www.deepspeed.ai/docs/config-json/."""
    sizes = [weight.numel() for weight in weights]
    bucket = max(min(BUCKET_NUMBERS, sum(sizes)), max(sizes))
    config: dict[str, Any] = {
        "train_batch_size": settings.batch_sequences,
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": settings.batch_sequences // (micro * world),
        "gradient_clipping": settings.clip_norm,
        "communication_data_type": "fp32",
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_optimization": {
            "stage": stage,
            "reduce_bucket_size": bucket,
            "stage3_param_persistence_threshold": 0,
        },
    }
    if dtype in _NUMBERS:
        config[_NUMBERS[dtype]] = {"enabled": True} | ({"loss_scale": 1.0} if dtype == torch.float16 else {})
    return config


def _rows(weight: nn.Parameter) -> int:
    """Rows of a weight in its own shape, which at stage 3 it does not have between passes."""
    return int(getattr(weight, "ds_shape", weight.shape)[0])
