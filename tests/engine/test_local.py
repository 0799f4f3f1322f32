"""The local engine: ordered, bounded, honest about a worker's death, and leaving nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codetextbook.engine import LocalEngine
from codetextbook.errors import InputError, StageFailed


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise InputError(f"{number} is refused", where="here", hint="another")


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("chunk", [1, 7])
def test_results_come_in_the_order_of_the_items(workers: int, chunk: int) -> None:
    assert list(LocalEngine(workers).map(square, range(50), chunk=chunk)) == [n * n for n in range(50)]


def test_items_are_drawn_only_as_results_are_taken() -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for number in range(10_000):
            drawn += 1
            yield number

    results = LocalEngine(2).map(square, items())
    assert next(results) == 0
    assert drawn < 20


@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_fails_as_it_would_here(workers: int) -> None:
    with pytest.raises(InputError, match=r"3 is refused\. where: here\. try: another"):
        list(LocalEngine(workers).map(refuse, [3]))


def test_a_worker_that_dies_is_a_clear_failure_and_the_next_map_works() -> None:
    with pytest.raises(StageFailed, match="a worker process died"):
        list(LocalEngine(2).map(die, [1, 2]))
    assert list(LocalEngine(2).map(square, [2])) == [4]


def test_workers_die_with_a_parent_that_is_killed() -> None:
    code = (
        "import os, time\n"
        "from codetextbook.engine import LocalEngine\n"
        "print(*set(LocalEngine(2).map(os.getpgid, [0] * 8)), flush=True)\n"
        "import multiprocessing\n"
        "print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(children) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        alive = [pid for pid in children if Path(f"/proc/{pid}").exists() and _state(pid) != "Z"]
        if not alive:
            break
        time.sleep(0.05)
    assert alive == []


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
