"""Say what a program does, in many ways: as an order, a question, a terse note, a story, a list of steps; with examples or without.

Wordings nest as the code does ("the sum of the squares of the even numbers in numbers"). The layout follows what people write:
imports, two blank lines, `def` with or without hints, a docstring, doctest lines or a sentence with an example.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from codetextbook.grammar.compose import DRAWING, Program
from codetextbook.grammar.imports import lines_for
from codetextbook.grammar.kinds import KINDS
from codetextbook.grammar.mix import Drawing
from codetextbook.grammar.primitive import fill

_HARD_SPACE = "\xa0"
_ORDERS = (
    "Return {}.",
    "Compute {}.",
    "Find {}.",
    "Calculate {}.",
    "Give back {}.",
    "Work out and return {}.",
    "Write a function that returns {}.",
    "This function returns {}.",
    "The function should return {}.",
    "Implement a function that computes {}.",
    "Your task is to return {}.",
)
_PLAIN_ORDERS = 6
_CHECKS = (
    "Return True if {}, and False otherwise.",
    "Check whether {}.",
    "Tell whether {}.",
    "Return whether {}.",
    "Decide whether {}.",
    "The function should tell whether {}.",
)
_BOOL_QUESTIONS = ("Is it true that {}?", "Is it the case that {}?")
_TERSE_CHECKS = ("True if {}, else False.", "Whether {}.")
_OPENINGS = ("Given {} {}, ", "For {} {}, ", "Take {} {} and ", "You are given {} {}; ")
_SHORT = {"str": "string", "int": "number", "float": "number", "dict": "dictionary", "set": "set", "tuple": "tuple"}
_CAPITALS = re.compile(r"\b(list|dict|tuple|set)\b")
_NEEDED = re.compile(r"\b(?:List|Dict|Tuple|Set|Optional)\b")
_OPTIONAL = re.compile(r"Optional\[(\w+)\]")
_ASIDE = re.compile(r"[,:(]| with | that | which | and ")


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
    """One paragraph on what the program does, worded as the program asks."""
    parameter = program.parameters[0].name
    is_bool = program.gives == "bool"
    wording = program.wording
    if _tangled(program):
        return f"{program.story} {in_steps(rng, program, parameter)}".lstrip()
    if wording == "steps" and len(program.steps) > 1:
        return in_steps(rng, program, parameter)
    if wording == "given":
        said = noun(rng, program, parameter)
        order = f"tell whether {said}." if is_bool else f"return {said}."
        return rng.choice(_OPENINGS).format(KINDS[program.takes].described, parameter) + order
    if wording == "story":
        said = noun(rng, program, parameter)
        return f"{program.story} {rng.choice(_CHECKS[:4] if is_bool else _ORDERS[:_PLAIN_ORDERS]).format(said)}"
    said = noun(rng, program, _base(rng, program, parameter))
    if is_bool:
        ways = {"question": _BOOL_QUESTIONS, "terse": _TERSE_CHECKS}.get(wording, _CHECKS)
        return rng.choice(ways).format(said)
    if wording == "terse":
        bare = said.removeprefix("the ") if rng.random() < 0.5 else said
        return bare[0].upper() + bare[1:] + "."
    if wording == "question" and said.startswith("the ") and ", or " not in said and ":" not in said:
        plural = KINDS[program.gives].hint.startswith("list")
        return f"What {'are' if plural else 'is'} {said}?"
    return rng.choice(_ORDERS).format(said)


def _base(rng: Random, program: Program, parameter: str) -> str:
    """The first parameter, as it is spoken of."""
    if rng.random() < 0.67:
        return parameter
    short = _short(program.takes)
    return rng.choice((f"`{parameter}`", f"the given {short}", f"the {short} {parameter}"))


def _tangled(program: Program) -> bool:
    """Whether an inner wording has asides, which a nested phrase would leave hanging."""
    return any(_ASIDE.search(step.primitive.nouns[0].rstrip(",")) for step in program.steps[:-1])


def _short(kind: str) -> str:
    return _SHORT.get(KINDS[kind].hint.partition("[")[0], "list")


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
    imports = lines_for("\n".join(program.body))
    style = rng.choice(("typing", "typing", "builtin", "builtin", "none"))
    if style == "none":
        return imports, f"def {program.name}({', '.join([one.name for one in program.parameters])}):"
    hints = [one.hint for one in program.parameters] + [KINDS[program.gives].hint]
    if style == "typing":
        hints = [_CAPITALS.sub(lambda match: match.group().capitalize(), hint) for hint in hints]
        needed = sorted({name for hint in hints for name in _NEEDED.findall(hint)})
        if needed:
            imports.append(f"from typing import {', '.join(needed)}")
    else:
        hints = [_OPTIONAL.sub(r"\1 | None", hint) for hint in hints]
    shown = ", ".join([f"{one.name}: {hint}" for one, hint in zip(program.parameters, hints, strict=False)])
    return imports, f"def {program.name}({shown}) -> {hints[-1]}:"


def prompt(rng: Random, program: Program, examples: Sequence[Example], draws: Drawing = DRAWING) -> str:
    """Imports, `def` line and docstring; ends with a newline."""
    imports, line = signature(rng, program)
    width = rng.choice((72, 84, 100))
    lines = [one.replace(_HARD_SPACE, " ") for one in wrapped(describe(rng, program), width)]
    sections = draws.sections.one(rng)
    form = draws.examples.one(rng) if examples else "none"
    lines += _sections(program, sections)
    shown = _shown(rng, examples, form)
    if shown:
        titled = sections == "numpy" and form == "doctest"
        lines += ["", "Examples", "--------"] if titled else [""] if sections != "none" or rng.random() < 0.6 else []
        lines += shown
    head = "".join([f"{one}\n" for one in imports])
    return (f"{head}\n\n" if head else "") + f"{line}\n{_docstring(rng, lines)}"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, broken at spaces; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _sections(program: Program, style: str) -> list[str]:
    """The parameters, and in two styles the result, each on a line of its own."""
    if style == "none":
        return []
    result = KINDS[program.gives]
    given = [(one.name, one.hint, _role(program, place)) for place, one in enumerate(program.parameters)]
    if style == "numpy":
        lines = ["", "Parameters", "----------"]
        for name, hint, role in given:
            lines += [f"{name} : {hint}", f"    {role}"]
        return [*lines, "", "Returns", "-------", result.hint, f"    {_sentence(result.described)}"]
    lines = ["", "Args:", *(f"    {name}: {role}" for name, _, role in given)]
    return lines if style == "args" else [*lines, "", "Returns:", f"    {_sentence(result.described)}"]


def _role(program: Program, place: int) -> str:
    """What a parameter is."""
    if place == 0:
        return _sentence(KINDS[program.takes].described)
    hint = program.parameters[place].hint
    known = {"int": "an integer", "str": "a string", "float": "a number", "bool": "a boolean"}
    return _sentence(known.get(hint, f"a {hint}"))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _shown(rng: Random, examples: Sequence[Example], form: str) -> list[str]:
    """Some of the examples, as doctests or in prose."""
    if form == "none":
        return []
    chosen = examples[: rng.choice((1, 2, 2, 3))]
    if form == "doctest":
        return [line for one in chosen for line in (f">>> {one.call}", one.value)]
    draw = rng.random()
    if draw < 0.4:
        return [f"{one.call} == {one.value}" for one in chosen]
    if draw < 0.7:
        return ["Examples:", *(f"    {one.call} -> {one.value}" for one in chosen)]
    return [f"For example, {chosen[0].call} returns {chosen[0].value}."]


def _docstring(rng: Random, lines: list[str]) -> str:
    style = rng.random()
    if len(lines) == 1 and style < 0.7:
        return f'    """{lines[0]}"""\n'
    opening = '    """' if style < 0.6 else '    """ ' if style < 0.85 else '    """\n    '
    inner = "\n".join([f"    {line}" if line else "" for line in lines]).lstrip()
    return f'{opening}{inner}\n    """\n'
