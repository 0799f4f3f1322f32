"""Leaks: what is copied is found, in any disguise the detectors promise; what they promise to miss is missed; innocents are left alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import planted
import pytest

from codetextbook.benchmarks.leaks import EXCERPT_CHARACTERS, LeakIndex, Limits, Screened
from codetextbook.benchmarks.problems import BenchmarkFile, from_file, humaneval
from codetextbook.errors import BenchmarkError
from codetextbook.nouns import Problem
from codetextbook.text.embedding import Embedding

PROBLEMS = humaneval()
LIMITS = Limits(ngram_words=13, tau=0.95, min_nodes=20)
INDEX = LeakIndex(PROBLEMS, LIMITS)
EMBEDDING = LeakIndex(PROBLEMS[:50], LIMITS._replace(distance=0.5, embedder=Embedding()))
MINE = "HumanEval/0"


def screen(text: str, index: LeakIndex = INDEX) -> Screened:
    (found,) = index.screen([text])
    return found


def detectors(text: str, index: LeakIndex = EMBEDDING, task_id: str = MINE) -> set[str]:
    return {leak.detector for leak in screen(text, index).leaks if leak.task_id == task_id}


PLANTED = {
    "VERBATIM": {"docstring_ngram", "text_ngram", "ast", "embedding"},
    "NAMES_CHANGED": {"ast"},
    "SOLUTION_ALONE": {"ast"},
    "DOCSTRING_REWORDED": {"text_ngram", "ast", "embedding"},
    "STATEMENTS_REORDERED": {"embedding"},
    "LOOP_TO_COMPREHENSION": {"embedding"},
    "PROMPT_IN_PROSE": {"text_ngram"},
    "PYTHON_2": {"ast"},
}
"""What sees each disguise, at the default limits; all others miss it."""


@pytest.mark.parametrize("name", PLANTED)
def test_each_disguise_is_seen_by_those_who_can_and_missed_by_the_rest(name: str) -> None:
    assert detectors(getattr(planted, name)) == PLANTED[name]


@pytest.mark.parametrize("name", PLANTED)
def test_a_file_of_300_lines_hides_none_of_them_and_shows_no_more(name: str) -> None:
    text = planted.embedded(getattr(planted, name))
    assert text.count("\n") > 300
    assert detectors(text) == PLANTED[name]
    where = {leak.where for leak in screen(text, EMBEDDING).leaks if leak.detector in ("ast", "embedding")}
    assert where <= {"near", "has_close_elements"}


def test_a_page_of_300_lines_hides_no_quoted_prompt() -> None:
    prose = "Lists are read from left to right, and so are we.\n" * 150
    assert detectors(prose + planted.PROMPT_IN_PROSE + prose) == PLANTED["PROMPT_IN_PROSE"]


def test_statements_outside_any_function_are_hidden_by_a_file() -> None:
    assert detectors(planted.STATEMENTS_ALONE, INDEX) == {"ast"}
    assert detectors(planted.embedded(planted.STATEMENTS_ALONE)) == set()


def test_reordered_statements_are_seen_by_their_tree_at_a_lower_tau() -> None:
    index = LeakIndex(PROBLEMS[:50], Limits(13, 0.75, 20, 0.4, Embedding()))
    assert detectors(planted.STATEMENTS_REORDERED, index) == {"ast"}


def test_python_2_is_compared_by_tokens_and_says_so() -> None:
    found = screen(planted.PYTHON_2)
    assert found.basis == "tokens"
    assert [(leak.task_id, leak.detector, leak.where, leak.basis) for leak in found.leaks] == [
        (MINE, "ast", "near", "tokens")
    ]


def test_the_papers_kind_of_false_alarm_is_an_n_gram_alone() -> None:
    leaks = screen(planted.SAME_WORDS_OTHER_TASK, EMBEDDING).leaks
    assert {(leak.task_id, leak.detector) for leak in leaks} == {
        (task, detector) for task in ("HumanEval/40", "HumanEval/43") for detector in ("docstring_ngram", "text_ngram")
    }
    assert all("takes a list of integers as an input" in " ".join(leak.shared.split()) for leak in leaks)


def test_every_problem_is_found_in_its_own_text() -> None:
    for problem, found in zip(PROBLEMS, INDEX.screen([one.prompt + one.reference for one in PROBLEMS]), strict=True):
        assert "text_ngram" in {leak.detector for leak in found.leaks if leak.task_id == problem.task_id}, (
            problem.task_id
        )


def signature(problem: Problem) -> str:
    """The `def` line of the function asked for."""
    return next(line for line in problem.prompt.splitlines(keepends=True) if f"def {problem.entry_point}(" in line)


@pytest.mark.parametrize("head", ["", "def f(a, b):\n", "its own"])
@pytest.mark.parametrize("min_nodes", [1, 20, 60])
def test_every_solution_is_found_by_its_tree_or_its_spelling_alone(min_nodes: int, head: str) -> None:
    bodies = [f"{signature(one) if head == 'its own' else head}{one.reference}" for one in PROBLEMS]
    index = LeakIndex(PROBLEMS, LIMITS._replace(min_nodes=min_nodes))
    for problem, found in zip(PROBLEMS, index.screen(bodies, ["ast"]), strict=True):
        (leak,) = [leak for leak in found.leaks if leak.task_id == problem.task_id]
        assert (found.basis, leak.score) == ("tree", 1.0)


def test_short_code_counts_only_where_every_word_is_the_same() -> None:
    """HumanEval/53 is `return x + y`, HumanEval/23 `return len(string)`."""
    same = [
        "def add(x: int, y: int):\n    return x + y\n",
        'def f(x, y):\n    """Sum."""\n    # both\n    return (x  +  y)\n',
        "class Point:\n    def both(self, x, y):\n        return x + y\n",
        "print 'old'\n\ndef add(x, y):\n    return x + y\n",
    ]
    other = ["return a + b", "return x - y", "return x + y + 0", "return len(text)", "return strip(string)"]
    found = INDEX.screen([*same, *(f"def f(x, y):\n    {line}\n" for line in other)], ["ast"])
    assert [[(leak.task_id, leak.basis, leak.score) for leak in one.leaks] for one in found] == [
        *[[("HumanEval/53", "spelling", 1.0)]] * len(same),
        *[[]] * len(other),
    ]


def test_a_helper_of_the_prompt_is_not_the_answer() -> None:
    """HumanEval/10 gives `is_palindrome` away and asks for another function."""
    assert screen("def is_palindrome(string):\n    return string == string[::-1]\n").leaks == []


def test_reach_says_how_many_problems_each_detector_can_find() -> None:
    assert INDEX.reach == {
        "problems": 164,
        "docstring_ngram": 153,
        "text_ngram": 164,
        "ast": 127,
        "ast_by_tokens": 141,
        "ast_by_spelling": 37,
    }


def test_removals_grow_as_tau_falls() -> None:
    texts = [one.prompt + one.reference for one in PROBLEMS] + [planted.STATEMENTS_REORDERED, planted.INNOCENT]
    found = []
    for tau in (0.95, 0.9, 0.85, 0.8, 0.6):
        screened = LeakIndex(PROBLEMS, LIMITS._replace(tau=tau)).screen(texts, ["ast"])
        found.append({(place, leak.task_id) for place, one in enumerate(screened) for leak in one.leaks})
    assert all(fewer <= more for fewer, more in itertools.pairwise(found))
    assert len(found[0]) < len(found[-1])


def test_both_sides_and_the_shared_words_are_shown() -> None:
    prose = "Many words of a lesson. " * 200
    copied = "check if in given list of numbers, are any two numbers closer to each other than given threshold"
    (leak,) = screen(f"# Lesson\n{prose}\n{copied}\n{prose}").leaks
    assert leak.detector == "text_ngram" and leak.shared == copied
    assert copied in leak.text_excerpt and "are any two numbers closer" in leak.benchmark_excerpt
    assert len(leak.text_excerpt) <= EXCERPT_CHARACTERS


def test_docstrings_of_modules_and_classes_count_too() -> None:
    words = "Check if in given list of numbers, are any two numbers closer to each other than given."
    for text in (f'"""{words}"""\nx = 1\n', f'class A:\n    """{words}"""\n'):
        assert detectors(text, INDEX) == {"docstring_ngram", "text_ngram"}


def test_code_in_a_page_is_compared_block_by_block() -> None:
    code = planted.SOLUTION_ALONE
    typed = "".join(f"{'>>> ' if line.startswith('def') else '... '}{line}\n" for line in code.strip().splitlines())
    broken = "```python\ndef unfinished(:\n```\n"
    for page in (
        f"A lesson.\n\n```python\n{code}```\n\n{broken}\nMore prose, which is no Python at all.\n",
        f"1. A list item.\n\n   ~~~py\n{''.join('   ' + line for line in code.splitlines(keepends=True))}   ~~~\n",
        f"```pycon\n{typed}```\n",
        f'"""Examples:\n\n```python\n{code.replace(chr(34) * 3, chr(39) * 3)}```\n"""\n',
        f'"""Usage:\n```\nuse(1)\n```\n"""\n{code}',
    ):
        assert detectors(page, INDEX) == {"ast"}, page


def test_a_script_without_a_function_is_compared_as_a_whole() -> None:
    problem = next(one for one in PROBLEMS if one.task_id == "HumanEval/5")
    body = "\n".join(line[4:] for line in problem.reference.splitlines())
    script = body.replace("return []", "print([])").replace("return result", "print(result)")
    index = LeakIndex(PROBLEMS, LIMITS._replace(tau=0.7))
    leaks = [leak for leak in index.screen([script], ["ast"])[0].leaks if leak.task_id == problem.task_id]
    assert [(leak.where, leak.basis) for leak in leaks] == [("", "tree")]


def test_innocent_and_broken_texts_match_nothing_and_say_what_they_are() -> None:
    numbers = "xs = [" + ", ".join(map(str, range(1, 60))) + "]\n"
    texts = [planted.INNOCENT, "", "def broken(:\n", "\x00", numbers, "Ünïcödé ✓ " * 50, 'def f():\n    """"""\n']
    found = EMBEDDING.screen(texts)
    assert [one.leaks for one in found] == [[]] * 7
    assert [one.basis for one in found] == ["tree", "none", "tokens", "none", "tree", "none", "tree"]


def test_a_megabyte_with_a_leak_in_it_is_a_leak() -> None:
    big = planted.embedded(planted.SOLUTION_ALONE, lines=120_000)
    assert len(big) > 1_000_000
    assert detectors(big, INDEX) == {"ast"}
    assert detectors(big + "print 'python 2'\n", INDEX) == {"ast"}
    assert detectors("word " * 250_000 + planted.PROMPT_IN_PROSE, INDEX) == {"text_ngram"}


def test_twelve_words_are_not_thirteen() -> None:
    twelve = "check if in given list of numbers are any two numbers closer"
    assert screen(twelve).leaks == []
    assert screen(twelve + " to").leaks != []


def test_problems_that_share_an_id_are_refused() -> None:
    with pytest.raises(BenchmarkError, match=r"1 problems? share.*humaneval HumanEval/0"):
        LeakIndex([*PROBLEMS, replace(PROBLEMS[0], prompt="other")], LIMITS)


def test_a_benchmark_in_the_form_of_mbpp_has_its_text_guarded(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(
        '{"task_id": 2, "text": "Write a function to find every pair of equal neighbours in the two given lists.", '
        '"code": "def pairs(a, b):\\r\\n  return [x for x, y in zip(a, b) if x == y]", "test_list": ["assert pairs([1], [1]) == [1]"]}\n',
        encoding="utf-8",
    )
    index = LeakIndex(from_file(BenchmarkFile(name="mine", path=str(path))), LIMITS)
    text = 'def p():\n    """Write a function to find every pair of equal neighbours in the two given lists!"""\n'
    assert {leak.detector for leak in screen(text, index).leaks} == {"docstring_ngram", "text_ngram"}


def test_a_reference_that_does_not_parse_is_compared_by_tokens() -> None:
    body = planted.SOLUTION_ALONE.split(":\n", 1)[1].replace("return False", "print 'none'")
    index = LeakIndex([Problem("old", "1", "def near(values, limit):\n", "near", body, "")], LIMITS)
    assert index.reach["ast"] == 0 and index.reach["ast_by_tokens"] == 1
    other = planted.SOLUTION_ALONE.replace("return False", "print 'nothing'").replace("values", "xs")
    assert [leak.basis for leak in index.screen([other], ["ast"])[0].leaks] == ["tokens"]


def test_batches_do_not_change_what_is_found() -> None:
    texts = [one.prompt + one.reference for one in PROBLEMS[:40]] + [planted.INNOCENT, planted.NAMES_CHANGED]
    assert INDEX.screen(texts) == [screen(text) for text in texts]


def test_only_the_detectors_asked_for_look() -> None:
    (found,) = INDEX.screen([planted.VERBATIM], ["ast"])
    assert {leak.detector for leak in found.leaks} == {"ast"}
    assert found.functions == 1
