"""The server that most tests of the teacher need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from misbehaving import KEY
from running_server import Running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    one = Running(delay_seconds=0.01)
    one.start()
    yield one
    one.stop()
