"""Published benchmarks: found by name, known by content, and each reference passes while no stub does.

A sample of our own in each published form carries the proof everywhere; the full sets are run where their files are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codetextbook.benchmarks import extract, plus, program, published, stops_for
from codetextbook.benchmarks.problems import BenchmarkFile, load
from codetextbook.errors import BenchmarkError
from codetextbook.nouns import Problem
from codetextbook.sandbox import Job, Limits, Sandbox, Status

FULL = os.environ.get(published.FOLDER_VARIABLE)
NEEDS_MORE = {"Mbpp/255": "over 1 GiB of memory", "Mbpp/599": "over 20 CPU seconds"}
"""References of MBPP+ that are right and cannot pass under these limits."""


def mbpp_row(number: int, name: str, body: str, *tests: str, **more: Any) -> dict[str, Any]:
    text = f"Write a function to {name.replace('_', ' ')}."
    code = f"def {name}(x):\r\n    return {body}"
    return {"task_id": number, "text": text, "code": code, "test_list": list(tests), "test_setup_code": ""} | more


MBPP = [
    mbpp_row(2, "add_two", "x + 2", "assert add_two(1) == 3"),
    mbpp_row(3, "negate", "-x", "assert negate(1) == -1"),
    mbpp_row(4, "halve", "x / 2", "assert halve(1) == 0.5"),
    mbpp_row(11, "square_root", "math.sqrt(x)", "assert square_root(K) == 2.0", test_setup_code="import math\r\nK = 4"),
    mbpp_row(510, "double", "2 * x", "assert double(2) == 4", "assert double(0) == 0"),
    mbpp_row(511, "triple", "3 * x", "assert triple(2) == 6"),
]
MBPP[3]["code"] = "import math\r\n" + MBPP[3]["code"]
PLUS = [
    {
        "task_id": "Mine/0", "entry_point": "ends", "atol": 0, "prompt": 'def ends(xs):\n    """First and last, as a tuple."""\n',
        "canonical_solution": "    return (xs[0], xs[-1]) if xs else ()\n",
        "base_input": [[[1, 2]]], "plus_input": [[[]], [[1.5, 2.5]], [["a"]]],
    },
    {
        "task_id": "Mine/1", "entry_point": "check", "atol": 1e-3, "prompt": '"""\nRoot of the mean of squares of a tuple.\n"""\n',
        "canonical_solution": "def check(xs, weights):\n    assert type(xs) is type(xs[0]) is tuple and type(min(weights)) is int\n"
                              "    return (sum(weights[i] * x[0] ** 2 for i, x in enumerate(xs)) / len(xs)) ** 0.5\n",
        "base_input": [[[[1]], {"0": 1}]], "plus_input": [[[[1], [7]], {"0": 1, "1": 1}]],
        "assertion": "assert check(((1,),), {0: 1}) == 1",
    },
    {
        "task_id": "Mine/2", "entry_point": "find_a", "atol": 0, "prompt": '"""\nWhether a text has an a; any true value will do.\n"""\n',
        "canonical_solution": "import re\ndef find_a(text):\n    return re.search('a', text)\n",
        "base_input": [["cat"]], "plus_input": [["dog"], [""]], "assertion": "assert find_a('cat')",
    },
]  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder with our sample under the published names, and no Hugging Face cache."""
    write(tmp_path / "mbpp.jsonl", MBPP[::-1])
    for name in ("mbpp", "mbpp_3shot"):
        known = published._KNOWN[name]
        own = replace(known, content=published.content_digest(MBPP, known.fields))
        monkeypatch.setitem(published._KNOWN, name, own)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv(published.FOLDER_VARIABLE, raising=False)
    yield tmp_path


def outcomes(problems: list[Problem], answer: Any, limits: Limits) -> dict[str, Status]:
    """Verdicts on `answer(problem)`, which is what follows the prompt."""
    with Sandbox(workers=2, limits=limits) as sandbox:
        jobs = [Job(program(p.prompt, answer(p)), p.tests, p.entry_point, p.prompt) for p in problems]
        return {p.task_id: r.status for p, r in zip(problems, sandbox.check_many(jobs), strict=True)}


def stub(problem: Problem) -> str:
    """Defines what is asked for and answers None."""
    if problem.prompt.startswith(('"""', "You are")):
        return f"def {problem.entry_point}(*given):\n    return None\n"
    return "    return None\n"


def reference(problem: Problem) -> str:
    return problem.reference


def test_the_sample_by_name_in_both_forms(sample: Path) -> None:
    zero, few = (load([name], folder=str(sample))[name] for name in ("mbpp", "mbpp_3shot"))
    assert [problem.task_id for problem in zero] == ["11", "510"] == [problem.task_id for problem in few]
    assert zero[1].prompt == '"""\nWrite a function to double.\nassert double(2) == 4\n"""\n'
    assert few[1].prompt == (
        "You are an expert Python programmer, and here is your task: Write a function to add two. Your code should pass these tests:\n\n"
        "assert add_two(1) == 3\n[BEGIN]\ndef add_two(x):\n    return x + 2\n[DONE]\n\n"
        "You are an expert Python programmer, and here is your task: Write a function to negate. Your code should pass these tests:\n\n"
        "assert negate(1) == -1\n[BEGIN]\ndef negate(x):\n    return -x\n[DONE]\n\n"
        "You are an expert Python programmer, and here is your task: Write a function to halve. Your code should pass these tests:\n\n"
        "assert halve(1) == 0.5\n[BEGIN]\ndef halve(x):\n    return x / 2\n[DONE]\n\n"
        "You are an expert Python programmer, and here is your task: Write a function to double. Your code should pass these tests:\n\n"
        "assert double(2) == 4\nassert double(0) == 0\n[BEGIN]\n"
    )  # fmt: skip
    for problems in (zero, few):
        assert set(outcomes(problems, reference, Limits()).values()) == {Status.PASSED}
        assert set(outcomes(problems, stub, Limits()).values()) == {Status.FAILED}


