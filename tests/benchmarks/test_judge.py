"""The judge: reason before grade, medians, anchors that fail a careless judge. The judges here are rules: grades are what is tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from codetextbook.benchmarks.anchors import Answer, anchors_of, failing_mutants, mutants
from codetextbook.benchmarks.judge import Asked, Examined, examine, grade_of, per_cent, prompt_for, summary
from codetextbook.benchmarks.problems import unconventional
from codetextbook.errors import BenchmarkError
from codetextbook.sandbox import Job, Sandbox, Status

PROBLEMS = unconventional()[:4]
ANCHORS = [anchor for problem in PROBLEMS for anchor in anchors_of(problem, mutants(problem)[0])]


def judge(rule: Callable[[Answer, int], str | None]) -> Callable[[Sequence[Asked]], list[str | None]]:
    """A judge that knows by the prompt which answer it reads."""
    by_prompt = {prompt_for(answer): answer for answer in [*ANCHORS, *ANSWERS]}
    return lambda asked: [rule(by_prompt[one.prompt], one.sample) for one in asked]


ANSWERS = [
    Answer(PROBLEMS[0], PROBLEMS[0].reference + "    # mine\n", "a model", True),
    Answer(PROBLEMS[1], "    return []\n", "a model", False),
    Answer(PROBLEMS[2], "    return heights\n", "a model", True),
]
RIGHT = {"reference": 10, "stub": 0, "mutant": 4, "injection": 0}


def sound(answer: Answer, sample: int) -> str | None:
    return f"It was read.\nGRADE: {RIGHT.get(answer.author, 3 + 3 * answer.passed + sample if answer.passed else 2)}\n"


def graded(rule: Callable[[Answer, int], str | None], seed: int = 0) -> Examined:
    return examine(judge(rule), ANSWERS, ANCHORS, seed=seed)


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("Right.\nGRADE: 10", 10.0),
        ("Half.\n\n**Grade: 5/10**\n", 5.0),
        ("It says GRADE: 3 here,\nbut in the end\nGrade: 7.0.", 7.0),
        ("GRADE: 10", None),  # no reason before it
        ("GRADE: 10\nbecause it is right", None),  # the reason came after
        ("No idea.", None),
        ("Wrong.\nGRADE: 11", None),
        ("Wrong.\nGRADE: -1", 1.0),
        ("", None),
    ],
)
def test_a_grade_is_the_last_line_after_a_reason(reply: str, grade: float | None) -> None:
    assert grade_of(reply) == grade


def test_the_judge_reads_problem_reference_and_answer_and_no_author() -> None:
    read = prompt_for(Answer(PROBLEMS[0], "    return '```'\n", "phi-secret"))
    assert PROBLEMS[0].prompt in read and PROBLEMS[0].reference in read
    assert "phi-secret" not in read and read.count("```") == 6
    assert read.index("how well") < read.index("GRADE:")


def test_grades_are_medians_with_their_spread() -> None:
    found = graded(sound)
    first = found.grades[0]
    assert (first.samples, first.value, first.spread) == ((6.0, 7.0, 8.0), 7.0, 2.0)
    assert [grade.answer for grade in found.grades] == ANSWERS
    assert per_cent(found.grades) == pytest.approx((70 + 20 + 70) / 3)
    assert (found.agreement.answers, found.agreement.agreeing) == (3, 3)
    assert found.agreement.interval.low < 1.0
    assert graded(sound, seed=5) == found  # the order of asking changes nothing for a sound judge


def test_the_summary_says_score_interval_anchors_and_agreement() -> None:
    found = summary(graded(sound), seed=0)
    model = found["models"]["a model"]
    assert (model["answers"], model["missing"], model["per_cent"]) == (3, 0, pytest.approx(160 / 3))
    assert model["low"] < model["per_cent"] < model["high"]
    assert found["anchors"]["mutant"] == {"count": 4, "mean": 4.0}
    assert "a model 53 %" in found["words"] and "agree on 3 of 3 answers" in found["words"]
    none = summary(graded(lambda a, s: None if a in ANSWERS else sound(a, s)), seed=0)
    assert none["models"]["a model"]["per_cent"] is None and "not graded" in none["words"]


def test_a_missing_grade_is_missing_and_not_zero() -> None:
    found = graded(lambda a, s: None if a is ANSWERS[0] or (a is ANSWERS[2] and s == 1) else sound(a, s))
    assert (found.grades[0].value, found.grades[0].spread) == (None, None)
    assert found.grades[2].samples == (6.0, None, 8.0) and found.grades[2].value == 7.0
    assert found.agreement.answers == 2
    assert per_cent(found.grades) == pytest.approx((20 + 70) / 2)
    assert per_cent(found.grades[:1]) is None


@pytest.mark.parametrize(
    ("kind", "grade"), [("reference", 5), ("stub", 6), ("mutant", 10), ("injection", 10), ("reference", None)]
)
def test_a_judge_that_misgrades_an_anchor_gives_no_result(kind: str, grade: int | None) -> None:
    def rule(answer: Answer, sample: int) -> str | None:
        if answer.author != kind:
            return sound(answer, sample)
        return None if grade is None else f"Read.\nGRADE: {grade}"

    with pytest.raises(BenchmarkError, match=f"misgraded 4 of 4 anchors of the kind '{kind}'"):
        graded(rule)


def test_every_problem_ships_with_sound_anchors() -> None:
    """Each unconventional problem: its reference passes its hidden tests; its stub, its injection and its mutant do not."""
    problems = unconventional()
    assert len(problems) == 50 and len({problem.entry_point for problem in problems}) == 50
    assert all(problem.tests.count("assert ") >= 10 for problem in problems)
    with Sandbox(workers=2) as sandbox:
        failing = failing_mutants(problems, sandbox)
        anchors = [
            anchor for problem, code in zip(problems, failing, strict=True) for anchor in anchors_of(problem, code)
        ]
        jobs = [
            Job(one.problem.prompt + one.code, one.problem.tests, one.problem.entry_point, one.problem.prompt)
            for one in anchors
        ]
        told = [result.status for result in sandbox.check_many(jobs)]
    wrong = [
        (one.problem.task_id, one.author)
        for one, status in zip(anchors, told, strict=True)
        if (status == Status.PASSED) != (one.author == "reference")
    ]
    assert wrong == [] and None not in failing


def test_mutants_are_the_reference_with_one_change() -> None:
    found = mutants(PROBLEMS[0])
    assert len(set(found)) == len(found) > 1 and PROBLEMS[0].reference not in found
    assert anchors_of(PROBLEMS[0])[2].author == "injection"  # without a mutant there are three
    assert mutants(PROBLEMS[0], most=0) == []
