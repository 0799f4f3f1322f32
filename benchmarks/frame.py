"""What every benchmark shares: its arguments, the line about the machine, the table, and the one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass
class Outcome:
    """What a benchmark found. A ratio above 1: we are that many times faster than that peer."""

    name: str
    ours: dict[str, Any]
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def arguments(description: str) -> argparse.Namespace:
    """`--quick` ends within a minute; `--json` prints one line of JSON last."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a smaller load, done within a minute")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    return parser.parse_args()


def machine() -> str:
    """Processor, cores and system, in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def versions(*packages: str) -> dict[str, str]:
    """Versions of packages; `missing` where one is not installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def seconds_of(work: Callable[[], Any], *, repeats: int = 3) -> float:
    """The best of a few times, in seconds of processor time of this process: other programs on the machine do not count."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def tell(outcome: Outcome, rows: list[tuple[str, ...]], *, as_json: bool) -> None:
    """Print the table, and the JSON line if it is wanted."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"{outcome.name} on {machine()}")
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if as_json:
        print(
            json.dumps(
                {
                    "name": outcome.name,
                    "machine": machine(),
                    "versions": outcome.versions,
                    "ours": outcome.ours,
                    "peers": outcome.peers,
                    "ratios": outcome.ratios,
                }
            )
        )
