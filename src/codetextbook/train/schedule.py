"""The learning rate of each step: linear warm-up, then linear decay to zero (paper §2.3)."""

from __future__ import annotations


def learning_rate(step: int, *, peak: float, warmup_steps: int, schedule_steps: int) -> float:
    """Rate of the optimizer step number `step`, counted from 0.

    The last warm-up step and the one after it are at the peak; at `schedule_steps` the rate is 0.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * max(0.0, (schedule_steps - step) / (schedule_steps - warmup_steps))
