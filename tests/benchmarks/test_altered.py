"""Altered prompts: the task stays, examples and code stay, references still pass their tests, and each alteration does what it says."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from codetextbook.benchmarks.altered import WAYS, Way, altered
from codetextbook.benchmarks.problems import humaneval, unconventional
from codetextbook.nouns import Problem
from codetextbook.sandbox import Job, Sandbox

PROMPT = '''def spread(numbers: list[int]) -> int:
    """Return the difference between the largest and the smallest of the given numbers, or zero where the list is empty.

    >>> spread([3, 9, 4])
    6
    """
'''
SPREAD = Problem(
    "mine", "mine/0", PROMPT, "spread", "    return max(numbers) - min(numbers) if numbers else 0\n",
    "assert spread([3, 9, 4]) == 6\nassert spread([]) == 0\nassert spread([5]) == 0\n",
)  # fmt: skip


def prose(problem: Problem) -> str:
    return (ast.get_docstring(ast.parse(problem.prompt).body[0]) or "").split("\n\n")[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS)
def test_the_same_seed_alters_alike_and_the_benchmark_is_named(way: Way) -> None:
    assert altered(SPREAD, way, 3) == altered(SPREAD, way, 3)
    assert altered(SPREAD, way).benchmark == f"mine {way}"


@pytest.mark.parametrize("way", ["typos", "reworded", "lengthened"])
def test_signature_and_examples_stay(way: Way) -> None:
    made = altered(SPREAD, way, 1)
    assert made.prompt.splitlines()[0] == PROMPT.splitlines()[0]
    assert made.prompt.endswith(PROMPT[PROMPT.index("    >>>") :])
    assert (made.reference, made.tests, made.entry_point) == (SPREAD.reference, SPREAD.tests, SPREAD.entry_point)


def test_typos_misspell_about_one_long_word_in_eight_and_no_name() -> None:
    before, after, names = 0, 0, 0
    for seed in range(200):
        old, new = prose(SPREAD).split(), prose(altered(SPREAD, "typos", seed)).split()
        assert len(old) == len(new) and old != new
        changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
        assert all(a[0] == b[0] for a, b in changed)
        before += sum(len(word.strip(",.")) >= 4 for word in old)
        after += len(changed)
        names += any(a.startswith("numbers") for a, _ in changed)
    assert 0.08 < after / before < 0.15
    assert names == 0


def test_rewording_keeps_the_case_of_a_first_letter() -> None:
    assert prose(altered(SPREAD, "reworded")).startswith(
        "Give back the difference among the greatest and the least of the supplied numbers"
    )


def test_lengthening_comes_before_the_task() -> None:
    told = prose(altered(SPREAD, "lengthened"))
    assert told.endswith(prose(SPREAD))
    assert len(told.splitlines()) == 4


def test_renaming_reaches_prompt_reference_and_tests_but_no_prose() -> None:
    problem = Problem(
        "mine", "mine/1", 'def total(n: int) -> int:\n    """The total of 1 to n.\n\n    >>> total(3)\n    6\n    """\n', "total",
        "    return n + total(n - 1) if n else 0\n", "assert total(3) == 6\nassert list(map(total, [0, 1])) == [0, 1]\n",
    )  # fmt: skip
    made = altered(problem, "renamed")
    assert made.entry_point == "perform"
    assert "def perform(n" in made.prompt and ">>> perform(3)" in made.prompt and "The total of" in made.prompt
    assert "total" not in made.reference + made.tests


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    made = altered(SPREAD.__class__(**{**SPREAD.__dict__, "tests": SPREAD.tests + "perform = 1\n"}), "renamed")
    assert made.entry_point == "perform_it"


def test_a_prompt_without_a_docstring_stays_but_for_its_name() -> None:
    bare = Problem("mine", "mine/2", "def f(x):\n", "f", "    return x\n", "assert f(1) == 1\n")
    assert {way: altered(bare, way).prompt for way in WAYS} == dict.fromkeys(WAYS, bare.prompt) | {
        "renamed": "def perform(x):\n"
    }


def test_references_of_whole_benchmarks_still_pass_and_nearly_all_prompts_change() -> None:
    """HumanEval's prompts hold every form of docstring: raw strings, several functions, tables, one-line ones."""
    problems = humaneval() + unconventional()
    changed: Counter[str] = Counter()
    jobs = []
    for problem in problems:
        for way in WAYS:
            made = altered(problem, way, 0)
            ast.parse(made.prompt + made.reference)
            changed[way] += made.prompt != problem.prompt
        jobs.append(Job(made.prompt + made.reference, made.tests, made.entry_point, made.prompt))
        assert not re.search(rf"\b{problem.entry_point}\s*\(", made.prompt + made.reference)
    with Sandbox() as sandbox:
        assert Counter(result.status.value for result in sandbox.check_many(jobs)) == {"passed": len(problems)}
    assert all(changed[way] >= 0.9 * len(problems) for way in WAYS), changed
