"""Compose primitives into one function: choose a typed chain, bind its knobs, and write its body in one of many idioms.

A chain is chosen family by family, so that a family with many primitives is not drawn more often than one with few. Steps that share
a loop (a filter, a map, a fold) are often written as one comprehension or one loop, as people do.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from random import Random
from typing import Any, NamedTuple

from codetextbook.grammar.catalog import PRIMITIVES
from codetextbook.grammar.kinds import KINDS, fits
from codetextbook.grammar.mix import DEFAULT, Drawing, drawing
from codetextbook.grammar.predicates import fused
from codetextbook.grammar.primitive import Idiom, Knob, Primitive, fill

MAX_LINE = 110
MAX_NAME = 40
GENERIC_NAMES = ("solve", "process", "compute", "transform", "analyze", "evaluate", "calculate", "summarize")
_EATS_GENERATORS = re.compile(
    r"\b(?:sum|max|min|set|sorted|any|all|Counter|list|accumulate|dict\.fromkeys|math\.prod)\(\$x\)"
)
_SPARE_NAMES = ("result", "output", "answer", "made", "outcome", "final")
_ITEMS = ("item", "element", "entry", "thing", "each")


DRAWING = drawing(DEFAULT)
"""The default mix, ready to be drawn from."""


class Parameter(NamedTuple):
    """A parameter of the function. The first has a kind; the others have a knob."""

    name: str
    hint: str
    knob: Knob | None


@dataclass(frozen=True)
class Step:
    """A primitive in a chain, each of its knobs bound to a constant or to the name of a parameter."""

    primitive: Primitive
    knobs: dict[str, str]


@dataclass
class Program:
    """A function that has been composed but not yet described."""

    name: str
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...]
    body: tuple[str, ...]
    story: str
    """A sentence that introduces the first parameter, or nothing."""
    wording: str = "order"
    """How it is to be described: a name in `mix.Wording`."""

    @property
    def takes(self) -> str:
        return self.steps[0].primitive.takes

    @property
    def gives(self) -> str:
        return self.steps[-1].primitive.gives

    @property
    def topic(self) -> str:
        return " > ".join(step.primitive.name for step in self.steps)

    @property
    def family(self) -> str:
        return "+".join(dict.fromkeys(step.primitive.family for step in self.steps))


class Choices:
    """The primitives of some families, ready to be drawn: by family, and by the kind that they take."""

    def __init__(self, families: Collection[str] | None) -> None:
        self.members = [one for one in PRIMITIVES if families is None or one.family in families]
        self.first = self._by_family(self.members)
        self.next = {
            kind: self._by_family([one for one in self.members if one.chainable and fits(kind, one.takes)])
            for kind in {one.gives for one in self.members}
        }

    @staticmethod
    def _by_family(members: Sequence[Primitive]) -> list[list[Primitive]]:
        found: dict[str, list[Primitive]] = {}
        for one in members:
            found.setdefault(one.family, []).append(one)
        return list(found.values())

    def chain(self, rng: Random, depth: int) -> list[Primitive]:
        """Up to `depth` primitives, each fit for the result of the one before."""
        made = [rng.choice(rng.choice(self.first))]
        while len(made) < depth and made[0].chainable:
            ways = self.next[made[-1].gives]
            if not ways:
                break
            one = rng.choice(rng.choice(ways))
            if one in made or (made[-1].reorders and (one.order_blind or one.reorders)):
                break
            made.append(one)
        return made


@lru_cache(maxsize=32)
def choices(families: frozenset[str] | None) -> Choices:
    """Made once for each set of families."""
    return Choices(families)


@cache
def local_names(primitive: Primitive) -> frozenset[str]:
    """Names that the idioms of a primitive use by themselves: no parameter may be called so."""
    found: set[str] = set()
    for idiom in primitive.idioms:
        text = re.sub(r"\$([a-z]+)", r"_hole_\1", idiom.template)
        source = "def _():\n" + "\n".join("    " + line for line in text.splitlines())
        found |= {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    return frozenset(name for name in found if not name.startswith("_hole_"))


@dataclass
class _Names:
    """Names that are taken."""

    used: set[str] = field(default_factory=set)

    def take(self, rng: Random, wanted: Sequence[str], spare: Sequence[str]) -> str:
        free = [name for name in wanted if name not in self.used] or [name for name in spare if name not in self.used]
        name = rng.choice(free)
        self.used.add(name)
        return name


def compose(rng: Random, families: frozenset[str] | None, depth: int, draws: Drawing) -> Program | None:
    """Draw a program, or None where the drawn chain cannot be written well."""
    return compose_chain(rng, choices(families).chain(rng, depth), draws=draws)


def compose_chain(
    rng: Random, members: Sequence[Primitive], idiom: int | None = None, *, draws: Drawing = DRAWING
) -> Program | None:
    """Write a given chain; `idiom` picks the primitives' idioms by number, so that equal seeds give the same function in other words."""
    names = _Names(set().union(*(local_names(one) for one in members)))
    name = _function_name(rng, members, names.used)
    names.used.add(name)
    kind = KINDS[members[0].takes]
    story = ""
    wanted: Sequence[str] = kind.names
    wording = (draws.wording if kind.stories else draws.wording_without_story).one(rng)
    if wording == "story":
        title, story = rng.choice(kind.stories)
        wanted = (title,)
        if title in names.used:
            return None
    parameters = [Parameter(names.take(rng, wanted, (f"given_{kind.name}",)), kind.hint, None)]
    steps = tuple(_bind(rng, one, names, parameters) for one in members)
    body = _body(rng, steps, parameters, names, _Pick(idiom, draws.idioms), name)
    if body is None or max(map(len, body)) > MAX_LINE:
        return None
    return Program(name, steps, tuple(parameters), tuple(body), story, wording)


