"""A workspace of one's own, a viewer over it, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browsing
from served import Started, Viewer, copy_of, viewing

from codetextbook.run import Run
from codetextbook.store import Store


@pytest.fixture(scope="module")
def work(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run's workspace."""
    return copy_of(tiny_run, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def store(work: Path) -> Store:
    """Its artifacts."""
    return Store(work / "store")


@pytest.fixture(scope="module")
def viewer(work: Path) -> Iterator[Viewer]:
    """A viewer over it."""
    with viewing(work) as one:
        yield one


@pytest.fixture(scope="session")
def a_browser() -> Iterator[Browser]:
    """One browser for all tests of a process."""
    with browsing() as one:
        yield one


@pytest.fixture
def browser(a_browser: Browser) -> Iterator[Browser]:
    """The browser, at a desktop's size; it must have nothing to complain about at the end."""
    a_browser.complaints.clear()
    a_browser.size(1280, 800)
    yield a_browser
    a_browser.leave()
    assert a_browser.complaints == []


@pytest.fixture(scope="session")
def start() -> Started:
    """How to start a viewer."""
    return viewing
