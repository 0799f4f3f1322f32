"""Memory: freed memory is kept by the process, and when there is too little of it, which batch would fit.

On Linux, glibc gives large buffers back to the kernel and takes them anew at every step.
A training step frees and takes the same activations again and again; each return costs a page fault for every 4 KB. Without them, a step
of the laptop's model is up to three times as fast. The memory goes back when the process ends.
"""

from __future__ import annotations

import ctypes
import gc
import sys

import torch

from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.train.group import Group
from codetextbook.train.settings import Placement, Training

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask glibc to keep what is freed; False where there is no glibc, or it declines."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this says that memory ran out, on a GPU or in the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def fitting_micro_batch(
    config: PhiConfig, settings: Training, dtype: torch.dtype, device: str, recompute: bool
) -> int | None:
    """The largest micro batch whose forward and backward pass goes through now, with room held for masters, gradients and moments.

    By trial, from the greatest divisor of the batch that is less than what failed; None where not even one sequence goes.
    """
    below = [
        n
        for n in range(1, min(settings.micro_batch_sequences, settings.batch_sequences))
        if not settings.batch_sequences % n
    ]
    for micro in reversed(below):
        try:
            _try_out(config, settings, dtype, device, micro, recompute)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            return micro
        finally:
            gc.collect()
            if device == "cuda":
                torch.cuda.empty_cache()
    return None


def _try_out(
    config: PhiConfig, settings: Training, dtype: torch.dtype, device: str, micro: int, recompute: bool
) -> None:
    from codetextbook.train.parallel import learner  # it imports this module's neighbours

    placement = Placement(recompute=recompute)
    trial = learner(
        Phi(config).to(device), settings.replace({"micro_batch_sequences": micro}), dtype, placement, Group()
    )
    held = torch.ones(2 * config.parameters, dtype=torch.float32, device=device)
    ids_bt = torch.zeros(micro, config.context, dtype=torch.long, device=device)
    trial.backward(trial.loss(ids_bt, ids_bt, settings.dropout), 1.0, 1.0)
    trial.clear()
    del held
