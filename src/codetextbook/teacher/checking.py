"""What the sandbox says of a teacher's pages and exercises; whatever a model wrote is run nowhere else.

A page's code runs block by block, and what it prints is compared with what the page says. An exercise's solution must pass its tests, a
stub that returns None must fail them, and a second solution, where there is one, must give the same on inputs made from the tests'.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from codetextbook.errors import SandboxError
from codetextbook.sandbox import Job, Result, Sandbox, Status
from codetextbook.teacher.pages import NotAPage, Piece, differs, pieces

STUB = "    return None\n"
ECHO_CHARACTERS = 28
"""Of a prompt's own words in a reply, from so many on, it is no chance."""
MAX_INPUTS = 24
"""Inputs on which two solutions are compared."""


class Refusal(NamedTuple):
    """Why a text is not kept."""

    reason: str
    detail: str


def echo(text: str, *told: str) -> Refusal | None:
    """A reply that repeats what its writer was told: a whole line of it, or what stands between what was filled in.

    Weak models do, and so have every word that they were to use.
    """
    fixed = (piece.strip() for piece in re.split(r"\{\w+\}|\n", "\n".join(told)))
    found = next((piece for piece in fixed if len(piece) >= ECHO_CHARACTERS and piece in text), None)
    return None if found is None else Refusal("echoes_prompt", found)


def page_refusal(text: str, sandbox: Sandbox) -> Refusal | None:
    """Run a page's code and compare what it prints with what the page says; None when all is right.

    Raises:
        SandboxError: the sandbox itself broke, twice.
    """
    try:
        found = pieces(text)
    except NotAPage as error:
        return Refusal(error.reason, error.detail)
    results = sandbox.run([piece.code for piece in found])
    if any(result.status == Status.SANDBOX_BROKE for result in results):
        results = sandbox.run([piece.code for piece in found])
    printed: dict[int, str] = {}
    for piece, result in zip(found, results, strict=False):
        if result.status == Status.SANDBOX_BROKE:
            raise SandboxError(f"the sandbox broke twice on the same page: {result.error}", where="textbook")
        if result.status != Status.PASSED:
            return Refusal(f"code_{result.status.value}", f"{piece.code.strip()[:200]}: {result.error}"[:1_000])
        printed[piece.claim] = printed.get(piece.claim, "") + result.stdout
    if len(results) < len(found):
        return Refusal("code_failed", f"only {len(results)} of {len(found)} pieces ran")
    return _compare(found, printed)


def _compare(found: Sequence[Piece], printed: dict[int, str]) -> Refusal | None:
    for number, piece in {piece.claim: piece for piece in found}.items():
        if differs(piece, printed[number]):
            if piece.says is None:
                return Refusal("output_not_stated", f"prints {printed[number][:300]!r}")
            return Refusal("output_differs", f"prints {printed[number][:300]!r}, said {piece.says[:300]!r}")
    return None


def exercise_refusals(rows: Sequence[Mapping[str, Any]], sandbox: Sandbox) -> list[Refusal | None]:
    """For each exercise why the sandbox refuses it: its solution does not pass, or a stub does; None when it is right.

    Raises:
        SandboxError: the sandbox itself broke, twice, on the same program.
    """
    jobs = [
        Job(row["prompt"] + body, row["tests"], row["entry_point"]) for row in rows for body in (row["solution"], STUB)
    ]
    results: list[Result] = list(sandbox.check_many(jobs))
    broken = [number for number, result in enumerate(results) if result.status == Status.SANDBOX_BROKE]
    for number, result in zip(broken, list(sandbox.check_many([jobs[number] for number in broken])), strict=True):
        if result.status == Status.SANDBOX_BROKE:
            raise SandboxError(f"the sandbox broke twice on the same exercise: {result.detail}", where="exercises")
        results[number] = result
    return [_refusal(right, stub) for right, stub in zip(results[::2], results[1::2], strict=True)]


def _refusal(right: Result, stub: Result) -> Refusal | None:
    if right.status != Status.PASSED:
        reason = "tests_failed" if right.status == Status.FAILED else str(right.status.value)
        return Refusal(reason, right.detail)
    if stub.status == Status.PASSED:
        return Refusal("stub_passes", "a body of `return None` passes the tests")
    return None


def disagreement(row: Mapping[str, Any], second: str, sandbox: Sandbox) -> Refusal | None:
    """Whether another body for the same prompt gives something else on inputs made from those of the tests.

    Raises:
        SandboxError: the sandbox itself broke.
    """
    inputs = inputs_from(row["tests"], row["entry_point"])
    calls = "".join(
        f"try:\n    print(repr({row['entry_point']}({given})))\nexcept Exception as error:\n    print(type(error))\n"
        for given in inputs
    )
    shown = []
    for body in (row["solution"], second):
        results = sandbox.run([row["prompt"] + body, calls])
        if any(result.status == Status.SANDBOX_BROKE for result in results):
            raise SandboxError("the sandbox broke while two solutions were compared", where="exercises")
        bad = next((result for result in results if result.status != Status.PASSED), None)
        if bad is not None:
            return Refusal("solutions_disagree", f"one of them {bad.status.value}: {bad.error[:300]}")
        shown.append(results[-1].stdout.split("\n"))
    for given, first, other in zip(inputs, *shown, strict=False):
        if first != other:
            return Refusal("solutions_disagree", f"on {given[:200]}: {first[:200]} or {other[:200]}")
    return None


def inputs_from(tests: str, name: str) -> list[str]:
    """Arguments of the calls in the tests, and variations of each, as source text; those that are no literals are left out."""
    found: dict[str, None] = {}
    for node in ast.walk(ast.parse(tests)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == name
            and not node.keywords
        ):
            try:
                values = [ast.literal_eval(argument) for argument in node.args]
            except (ValueError, TypeError, SyntaxError, RecursionError):
                continue
            found[", ".join(map(repr, values))] = None
            for place, value in enumerate(values):
                for other in _varied(value):
                    found[", ".join(map(repr, [*values[:place], other, *values[place + 1 :]]))] = None
    return list(found)[:MAX_INPUTS]


def _varied(value: Any) -> Iterator[Any]:
    """Values of the same type, near a given one or at an edge."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from (value + 1, -value, 0 * value)
    elif isinstance(value, (str, list, tuple)):
        yield from (value[::-1], value[:1], 2 * value)
    elif isinstance(value, dict):
        yield dict(list(value.items())[:1])
