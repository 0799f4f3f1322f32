"""The optimizer over fp32 master weights, and the copy of them that the passes compute in.

AdamW for everything, as in the paper (§2.3), or Muon for the matrices inside the blocks and AdamW for the rest.
Weights are cast once a step, not at each use as autocast does. In fp32 the masters are the model's own weights and nothing is copied.
Under FSDP2 the masters are the model's own too: it casts what it gathers, and each process moves its own rows.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.train.checkpoint import Checkpoint, Rows
from codetextbook.train.group import Group
from codetextbook.train.muon import Matrix, Muon
from codetextbook.train.settings import Training


class Masters:
    """The fp32 weights, their gradients and the optimizer's moments; `model` computes in `dtype`."""

    def __init__(self, model: Phi, settings: Training, dtype: torch.dtype, group: Group | None = None) -> None:
        self.model, self.settings, self.group = model, settings, group or Group()
        self._names = [name for name, _ in model.named_parameters()]
        self._sharded = any(isinstance(parameter, DTensor) for parameter in model.parameters())
        weights = [parameter.detach().float() for parameter in model.parameters()]
        self._apart = dtype != torch.float32 and not self._sharded
        if self._apart:
            self.weights = [torch.nn.Parameter(weight.clone()) for weight in weights]
            model.to(dtype)
        else:
            self.weights = list(model.parameters())
        named = dict(zip(self._names, self.weights, strict=True))
        self._muon: Muon | None = None
        self._by_muon: set[str] = set()
        if settings.optimizer == "muon":
            inside = [name for name in named if _inside_block(name)]
            self._by_muon = set(inside)
            matrices = [Matrix(named[name], _rows(name, named.pop(name), model.config)) for name in inside]
            self._muon = Muon(matrices, weight_decay=settings.weight_decay, dtype=dtype)
        decayed = [weight for name, weight in named.items() if decays(name)]
        plain = [weight for name, weight in named.items() if not decays(name)]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        betas = (settings.beta1, settings.beta2)
        self._adamw = torch.optim.AdamW(
            groups, lr=settings.learning_rate, betas=betas, eps=settings.epsilon, fused=True
        )

    def collect(self) -> None:
        """Add the model's gradients to the masters' and clear them."""
        if not self._apart:
            return
        for master, parameter in zip(self.weights, self.model.parameters(), strict=True):
            if parameter.grad is not None:
                grad = parameter.grad.float()
                master.grad = grad if master.grad is None else master.grad + grad
                parameter.grad = None

    def step(self, rate: float, scale: float = 1.0) -> float:
        """Clip, update at this learning rate unless the gradient is not finite; returns the gradient's norm before clipping.

        scale: what the loss was multiplied by.
        """
        grads = [weight.grad for weight in self.weights if weight.grad is not None]
        if not self._sharded:
            self.group.sum_(grads)
        if scale != 1.0:
            torch._foreach_mul_(grads, 1 / scale)
        norm = torch.nn.utils.get_total_norm(grads, foreach=True)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        if torch.isfinite(norm):
            torch.nn.utils.clip_grads_with_norm_(self.weights, self.settings.clip_norm, norm, foreach=True)
            for group in self._adamw.param_groups:
                group["lr"] = rate
            self._adamw.step()
            if self._muon is not None:
                self._muon.step(rate)
            if self._apart:
                with torch.no_grad():
                    torch._foreach_copy_(list(self.model.parameters()), list(self.weights))
        return float(norm)

    def not_finite(self) -> list[str]:
        """Names of the weights whose gradient is not finite; before `clear`."""
        return [
            name
            for name, weight in zip(self._names, self.weights, strict=True)
            if weight.grad is not None and not bool(_local(weight.grad).isfinite().all())
        ]

    def clear(self) -> None:
        """Let go of the gradients."""
        for weight in self.weights:
            weight.grad = None

    def state(self) -> dict[str, Rows]:
        """This process's rows of weights and moments, by name, for a checkpoint."""
        tensors: dict[str, Rows] = {}
        for name, weight in zip(self._names, self.weights, strict=True):
            tensors[f"weight/{name}"] = self._rows(weight.detach())
            for key, value in self._adamw.state.get(weight, {}).items():
                tensors[f"{key}/{name}"] = self._rows(value)
            if self._muon is not None and weight in self._muon.momenta:
                tensors[f"momentum/{name}"] = self._rows(self._muon.momenta[weight])
        return tensors

    @torch.no_grad()
    def restore(self, found: Checkpoint) -> None:
        """Take over what `state` gave, on any number of processes."""
        for name, weight in zip(self._names, self.weights, strict=True):
            here = _local(weight)
            span = self.group.rows(len(weight)) if self._sharded else (0, len(weight))
            own = name not in self._by_muon
            wanted = ["weight", "exp_avg", "exp_avg_sq"] if own else ["weight", "momentum"]
            read = found.tensors({f"{key}/{name}": span for key in wanted} | {f"step/{name}": (0, 1)})
            if span[0] < span[1]:
                here.copy_(read[f"weight/{name}"])
            if self._muon is not None and not own:
                self._muon.momenta[weight].copy_(read[f"momentum/{name}"])
            elif f"step/{name}" in read:
                moments = {key: self._like(weight, read.get(f"{key}/{name}")) for key in wanted[1:]}
                self._adamw.state[weight] = {"step": read[f"step/{name}"][0].clone().to(here.device), **moments}
        if self._apart:
            torch._foreach_copy_(list(self.model.parameters()), list(self.weights))

    def _rows(self, tensor: Tensor) -> Rows:
        """This process's rows of a tensor; a number is the first process's."""
        if tensor.dim() == 0:
            return Rows(tensor.reshape(1)[: 1 if self.group.rank == 0 else 0], 0)
        first, stop = self.group.rows(len(tensor))
        return Rows(tensor.to_local() if isinstance(tensor, DTensor) else tensor[first:stop], first)

    def _like(self, weight: Tensor, read: Tensor | None) -> Tensor:
        """A moment where its weight is."""
        moment = torch.zeros_like(weight)
        if read is not None:
            _local(moment).copy_(read)
        return moment

    def weights_saved(self) -> dict[str, Tensor]:
        """A copy of the model's weights in full precision, by name, in the machine's memory; all processes have to ask."""
        return {
            name: (weight.full_tensor() if isinstance(weight, DTensor) else weight).detach().to("cpu", copy=True)
            for name, weight in zip(self._names, self.weights, strict=True)
        }


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def decays(name: str) -> bool:
    """Matrices decay; biases, norms and the embedding do not."""
    return name.endswith("weight") and "norm" not in name and not name.startswith("embed")


def _inside_block(name: str) -> bool:
    """The matrices of attention and MLP."""
    return name.startswith("blocks") and decays(name)


def _rows(name: str, weight: Tensor, config: PhiConfig) -> tuple[int, ...]:
    """Rows of each matrix that this weight holds: q, k, v and fc1 lie in one."""
    return config.inward_sizes if ".inward." in name else (weight.shape[0],)
