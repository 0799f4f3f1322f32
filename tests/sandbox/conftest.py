"""One sandbox for all tests of a module: programs are independent, which other tests prove."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from codetextbook.sandbox import Limits, Sandbox

LIMITS = Limits(cpu_seconds=2.0, wall_seconds=60.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=2, limits=LIMITS) as opened:
        yield opened
