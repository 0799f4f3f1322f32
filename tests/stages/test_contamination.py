"""Section 5 for real, on the tiny run: what is near goes, what is upstream is shared, the table adds up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from codetextbook.benchmarks.problems import humaneval
from codetextbook.benchmarks.section5 import Nearness
from codetextbook.errors import StageFailed
from codetextbook.nouns import EXERCISE
from codetextbook.recipe import Recipe
from codetextbook.run import Run
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contamination import Contamination
from codetextbook.stages.contract import run_stage
from codetextbook.stages.prune import prune
from codetextbook.store import Artifact, Store, Writer
from codetextbook.text.match_rate import match_rate
from codetextbook.text.python_ast import read_code

TAU = 0.9
LEAK = humaneval()[0]


def shapes(text: str) -> list[str]:
    return [function.shape for function in read_code(text).functions]


def near(exercise: dict[str, str], known: list[str]) -> float:
    return max(match_rate(own, other) for own in shapes(exercise["prompt"] + exercise["solution"]) for other in known)


def verb(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "codetextbook", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def pruned(tiny_run: Run) -> Artifact:
    return tiny_run.make(f"prune@{TAU:g}")


def test_exactly_the_near_training_exercises_go(pruned: Artifact, tiny_run: Run) -> None:
    known = [shape for one in humaneval() for shape in shapes(one.prompt + one.reference)]
    clean = tiny_run.make("decontaminate").table("exercises").to_pylist()
    expected = {row["id"] for row in clean if row["split"] != "train" or near(row, known) < TAU}
    kept = pruned.table("exercises")["id"].to_pylist()
    assert set(kept) == expected and len(kept) == len(expected)
    facts = pruned.manifest["facts"]
    assert facts["pruned"] == len(clean) - len(kept) == pruned.rows("rejected") > 0


def test_every_similar_problem_shows_its_nearest_exercise(pruned: Artifact) -> None:
    rows = pruned.table("closest").to_pylist()
    assert len(rows) == pruned.manifest["facts"]["problems_similar"] > 0
    for row in rows:
        rate = max(match_rate(own, other) for own in shapes(row["exercise"]) for other in shapes(row["problem"]))
        assert row["rate"] == pytest.approx(rate) and rate >= TAU


def test_everything_upstream_of_the_exercises_is_shared(tiny_run: Run) -> None:
    before = {name: tiny_run.make(name).id for name in ("pretrain", "tokenizer", "evaluate")}
    row = tiny_run.make(f"contamination@{TAU:g}")
    again = tiny_run.make(f"finetune@{TAU:g}")
    assert again.manifest["inputs"]["base"] == before["pretrain"]
    assert again.manifest["inputs"]["vocab"] == before["tokenizer"]
    assert row.manifest["inputs"]["scores"] == before["evaluate"]
    assert again.id != tiny_run.make("finetune").id


def test_the_row_adds_up(tiny_run: Run) -> None:
    row = tiny_run.make(f"contamination@{TAU:g}").json("row")
    assert row["similar"] + row["not_similar"] == 164 == row["paired"]["problems"]
    assert row["similar"] == len(row["task_ids_similar"])
    for cells in row["models"].values():
        assert cells["similar"]["solved"] + cells["not_similar"]["solved"] == cells["total"]["solved"]
        assert cells["total"]["problems"] == 164


def test_the_command_prints_and_writes_the_table(tiny: Recipe, tiny_run: Run, tmp_path: Path) -> None:
    tiny_run.make(f"contamination@{TAU:g}")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny.dump(), encoding="utf-8")
    done = verb("contamination", str(recipe), "--work", str(tiny_run.work))
    assert done.returncode == 0, done.stderr
    written = (tiny_run.work / "contamination.md").read_text(encoding="utf-8")
    assert written in done.stdout
    assert "| 0.9 |" in written and "| 93 / 71 |" in written and "48.4 / 32.4 / 41.5" in written


def test_a_benchmark_that_nobody_sat_is_refused(tiny: Recipe, tiny_run: Run) -> None:
    changes = ("--set", "contamination.benchmark=nothing")
    done = verb("contamination", "laptop", *changes, "--work", str(tiny_run.work))
    assert done.returncode == 1
    assert "nobody sits 'nothing'" in done.stderr and "humaneval, heldout" in done.stderr
    assert list(Run(tiny.replace({"contamination.benchmark": "nothing"}), tiny_run.work).steps) == list(tiny_run.steps)


def exercises(store: Store, solutions: dict[str, str]) -> Artifact:
    """Training exercises by id, all with the prompt of HumanEval/0."""
    own = {"prompt": LEAK.prompt, "split": "train", "verified": True}
    rows = [dict.fromkeys(EXERCISE.names, "x") | own | {"id": key, "solution": one} for key, one in solutions.items()]
    out = Writer(store.folder("decontaminate", "0" * 16))
    out.table("exercises", 0, to_table(rows, EXERCISE))
    out.flow(rows_in=len(rows), unit="exercises")
    return out.finish({"id": "0" * 16, "stage": "decontaminate", "version": 2, "config": {}, "inputs": {}}, 0.0)


def test_prunings_grow_as_tau_falls(tmp_path: Path) -> None:
    store = Store(tmp_path)
    added = {f"{edits}": "    threshold += 1\n" * edits + LEAK.reference for edits in range(7)}
    far = "    with open(numbers) as lines:\n" + "        print(lines.read().split())\n" * 9
    clean = exercises(store, added | {"far": far})
    pruned, similar = [], []
    for tau in (0.95, 0.85, 0.75):
        made = run_stage(prune, Nearness(tau=tau), clean, store=store, site=Site(workers=1))
        pruned.append({row["id"] for row in made.table("rejected").to_pylist()})
        similar.append({row["task_id"] for row in made.table("closest").to_pylist()})
        assert {*made.table("exercises")["id"].to_pylist(), *pruned[-1]} == {*added, "far"}
    assert pruned[0] < pruned[1] < pruned[2] and "far" not in pruned[2]
    assert LEAK.task_id in similar[0] and similar[0] <= similar[1] <= similar[2]


def test_pruning_everything_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    clean = exercises(store, {"a": LEAK.reference})
    with pytest.raises(StageFailed, match=r"every one of 1 .* is near a problem at tau 0\.95"):
        run_stage(prune, Nearness(), clean, store=store, site=Site(workers=1))


def test_explain_tells_the_settings_of_the_recipe() -> None:
    told = verb("explain", "contamination").stdout
    assert "taus = (0.95, 0.9, 0.85, 0.8)" in told and "Table 3" in told
    assert "tau = 0.95" in verb("explain", "prune").stdout


def test_taus_out_of_range_or_given_twice_are_refused() -> None:
    for taus in ((0.9, 0.9), (1.5,), ()):
        with pytest.raises(ValueError):
            Contamination(taus=taus)
