"""Scores from completions: every number of a small case worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from codetextbook.benchmarks.passk import wilson
from codetextbook.benchmarks.scoring import compare, score
from codetextbook.nouns import Problem

PROMPT = 'def f(x):\n    """Doc."""\n'
TASKS = ["p", "q"]
PROBLEMS = [Problem("b", name, PROMPT, "f", "    return x\n", "", family) for name, family in (("p", "A"), ("q", "B"))]


def completion(task: str, sample: int, verdict: str, raw: str = "    return x\n") -> dict[str, Any]:
    return {"task_id": task, "sample": sample, "verdict": verdict, "raw": raw, "prompt": PROMPT}


REFERENCES = [{"bits": 30.0, "num_bytes": 10}, {"bits": 5.0, "num_bytes": 10}]


def test_one_sample_each() -> None:
    rows = [completion("p", 0, "passed"), completion("q", 0, "unparsable", "    return (")]
    found = score(PROBLEMS, rows, REFERENCES, ks=(1,), seed=0)
    assert found["pass_at_k"] == {"1": 0.5}
    assert (found["low"], found["high"]) == wilson(1, 2)
    assert found["bits_per_byte"] == pytest.approx(35 / 20)
    assert found["syntax_valid"] == 0.5
    assert {name: count for name, count in found["verdicts"].items() if count} == {"passed": 1, "unparsable": 1}
    assert found["families"] == {"A": {"problems": 1, "pass_at_1": 1.0}, "B": {"problems": 1, "pass_at_1": 0.0}}


def test_many_samples_each() -> None:
    rows = [completion("p", n, "passed" if n < 2 else "failed") for n in range(4)]
    rows += [completion("q", n, "failed") for n in range(4)]
    found = score(PROBLEMS, rows, REFERENCES, ks=(1, 2, 10), seed=0)
    assert found["pass_at_k"] == {"1": pytest.approx(0.25), "2": pytest.approx((1 - 1 / 6) / 2)}
    assert found["interval"] == "bootstrap over problems"
    assert found["low"] <= 0.25 <= found["high"]


def test_models_are_compared_by_problem_and_not_by_order() -> None:
    first = [completion("q", 0, "failed"), completion("p", 0, "passed")]
    second = [completion("p", 0, "failed"), completion("q", 0, "failed")]
    found = compare(TASKS, first, second)
    assert (found["only_first"], found["only_second"], found["difference"]) == (1, 0, 0.5)
    assert found["p_value"] == 1.0
    assert 0 < found["detectable_difference"] <= 1
    assert found["bootstrap_low"] == 0.0 and found["bootstrap_high"] == 1.0
    assert found["words"].startswith("This cannot tell the first and the second apart: 1 of 2 problems")


def test_a_difference_that_is_sure_is_said_to_be_one() -> None:
    tasks = [str(n) for n in range(40)]
    good = [completion(str(n), 0, "passed" if n < 30 else "failed") for n in range(40)]
    bad = [completion(str(n), 0, "passed" if n < 10 else "failed") for n in range(40)]
    words = compare(tasks, good, bad, names=("new", "old"))["words"]
    assert words.startswith("new is better than old by 50.0 points: 20 of 40 problems are solved by new alone and 0")
    assert compare(tasks, bad, good, names=("old", "new"))["words"].startswith("new is better than old by 50.0")
    assert "another seed" in words


def test_bits_that_a_model_does_not_tell_are_not_known_and_not_zero() -> None:
    rows = [completion("p", 0, "passed"), completion("q", 0, "failed")]
    assert (
        score(PROBLEMS, rows, [REFERENCES[0], REFERENCES[1] | {"bits": None}], ks=(1,), seed=0)["bits_per_byte"] is None
    )
