"""The recorded pages and exercises do what they say, are what their label says, and hold nothing of a benchmark."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from codetextbook.benchmarks.leaks import LeakIndex, Limits
from codetextbook.benchmarks.problems import humaneval
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.exercises import Exercises
from codetextbook.stages.exercises import exercises as exercises_stage
from codetextbook.stages.textbook import Textbook
from codetextbook.stages.textbook import textbook as textbook_stage
from codetextbook.store import Store

PACKAGE = Path(str(files("codetextbook")))
DATA = PACKAGE / "data"
PLAYER = Path(__file__).with_name("play_recorded.py")
PAGE_FIELDS = {"topic": str, "audience": str, "words": list, "text": str, "writer": str}
EXERCISE_FIELDS = dict.fromkeys(("prompt", "solution", "tests", "entry_point", "topic", "family", "writer"), str)
IMPORTS = {"math", "re", "collections", "itertools", "functools", "string", "datetime", "typing"}
LIMIT_SECONDS = 60

Row = dict[str, Any]


def _rows(folder: Path, name: str) -> list[Row]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def _faults(folder: Path) -> list[list[str]]:
    command = [sys.executable, "-I", str(PLAYER), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    faults = json.loads(result.stdout)
    assert isinstance(faults, list)
    return faults


@pytest.fixture(scope="module")
def pages() -> list[Row]:
    return _rows(DATA, "pages.jsonl")


@pytest.fixture(scope="module")
def exercises() -> list[Row]:
    return _rows(DATA, "exercises.jsonl")


@pytest.fixture(scope="module")
def curriculum() -> dict[str, Any]:
    return tomllib.loads((DATA / "curriculum.toml").read_text(encoding="utf-8"))


def test_all_code_runs_and_gives_what_is_said() -> None:
    assert _faults(DATA) == []


def test_the_stages_take_every_row(tmp_path: Path, pages: list[Row], exercises: list[Row]) -> None:
    store = Store(tmp_path)
    told = run_stage(textbook_stage, Textbook(count=0), store=store, site=Site())
    drilled = run_stage(exercises_stage, Exercises(count=0, heldout=0), store=store, site=Site())
    assert (told.rows("pages"), drilled.rows("exercises")) == (len(pages), len(exercises))


def test_a_wrong_claim_a_wrong_solution_and_toothless_tests_are_found(tmp_path: Path, exercises: list[Row]) -> None:
    text = "## Sums\n\n```python\nprint(1 + 1)  # 3\n```\n\n```python\nprint(6)\nprint(7)\n```\n\n```text\n6\n8\n```\n"
    good = exercises[0]
    bad = [{**good, "solution": "    return -1\n"}, {**good, "tests": "assert True\n"}]
    (tmp_path / "pages.jsonl").write_text(json.dumps({"text": text}) + "\n", encoding="utf-8")
    (tmp_path / "exercises.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bad), encoding="utf-8")
    faults = _faults(tmp_path)
    assert [fault for where, fault in faults if where == "## Sums" and "said '3'" in fault]
    assert [fault for where, fault in faults if where == "## Sums" and "8" in fault]
    assert [fault for where, fault in faults if fault.startswith("assert ") and "AssertionError" in fault]
    assert [fault for where, fault in faults if fault == "a function that returns None passes"]


def test_pages_are_whole(pages: list[Row], curriculum: dict[str, Any]) -> None:
    assert len(pages) >= 200
    for page in pages:
        assert {name: type(value) for name, value in page.items()} == PAGE_FIELDS, page
        assert page["writer"] == "recorded"
        assert page["topic"] in curriculum["topics"] and page["audience"] in curriculum["audiences"], page["topic"]
        assert page["text"].startswith("## ") and page["text"].endswith("\n")
        assert 150 <= len(page["text"].split()) <= 450, page["topic"]
        assert page["text"].count("```python") >= 2 and page["text"].count("\n```") % 2 == 0, page["topic"]
        assert len(page["words"]) >= 3 and all(word in page["text"].lower() for word in page["words"]), page["topic"]


def test_pages_are_various(pages: list[Row], curriculum: dict[str, Any]) -> None:
    assert len({page["topic"] for page in pages}) == len(pages)
    assert {page["audience"] for page in pages} == set(curriculum["audiences"])
    assert {curriculum["topics"][page["topic"]]["area"] for page in pages} == set(curriculum["areas"])


def test_exercises_are_whole(exercises: list[Row], curriculum: dict[str, Any]) -> None:
    assert len(exercises) >= 500
    for row in exercises:
        assert {name: type(value) for name, value in row.items()} == EXERCISE_FIELDS, row
        name = row["entry_point"]
        assert row["writer"] == "recorded" and row["topic"] in curriculum["topics"], name
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", row["family"]), name
        assert row["prompt"].endswith('    """\n') and row["solution"].endswith("\n"), name
        *imports, function = ast.parse(row["prompt"] + row["solution"]).body
        assert isinstance(function, ast.FunctionDef) and function.name == name
        modules = {m for node in imports for m in re.findall(r"^(?:import|from) (\w+)", ast.unparse(node))}
        assert len(modules) >= len(imports) and modules <= IMPORTS, name
        assert function.returns is not None and all(a.annotation for a in function.args.args), name
        assert re.search(rf">>> .*\b{name}\(", ast.get_docstring(function) or ""), name


