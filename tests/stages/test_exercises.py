"""Exercises: only verified ones are kept, families stay held out, no row is lost, and the result does not depend on how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import codetextbook.stages.exercises as module
from codetextbook.errors import ConfigError, InputError, StageFailed
from codetextbook.grammar import FAMILIES, PRIMITIVES, Mix, Seen, draw_exercise
from codetextbook.nouns import EXERCISE
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.exercises import Exercises, assigned, exercises, sift
from codetextbook.store import Artifact, Store, Writer
from codetextbook.teacher import drills
from codetextbook.teacher.drills import parse_recorded
from codetextbook.text.exercise_form import fault

IDIOMS = ("loop", "comprehension", "builtin", "early_return", "helper", "recursion")
GOOD = {
    "prompt": 'def double(x: int) -> int:\n    """Return twice x."""\n',
    "solution": "    return 2 * x\n",
    "tests": "assert double(1) == 2\nassert double(0) == 0\nassert double(-3) == -6\n",
    "entry_point": "double",
    "topic": "doubling",
    "family": "arithmetic",
}


def recorded(**changes: str) -> dict[str, Any]:
    return parse_recorded(json.dumps(GOOD | changes))[0]


def renamed(name: str, **changes: str) -> dict[str, Any]:
    texts = {key: GOOD[key].replace("double", name) for key in ("prompt", "tests", "entry_point")}
    return recorded(**(texts | changes))


def run(folder: Path, cfg: Exercises, workers: int = 1) -> Artifact:
    return run_stage(exercises, cfg, store=Store(folder), site=Site(workers=workers))


def small(**changes: Any) -> Exercises:
    return Exercises(**({"count": 60, "heldout": 12, "recorded": False, "audit_share": 0.1} | changes))


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The recorded set, replaced by rows of the test."""
    rows: list[dict[str, Any]] = []
    monkeypatch.setattr(drills, "recorded_rows", lambda: list(rows))
    return rows


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("unparsable", {"solution": "    return 2 *\n"}),
        ("unparsable", {"tests": "assert double(1) ==\n"}),
        ("bad_layout", {"solution": "return 2 * x\n"}),
        ("bad_layout", {"prompt": GOOD["prompt"].rstrip("\n")}),
        ("wrong_name", {"entry_point": "twice"}),
        ("name_not_allowed", {"solution": "    return eval('2 * x')\n"}),
        ("name_not_allowed", {"solution": "    return ().__class__.__base__.__subclasses__() and 2 * x\n"}),
        ("name_not_allowed", {"tests": GOOD["tests"] + "assert double(4) == open('8').read()\n"}),
        ("not_one_function", {"prompt": "def helper():\n    pass\n\n\n" + GOOD["prompt"]}),
        ("no_docstring", {"prompt": "def double(x):\n", "solution": "    return 2 * x\n"}),
        ("import_not_allowed", {"prompt": "import os\n\n\n" + GOOD["prompt"]}),
        ("import_not_allowed", {"solution": "    import subprocess\n    return 2 * x\n"}),
        ("import_not_allowed", {"solution": "    from os.path import join\n    return 2 * x\n"}),
        ("bad_tests", {"tests": "assert double(1) == 2\n"}),
        ("bad_tests", {"tests": "assert True\n" * 3 + GOOD["tests"]}),
        ("bad_tests", {"tests": "import math\n" + GOOD["tests"]}),
        ("too_long", {"solution": f"    # {'x' * 5000}\n    return 2 * x\n"}),
    ],
)
def test_what_is_no_exercise_is_refused_by_its_text(reason: str, changes: dict[str, str]) -> None:
    found = fault(recorded(**changes), Exercises())
    assert found is not None and found[0] == reason


def test_allowed_imports_pass_and_the_list_decides() -> None:
    row = recorded(prompt="import math\nfrom collections import Counter\n\n\n" + GOOD["prompt"])
    assert fault(row, Exercises()) is None
    assert fault(row, Exercises(imports=("math",))) == ("import_not_allowed", "collections")


