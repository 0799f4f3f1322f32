"""The driver of the cluster's test: stages here and on the cluster, with a note of each task's node; tasks import it too.

Run as `python watched.py FOLDER ADDRESS`; `FOLDER/found.json` says what was found.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from codetextbook.engine import RayEngine
from codetextbook.engine.local import Item, Result
from codetextbook.errors import InputError
from codetextbook.site import Site
from codetextbook.stages.annotate import Annotate, annotate
from codetextbook.stages.contract import run_stage
from codetextbook.stages.dedup import Dedup, dedup
from codetextbook.stages.read import Read, StandardLibrary, read
from codetextbook.store import Artifact, Store

STUCK_SECONDS = 120
JOIN_SECONDS = 150


class Watched(RayEngine):
    """The cluster's engine; each task leaves a note in `notes` of the node that it began on."""

    def __init__(self, address: str, notes: Path, fatal: str) -> None:
        super().__init__(address)
        self.notes, self.fatal = notes, fatal

    def map(self, function: Callable[[Item], Result], items: Iterable[Item], *, chunk: int = 1) -> Iterator[Result]:
        import ray

        home = ray.get_runtime_context().get_node_id()
        return super().map(partial(noted, function, self.notes, home, self.fatal), items, chunk=chunk)


class WatchedSite(Site):
    """A site whose engine is watched. `fatal`: the stage in which the other node's second task waits for its end."""

    notes: Path
    fatal: str = ""

    def engine(self) -> Watched:
        return Watched(self.cluster, self.notes, self.fatal)


def noted(function: Callable[[Item], Result], notes: Path, home: str, fatal: str, item: Item) -> Result:
    """On a node: note where, then do the work; or stand still on a node that is to die, with the work begun and not done."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    stage = name_of(function)
    (notes / f"{stage}.{node}.{uuid4().hex}").touch()
    if stage == fatal and node != home and len(list(notes.glob(f"{stage}.{node}.*"))) > 1:
        (notes / "stuck").touch()
        time.sleep(STUCK_SECONDS)
        raise AssertionError("the node was to be killed here")
    return function(item)


def name_of(function: Any) -> str:
    """The module of a function, partial or not: the stage that it belongs to."""
    return str(getattr(function, "func", function).__module__).rpartition(".")[2]


def square(number: int) -> int:
    time.sleep(0.2)
    return number * number


def node_of(number: int) -> str:
    """Where this task runs, after a while."""
    import ray

    time.sleep(0.2)
    return str(ray.get_runtime_context().get_node_id())


def await_both_nodes(address: str) -> None:
    """Wait until two nodes take tasks: on a busy machine the second one's first process may need longer than a whole stage."""
    deadline = time.monotonic() + JOIN_SECONDS
    while len(set(RayEngine(address).map(node_of, range(8)))) < 2:
        if time.monotonic() > deadline:
            raise AssertionError("one node alone takes tasks")


def refuse(number: int) -> int:
    raise InputError(f"{number} is refused", where="there", hint="another")


def stages(root: Path, site: Site) -> dict[str, Artifact]:
    """Read, deduplicate and grade by the rule."""
    store = Store(root)
    corpus = run_stage(read, Read(sources=(StandardLibrary(),), max_files_per_source=600), store=store, site=site)
    unique = run_stage(dedup, Dedup(), corpus, store=store, site=site)
    rule = Annotate(grader="rule", sample_size=200)
    return {"read": corpus, "dedup": unique, "annotate": run_stage(annotate, rule, unique, store=store, site=site)}


def tasks(notes: Path) -> dict[str, dict[str, int]]:
    """How many tasks of each stage began on each node."""
    found: dict[str, Counter[str]] = {}
    for note in notes.glob("*.*.*"):
        stage, node, _ = note.name.split(".")
        found.setdefault(stage, Counter())[node] += 1
    return {stage: dict(counts) for stage, counts in found.items()}


def main(root: Path, address: str) -> None:
    """A plain map, a refusal, then the stages: here, on two live nodes, and with a node that dies in `dedup`."""
    found: dict[str, Any] = {"square": list(RayEngine(address).map(square, range(20)))}
    try:
        list(RayEngine(address).map(refuse, [3]))
    except InputError as error:
        found["refusal"] = str(error)
    made = {"here": stages(root / "here", Site(workers=1))}
    await_both_nodes(address)
    for name, fatal in (("two", ""), ("dying", "dedup")):
        notes = root / f"{name}.notes"
        notes.mkdir()
        made[name] = stages(root / name, WatchedSite(cluster=address, notes=notes, fatal=fatal))
        found[name] = tasks(notes)
    found["digests"] = {name: {stage: one.digest for stage, one in all_.items()} for name, all_ in made.items()}
    (root / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    import watched  # the tasks' functions are this module's by its name, not `__main__`'s

    watched.main(Path(sys.argv[1]), sys.argv[2])