def test_tests_are_plain_assertions_on_the_function(exercises: list[Row]) -> None:
    for row in exercises:
        lines = row["tests"].splitlines()
        assert 5 <= len(lines) <= 8 and len(set(lines)) == len(lines), row["entry_point"]
        assert all(line.startswith("assert ") and f"{row['entry_point']}(" in line for line in lines)


def test_no_exercise_comes_twice(exercises: list[Row]) -> None:
    assert len({row["entry_point"] for row in exercises}) == len(exercises)
    assert len({row["prompt"] for row in exercises}) == len(exercises)
    assert len({ast.dump(ast.parse(row["prompt"] + row["solution"]).body[-1]) for row in exercises}) == len(exercises)


def test_nothing_is_from_the_benchmark(pages: list[Row], exercises: list[Row]) -> None:
    index = LeakIndex(humaneval(), Limits(ngram_words=13, tau=0.8, min_nodes=20))
    detectors = ("docstring_ngram", "text_ngram", "ast")
    texts = [row["text"] for row in pages] + [row["prompt"] + row["solution"] for row in exercises]
    found = [(leak.task_id, leak.detector, leak.where) for one in index.screen(texts, detectors) for leak in one.leaks]
    assert found == []


def test_the_curriculum_is_a_tree_without_cycles(curriculum: dict[str, Any]) -> None:
    topics = curriculum["topics"]
    order = TopologicalSorter({key: topic["needs"] for key, topic in topics.items()}).static_order()
    assert set(order) == set(topics) and len(topics) >= 120
    assert {topic["area"] for topic in topics.values()} == set(curriculum["areas"])
    assert len(curriculum["audiences"]) >= 30
    words = [word for pool in curriculum["words"].values() for word in pool]
    assert all(re.fullmatch(r"[a-z]+", word) for word in words)


def test_the_label_names_these_prompts_and_these_numbers(pages: list[Row], exercises: list[Row]) -> None:
    label = (DATA / "README.md").read_text(encoding="utf-8")
    for name in ("textbook.md", "exercise.md"):
        digest = hashlib.sha256((PACKAGE / "teacher" / "prompts" / name).read_bytes()).hexdigest()
        assert f"`{name}` | `{digest[:16]}`" in label
    assert f"{len(pages)} pages" in label and f"{len(exercises)} exercises" in label
    assert "Claude" in label and "2026-11-23" in label and "Apache-2.0" in label
