"""Choosing a checkpoint: by what it solves on exercises that are never reported."""

from __future__ import annotations

import pytest

from codetextbook.errors import StageFailed
from codetextbook.nouns import Problem
from codetextbook.run import Run
from codetextbook.stages.select import best_of, refuse_reported


def row(step: int, solved: int | None, loss: float | None) -> dict[str, object]:
    return {"step": step, "solved": solved, "validation_loss": loss}


def test_most_solved_wins_then_least_loss_then_the_latest() -> None:
    rows = [row(1, 3, 1.0), row(2, 5, 2.0), row(3, 5, 1.5), row(4, 5, 1.5)]
    assert best_of(rows, "solved") == 4
    assert best_of(rows[:2], "solved") == 2
    assert best_of(rows, "validation_loss") == 1
    assert best_of([row(1, 0, None), row(2, 0, 3.0)], "solved") == 2


@pytest.mark.parametrize("change", [{"task_id": "other"}, {"prompt": "other"}])
def test_an_exercise_that_is_reported_never_chooses(change: dict[str, str]) -> None:
    fields = {"benchmark": "b", "task_id": "1", "prompt": "def f", "entry_point": "f", "reference": "", "tests": ""}
    one = Problem(**fields)
    with pytest.raises(StageFailed, match="reported too"):
        refuse_reported([one], [Problem(**fields | change)])
    refuse_reported([one], [Problem(**fields | {"task_id": "other", "prompt": "other"})])


def test_the_splits_of_a_run_share_no_exercise(tiny_run: Run) -> None:
    clean = tiny_run.make("decontaminate").table("exercises").to_pylist()
    by_split: dict[str, set[str]] = {}
    for exercise in clean:
        by_split.setdefault(exercise["split"], set()).update((exercise["id"], exercise["prompt"]))
    assert set(by_split) == {"train", "validation", "heldout"}
    assert not by_split["validation"] & by_split["heldout"]
    assert not by_split["train"] & by_split["heldout"]


def test_the_chosen_model_is_a_checkpoint_to_the_byte(tiny_run: Run) -> None:
    chosen, tuned = tiny_run.make("select"), tiny_run.make("finetune")
    rows = chosen.table("checkpoints").to_pylist()
    assert [row["step"] for row in rows] == [3, 6]
    (step,) = [row["step"] for row in rows if row["chosen"]]
    folder = tuned.file("checkpoints") / f"step-{step:06d}"
    for part in folder.iterdir():
        assert (chosen.file("model") / part.name).read_bytes() == part.read_bytes()
