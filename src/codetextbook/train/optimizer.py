"""The optimizer over fp32 master weights, and the copy of them that the passes compute in.

AdamW for everything, as in the paper (§2.3), or Muon for the matrices inside the blocks and AdamW for the rest.
Weights are cast once a step, not at each use as autocast does. In fp32 the masters are the model's own weights and nothing is copied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.train.muon import Matrix, Muon
from codetextbook.train.settings import Training


class Masters:
    """The fp32 weights, their gradients and the optimizer's moments; `model` computes in `dtype`."""

    def __init__(self, model: Phi, settings: Training, dtype: torch.dtype) -> None:
        self.model = model
        self.settings = settings
        self._names = [name for name, _ in model.named_parameters()]
        weights = [parameter.detach().float() for parameter in model.parameters()]
        self._apart = dtype != torch.float32
        if self._apart:
            self.weights = [torch.nn.Parameter(weight.clone()) for weight in weights]
            model.to(dtype)
        else:
            self.weights = list(model.parameters())
        named = dict(zip(self._names, self.weights, strict=True))
        self._muon: Muon | None = None
        if settings.optimizer == "muon":
            inside = [name for name in named if _inside_block(name)]
            matrices = [Matrix(named[name], _rows(name, named.pop(name), model.config)) for name in inside]
            self._muon = Muon(matrices, weight_decay=settings.weight_decay, dtype=dtype)
        decayed = [weight for name, weight in named.items() if _decays(name)]
        plain = [weight for name, weight in named.items() if not _decays(name)]
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

    def step(self, rate: float) -> float:
        """Clip, update at this learning rate unless the gradient is not finite; returns the gradient's norm before clipping."""
        norm = torch.nn.utils.clip_grad_norm_(self.weights, self.settings.clip_norm, foreach=True)
        if torch.isfinite(norm):
            for group in self._adamw.param_groups:
                group["lr"] = rate
            self._adamw.step()
            if self._muon is not None:
                self._muon.step(rate)
            if self._apart:
                with torch.no_grad():
                    torch._foreach_copy_(list(self.model.parameters()), list(self.weights))
        for weight in self.weights:
            weight.grad = None
        return float(norm)

    def state(self) -> dict[str, Tensor]:
        """Weights and moments by name, for a checkpoint."""
        tensors = {}
        for name, weight in zip(self._names, self.weights, strict=True):
            tensors[f"weight/{name}"] = weight.detach()
            moments = self._adamw.state.get(weight, {})
            tensors |= {f"{key}/{name}": value for key, value in moments.items() if isinstance(value, Tensor)}
            if self._muon is not None and weight in self._muon.momenta:
                tensors[f"momentum/{name}"] = self._muon.momenta[weight]
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        with torch.no_grad():
            for name, weight in zip(self._names, self.weights, strict=True):
                weight.copy_(tensors[f"weight/{name}"])
                if self._muon is not None and weight in self._muon.momenta:
                    self._muon.momenta[weight].copy_(tensors[f"momentum/{name}"])
                    continue
                moments = {
                    key.split("/")[0]: value.clone()
                    for key, value in tensors.items()
                    if key.split("/", 1)[1] == name and not key.startswith("weight/")
                }
                if moments:
                    self._adamw.state[weight] = {key: value.to(weight.device) for key, value in moments.items()}
            if self._apart:
                torch._foreach_copy_(list(self.model.parameters()), list(self.weights))

    def as_saved(self) -> dict[str, Tensor]:
        """The model's weights in full precision, by name."""
        return {name: weight.detach() for name, weight in zip(self._names, self.weights, strict=True)}


def _decays(name: str) -> bool:
    """Matrices decay; biases, norms and the embedding do not."""
    return name.endswith("weight") and "norm" not in name and not name.startswith("embed")


def _inside_block(name: str) -> bool:
    """The matrices of attention and MLP."""
    return name.startswith("blocks") and _decays(name)


def _rows(name: str, weight: Tensor, config: PhiConfig) -> tuple[int, ...]:
    """Rows of each matrix that this weight holds: q, k, v and fc1 lie in one."""
    return config.inward_sizes if ".inward." in name else (weight.shape[0],)
