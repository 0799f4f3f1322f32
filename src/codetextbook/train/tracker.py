"""Trackers: where a person follows the numbers of a running step from afar. TensorBoard, trackio and wandb behind one small edge.

The site chooses, never the recipe: a tracker is told what the watcher is told, and no artifact depends on it. Each step that is made is
one run of the tracker, named by the recipe and the step, with the step's settings and its artifact's id. Everything stays in the folder
`tracked/` of the workspace: wandb is offline unless its own WANDB_MODE says otherwise, trackio is local unless its own variables name a
server. What a tracker is told is numbers, names of settings and their values: never a text of the corpus.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from codetextbook.errors import MissingDependency

Kind = Literal["none", "tensorboard", "trackio", "wandb"]


class Tracker(Protocol):
    """Whoever keeps numbers by step."""

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Told(NamedTuple):
    """What a tracker is told of a run before its first number."""

    project: str
    name: str
    """Recipe and step."""
    id: str
    """The artifact's id."""
    config: Mapping[str, Any]


@contextlib.contextmanager
def tracking(kind: Kind, told: Told, folder: Path) -> Iterator[Tracker]:
    """A tracker while a step is made; closed afterwards, also when the step fails.

    Raises:
        MissingDependency: the tracker's package is not installed.
    """
    try:
        tracker = _OPENED[kind](told, folder)
    except ImportError as error:
        hint = 'pip install "codetextbook[trackers]", or tracker = "none"'
        raise MissingDependency(f"no tracker {kind!r}: {error}", where="site.toml tracker", hint=hint) from error
    try:
        yield tracker
    finally:
        tracker.close()


def numbers(facts: Mapping[str, Any]) -> dict[str, float]:
    """Those of a step's facts that are finite numbers."""
    kinds = (int, float)
    return {
        name: float(value)
        for name, value in facts.items()
        if isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    }


class _Nobody:
    def __init__(self, told: Told, folder: Path) -> None: ...

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class _TensorBoard:
    """Event files, written by TensorBoard's own writer without torch."""

    def __init__(self, told: Told, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder / "tensorboard" / told.name / told.id))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        shown = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._writer.add_event(Event(step=step, wall_time=time.time(), summary=Summary(value=shown)))

    def close(self) -> None:
        self._writer.close()


class _Trackio:
    """trackio's database in the workspace; what it prints of itself is left out."""

    def __init__(self, told: Told, folder: Path) -> None:
        os.environ.setdefault("TRACKIO_DIR", str((folder / "trackio").resolve()))
        with contextlib.redirect_stdout(io.StringIO()):
            import trackio

            self._run = trackio.init(
                told.project,
                name=f"{told.name}/{told.id}",
                config={"artifact": told.id, **told.config},
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self._run.finish()


class _Wandb:
    """wandb's files in the workspace; `wandb sync` sends them, if a person wants that."""

    def __init__(self, told: Told, folder: Path) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=told.project,
            name=told.name,
            id=told.id,
            dir=str(folder),
            config={"artifact": told.id, **told.config},
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=wandb.Settings(
                silent=True, console="off", x_disable_stats=True, disable_git=True, disable_code=True
            ),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


_OPENED = {"none": _Nobody, "tensorboard": _TensorBoard, "trackio": _Trackio, "wandb": _Wandb}
