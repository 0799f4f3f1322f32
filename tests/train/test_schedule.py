"""The paper's learning rates, exactly."""

from __future__ import annotations

import pytest

from codetextbook.train.schedule import learning_rate


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 1e-3 / 750), (749, 1e-3), (750, 1e-3), (24_000, 1e-3 * 12_000 / 35_250), (36_000, 0.0), (40_000, 0.0)],
)
def test_warmup_then_linear_decay_to_zero(step: int, rate: float) -> None:
    assert learning_rate(step, peak=1e-3, warmup_steps=750, schedule_steps=36_000) == pytest.approx(rate, rel=1e-12)


def test_without_warmup_the_first_step_is_at_the_peak() -> None:
    assert learning_rate(0, peak=2.0, warmup_steps=0, schedule_steps=10) == 2.0
