"""The cluster's engine: the same map, as tasks of a Ray cluster that runs already (extra `cluster`).

Results come in the order of the items, so artifacts are the same bytes as the embedded engine's. Tasks of a node that dies run again
elsewhere; what a task returns and raises is what it would here. Every node needs this package and the folders that the sources name, at
the same paths (or URLs); only the machine that runs the recipe writes the store.

Limits: items and results travel through the machine that runs the recipe. Ray's own telemetry is turned off.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from codetextbook.engine.local import IN_FLIGHT_PER_WORKER, Item, Result, apply_all, chunks_of
from codetextbook.errors import ConfigError, MissingDependency, StageFailed

RETRIES = 8
"""Times that a task runs again after its node or its process has died."""


class RayEngine:
    """Tasks on the nodes of a Ray cluster."""

    def __init__(self, address: str) -> None:
        self.address = address

    def map(self, function: Callable[[Item], Result], items: Iterable[Item], *, chunk: int = 1) -> Iterator[Result]:
        """Results in the order of the items; `chunk` items travel together.

        Raises:
            ConfigError: there is no cluster at the address.
            StageFailed: a task's process died again and again (most often: out of memory).
            Exception: what `function` raised, as it raised it.
        """
        ray = _connected(self.address)
        task = ray.remote(num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD")(apply_all)
        shared = ray.put(function)
        waiting: deque[Any] = deque()
        try:
            for some in chunks_of(iter(items), chunk):
                waiting.append(task.remote(shared, some))
                if len(waiting) >= _cores(ray) * IN_FLIGHT_PER_WORKER:
                    yield from _result(ray, waiting.popleft(), function)
            while waiting:
                yield from _result(ray, waiting.popleft(), function)
        finally:
            for reference in waiting:
                ray.cancel(reference, force=False)


def _result(ray: Any, reference: Any, function: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        cause = getattr(error, "cause", None)
        raise (cause if isinstance(cause, Exception) else error) from None
    except ray.exceptions.RayError as error:
        raise StageFailed(
            f"a task died {RETRIES + 1} times: {type(error).__name__}",
            where=getattr(function, "__name__", "map"),
            hint="`ray status` and the nodes' logs: it may be memory",
        ) from error


def _cores(ray: Any) -> int:
    """Cores of the nodes that are alive now."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@lru_cache(maxsize=1)
def _connected(address: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingDependency(
            "the package `ray` is not installed", where="site.toml, cluster", hint="pip install 'codetextbook[cluster]'"
        ) from error
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"no Ray cluster: {error}", where=f"site.toml, cluster = {address!r}", hint="`ray start --head` there first"
        ) from error
    return ray