def _bind(rng: Random, primitive: Primitive, names: _Names, parameters: list[Parameter]) -> Step:
    bound = {}
    for key, knob in primitive.knobs:
        if knob.constant and rng.random() < 0.5:
            bound[key] = repr(rng.choice(knob.values))
            continue
        name = names.take(rng, knob.names, tuple(f"{one}_{len(parameters)}" for one in knob.names))
        parameters.append(Parameter(name, knob.hint, knob))
        bound[key] = name
    return Step(primitive, bound)


def _function_name(rng: Random, members: Sequence[Primitive], taken: Collection[str]) -> str:
    tags = [rng.choice(one.tags) for one in members]
    if rng.random() < 0.08:
        return rng.choice(GENERIC_NAMES)
    if len(tags) == 1:
        name = tags[0]
        if members[0].gives != "bool" and rng.random() < 0.2:
            name = f"{rng.choice(('get', 'find', 'compute'))}_{name}"
    elif rng.random() < 0.65:
        name = "_of_".join(reversed(tags))
    else:
        name = "_then_".join(tags) if len(tags) == 2 else "_".join(tags)
    if len(name) > MAX_NAME:
        name = tags[-1]
    return f"find_{name}" if hasattr(builtins, name) or keyword.iskeyword(name) or name in taken else name


class _Unit(NamedTuple):
    """One or several steps that are written together."""

    idioms: tuple[Idiom, ...]
    knobs: dict[str, str]
    out: str
    kind: str


class _Pick(NamedTuple):
    """How an idiom is chosen: by number, or by the weights of its style."""

    number: int | None
    weights: dict[str, float]

    def one(self, rng: Random, idioms: Sequence[Idiom]) -> Idiom | None:
        if not idioms:
            return None
        if self.number is not None:
            return idioms[self.number % len(idioms)]
        weights = [self.weights[idiom.style] for idiom in idioms]
        return rng.choices(idioms, weights)[0] if any(weights) else rng.choice(idioms)


