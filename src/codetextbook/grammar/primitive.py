"""What a primitive is: one small meaning, in several idioms and several wordings.

An idiom is a template of Python. Its shape says how it can be used:
an ending that returns by itself, a block that leaves its result in `$out`, or else an expression. Placeholders:
`$x` the input, `$i` an item of it, `$out` the result's name, `$f` the function itself (recursion), and one for each knob.
Wordings are noun phrases ("the squares of $x"), or for a bool a clause ("every number in $x is even"), with `$in` for "in" or "among",
so that they nest as the code does.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

Shape = Literal["expression", "block", "ending"]
Style = Literal["loop", "comprehension", "builtin", "early_return", "helper", "recursion"]

_PLACEHOLDER = re.compile(r"\$([a-z]+)")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@lru_cache(maxsize=20_000)
def _pieces(template: str) -> tuple[str, ...]:
    """Text and placeholders in turn."""
    return tuple(_PLACEHOLDER.split(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in the place of `$names`.

    Raises:
        KeyError: the template names something that is not given.
    """
    pieces = _pieces(template)
    if len(pieces) == 1:
        return template
    return "".join([values[piece] if place % 2 else piece for place, piece in enumerate(pieces)])


def _without_inner(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a body, but not those of functions within it."""
    waiting = list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))


@dataclass(frozen=True, eq=False)
class Knob:
    """A second input of a primitive: written as a constant, or as a parameter of the function."""

    names: tuple[str, ...]
    values: tuple[Any, ...]
    hint: str = "int"
    constant: bool = True
    """Whether it may be written as a constant; else it is always a parameter."""


@dataclass(frozen=True)
class Idiom:
    """One way to write a primitive."""

    template: str

    @cached_property
    def _tree(self) -> ast.FunctionDef:
        body = textwrap.indent(_PLACEHOLDER.sub(r"_\1", self.template), "    ")
        (made,) = ast.parse(f"def _():\n{body}\n").body
        assert isinstance(made, ast.FunctionDef)
        return made

    @cached_property
    def shape(self) -> Shape:
        if any(isinstance(node, ast.Return) for node in _without_inner(self._tree)):
            return "ending"
        return "block" if "$out" in self.template else "expression"

    @cached_property
    def style(self) -> Style:
        """What kind of code it is."""
        nodes = list(ast.walk(self._tree))
        if self.recursive:
            return "recursion"
        if any(isinstance(node, ast.FunctionDef) for node in nodes[1:]):
            return "helper"
        if sum(isinstance(node, ast.Return) for node in nodes) > 1:
            return "early_return"
        if any(isinstance(node, (ast.For, ast.While)) for node in nodes):
            return "loop"
        return "comprehension" if any(isinstance(node, _COMPREHENSIONS) for node in nodes) else "builtin"

    @cached_property
    def uses(self) -> int:
        """How often the input is written."""
        return len(re.findall(r"\$x\b", self.template))

    @cached_property
    def recursive(self) -> bool:
        return "$f" in self.template

    @cached_property
    def inlines(self) -> bool:
        """Whether an expression may stand in the place of `$x` and still be easy to read."""
        return self.uses == 1 and bool(re.search(r"\(\$x[,)]|in \$x:$", self.template, re.MULTILINE))

    @cached_property
    def atomic(self) -> bool:
        """Whether the expression can be an argument without parentheses or confusion."""
        if self.shape != "expression":
            return False
        tree = ast.parse(_PLACEHOLDER.sub(r"_\1", self.template), mode="eval").body
        return isinstance(tree, (ast.Call, ast.ListComp, ast.List, ast.Subscript, ast.Name, ast.Attribute))

    @cached_property
    def comprehension(self) -> bool:
        """Whether it is one list comprehension, which loses its brackets as the only argument of `sum` and its like."""
        if self.shape != "expression":
            return False
        return isinstance(ast.parse(_PLACEHOLDER.sub(r"_\1", self.template), mode="eval").body, ast.ListComp)


@dataclass(frozen=True, eq=False)
class Primitive:
    """One meaning: from a value of kind `takes` to one of kind `gives`."""

    name: str
    family: str
    takes: str
    gives: str
    nouns: tuple[str, ...]
    idioms: tuple[Idiom, ...]
    knobs: tuple[tuple[str, Knob], ...] = ()
    tags: tuple[str, ...] = ()
    """Short names for the function that does it; the primitive's own name if there are none."""
    out: str = "result"
    test: str = ""
    """For a filter: the condition on `$i`, so that a following map or fold can share its loop."""
    transform: str = ""
    """For a map: the expression on `$i`."""
    fold: tuple[str, str, str] | None = None
    """For a fold: the call around a generator `$g`, the accumulator's start, and its update by `$v`."""
    reorders: bool = False
    """Changes nothing but the order."""
    outcomes: int = 3
    """Different results that an exercise's tests must show, so that no constant passes them; 2 is enough for a bool."""
    order_blind: bool = False
    """Gives the same whatever the order: never written after one that only reorders."""

    @property
    def chainable(self) -> bool:
        """Whether it can stand among other steps: not everything can be written without calling the function itself."""
        return any(not idiom.recursive for idiom in self.idioms)


def primitive(name: str, takes: str, gives: str, nouns: str | tuple[str, ...], *idioms: str, **more: Any) -> Primitive:
    """A primitive as data: idioms are templates, indented as one likes."""
    wordings = (nouns,) if isinstance(nouns, str) else nouns
    written = tuple(Idiom(textwrap.dedent(idiom).strip("\n")) for idiom in idioms)
    tags = more.pop("tags", ()) or (name,)
    knobs = tuple(more.pop("knobs", {}).items())
    return Primitive(name, more.pop("family", ""), takes, gives, wordings, written, knobs, tags, **more)


def family(name: str, *members: Primitive) -> tuple[Primitive, ...]:
    """Primitives that belong together, held out together."""
    return tuple(replace(member, family=name) for member in members)


def for_kinds(suffixes: dict[str, str], member: Primitive) -> tuple[Primitive, ...]:
    """The same primitive over several kinds of list: `suffixes` maps the kind to what is added to the name."""
    made = []
    for kind, suffix in suffixes.items():
        gives = kind if member.gives == "same" else member.gives
        made.append(replace(member, name=f"{member.name}_{suffix}", takes=kind, gives=gives))
    return tuple(made)
