"""Scores from completions: every number of a small case worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from codetextbook.benchmarks.passk import wilson
from codetextbook.benchmarks.scoring import compare, score
from codetextbook.nouns import Problem

PROMPT = 'def f(x):\n    """Doc."""\n'
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
    found = compare(PROBLEMS, first, second)
    assert (found["only_first"], found["only_second"], found["difference"]) == (1, 0, 0.5)
    assert found["p_value"] == 1.0
    assert 0 < found["detectable_difference"] <= 1
