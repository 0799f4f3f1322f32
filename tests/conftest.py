"""A tiny recipe that runs every stage for real, made once and shared by all test processes through the store's own locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from codetextbook.recipe import Recipe
from codetextbook.run import Run

LESSON = '''"""Lektion {number}: Grüße, 你好, and a snowman ☃."""


def add_{number}(first: int, second: int) -> int:
    """Return the sum of two numbers, plus {number}.

    >>> add_{number}(1, 2)
    {result}
    """
    total = first + second
    for step in range({number}):
        total += 1  # one more, größer
    return total
'''


def write_lessons(folder: Path, count: int = 24) -> None:
    """Small, different, documented files with more than ASCII in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        filler = "".join(
            f"\n\ndef part_{number}_{k}(x: int) -> int:\n    return x * {k} + {number}\n" for k in range(number % 5)
        )
        (folder / f"lektion_ü{number:02d}.py").write_text(
            LESSON.format(number=number, result=3 + number) + filler, encoding="utf-8"
        )
    (folder / "latin.py").write_bytes(b"name = 'caf\xe9'\n")
    (folder / "empty.py").write_bytes(b"")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test session share."""
    root = tmp_path_factory.getbasetemp()
    return (root.parent if root.name.startswith("popen-") else root) / "contract"


@pytest.fixture(scope="session")
def tiny(shared: Path) -> Recipe:
    """The laptop recipe, shrunk until all of it runs in seconds."""
    write_lessons(shared / "lessons")
    return Recipe.load(Path(__file__).parent / "contract" / "tiny.toml").replace(
        {"read.sources": [{"kind": "folder", "name": "lessons", "path": str(shared / "lessons")}]}
    )


@pytest.fixture(scope="session")
def tiny_run(tiny: Recipe, shared: Path) -> Run:
    """The tiny recipe's run, with two workers, each of one thread; the workspace says so to whoever opens it later."""
    work = shared / "work"
    work.mkdir(parents=True, exist_ok=True)
    (work / "site.toml").write_text("workers = 2\nthreads = 1\n", encoding="utf-8")
    return Run(tiny, work)