def test_what_follows_a_prompt_of_prose_is_the_whole_program(sample: Path) -> None:
    few = load(["mbpp_3shot"], folder=str(sample))["mbpp_3shot"][1]
    raw = few.reference + "[DONE]\n\nYou are an expert Python programmer, and here is your task: more"
    assert "\n[DONE]" in stops_for(few.prompt, few.entry_point)
    assert extract(few.prompt, raw, few.entry_point).code == few.reference
    assert program(few.prompt, few.reference) == few.reference
    zero = load(["mbpp"], folder=str(sample))["mbpp"][1]
    assert program(zero.prompt, zero.reference) == zero.prompt + zero.reference


def test_the_parquet_of_the_hub_is_the_same_benchmark(sample: Path, tmp_path: Path) -> None:
    from_file = load(["mbpp"], folder=str(sample))
    folder = tmp_path / "hub/hub/datasets--google-research-datasets--mbpp/snapshots/abc/full"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(MBPP[:3]), folder / "prompt-00000-of-00001.parquet")
    pq.write_table(pa.Table.from_pylist(MBPP[3:]), folder / "test-00000-of-00001.parquet")
    assert load(["mbpp"]) == from_file


def test_what_is_missing_or_changed_is_told_with_the_way_to_get_it(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"mbpp_plus is not on this machine.*evalplus.*MbppPlus"):
        load(["mbpp_plus"], folder=str(sample))
    with pytest.raises(BenchmarkError, match=r"CODETEXTBOOK_BENCHMARK_DATA is not set.*hf download"):
        load(["mbpp"])
    write(tmp_path / "mbpp.jsonl", [*MBPP[:5], MBPP[5] | {"code": "def triple(x):\n    return 4 * x"}])
    with pytest.raises(BenchmarkError, match="this is not mbpp as published"):
        load(["mbpp"], folder=str(sample))


def test_plus_tests_take_any_right_answer_and_no_wrong_one(tmp_path: Path) -> None:
    path = write(tmp_path / "plus.jsonl", PLUS)
    problems = load([], [BenchmarkFile(name="mine", path=str(path))])["mine"]
    assert [outcomes(problems, reference, Limits())[f"Mine/{n}"] for n in range(3)] == [Status.PASSED] * 3
    assert set(outcomes(problems, stub, Limits()).values()) == {Status.FAILED}
    other = {
        "Mine/0": "    return tuple(xs[:1] + xs[-1:])\n",
        "Mine/1": "def check(xs, weights):\n    return 1.0004 if len(xs) == 1 else 5.0003\n",
        "Mine/2": "def find_a(text):\n    return 'a' in text\n",
    }
    assert set(outcomes(problems, lambda p: other[p.task_id], Limits()).values()) == {Status.PASSED}
    wrong = {
        "Mine/0": "    return [xs[0], xs[-1]] if xs else ()\n",
        "Mine/1": "def check(xs, weights):\n    return 1.002 if len(xs) == 1 else 5.0\n",
        "Mine/2": "def find_a(text):\n    return True\n",
    }
    assert set(outcomes(problems, lambda p: wrong[p.task_id], Limits()).values()) == {Status.FAILED}


def test_the_root_of_a_polynomial_is_any_root() -> None:
    row = {
        "task_id": "HumanEval/32", "entry_point": "find_zero", "atol": 1e-4, "prompt": "def find_zero(xs):\n",
        "canonical_solution": "    return 1.0\n", "base_input": [[[-1, 0, 1]]], "plus_input": [],
    }  # fmt: skip
    problem = plus.from_row("mine", row)
    for answer, status in (("-1.0", Status.PASSED), ("1.0", Status.PASSED), ("0.9", Status.FAILED)):
        assert set(outcomes([problem], lambda _, a=answer: f"    return {a}\n", Limits()).values()) == {status}


@pytest.mark.slow
@pytest.mark.skipif(FULL is None, reason="no folder with the published files")
@pytest.mark.parametrize(
    ("name", "count"),
    [("mbpp", 500), ("mbpp_3shot", 500), ("mbpp_sanitized", 257), ("humaneval_plus", 164), ("mbpp_plus", 378)],
)
def test_full_sets_references_pass_and_stubs_do_not(name: str, count: int) -> None:
    problems = published.load(name)
    assert len(problems) == count
    limits = Limits(cpu_seconds=20.0, wall_seconds=200.0, memory_bytes=1 << 30)
    within = [problem for problem in problems if problem.task_id not in NEEDS_MORE]
    told = outcomes(within, reference, limits)
    assert {task: status for task, status in told.items() if status != Status.PASSED} == {}
    stubs = outcomes(problems, stub, limits)
    assert {task for task, status in stubs.items() if status == Status.PASSED} == set()
    assert {task for task, status in stubs.items() if status != Status.FAILED} <= set(
        NEEDS_MORE
    )  # the reference, beside it


@pytest.mark.slow
@pytest.mark.skipif(FULL is None, reason="no folder with the published files")
@pytest.mark.parametrize(("name", "count"), [("mbpp", 974), ("mbpp_sanitized", 427)])
def test_every_task_of_mbpp_not_only_the_test_split(name: str, count: int) -> None:
    from codetextbook.benchmarks import mbpp

    problems = [mbpp.zero_shot(name, row) for row in published.rows(name)]
    assert len(problems) == count
    told = outcomes(problems, reference, Limits(cpu_seconds=20.0, wall_seconds=200.0))
    assert {task: status for task, status in told.items() if status != Status.PASSED} == {}
