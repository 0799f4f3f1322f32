"""MBPP's rows as problems, in two named prompt forms (2108.07732).

`zero_shot`: a docstring with the task and its first test, then whatever the model writes. `few_shot`: Google's own form. The paper's MBPP
number does not say which it used; results of one form say nothing about another.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from codetextbook.benchmarks.extract import parse
from codetextbook.nouns import Problem

SHOTS = (2, 3, 4)
"""Task ids of the solved examples (2108.07732 §3)."""
BEGIN, DONE = "[BEGIN]", "[DONE]"


def is_row(row: Mapping[str, Any]) -> bool:
    """Whether a row of a file is of this form."""
    return "test_list" in row


def zero_shot(benchmark: str, row: Mapping[str, Any]) -> Problem:
    """The prompt is a docstring of the task and its first test.

    Raises:
        KeyError: no function of the reference is called by the tests.
    """
    text = row.get("text") or row["prompt"]
    return _problem(benchmark, row, f'"""\n{text}\n{row["test_list"][0]}\n"""\n')


def few_shot(benchmark: str, row: Mapping[str, Any], *, shots: Sequence[Mapping[str, Any]]) -> Problem:
    """The prompt is three solved tasks and then this one with all its tests; the answer is a whole program."""
    solved = "".join(f"{_asked(shot)}{_newlines(shot['code'])}\n{DONE}\n\n" for shot in shots)
    return _problem(benchmark, row, solved + _asked(row))


def _asked(row: Mapping[str, Any]) -> str:
    tests = "\n".join(row["test_list"])
    text = row.get("text") or row["prompt"]
    return (
        f"You are an expert Python programmer, and here is your task: {text} "
        f"Your code should pass these tests:\n\n{tests}\n{BEGIN}\n"
    )


def _problem(benchmark: str, row: Mapping[str, Any], prompt: str) -> Problem:
    reference = _newlines(row["code"])
    tests = [row.get("test_setup_code", ""), *row.get("test_imports", ()), *row["test_list"]]
    return Problem(
        benchmark=benchmark,
        task_id=str(row["task_id"]),
        prompt=prompt,
        entry_point=_called(reference, row["test_list"]),
        reference=reference if reference.endswith("\n") else reference + "\n",
        tests="\n".join(_newlines(line) for line in tests if line) + "\n",
    )


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n")


def _called(code: str, tests: Sequence[str]) -> str:
    """The function of `code` that the tests call."""
    tree = parse(code)  # some references hold escapes that newer Pythons warn of
    defined = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))] if tree else []
    trees = [parse(test) for test in tests]
    used = {node.id for test in trees if test for node in ast.walk(test) if isinstance(node, ast.Name)}
    called = [name for name in defined if name in used]
    if not called:
        raise KeyError("no function of `code` is called in `test_list`")
    return called[-1]
