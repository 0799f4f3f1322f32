"""Devices and number formats: where training runs, and in what it computes.

bf16 is chosen only where the hardware multiplies in it; elsewhere it is emulated and several times slower than fp32. fp16 is never used:
it needs loss scaling, and on CPUs it is slower by orders of magnitude. (The paper trained in fp16 on A100s, §2.3.)
"""

from __future__ import annotations

from pathlib import Path

import torch

from codetextbook.errors import TrainingError
from codetextbook.train.settings import Precision


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
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
