"""Devices and number formats: where training runs, and in what it computes.

bf16 is chosen only where the hardware multiplies in it; elsewhere it is emulated and several times slower than fp32. fp16, the paper's
(§2.3, on A100s), is for recipes that ask for it: it needs loss scaling, and on CPUs it is slower by orders of magnitude.
"""

from __future__ import annotations

from pathlib import Path

import torch

from codetextbook.errors import TrainingError
from codetextbook.train.settings import Precision

SCALE_DOUBLES_AFTER = 2_000
"""Steps without overflow after which the loss scale is doubled."""


def resolve_device(device: str) -> str:
    """`auto` as `cuda` or `cpu`.

    Raises:
        TrainingError: `cuda` is asked for and there is none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no GPU that torch can use", where="site.toml device", hint='device = "cpu" or "auto"')
    return device


def fast_bf16(device: str) -> bool:
    """Whether this device multiplies matrices in bf16 by hardware; for a CPU, as Linux tells it."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = Path("/proc/cpuinfo")
    words = set(cpu.read_text(encoding="utf-8", errors="replace").split()) if cpu.exists() else set()
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def choose(precision: Precision, device: str) -> torch.dtype:
    """The number format of the passes."""
    if precision == "auto":
        return torch.bfloat16 if fast_bf16(device) else torch.float32
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


class LossScale:
    """What the loss is multiplied by so that small gradients are not 0 in fp16: halved when one overflows, doubled after a long calm.

    Start, factors and interval are those of torch.amp.GradScaler (the paper's are not published). In other formats it stays 1.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.scales = dtype == torch.float16
        self.value = 65_536.0 if self.scales else 1.0
        self.calm_steps = 0

    def update(self, finite: bool) -> None:
        """Learn how a step went."""
        if not self.scales:
            return
        self.calm_steps = self.calm_steps + 1 if finite else 0
        if not finite:
            self.value /= 2
        elif self.calm_steps == SCALE_DOUBLES_AFTER:
            self.value, self.calm_steps = self.value * 2, 0

    def state(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"value": self.value, "calm_steps": self.calm_steps}

    def restore(self, state: dict[str, float]) -> None:
        """Take over what `state` gave."""
        self.value, self.calm_steps = state["value"], int(state["calm_steps"])