def test_recorded_ones_are_all_judged_by_the_sandbox(tmp_path: Path, shelf: list[dict[str, Any]]) -> None:
    wrong = recorded(solution="    return 3 * x\n", topic="wrong")
    weak = renamed("nothing", solution="    return\n", tests="assert nothing(1) == None\n" * 3, topic="weak")
    endless = renamed("endless", solution="    while True:\n        x += 1\n", topic="endless")
    double = renamed("twice")
    shelf += [wrong, recorded(), weak, endless, double, recorded(prompt="import os\n\n\n" + GOOD["prompt"])]
    made = run(tmp_path, small(count=0, heldout=0, recorded=True, cpu_seconds=1.0, max_rejected_share=1.0))
    assert made.table("exercises")["topic"].to_pylist() == ["doubling"]
    assert made.table("exercises")["verified"].to_pylist() == [True]
    reasons = {row["id"]: row["reason"] for row in made.table("rejected").to_pylist()}
    wanted = ["tests_failed", "stub_passes", "timed_out", "near_duplicate", "import_not_allowed"]
    assert [reasons[row["id"]] for row in [wrong, weak, endless, double, shelf[-1]]] == wanted
    assert made.manifest["flow"]["rows_in"] == 6
    assert made.manifest["facts"]["verified"] == {"in_sandbox": 1, "in_process_only": 0}


def test_the_facts_tell_how_each_was_verified(tmp_path: Path, shelf: list[dict[str, Any]]) -> None:
    shelf.append(recorded())
    made = run(tmp_path, small(recorded=True))
    facts = made.manifest["facts"]
    assert 0 < facts["audited"] < 30
    assert facts["verified"]["in_sandbox"] == facts["audited"] + 1
    assert sum(facts["verified"].values()) == made.rows("exercises") == sum(facts["writers"].values())
    assert facts["writers"]["recorded"] == 1
    assert all(made.table("exercises")["verified"].to_pylist())
    assert facts["diversity"]["recorded"]["texts"] == 1 and 30 < facts["diversity"]["grammar"]["texts"] <= 72
    assert set(facts["imports"]) <= {"typing", "collections", "itertools", "math"}


def test_a_failing_audit_fails_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lying(seed: int, index: int, **more: Any) -> dict[str, Any]:
        row = draw_exercise(seed, index, **more)
        return row | {"solution": "    return 'wrong'\n"} if index == 7 else row

    monkeypatch.setattr(module, "draw_exercise", lying)
    with pytest.raises(StageFailed, match="audited exercise"):
        run(tmp_path, small(audit_share=1.0, heldout=0, count=10))
    assert run(tmp_path, small(audit_share=0.0, heldout=0, count=10)).manifest["facts"]["audited"] == 0


def test_families_are_held_out_compositions_included(tmp_path: Path) -> None:
    cfg = small(count=400, heldout=60, audit_share=0.0)
    rows = run(tmp_path, cfg).table("exercises").to_pylist()
    used = {split: set() for split in ("train", "validation", "heldout")}
    topics = {split: set() for split in used}
    for row in rows:
        used[row["split"]] |= set(row["family"].split("+"))
        topics[row["split"]].add(row["topic"])
    assert used["heldout"] == set(cfg.heldout_families)
    assert not (used["train"] | used["validation"]) & used["heldout"]
    assert topics["validation"] and not topics["train"] & topics["validation"]
    other = small(count=400, heldout=0, audit_share=0.0, heldout_families=("filter",))
    assert not any("filter" in row["family"].split("+") for row in run(tmp_path, other).table("exercises").to_pylist())


def test_the_recipe_chooses_families_depths_and_idioms(tmp_path: Path) -> None:
    mix = Mix.parse({"depths": [0, 1], "idioms": {name: float(name == "loop") for name in IDIOMS}}, where="a test")
    cfg = small(count=80, heldout=0, audit_share=0.0, families=("filter", "map", "fold", "sort", "windows"), mix=mix)
    rows = run(tmp_path, cfg).table("exercises").to_pylist()
    owner = {one.name: one.family for one in PRIMITIVES}
    assert {owner[name] for row in rows for name in row["topic"].split(" > ")} <= {"filter", "map", "fold", "sort"}
    assert {len(row["topic"].split(" > ")) for row in rows} <= {1, 2}
    assert sum(" > " in row["topic"] for row in rows) > len(rows) // 2
    assert sum("\n    for " in row["prompt"] + row["solution"] for row in rows) > 0.7 * len(rows)
    with pytest.raises(ValidationError, match="depths"):
        Mix(depths=(0.0, 0.0))
    with pytest.raises(ConfigError, match="at least one weight"):
        Mix.parse({"examples": {"none": 0, "doctest": 0, "prose": 0}}, where="a test")


