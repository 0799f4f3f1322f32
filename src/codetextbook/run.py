"""Run: a recipe in a workspace. Plans before anything runs, makes what is asked for, and resumes what was cut short.

A workspace is a folder: `store/` with the artifacts, `site.toml` if there is one, `runs.jsonl` with what was made when. A step whose
artifact exists is never made again; changing a setting changes the ids of the steps downstream of it, and of no others.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

from codetextbook.errors import ConfigError
from codetextbook.experiments import Ablation, ablation, altered_prompts, section5
from codetextbook.pipeline import phi1
from codetextbook.plan import Planned, plan, seconds_to_come
from codetextbook.recipe import Recipe
from codetextbook.site import Site
from codetextbook.stages.contract import Step, make
from codetextbook.store import Artifact, Store
from codetextbook.train.tracker import Told, numbers, tracking


class Watcher(Protocol):
    """Whoever follows a run: the live panel, plain lines, or nobody."""

    def planned(self, steps: Sequence[Step], seconds: Mapping[str, float]) -> None:
        """These will be made or found, in this order; `seconds` by id, where they are known."""

    def started(self, step: Step) -> None: ...

    def waiting(self, step: Step) -> None: ...

    def progress(self, step: Step, done: int, total: int, unit: str, facts: dict[str, Any]) -> None: ...

    def finished(self, step: Step, artifact: Artifact, made: bool) -> None: ...


class Nobody:
    """A watcher that says nothing."""

    def planned(self, steps: Sequence[Step], seconds: Mapping[str, float]) -> None: ...

    def started(self, step: Step) -> None: ...

    def waiting(self, step: Step) -> None: ...

    def progress(self, step: Step, done: int, total: int, unit: str, facts: dict[str, Any]) -> None: ...

    def finished(self, step: Step, artifact: Artifact, made: bool) -> None: ...


class Run:
    """A recipe bound to a workspace and a site."""

    def __init__(self, recipe: Recipe, work: str | Path = "work", site: Site | None = None) -> None:
        self.recipe = recipe
        self.work = Path(work)
        self.site = site if site is not None else Site.load(self.work)
        self.store = Store(self.work / "store")
        self.steps = {step.name: step for step in phi1(recipe)}

    @cached_property
    def ablation(self) -> Ablation:
        """The promises of the recipe's ablation."""
        return ablation(self.recipe)

    @cached_property
    def branches(self) -> dict[str, Step]:
        """Steps that are no part of the run itself, by name: those of Section 5, of altered prompts and of the ablation."""
        steps = [*(step for branch in section5(self.recipe) for step in branch), altered_prompts(self.recipe)]
        goals = (self.ablation.ablate, self.ablation.spikes)
        return {step.name: step for step in (*steps, *(one for goal in goals for one in _in_order(goal)))}

    def step(self, name: str) -> Step:
        """A step by its name in the plan.

        Raises:
            ConfigError: there is none of that name.
        """
        known = self.steps if name in self.steps else self.steps | self.branches
        if name not in known:
            raise ConfigError(f"no step {name!r}", hint=f"one of {', '.join(known)}")
        return known[name]

    def artifact(self, name: str) -> Artifact | None:
        """The finished artifact of a step, if it is there."""
        step = self.step(name)
        return self.store.find(step.stage.name, step.id)

    def make(self, name: str = "report", watcher: Watcher | None = None) -> Artifact:
        """Make a step's artifact, and first whatever it needs. What is there already is found, not made.

        Raises:
            CodetextbookError: a stage cannot go on; everything finished before stays.
        """
        made: dict[str, Artifact] = {}
        steps = _in_order(self.step(name))
        if watcher is not None:
            watcher.planned(steps, seconds_to_come(self.recipe, self.store, {step.name: step for step in steps}))
        watcher = watcher if watcher is not None else Nobody()
        for step in steps:
            made[step.id] = self._make_one(step, tuple(made[needed.id] for needed in step.inputs), watcher)
        return made[self.step(name).id]

    def make_experiment(self, goal: Step, watcher: Watcher) -> Artifact:
        """Make `ablate` or `spikes`: what its trainings share with all workers, then the trainings beside each other, each in a process of
        its own with one thread, as many at a time as the site has workers. On a GPU the processes share it.

        Raises:
            CodetextbookError: a stage cannot go on, or a process died; everything finished before stays.
        """
        groups = [[step.name for step in group] for group in self.ablation.trainings(goal)]
        for step in _in_order(goal):
            if step.stage.name in _SHARED:
                self.make(step.name, watcher)
        lacking = [tuple(names) for names in groups if any(self.artifact(name) is None for name in names)]
        work = partial(_made_apart, recipe=self.recipe, work=self.work, site=self.site)
        if lacking:
            watcher.started(goal)
            for number, last in enumerate(self.site.engine().map(work, lacking)):
                watcher.progress(goal, number + 1, len(lacking), "trainings", {"last": last})
        return self.make(goal.name, watcher)

    def _make_one(self, step: Step, inputs: tuple[Artifact, ...], watcher: Watcher) -> Artifact:
        found = self.store.find(step.stage.name, step.id)
        if found is not None:
            watcher.finished(step, found, False)
            return found
        artifact = self.make_watched(step, inputs, watcher)
        self._log(step, artifact)
        watcher.finished(step, artifact, True)
        return artifact

    def make_watched(self, step: Step, inputs: tuple[Artifact, ...], watcher: Watcher) -> Artifact:
        """Make a step from inputs that are there, whether it is the recipe's or not, while the watcher follows.

        Raises:
            CodetextbookError: the stage cannot go on.
        """
        watcher.started(step)
        told = Told(
            self.site.tracker_project, f"{self.recipe.name}/{step.name}", step.id, step.config.model_dump(mode="json")
        )
        with tracking(self.site.tracker, told, self.work / "tracked") as tracker:

            def progress(done: int, total: int, unit: str, facts: dict[str, Any]) -> None:
                tracker.log(done, {"done": done / max(total, 1)} | numbers(facts))
                watcher.progress(step, done, total, unit, facts)

            return make(
                step,
                inputs,
                store=self.store,
                site=self.site,
                progress=progress,
                waiting=lambda: watcher.waiting(step),
            )

    def _log(self, step: Step, artifact: Artifact) -> None:
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "recipe": self.recipe.name,
            "step": step.name,
            "id": artifact.id,
            "digest": artifact.digest,
            "seconds": artifact.manifest["seconds"],
        }
        with (self.work / "runs.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")

    def plan(self) -> list[Planned]:
        """What each step is, what it has cost or is known or estimated to cost. Nothing runs."""
        return plan(self.recipe, self.site, self.store, self.steps)


