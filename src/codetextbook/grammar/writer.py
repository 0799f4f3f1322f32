"""Write exercises without any language model: compose a function, run it, and keep what its own tests prove.

Record i depends only on (seed, i, families, depth): any range can be written anywhere. Expected values and examples come from running the
solution, which is ours and reviewed; a program that raises, changes its arguments, or whose results hardly vary is drawn again.
Limits: meanings are only those of the catalogue and their compositions, and the wording is regular, as a rule's is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from random import Random
from types import CodeType
from typing import Any

from codetextbook.errors import CodetextbookError, ConfigError
from codetextbook.grammar.catalog import FAMILIES
from codetextbook.grammar.compose import Program, arguments, compose
from codetextbook.grammar.imports import NAMES
from codetextbook.grammar.kinds import KINDS
from codetextbook.grammar.mix import DEFAULT, Drawing, Mix, drawing
from codetextbook.grammar.phrase import Example, prompt
from codetextbook.grammar.seen import Seen
from codetextbook.nouns import document_id

WRITER = "grammar"
MAX_SHOWN = 90
MIN_TESTS, MAX_TESTS = 5, 8
MAX_ATTEMPTS = 400

_EXAMPLE_LINE = re.compile(r"^\s*(>>> .*|.*\) (?:->|==|returns) .*)$", re.MULTILINE)
_BARE = ("[]", "''", "{}", "None", "0")
_IMPORT_LINE = re.compile(r"^(from|import) .*$", re.MULTILINE)


def known_families(families: Collection[str] | None) -> frozenset[str] | None:
    """The families that may be used; None is all of them.

    Raises:
        ConfigError: a name is not a family's, or none is given.
    """
    if families is None:
        return None
    unknown = sorted(set(families) - set(FAMILIES))
    if unknown or not families:
        what = f"no family of the grammar is called {unknown[0]!r}" if unknown else "no family is left to write from"
        raise ConfigError(what, where="grammar", hint=f"one of {', '.join(FAMILIES)}")
    return frozenset(families)


def draw_exercise(
    seed: int, index: int, *, families: Collection[str] | None = None, mix: Mix = DEFAULT
) -> dict[str, Any]:
    """Record `index` of a seed: a row of EXERCISE with an empty split; its tests have been run on its solution.

    Raises:
        ConfigError: a family is unknown.
        CodetextbookError: the families allow no program that its tests can tell from a constant.
    """
    allowed = known_families(families)
    draws = drawing(mix)
    rng = Random(f"{seed}/{index}")
    depth = int(draws.depth.one(rng))
    for _ in range(MAX_ATTEMPTS):
        program = compose(rng, allowed, depth, draws)
        row = _written(rng, program, draws) if program is not None else None
        if row is not None:
            return row
    raise CodetextbookError(
        f"no exercise could be written in {MAX_ATTEMPTS} attempts", where="grammar", hint="allow more families"
    )


def write_exercises(
    count: int, seed: int, *, families: Collection[str] | None = None, mix: Mix = DEFAULT, start: int = 0
) -> Iterator[dict[str, Any]]:
    """`count` different exercises, streamed in the order of their index; one that repeats an earlier one is passed over.

    Raises:
        CodetextbookError: the families are so few that nothing new turns up.
    """
    seen = Seen(count)
    index, repeats = start, 0
    while count > 0:
        row = draw_exercise(seed, index, families=families, mix=mix)
        index += 1
        if not seen.add(likeness(row)):
            repeats += 1
            if repeats > 100 * (len(seen) + 10):
                raise CodetextbookError(
                    "nothing new can be written", where="grammar", hint="fewer exercises, or more families"
                )
            continue
        count -= 1
        yield row


def likeness(row: dict[str, Any]) -> str:
    """Digest of an exercise without its function's name, examples, imports, case and spacing: equal for near-identical ones."""
    text = row["prompt"] + row["solution"]
    text = text.replace(f"{row['entry_point']}(", "f(")
    text = _EXAMPLE_LINE.sub("", text)
    text = _IMPORT_LINE.sub("", text).lower()
    return hashlib.sha256("".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _written(rng: Random, program: Program, draws: Drawing) -> dict[str, Any] | None:
    quote = '"' if rng.random() < 0.5 and not any('"' in line for line in program.body) else "'"
    solution = "".join(f"    {line.replace(chr(39), quote)}\n" for line in program.body)
    examples = _examples(rng, program, solution)
    if examples is None:
        return None
    shown = [
        one for one in examples if len(one.call) + len(one.value) <= MAX_SHOWN and "\\" not in one.call + one.value
    ]
    text = prompt(rng, program, sorted(shown, key=lambda one: one.value in _BARE), draws)
    tests = "".join(f"assert {one.call} == {one.value}\n" for one in examples)
    if not passes(text + solution, tests):
        return None
    return {
        "id": document_id(text + solution),
        "prompt": text,
        "solution": solution,
        "tests": tests,
        "entry_point": program.name,
        "topic": program.topic,
        "family": program.family,
        "writer": WRITER,
        "split": "",
        "verified": True,
    }


def _examples(rng: Random, program: Program, solution: str) -> list[Example] | None:
    """Calls with what they return; None where the program is unfit for an exercise."""
    names = ", ".join(one.name for one in program.parameters)
    function = define(f"def {program.name}({names}):\n{solution}", program.name)
    kind = KINDS[program.takes]
    edges = rng.sample(kind.edges, min(3, len(kind.edges)))
    wanted = rng.randint(MIN_TESTS + 1, MAX_TESTS)
    found: dict[str, Example] = {}
    for number in range(wanted + 4):
        given = arguments(rng, program, edges[number] if number < len(edges) else None)
        shown = ", ".join(map(repr, given))
        try:
            value = repr(function(*given))  # refuses a number of over 4,300 digits
        except (ValueError, IndexError, ArithmeticError, KeyError):
            return None  # a partial function: its docstring would hide where it has no answer
        if shown != ", ".join(map(repr, given)):
            return None
        if len(shown) <= 160 and len(value) <= 160:
            found.setdefault(shown, Example(f"{program.name}({shown})", value))
        if len(found) == wanted:
            break
    values = {one.value for one in found.values()}
    enough = 2 if program.gives == "bool" else program.steps[-1].primitive.outcomes
    return list(found.values()) if len(found) >= MIN_TESTS and len(values) >= enough else None


def define(source: str, name: str) -> Callable[..., Any]:
    """Run a definition of our own, with the modules that the catalogue uses, and return the function."""
    namespace = dict(NAMES)
    exec(_compiled(source), namespace)
    return namespace[name]


def _compiled(source: str) -> CodeType:
    return compile(source, "<exercise>", "exec", dont_inherit=True)


def passes(program: str, tests: str) -> bool:
    """Run a program of our own and its tests in this process; never for text that a model or a stranger wrote."""
    try:
        exec(_compiled(f"{program}\n{tests}"), {"__name__": "exercise"})
    except AssertionError:
        return False
    return True
