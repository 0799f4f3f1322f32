"""What makes a function a stage, and how one is run.

    @stage(version=1)
    def dedup(cfg: Dedup, documents: Artifact, *, out: Writer, site: Site) -> None: ...

Called in the pipeline with steps, a stage returns a `Step`: a promise of one artifact, whose id (stage, version, settings, ids of the
inputs) is known before anything runs. `make` keeps the promise. `version` is the author's word that the output changed.
A stage that gathers takes any number of artifacts more: `def ablate(cfg, *measured: Artifact, out, site)`.
"""

from __future__ import annotations

import inspect
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from codetextbook.config import Config
from codetextbook.errors import CodetextbookError, StageFailed
from codetextbook.site import Site
from codetextbook.store import Artifact, ProgressSink, Store, identity, sha256

STAGES: dict[str, Stage] = {}
"""Every stage that has been imported, by name."""


@dataclass(frozen=True)
class Stage:
    """A named, versioned function from settings and artifacts to one artifact."""

    name: str
    version: int
    function: Callable[..., None]
    config: type[Config]
    inputs: tuple[str, ...]
    gathered: str = ""
    """Name of the parameter that takes any number of artifacts more; empty where there is none."""

    def __call__(self, cfg: Config, *inputs: Step) -> Step:
        """Promise an artifact; nothing runs."""
        if not isinstance(cfg, self.config):
            raise TypeError(f"{self.name} takes a {self.config.__name__}, not a {type(cfg).__name__}")
        if len(inputs) < len(self.inputs) or (len(inputs) > len(self.inputs) and not self.gathered):
            raise TypeError(
                f"{self.name} takes {len(self.inputs)} inputs ({', '.join(self.inputs)}), not {len(inputs)}"
            )
        return Step(self, cfg, inputs)

    def input_names(self, count: int) -> list[str]:
        """Names of `count` inputs, those that are gathered with their number."""
        return [*self.inputs, *(f"{self.gathered}_{number:03d}" for number in range(count - len(self.inputs)))]

    @property
    def source(self) -> Path:
        """The file the stage is written in."""
        return Path(inspect.getfile(self.function))


@dataclass(frozen=True)
class Step:
    """A promise of one artifact: a stage, its settings, and the steps that feed it."""

    stage: Stage
    config: Config
    inputs: tuple[Step, ...] = ()
    label: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """What the step is called in a plan: the stage's name, or a more exact one where a stage is used twice."""
        return self.label or self.stage.name

    @cached_property
    def id(self) -> str:
        """Identity of the artifact, known before it is made."""
        return identity(self.stage.name, self.stage.version, self.config, self.input_ids)

    @cached_property
    def input_ids(self) -> dict[str, str]:
        """Ids of the inputs by parameter name."""
        names = self.stage.input_names(len(self.inputs))
        return {name: step.id for name, step in zip(names, self.inputs, strict=True)}

    def named(self, label: str) -> Step:
        """The same promise under another name."""
        return Step(self.stage, self.config, self.inputs, label)


def stage(*, version: int) -> Callable[[Callable[..., None]], Stage]:
    """Register a function `(cfg, *artifacts, out, site)` as a stage."""

    def register(function: Callable[..., None]) -> Stage:
        signature = inspect.signature(function, eval_str=True)
        parameters = list(signature.parameters.values())
        positional = [parameter for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
        config = positional[0].annotation
        if not (isinstance(config, type) and issubclass(config, Config)):
            raise TypeError(f"{function.__name__}'s first parameter must be annotated with its Config")
        gathered = next((parameter.name for parameter in parameters if parameter.kind is parameter.VAR_POSITIONAL), "")
        named = tuple(parameter.name for parameter in positional[1:])
        made = Stage(function.__name__, version, function, config, named, gathered)
        STAGES[made.name] = made
        return made

    return register


def make(
    step: Step,
    inputs: tuple[Artifact, ...],
    *,
    store: Store,
    site: Site,
    progress: ProgressSink | None = None,
    waiting: Callable[[], None] | None = None,
) -> Artifact:
    """Keep a step's promise: find the artifact, or make it under its lock, resuming at the first part that is missing.

    Raises:
        StageFailed: rows were lost, or the stage's own reason.
    """
    from codetextbook.store import Writer

    with store.writing(step.stage.name, step.id, waiting) as folder:
        found = store.find(step.stage.name, step.id)
        if found is not None:
            return found
        out = Writer(folder, progress)
        start = time.monotonic()
        try:
            step.stage.function(step.config, *inputs, out=out, site=site)
        except CodetextbookError:
            raise
        except MemoryError as error:
            raise StageFailed(
                "out of memory", where=step.name, hint="fewer workers, or a smaller cap in [read]"
            ) from error
        return out.finish(_header(step), time.monotonic() - start)


def run_stage(stage: Stage, cfg: Config, *inputs: Artifact, store: Store, site: Site) -> Artifact:
    """Run one stage on finished artifacts: for tests and for tools that need no pipeline."""
    step = stage(cfg, *(_Made.of(artifact) for artifact in inputs))
    return make(step, inputs, store=store, site=site)


class _Made(Step):
    """A finished artifact in the place of a promise."""

    @classmethod
    def of(cls, artifact: Artifact) -> _Made:
        made = cls(STAGES.get(artifact.stage) or Stage(artifact.stage, 0, _never, Config, ()), Config())
        made.__dict__["id"] = artifact.id
        return made


def _never(*_: Any, **__: Any) -> None:
    raise StageFailed("a finished artifact is not made again", where="run_stage")


def _header(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "stage": step.stage.name,
        "version": step.stage.version,
        "config": step.config.model_dump(mode="json"),
        "inputs": step.input_ids,
        "made_with": {
            "codetextbook": metadata.version("codetextbook"),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "source_sha256": sha256(step.stage.source),
        },
    }
