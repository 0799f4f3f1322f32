"""Checkpoints of a training in progress: whole or not at all, checked when read, and the one before kept until the next stands.

Each process writes the rows of every tensor that are its own, so nothing is gathered and all write at once: two of them
`step-00000120.0-of-2.safetensors` and then its record, `step-00000120.0-of-2.json` (SHA-256, step, and what the loop wants to remember),
and the other the same with 1. A checkpoint is whole when all records are there. One that is damaged is passed over for the one before
it, and that is said. Because rows carry their place, any number of processes can go on from what any other number wrote.

Writing happens in a thread, from a copy of the state: training waits for the copy only. A write that fails (a full disk) is told as a
warning and tried again at the next occasion; training goes on.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from codetextbook.errors import StoreError
from codetextbook.store import atomic, sha256, write_json
from codetextbook.train.group import Group

KEPT = 2


class Rows(NamedTuple):
    """A stretch of a tensor's rows; a tensor without dimensions is one row."""

    tensor: Tensor
    first: int


class Part(NamedTuple):
    """A file of a checkpoint, and for each tensor in it the first row and the number of rows."""

    path: Path
    places: dict[str, tuple[int, int]]


class Checkpoint(NamedTuple):
    """Where training stood after `step` steps."""

    step: int
    notes: dict[str, Any]
    parts: tuple[Part, ...]

    def tensors(self, wanted: Mapping[str, tuple[int, int]]) -> dict[str, Tensor]:
        """The rows `first` to `stop` of each tensor that is wanted and was kept, put together from whatever parts hold them."""
        pieces: dict[str, list[tuple[int, Tensor]]] = defaultdict(list)
        for path, places in self.parts:
            with safe_open(path, framework="pt") as file:
                for name in wanted.keys() & places.keys():
                    first, count = places[name]
                    start, stop = max(first, wanted[name][0]), min(first + count, wanted[name][1])
                    if start < stop:
                        pieces[name].append((start, file.get_slice(name)[start - first : stop - first]))
        return {
            name: torch.cat([rows for _, rows in sorted(found, key=lambda one: one[0])])
            for name, found in pieces.items()
        }


def write(
    folder: Path, step: int, state: Mapping[str, Rows], notes: dict[str, Any], rank: int = 0, world: int = 1
) -> None:
    """Write this process's part of a checkpoint, and let go of those that are older than the last two.

    Raises:
        StoreError: the disk is full.
    """
    part = folder / f"step-{step:08d}.{rank}-of-{world}.safetensors"
    tensors = {
        name: rows.tensor.reshape(-1, *rows.tensor.shape[1:]).contiguous()
        for name, rows in state.items()
        if rows.tensor.numel()
    }
    with atomic(part) as path:
        save_file(tensors, path)
        digest = sha256(path)
    places = {name: (state[name].first, len(tensor)) for name, tensor in tensors.items()}
    write_json(_record(part), {"sha256": digest, "step": step, "places": places, "notes": notes})
    if rank == 0:
        _let_go(folder)


def newest(folder: Path, group: Group | None = None) -> Checkpoint | None:
    """The newest checkpoint that is whole; all processes agree on it, and each checks its share of the parts."""
    group = group or Group()
    for step, parts in group.agreed(sorted(_whole(folder).items(), reverse=True)):
        mine = [_fault(part) for part in parts[group.rank :: group.world]]
        faults = [fault for fault in mine if fault]
        for fault in faults:
            warnings.warn(
                f"the checkpoint of step {step:,} is damaged ({fault}): the one before it is used",
                RuntimeWarning,
                stacklevel=2,
            )
        if not group.total([float(len(faults))])[0]:
            told = [json.loads(_record(part).read_text(encoding="utf-8")) for part in parts]
            read = tuple(Part(part, one["places"]) for part, one in zip(parts, told, strict=True))
            return Checkpoint(step, told[0]["notes"], read)
    return None


class Saver:
    """Writes checkpoints beside the training."""

    def __init__(self, folder: Path, group: Group) -> None:
        self.folder, self.group = folder, group
        self.cost = 0.0
        """Seconds that the last one took: gathering, the copy and the writing."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[float] | None = None

    @property
    def busy(self) -> bool:
        """Whether one is being written."""
        return self._pending is not None and not self._pending.done()

    def save(self, step: int, state: Callable[[], Mapping[str, Rows]], notes: dict[str, Any]) -> None:
        """Copy the state and begin to write it, after what is still being written."""
        self.settle(step)
        start = time.monotonic()
        copy = {name: rows._replace(tensor=rows.tensor.detach().to("cpu", copy=True)) for name, rows in state().items()}
        self.cost = time.monotonic() - start
        notes = json.loads(json.dumps(notes))  # the loop goes on changing its own
        self._pending = self._thread.submit(self._write, step, copy, notes)

    def settle(self, step: int) -> None:
        """Wait for what is being written; a failure is told."""
        if self._pending is None:
            return
        try:
            self.cost += self._pending.result()
        except (OSError, SafetensorError, StoreError) as error:
            warnings.warn(
                f"step {step:,}: no checkpoint could be written ({error}); training goes on and tries again. "
                "Were it stopped now, it would go on from the last one that was written",
                RuntimeWarning,
                stacklevel=2,
            )
        self._pending = None

    def close(self) -> None:
        """Wait for the thread to end."""
        self._thread.shutdown(wait=True)

    def _write(self, step: int, state: Mapping[str, Rows], notes: dict[str, Any]) -> float:
        start = time.monotonic()
        write(self.folder, step, state, notes, self.group.rank, self.group.world)
        return time.monotonic() - start


def _record(part: Path) -> Path:
    return part.with_suffix(".json")


def _whole(folder: Path) -> dict[int, list[Path]]:
    """Parts of every checkpoint whose records are all there, by step; of one step only one set, the later."""
    sets: dict[tuple[int, int], list[Path]] = defaultdict(list)
    for record in sorted(folder.glob("step-*.*-of-*.json")):
        step, _, rest = record.stem.removeprefix("step-").partition(".")
        sets[int(step), int(rest.rpartition("-")[2])].append(record.with_suffix(".safetensors"))
    whole: dict[int, list[Path]] = {}
    for (number, world), parts in sorted(
        sets.items(), key=lambda one: max(_record(part).stat().st_mtime_ns for part in one[1])
    ):
        if len(parts) == world:
            whole[number] = parts
    return whole


def _fault(part: Path) -> str:
    """What is wrong with a part; empty if nothing is."""
    try:
        told = json.loads(_record(part).read_text(encoding="utf-8"))["sha256"]
        return "" if sha256(part) == told else f"{part.name} does not match its checksum"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{part.name}: {error}"


def _let_go(folder: Path) -> None:
    """Remove what is older than the last whole checkpoints."""
    steps = sorted(_whole(folder), reverse=True)[:KEPT]
    if len(steps) < KEPT:
        return
    for path in folder.glob("step-*.*-of-*.*"):
        if int(path.name.removeprefix("step-").partition(".")[0]) < steps[-1]:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
