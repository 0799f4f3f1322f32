"""DeepSpeed's ZeRO, stages 1 to 3 (S. Rajbhandari et al., arXiv 1910.02054), the tool the paper trained with (§2.3). Extra `deepspeed`.

Stage 1 shares out the optimizer's moments, 2 the gradients too, 3 the weights as well. Checkpoints are ours, in the same form as of every
engine, so a training can go on with another one. Limits: DeepSpeed keeps its own fp16 loss scale, which starts anew after a stop; in other
formats it cannot leave out a step whose gradient is not finite, so such a step ends the training, and the newest checkpoint stands.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from codetextbook.errors import MissingDependency, TrainingError
from codetextbook.train.checkpoint import Checkpoint, Rows
from codetextbook.train.group import Group
from codetextbook.train.optimizer import decays
from codetextbook.train.settings import Training

MOMENTS = ("exp_avg", "exp_avg_sq")


class Zero:
    """A model that DeepSpeed holds; see parallel.Learner."""

    def __init__(self, taught: nn.Module, settings: Training, dtype: torch.dtype, stage: int, group: Group) -> None:
        try:
            import deepspeed
        except ImportError as error:
            raise MissingDependency(
                "DeepSpeed is not installed", where="site.toml [training]", hint='pip install "codetextbook[deepspeed]"'
            ) from error
        self.group, self._fp16 = group, dtype == torch.float16
        micro = min(settings.micro_batch_sequences, settings.batch_sequences)
        self._pieces = settings.batch_sequences // micro // group.world
        self._done = 0
        named = list(taught.named_parameters())
        self._names = [name.removeprefix("model.") for name, _ in named]
        self._weights = [weight for _, weight in named]
        wanted = [weight for name, weight in zip(self._names, self._weights, strict=True) if decays(name)]
        plain = [weight for name, weight in zip(self._names, self._weights, strict=True) if not decays(name)]
        groups = [{"params": wanted, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self._adamw = torch.optim.AdamW(
            groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), eps=settings.epsilon
        )
        self._engine, *_ = deepspeed.initialize(
            model=taught,
            optimizer=self._adamw,
            config={
                "train_micro_batch_size_per_gpu": micro,
                "gradient_accumulation_steps": self._pieces,
                "gradient_clipping": settings.clip_norm,
                "zero_optimization": {"stage": stage},
                "zero_allow_untested_optimizer": True,
                "bf16": {"enabled": dtype == torch.bfloat16},
                "fp16": {"enabled": self._fp16, "initial_scale_power": 16, "loss_scale_window": 2_000, "hysteresis": 1},
            },
            dist_init_required=False,
        )

    def loss(self, ids_bt: Tensor, targets_bt: Tensor, dropout: float) -> Tensor:
        """See Learner."""
        return self._engine(ids_bt, targets_bt, dropout)

    def backward(self, loss: Tensor, share: float, scale: float) -> None:
        """See Learner. DeepSpeed takes the mean over pieces and processes by itself, and scales by itself."""
        del share, scale
        self._engine.backward(loss)
        self._done += 1
        if self._done < self._pieces:
            self._engine.step()

    def step(self, rate: float, scale: float) -> float:
        """See Learner.

        Raises:
            TrainingError: the gradient is not finite, in a format without loss scale.
        """
        del scale
        self._done = 0
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        self._engine.step()
        if self._fp16 and bool(getattr(self._engine.optimizer, "overflow", False)):
            return math.nan
        norm = self._engine.get_global_grad_norm()
        norm = math.nan if norm is None else float(norm)
        if not math.isfinite(norm) or norm < 0:
            raise TrainingError(
                "the gradient is not finite, and DeepSpeed cannot leave the step out",
                where="site.toml [training] engine",
                hint='run again to go on from the newest checkpoint, with engine = "fsdp2", which leaves such steps out',
            )
        return norm

    def not_finite(self) -> list[str]:
        """See Learner. DeepSpeed does not say."""
        return []

    def clear(self) -> None:
        """See Learner. DeepSpeed has done it."""

    def state(self) -> dict[str, Rows]:
        """See Learner."""
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        tensors: dict[str, Rows] = {}
        for name, weight in zip(self._names, self._weights, strict=True):
            found: dict[str, Any] = {"weight": safe_get_full_fp32_param(weight)}
            found |= {key: safe_get_full_optimizer_state(weight, key) for key in MOMENTS}
            first, stop = self.group.rows(len(found["weight"]))
            tensors |= {f"{key}/{name}": Rows(value[first:stop].clone(), first) for key, value in found.items()}
            step = torch.full((1 if self.group.rank == 0 else 0,), float(self._steps()))
            tensors[f"step/{name}"] = Rows(step, 0)
        return tensors

    def restore(self, found: Checkpoint) -> None:
        """See Learner."""
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        steps = 0.0
        for name, weight in zip(self._names, self._weights, strict=True):
            shape = tuple(getattr(weight, "ds_shape", weight.shape))
            spans = {f"{key}/{name}": (0, shape[0]) for key in ("weight", *MOMENTS)}
            read = found.tensors(spans | {f"step/{name}": (0, 1)})
            safe_set_full_fp32_param(weight, read[f"weight/{name}"].to(weight.device))
            if f"step/{name}" in read:
                steps = float(read[f"step/{name}"][0])
                for key in MOMENTS:
                    safe_set_full_optimizer_state(weight, read[f"{key}/{name}"].to(weight.device), key)
        for state in self._adamw.state.values():
            if "step" in state:
                state["step"] = torch.full_like(torch.as_tensor(state["step"], dtype=torch.float32), steps)

    def weights_saved(self) -> dict[str, Tensor]:
        """See Learner."""
        from deepspeed.utils import safe_get_full_fp32_param

        return {
            name: safe_get_full_fp32_param(weight).detach().to("cpu", copy=True)
            for name, weight in zip(self._names, self._weights, strict=True)
        }

    def _steps(self) -> float:
        """Steps that the optimizer has taken."""
        return max((float(state.get("step", 0)) for state in self._adamw.state.values()), default=0.0)