_SHARED = ("cohort", "pack")
"""Stages of which several trainings need the same artifact."""


def _made_apart(names: tuple[str, ...], *, recipe: Recipe, work: Path, site: Site) -> str:
    """In a process of its own: make these steps, and say the last one's name."""
    run = Run(recipe, work, site.replace({"workers": 1, "threads": 1}))
    for name in names:
        run.make(name)
    return names[-1]


def _in_order(goal: Step) -> list[Step]:
    """A step and all it needs, each after what it needs, each once."""
    ordered: dict[str, Step] = {}

    def visit(step: Step) -> None:
        for needed in step.inputs:
            visit(needed)
        ordered.setdefault(step.id, step)

    visit(goal)
    return list(ordered.values())


def lineage(store: Store, artifact_id: str) -> Iterator[tuple[int, Artifact]]:
    """An artifact and what it was made from, with the depth of each.

    Raises:
        ConfigError: there is no such artifact.
    """
    known = {artifact.id: artifact for artifact in store.artifacts()}
    matches = [key for key in known if key.startswith(artifact_id)]
    if len(matches) != 1:
        what = "no artifact" if not matches else f"{len(matches)} artifacts"
        raise ConfigError(f"{what} with an id that begins {artifact_id!r}", where=str(store.root))

    def walk(key: str, depth: int) -> Iterator[tuple[int, Artifact]]:
        if key in known:
            yield depth, known[key]
            for needed in known[key].manifest["inputs"].values():
                yield from walk(needed, depth + 1)

    return walk(matches[0], 0)


def fate(store: Store, document: str) -> list[str]:
    """What became of a document, by its id or the beginning of one: a line for each artifact that kept or rejected it."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lines = []
    for artifact in store.artifacts():
        for part in sorted(artifact.folder.glob("*-[0-9]*.parquet")):
            columns = pq.read_schema(part).names
            key = "id" if "id" in columns else "document_id" if "document_id" in columns else None
            if key is None:
                continue
            shown = [name for name in (key, *_TELLING) if name in columns]
            table = pq.read_table(part, columns=shown, partitioning=None)
            hits = table.filter(pc.starts_with(table[key], document))
            for row in hits.to_pylist():
                facts = ", ".join(f"{name} {row[name]}" for name in shown[1:] if row[name] not in (None, ""))
                label = part.name.rsplit("-", 1)[0]
                lines.append(f"{artifact.stage} {artifact.id}  {label}  {row[key]}  {facts}".rstrip())
    return lines


_TELLING = (
    "reason",
    "detail",
    "keeper",
    "similarity",
    "score",
    "quality",
    "path",
    "source",
    "entry_point",
    "split",
    "writer",
)
