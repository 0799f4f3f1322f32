"""How long one waits before anything happens: importing the package, reading a recipe, `--help`, `plan`; beside importing other packages.

Each is a Python process of its own, best of five, in milliseconds of processor time (other programs on the machine do not count) and by the
clock (they do). `python` alone is in every row. The aim for the import of the package is 200 ms.

    python -m benchmarks.start
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.frame import Outcome, arguments, tell, versions

OURS = {
    "import codetextbook": ("-c", "import codetextbook"),
    "a recipe": ("-c", "import codetextbook; codetextbook.Recipe.load('laptop')"),
    "--help": ("-m", "codetextbook", "--help"),
    "plan laptop": ("-m", "codetextbook", "plan", "laptop", "--json"),
}
PEERS = ("torch", "transformers", "datasets")
"""What one imports to do such work by hand."""


class Wait(NamedTuple):
    """The best of some starts, in milliseconds."""

    processor: float
    clock: float


def wait(words: tuple[str, ...], repeats: int, folder: Path) -> Wait:
    """Start Python with these words so many times; the least of each measure.

    Raises:
        CalledProcessError: it does not end well.
    """
    found = []
    for _ in range(repeats):
        before, start = _children(), time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, cwd=folder)
        found.append(Wait(1_000 * (_children() - before), 1_000 * (time.perf_counter() - start)))
    return Wait(min(one.processor for one in found), min(one.clock for one in found))


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    asked = arguments((__doc__ or "").split("\n")[0])
    repeats = 2 if asked.quick else 5
    here = [name for name in PEERS if find_spec(name)]
    orders = {"python alone": ("-c", "pass"), **OURS, **{f"import {name}": ("-c", f"import {name}") for name in here}}
    with TemporaryDirectory() as folder:
        waits = {name: wait(words, repeats, Path(folder)) for name, words in orders.items()}
    rows = [("what", "processor ms", "by the clock ms")]
    rows += [(name, f"{one.processor:.0f}", f"{one.clock:.0f}") for name, one in waits.items()]
    rows += [(f"import {name}", "missing", "") for name in PEERS if name not in here]
    ours = waits["import codetextbook"].processor
    outcome = Outcome(
        "start",
        {name: waits[name]._asdict() for name in OURS},
        {name: waits[f"import {name}"]._asdict() for name in here},
        {name: round(waits[f"import {name}"].processor / ours, 1) for name in here},
        versions(*PEERS),
    )
    tell(outcome, rows, as_json=asked.json)


if __name__ == "__main__":
    main()
