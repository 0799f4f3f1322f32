"""Say what a program does, in many ways: as an order, a question, a terse note, a story, a list of steps; with examples or without.

Wordings nest as the code does ("the sum of the squares of the even numbers in numbers"). The layout follows what people write:
imports, two blank lines, `def` with or without hints, a docstring, doctest lines or a sentence with an example.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from codetextbook.grammar.compose import Program
from codetextbook.grammar.kinds import KINDS
from codetextbook.grammar.primitive import fill

_HARD_SPACE = "\xa0"
_IMPORTS = (
    ("import math", r"\bmath\."),
    ("from collections import Counter", r"\bCounter\("),
    ("from itertools import accumulate", r"\baccumulate\("),
    ("from itertools import groupby", r"\bgroupby\("),
)
_ORDERS = ("Return {}.", "Compute {}.", "Find {}.", "Calculate {}.", "Give back {}.", "Work out and return {}.")
_FUNCTION_ORDERS = ("Write a function that returns {}.", "This function returns {}.", "The function should return {}.")
_CHECKS = (
    "Return True if {}, and False otherwise.",
    "Check whether {}.",
    "Tell whether {}.",
    "Return whether {}.",
    "True if {}, else False.",
    "Decide whether {}.",
    "Is it true that {}?",
)


class Example(NamedTuple):
    """A call as it is written, and what it returns."""

    call: str
    value: str


def noun(rng: Random, program: Program, base: str, *, plain: bool = False) -> str:
    """The whole chain as one nested noun phrase, or as a clause for a bool."""
    text = base
    for number, step in enumerate(program.steps):
        wording = step.primitive.nouns[0] if plain else rng.choice(step.primitive.nouns)
        text = fill(wording, {"x": text, "in": "among" if number else "in"} | _knobs(step.knobs))
    return text.rstrip(",")


def _knobs(values: dict[str, str]) -> dict[str, str]:
    return {key: value.replace(" ", _HARD_SPACE) for key, value in values.items()}


def describe(rng: Random, program: Program) -> str:
    """One paragraph on what the program does."""
    parameter = program.parameters[0].name
    described = KINDS[program.takes].described
    is_bool = program.gives == "bool"
    if _tangled(program):
        return f"{program.story} {in_steps(rng, program, parameter)}".lstrip()
    if program.story:
        said = noun(rng, program, parameter)
        return f"{program.story} {rng.choice(_CHECKS[:4] if is_bool else _ORDERS).format(said)}"
    draw = rng.random()
    if draw < 0.2:
        said = noun(rng, program, parameter)
        order = f"tell whether {said}." if is_bool else f"return {said}."
        opening = rng.choice(("Given {} {}, ", "For {} {}, ", "Take {} {} and ")).format(described, parameter)
        return opening + order
    if draw < 0.3 and len(program.steps) > 1:
        return in_steps(rng, program, parameter)
    base = (
        parameter
        if draw < 0.75
        else rng.choice(
            (f"`{parameter}`", f"the given {_short(program.takes)}", f"the {_short(program.takes)} {parameter}")
        )
    )
    said = noun(rng, program, base)
    if is_bool:
        return rng.choice(_CHECKS).format(said)
    if draw > 0.9 and said.startswith("the "):
        return said[4].upper() + said[5:] + "."
    if draw > 0.82 and said.startswith("the ") and ", or " not in said and ":" not in said:
        plural = KINDS[program.gives].hint.startswith("list")
        return f"What {'are' if plural else 'is'} {said}?"
    return rng.choice(_FUNCTION_ORDERS if draw > 0.7 else _ORDERS).format(said)


def _tangled(program: Program) -> bool:
    """Whether an inner wording has asides, which a nested phrase would leave hanging."""
    return any(
        re.search(r"[,:(]| with | that | which | and ", step.primitive.nouns[0].rstrip(","))
        for step in program.steps[:-1]
    )


def _short(kind: str) -> str:
    return {"str": "string", "int": "number", "float": "number"}.get(
        KINDS[kind].hint, "dictionary" if KINDS[kind].hint.startswith("dict") else "list"
    )


def in_steps(rng: Random, program: Program, parameter: str) -> str:
    """One sentence for each step."""
    sentences = []
    base = parameter
    for number, step in enumerate(program.steps):
        said = fill(
            rng.choice(step.primitive.nouns), {"x": base, "in": "in" if number == 0 else "among"} | _knobs(step.knobs)
        ).rstrip(",")
        if number == len(program.steps) - 1:
            end = f"tell whether {said}" if program.gives == "bool" else f"return {said}"
            sentences.append(f"{rng.choice(('Then', 'Finally', 'At the end'))} {end}.")
        else:
            sentences.append(f"{'First' if number == 0 else 'Next'} take {said}.")
        base = rng.choice(("the result", "what you have got"))
    return " ".join(sentences)


def signature(rng: Random, program: Program) -> tuple[list[str], str]:
    """Import lines and the `def` line, in one of three styles of hints."""
    body = "\n".join(program.body)
    imports = [line for line, pattern in _IMPORTS if re.search(pattern, body)]
    style = rng.choice(("typing", "typing", "builtin", "builtin", "none"))
    if style == "none":
        return imports, f"def {program.name}({', '.join(one.name for one in program.parameters)}):"
    hints = [one.hint for one in program.parameters] + [KINDS[program.gives].hint]
    if style == "typing":
        hints = [re.sub(r"\b(list|dict|tuple)\b", lambda match: match.group().capitalize(), hint) for hint in hints]
        needed = sorted({name for hint in hints for name in re.findall(r"\b(?:List|Dict|Tuple|Optional)\b", hint)})
        if needed:
            imports.append(f"from typing import {', '.join(needed)}")
    else:
        hints = [re.sub(r"Optional\[(\w+)\]", r"\1 | None", hint) for hint in hints]
    shown = ", ".join(f"{one.name}: {hint}" for one, hint in zip(program.parameters, hints, strict=False))
    return imports, f"def {program.name}({shown}) -> {hints[-1]}:"


def prompt(rng: Random, program: Program, examples: Sequence[Example]) -> str:
    """Imports, `def` line and docstring; ends with a newline."""
    imports, line = signature(rng, program)
    text = describe(rng, program)
    width = rng.choice((72, 84, 100))
    lines = [
        one.replace(_HARD_SPACE, " ")
        for one in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    ]
    if rng.random() < 0.08:
        lines += ["", "Args:"] + [f"    {one.name}: {_role(one.hint)}" for one in program.parameters]
    shown = _shown(rng, examples)
    if shown:
        lines += ([""] if rng.random() < 0.6 else []) + shown
    head = "".join(f"{one}\n" for one in sorted(imports))
    return (f"{head}\n\n" if head else "") + f"{line}\n{_docstring(rng, lines)}"


def _role(hint: str) -> str:
    return {"int": "an integer", "str": "a string", "float": "a number", "bool": "a boolean"}.get(hint, f"a {hint}")


def _shown(rng: Random, examples: Sequence[Example]) -> list[str]:
    """Some of the examples, as doctests or in prose; none for a quarter of the programs."""
    draw = rng.random()
    if draw < 0.25 or not examples:
        return []
    chosen = examples[: rng.choice((1, 2, 2, 3))]
    if draw < 0.75:
        return [line for one in chosen for line in (f">>> {one.call}", one.value)]
    if draw < 0.85:
        return [f"{one.call} == {one.value}" for one in chosen]
    if draw < 0.92:
        return ["Examples:", *(f"    {one.call} -> {one.value}" for one in chosen)]
    return [f"For example, {chosen[0].call} returns {chosen[0].value}."]


def _docstring(rng: Random, lines: list[str]) -> str:
    style = rng.random()
    if len(lines) == 1 and style < 0.7:
        return f'    """{lines[0]}"""\n'
    opening = '    """' if style < 0.6 else '    """ ' if style < 0.85 else '    """\n    '
    inner = "\n".join(f"    {line}" if line else "" for line in lines).lstrip()
    return f'{opening}{inner}\n    """\n'
