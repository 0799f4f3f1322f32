"""Trackers, each really started: what a training tells is found again in what the tracker wrote, and no artifact depends on it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from codetextbook.errors import MissingDependency
from codetextbook.recipe import Recipe
from codetextbook.run import Run
from codetextbook.site import Site
from codetextbook.train import tracker

MEASURED = {"loss", "tokens/s", "learning_rate", "gradient_norm", "done"}


@pytest.fixture(scope="module")
def base(tiny_run: Run) -> Run:
    """The tiny run, up to its base model."""
    tiny_run.make("pretrain")
    return tiny_run


def train_again(base: Run, tiny: Recipe, work: Path, kind: str) -> Run:
    """The base model once more, in a workspace that has all before it, with a tracker."""
    work.mkdir()
    (work / "store").symlink_to(base.store.root.resolve())
    site = base.site.replace({"tracker": kind})
    seed = {"tensorboard": 11, "trackio": 12, "wandb": 13}[kind]
    run = Run(tiny.replace({"pretrain.seed": seed}), work, site)
    run.make("pretrain")
    return run


def test_tensorboard_reads_what_was_told(base: Run, tiny: Recipe, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = train_again(base, tiny, tmp_path / "work", "tensorboard")
    read = EventAccumulator(str(run.work / "tracked/tensorboard/tiny/pretrain" / run.step("pretrain").id))
    read.Reload()
    assert set(read.Tags()["scalars"]) >= MEASURED
    artifact = run.artifact("pretrain")
    assert artifact is not None
    expected = artifact.table("metrics")["loss"].to_pylist()
    assert [event.value for event in read.Scalars("loss")] == pytest.approx(expected, rel=1e-6)
    assert [event.step for event in read.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in read.Scalars("validation_loss")] == [3, 6]


def test_trackio_keeps_it_in_the_workspace(
    base: Run, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "kept"))
    train_again(base, tiny, tmp_path / "work", "trackio")
    (database,) = (tmp_path / "kept").rglob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT step, metrics FROM metrics ORDER BY step").fetchall()
    connection.close()
    assert [step for step, _ in rows] == [1, 2, 3, 4, 5, 6]
    assert all(name in str(rows[0][1]) for name in MEASURED)


def test_wandb_writes_offline_and_sends_nothing(base: Run, tiny: Recipe, tmp_path: Path) -> None:
    run = train_again(base, tiny, tmp_path / "work", "wandb")
    (folder,) = (run.work / "tracked" / "wandb").glob("offline-run-*")
    (written,) = folder.glob("*.wandb")
    identity = run.step("pretrain").id
    assert identity in written.name
    content = written.read_bytes()
    assert all(name.encode() in content for name in MEASURED)


def test_a_tracker_changes_no_artifact(base: Run, tiny: Recipe) -> None:
    ids = {Run(tiny, base.work, Site(tracker=kind)).step("pretrain").id for kind in ("none", "wandb")}  # type: ignore[arg-type]
    assert ids == {base.step("pretrain").id}


def test_a_tracker_that_is_not_installed_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    told = tracker.Told("project", "tiny/pretrain", "0" * 16, {})
    with pytest.raises(MissingDependency, match=r"codetextbook\[trackers\]"), tracker.tracking("wandb", told, tmp_path):
        pass


def test_a_tracker_is_closed_when_the_step_fails(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told = tracker.Told("project", "tiny/pretrain", "0" * 16, {})
    with pytest.raises(RuntimeError), tracker.tracking("tensorboard", told, tmp_path) as one:
        one.log(1, {"loss": 2.0})
        raise RuntimeError("the step failed")
    read = EventAccumulator(str(tmp_path / "tensorboard/tiny/pretrain" / ("0" * 16)))
    read.Reload()
    assert [event.value for event in read.Scalars("loss")] == [2.0]


def test_only_finite_numbers_are_told() -> None:
    assert tracker.numbers({"loss": float("nan"), "last": "arm", "ok": True, "n": 3, "rate": 0.5}) == {
        "n": 3.0,
        "rate": 0.5,
    }
