"""The embedded engine: worker processes of the standard library, results in the order of the items.

Workers are started once per process and kept, since starting one costs about a second of imports. They die with the process that
started them, even when it is killed. Only `IN_FLIGHT_PER_WORKER` items a worker are under way, so that memory does not grow with the
corpus. One worker means no process at all.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Protocol, TypeVar

from codetextbook.errors import StageFailed

Item = TypeVar("Item")
Result = TypeVar("Result")

IN_FLIGHT_PER_WORKER = 3
_PR_SET_PDEATHSIG = 1

_pools: dict[int, ProcessPoolExecutor] = {}


class Engine(Protocol):
    """Maps a function over items, wherever that happens."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item], *, chunk: int = 1) -> Iterator[Result]:
        """Results in the order of the items. `function` must be importable by name (or a partial of one that is)."""
        ...


class LocalEngine:
    """Worker processes on this machine."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, function: Callable[[Item], Result], items: Iterable[Item], *, chunk: int = 1) -> Iterator[Result]:
        """Results in the order of the items; `chunk` items travel together.

        Raises:
            StageFailed: a worker died (most often: out of memory).
            Exception: what `function` raised, as it raised it.
        """
        if self.workers == 1:
            yield from map(function, items)
            return
        pool = _pools.get(self.workers) or _start(self.workers)
        waiting: deque[Future[list[Result]]] = deque()
        chunks = chunks_of(iter(items), chunk)
        try:
            for some in chunks:
                waiting.append(pool.submit(apply_all, function, some))
                if len(waiting) >= self.workers * IN_FLIGHT_PER_WORKER:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            _pools.pop(self.workers, None)
            raise StageFailed(
                "a worker process died",
                where=getattr(function, "__name__", "map"),
                hint="fewer workers in site.toml: it may be memory",
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def _start(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_settle, initargs=(os.getpid(),))
    _pools[workers] = pool
    return pool


def _settle(parent: int) -> None:
    """In a worker: leave Ctrl-C to the parent, and die with it, also if it died before this line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def chunks_of(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """The items, so many at a time."""
    while some := list(islice(items, size)):
        yield some


def apply_all(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    """In a worker: the function's results for some items."""
    return [function(item) for item in items]