def test_recorded_ones_follow_their_families() -> None:
    cfg = Exercises(heldout_families=("windows", "codes"), validation_share=0.0)
    assert assigned(recorded(family="windows"), cfg) == "heldout"
    assert assigned(recorded(family="windows+codes"), cfg) == "heldout"
    assert assigned(recorded(family="filter"), cfg) == "train"
    assert assigned(recorded(family="lists_windows"), cfg) == "heldout"
    assert assigned(recorded(family="strings_ciphers"), cfg) == "heldout"
    assert assigned(recorded(family="windows+filter"), cfg) is None
    assert sift([recorded(family="windows+filter")], cfg, Seen())[1][0]["reason"] == "mixed_families"


def test_workers_and_interruptions_do_not_change_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shelf: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(module, "ROWS_PER_PART", 25)
    monkeypatch.setattr(module, "ROWS_PER_TASK", 10)
    shelf += [recorded(), recorded(solution="    return 5\n")]
    cfg = small(recorded=True)
    whole = run(tmp_path / "a", cfg)
    assert run(tmp_path / "b", cfg, workers=2).digest == whole.digest

    real, stop_at = Writer.table, [0, 2, 3]

    def dying(self: Writer, name: str, index: int, table: pa.Table) -> None:
        if name == "exercises" and stop_at and index == stop_at[0]:
            stop_at.pop(0)
            raise KeyboardInterrupt
        real(self, name, index, table)

    monkeypatch.setattr(Writer, "table", dying)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "c", cfg)
    resumed = run(tmp_path / "c", cfg)
    assert resumed.digest == whole.digest and resumed.manifest["facts"] == whole.manifest["facts"]


def test_nothing_asked_is_nothing_written(tmp_path: Path) -> None:
    made = run(tmp_path, small(count=0, heldout=0))
    assert made.rows("exercises") == made.rows("rejected") == 0
    assert made.table("exercises").schema == EXERCISE


def test_near_identical_ones_are_rejected_across_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shelf: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(module, "ROWS_PER_PART", 1)
    shelf += [recorded(), renamed("twice"), renamed("größer")]
    made = run(tmp_path, small(count=0, heldout=0, recorded=True, max_rejected_share=0.9))
    assert made.rows("exercises") == 1
    assert made.manifest["flow"]["rejected"] == {"near_duplicate": 2}
    with pytest.raises(StageFailed, match="near_duplicate"):
        run(tmp_path, small(count=0, heldout=0, recorded=True, max_rejected_share=0.1))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200), st.text(max_size=80), st.text(max_size=80))
def test_any_recorded_text_is_kept_or_rejected(prompt: str, solution: str, tests: str) -> None:
    row = recorded(prompt=prompt, solution=solution, tests=tests)
    kept, rejected = sift([row], Exercises(), Seen())
    assert len(kept) + len(rejected) == 1


def test_faults_of_the_user_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        run(tmp_path, small(heldout_families=("windows", "nonsense")))
    with pytest.raises(ConfigError, match="no family is called 'nonsense'"):
        run(tmp_path, small(families=("filter", "nonsense")))
    with pytest.raises(ValidationError, match="every family is held out"):
        Exercises(heldout_families=FAMILIES)
    with pytest.raises(ValidationError, match="no family of the grammar"):
        Exercises(heldout_families=())
    with pytest.raises(InputError, match="line 2"):
        parse_recorded(json.dumps(GOOD) + "\n{}\n")
    with pytest.raises(InputError, match="line 1"):
        parse_recorded(json.dumps(GOOD | {"tests": 3}))


def test_an_installation_without_the_recorded_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drills, "RECORDED", "absent.jsonl")
    with pytest.raises(InputError, match="recorded exercises") as caught:
        drills.recorded_rows()
    assert caught.value.hint
