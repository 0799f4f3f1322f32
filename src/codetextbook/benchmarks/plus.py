"""HumanEval+ and MBPP+: the same problems with many more inputs, answered as the reference answers (evalplus, 2305.01210).

The files hold inputs as JSON, which knows neither tuples nor sets; their types are taken from the calls in the problem's own assertions.
The reference runs beside the tests, out of the candidate's reach, on a copy of each input.

Where scores may differ from evalplus's own: HumanEval/32 (any root within the tolerance is right here; version 0.3.1 can pass none), and
MBPP+ tasks for which evalplus keeps a rule of its own (comparing as sets, or by truth).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codetextbook.nouns import Problem

_COMPARING = Path(__file__).with_name("comparing.py")
_ROOT_OF_POLYNOMIAL = "HumanEval/32"
_ROOT_TOLERANCE = 1e-4

_COMPLEX = {"Mbpp/124", "Mbpp/252"}  # tasks whose numbers are written as text
# The reference gets a copy, since it may change what it is given; the program has its own, at the other end of a pipe. One answer at
# a time: some are a million numbers. No other process can hold a match object: where the reference answers with one, truth is compared.
_CHECK = """
import copy, json, re

_namespace, _like, _by_truth, _doubted = {{}}, {like!r}, False, None
exec({reference!r}, _namespace)
for _given in json.loads({inputs!r}):
    _given = shaped(_given, _like)
    _right = _namespace[{entry_point!r}](*copy.deepcopy(_given))
    _got = candidate(*_given)
    _by_truth = _by_truth or isinstance(_right, re.Match)
    if _by_truth:
        assert bool(_got) == bool(_right), (_given, _got)
    elif _right is None and _got is not None and not _got:
        _doubted = _given, _got
    else:
        assert {condition}, (_given, _got)
assert _by_truth or _doubted is None, _doubted
"""


def is_plus(row: Mapping[str, Any]) -> bool:
    """Whether a row of a file is of this form."""
    return "plus_input" in row and "base_input" in row


def from_row(benchmark: str, row: Mapping[str, Any]) -> Problem:
    """One problem with its base and plus inputs as tests.

    Raises:
        KeyError: a field is missing.
    """
    condition = f"same(_got, _right, {float(row['atol'])!r})"
    if row["task_id"] == _ROOT_OF_POLYNOMIAL:
        condition = f"abs(sum(c * _got ** power for power, c in enumerate(_given[0]))) <= {_ROOT_TOLERANCE}"
    tests = _COMPARING.read_text(encoding="utf-8") + _CHECK.format(
        reference=row["prompt"] + row["canonical_solution"],
        entry_point=row["entry_point"],
        like=("parts", [("complex", None)])
        if row["task_id"] in _COMPLEX
        else _like(row.get("assertion", ""), row["entry_point"]),
        inputs=json.dumps([*row["base_input"], *row["plus_input"]]),
        condition=condition,
    )
    reference = row["canonical_solution"]
    return Problem(
        benchmark, str(row["task_id"]), row["prompt"], row["entry_point"], reference.rstrip("\n") + "\n", tests
    )


def _like(assertions: str, entry_point: str) -> Any:
    """The types of a call's arguments, as `comparing.shaped` reads them; None where all are what JSON says."""
    calls = [
        node
        for node in ast.walk(ast.parse(assertions))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == entry_point
    ]
    merged: list[Any] = []
    for call in calls:
        for at, argument in enumerate(call.args):
            if at == len(merged):
                merged.append(None)
            merged[at] = _merged(merged[at], _type_of(argument))
    return ("parts", merged) if any(one is not None for one in merged) else None


def _type_of(node: ast.expr) -> Any:
    """The shape of one literal; None where JSON keeps it."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        inner: Any = None
        for item in node.elts:
            inner = _merged(inner, _type_of(item))
        return (type(node).__name__.lower(), inner)
    if isinstance(node, ast.Dict):
        keys = {type(key.value).__name__ for key in node.keys if isinstance(key, ast.Constant)}
        values: Any = None
        for value in node.values:
            values = _merged(values, _type_of(value))
        key = keys.pop() if len(keys) == 1 else "str"
        return ("dict", (key, values)) if key != "str" or values is not None else None
    return None


def _merged(first: Any, second: Any) -> Any:
    """One shape for two: the one that says more."""
    if first is None or second is None:
        return first or second
    if first[0] != second[0]:
        return first
    if first[0] == "dict":
        return ("dict", (first[1][0], _merged(first[1][1], second[1][1])))
    return (first[0], _merged(first[1], second[1]))