def _units(rng: Random, steps: tuple[Step, ...]) -> list[_Unit]:
    made: list[_Unit] = []
    index = 0
    while index < len(steps):
        one = steps[index].primitive
        shared = _fusion(steps[index : index + 3]) if len(steps) > 1 and rng.random() < 0.75 else None
        if shared is not None:
            made.append(shared[1])
            index += shared[0]
        else:
            made.append(_Unit(one.idioms, steps[index].knobs, one.out, one.takes))
            index += 1
    return made


def _fusion(steps: tuple[Step, ...]) -> tuple[int, _Unit] | None:
    """How many of the coming steps share a loop, and how that is written; None where not even two do."""
    test = transform = ""
    fold, length = None, 0
    knobs: dict[str, str] = {}
    for step in steps:
        one, previous = step.primitive, steps[length - 1].primitive if length else None
        if previous and previous.gives != one.takes:
            break
        if one.test and length == 0:
            test = one.test.replace("$k", "$kt")
            knobs["kt"] = step.knobs.get("k", "")
        elif one.transform and not transform:
            transform = one.transform.replace("$k", "$kc")
            knobs["kc"] = step.knobs.get("k", "")
        elif one.fold and length:
            fold, length = one.fold, length + 1
            break
        else:
            break
        length += 1
    if length < 2:
        return None
    return length, _Unit(fused(test, transform, fold), knobs, steps[length - 1].primitive.out, steps[0].primitive.takes)


@dataclass
class _Text:
    """What has been computed so far: a name, or an expression that has not been given one."""

    code: str
    is_name: bool = True
    atomic: bool = True
    comprehension: bool = False


def _body(
    rng: Random, steps: tuple[Step, ...], parameters: list[Parameter], names: _Names, pick: _Pick, name: str
) -> list[str] | None:
    lines: list[str] = []
    current = _Text(parameters[0].name)
    units = _units(rng, steps)
    for number, unit in enumerate(units):
        last = number == len(units) - 1
        idiom = pick.one(
            rng,
            [one for one in unit.idioms if (last or one.shape != "ending") and (len(steps) == 1 or not one.recursive)],
        )
        if idiom is None:
            return None
        if not current.is_name and not (idiom.inlines and current.atomic and len(current.code) < 60):
            current = _named(rng, current, lines, names, units[number - 1].out)
        if current.comprehension and _EATS_GENERATORS.search(idiom.template):
            current = _Text(current.code[1:-1], False)
        items = KINDS[unit.kind].items or _ITEMS
        values = {**unit.knobs, "x": current.code, "i": names.take(rng, items, _ITEMS), "f": name}
        if "$out" in idiom.template:
            values["out"] = names.take(rng, (unit.out, "result"), _SPARE_NAMES)
        names.used.discard(values["i"])
        code = fill(idiom.template, values)
        if idiom.shape == "ending":
            return lines + code.splitlines()
        if idiom.shape == "block":
            lines += code.splitlines()
            current = _Text(values["out"])
        else:
            current = _Text(code, False, idiom.atomic, idiom.comprehension)
            if not last and rng.random() < 0.5:
                current = _named(rng, current, lines, names, unit.out)
    if not current.is_name and rng.random() < 0.12:
        current = _named(rng, current, lines, names, units[-1].out)
    return [*lines, f"return {current.code}"]


def _named(rng: Random, current: _Text, lines: list[str], names: _Names, wanted: str) -> _Text:
    name = names.take(rng, (wanted, "result"), _SPARE_NAMES)
    lines.append(f"{name} = {current.code}")
    return _Text(name)


def arguments(rng: Random, program: Program, edge: Any = None) -> tuple[Any, ...]:
    """Arguments for one call: an edge case of the first parameter's kind, or a random value."""
    kind = KINDS[program.takes]
    first = kind.draw(rng) if edge is None else edge
    return (first, *(rng.choice(one.knob.values) for one in program.parameters if one.knob is not None))
