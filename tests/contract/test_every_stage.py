"""One suite over every stage: same digests whatever the workers and however often killed; rows conserved; settings checked."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import codetextbook.store
from codetextbook.errors import CodetextbookError, ConfigError
from codetextbook.pipeline import Steps
from codetextbook.recipe import Recipe
from codetextbook.run import Run
from codetextbook.site import Site
from codetextbook.stages.contract import STAGES, make
from codetextbook.store import Artifact, Store

BRANCHES = (
    "prune@0.9",
    "contamination@0.9",
    "cohort@R",
    "perplexity@U/0",
    "examine@FTX/0",
    "ablate",
    "spikes",
    "sensitivity",
)
STEPS = (*Steps._fields, *BRANCHES)


def inputs_of(run: Run, name: str) -> tuple[Artifact, ...]:
    """The finished inputs of a step, made if need be."""
    by_id = {step.id: step.name for step in (run.steps | run.branches).values()}
    return tuple(run.make(by_id[needed.id]) for needed in run.step(name).inputs)


def test_the_suite_covers_every_stage(tiny_run: Run) -> None:
    assert {tiny_run.step(name).stage.name for name in STEPS} == set(STAGES)


@pytest.mark.parametrize("name", STEPS)
def test_one_worker_gives_the_digest_that_two_give(name: str, tiny_run: Run, tmp_path: Path) -> None:
    two = tiny_run.make(name)
    one = make(tiny_run.step(name), inputs_of(tiny_run, name), store=Store(tmp_path), site=Site(workers=1, threads=1))
    assert one.digest == two.digest
    assert Store(tmp_path).verify() == []


def _die_after_one_part(recipe: Recipe, name: str, inputs: tuple[Artifact, ...], root: Path) -> None:
    """Make an artifact, but die by SIGKILL once a new lasting part stands (never at the manifest, which ends the work)."""
    write = codetextbook.store.atomic

    @contextlib.contextmanager
    def fatal(path: Path) -> Iterator[Path]:
        with write(path) as partial:
            yield partial
        if path.name != codetextbook.store.MANIFEST and ".scratch" not in path.parts:
            os.kill(os.getpid(), signal.SIGKILL)

    codetextbook.store.atomic = fatal
    make(Run(recipe, root).step(name), inputs, store=Store(root), site=Site(workers=1, threads=1))


@pytest.mark.parametrize("name", STEPS)
def test_killed_after_each_part_and_resumed_gives_the_same_digest(
    name: str, tiny: Recipe, tiny_run: Run, tmp_path: Path
) -> None:
    whole = tiny_run.make(name)
    inputs = inputs_of(tiny_run, name)
    deaths = 0
    for _ in range(3):
        arguments = (tiny, name, inputs, tmp_path)
        child = multiprocessing.get_context("spawn").Process(target=_die_after_one_part, args=arguments)
        child.start()
        child.join()
        assert child.exitcode in (0, -signal.SIGKILL)
        deaths += child.exitcode == -signal.SIGKILL
    assert deaths >= 1
    resumed = make(tiny_run.step(name), inputs, store=Store(tmp_path), site=Site(workers=1, threads=1))
    assert resumed.digest == whole.digest
    assert Store(tmp_path).verify() == []


@pytest.mark.parametrize("name", STEPS)
def test_rows_are_conserved_and_every_rejection_has_its_reason(name: str, tiny_run: Run) -> None:
    flow = tiny_run.make(name).manifest["flow"]
    assert flow["rows_in"] == flow["rows_kept"] + sum(flow["rejected"].values())
    assert all(reason and " " not in reason for reason in flow["rejected"])


@pytest.mark.parametrize("name", [*Steps._fields, "contamination", "ablate", "perplexity", "sensitivity"])
def test_an_unknown_key_is_refused(name: str, tiny: Recipe) -> None:
    table = name.replace("_", ".")
    with pytest.raises(ConfigError, match="unknown key .*nonsense"):
        tiny.replace({f"{table}.nonsense": 1})


def test_no_sources_end_in_a_clear_word(tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    bare = tiny.replace({"read.sources": [{"kind": "folder", "name": "bare", "path": str(tmp_path / "bare")}]})
    run = Run(bare, tmp_path / "work", Site(workers=1, threads=1))
    assert run.make("dedup").rows("documents") == 0
    with pytest.raises(CodetextbookError) as caught:
        run.make("curate")
    assert caught.value.hint


def test_a_document_can_be_asked_why(tiny_run: Run) -> None:
    from codetextbook.run import fate

    curated = tiny_run.make("curate")
    document = curated.table("documents")["id"][0].as_py()
    lines = fate(tiny_run.store, document)
    assert any(line.startswith("read") for line in lines)
    assert any(line.startswith("curate") for line in lines)
