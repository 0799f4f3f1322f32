"""Leaks: what is copied is found, in any disguise the detectors promise; innocents are left alone."""

from __future__ import annotations

import pytest

from codetextbook.benchmarks.leaks import EXCERPT_CHARACTERS, LeakIndex, code_of
from codetextbook.benchmarks.problems import humaneval

PROBLEMS = humaneval()
INDEX = LeakIndex(PROBLEMS, ngram_words=13, tau=0.95, min_nodes=20)

RENAMED = '''
def near(values, limit):
    """Another docstring altogether."""
    # and a comment
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            if i != j:
                gap = abs(a - b)
                if gap < limit:
                    return True

    return False
'''
INNOCENT = '''
def moving_average(readings, width):
    """Average of each window of readings."""
    total = sum(readings[:width])
    averages = [total / width]
    for place in range(width, len(readings)):
        total += readings[place] - readings[place - width]
        averages.append(total / width)
    return averages
'''


def test_every_problem_is_found_in_its_own_text() -> None:
    for problem, leaks in zip(PROBLEMS, INDEX.leaks([one.prompt + one.reference for one in PROBLEMS]), strict=True):
        own = {leak.detector for leak in leaks if leak.task_id == problem.task_id}
        assert "text_ngram" in own, problem.task_id
    assert INDEX.problems_compared_by_tree > 100


def test_a_renamed_copy_is_found_by_its_tree_alone() -> None:
    (leaks,) = INDEX.leaks([RENAMED])
    assert [(leak.task_id, leak.detector, leak.where) for leak in leaks] == [("HumanEval/0", "ast", "near")]
    assert leaks[0].score >= 0.95
    assert "def near" in leaks[0].text_excerpt and "has_close_elements" in leaks[0].benchmark_excerpt


def test_a_copied_docstring_is_found_without_its_code() -> None:
    text = 'def other(a):\n    """Check if in given list of numbers, are any two numbers closer to each other than given."""\n    pass\n'
    (leaks,) = INDEX.leaks([text])
    assert {leak.detector for leak in leaks} == {"docstring_ngram", "text_ngram"}
    assert {leak.task_id for leak in leaks} == {"HumanEval/0"}


def test_a_leak_in_the_prose_of_a_page_is_found_and_shown() -> None:
    prose = "Many words of a lesson. " * 200
    copied = "check if in given list of numbers, are any two numbers closer to each other than given threshold"
    (leaks,) = INDEX.leaks([f"# Lesson\n{prose}\n{copied}\n{prose}"])
    assert [leak.detector for leak in leaks] == ["text_ngram"]
    assert copied in leaks[0].text_excerpt
    assert len(leaks[0].text_excerpt) <= EXCERPT_CHARACTERS


def test_code_in_a_page_is_compared_by_tree() -> None:
    page = f"A lesson.\n\n```python\n{RENAMED}```\n\nMore prose, which is no Python at all.\n"
    (leaks,) = INDEX.leaks([page])
    assert [leak.detector for leak in leaks] == ["ast"]
    assert code_of(page).strip() == RENAMED.strip()


def test_innocent_and_broken_texts_match_nothing() -> None:
    numbers = "xs = [" + ", ".join(map(str, range(1, 60))) + "]\n"
    assert INDEX.leaks([INNOCENT, "", "def broken(:\n", "\x00", numbers, "Ünïcödé ✓ " * 50]) == [[]] * 6


def test_twelve_words_are_not_thirteen() -> None:
    twelve = "check if in given list of numbers are any two numbers closer"
    assert INDEX.leaks([twelve]) == [[]]
    assert INDEX.leaks([twelve + " to"]) != [[]]


def test_short_functions_are_compared_only_when_asked() -> None:
    short = "def length(text):\n    return len(text)\n"
    assert INDEX.leaks([short]) == [[]]
    bold = LeakIndex(PROBLEMS, ngram_words=13, tau=0.95, min_nodes=1)
    assert "HumanEval/23" in {leak.task_id for leak in bold.leaks([short])[0]}


@pytest.mark.parametrize(("tau", "found"), [(0.95, False), (0.8, True)])
def test_tau_decides_how_near_is_near(tau: float, found: bool) -> None:
    changed = RENAMED.replace("    return False\n", "    print(limit)\n    return False\n")
    index = LeakIndex(PROBLEMS, ngram_words=13, tau=tau, min_nodes=20)
    assert bool(index.leaks([changed])[0]) is found


def test_batches_do_not_change_what_is_found() -> None:
    texts = [one.prompt + one.reference for one in PROBLEMS[:40]] + [INNOCENT, RENAMED]
    assert INDEX.leaks(texts) == [INDEX.leaks([text])[0] for text in texts]
