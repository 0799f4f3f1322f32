"""Short textbook pages by rule: an idea in prose, a worked function with its output, another way to write it, and a step further.

Each page teaches one primitive. Python is in ```python blocks, to be run in order in one namespace; what they print stands below in a
```text block, taken from running them. Limit: the prose of a family is the same on each of its pages but for choice and order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from random import Random
from typing import Any

from codetextbook.errors import CodetextbookError
from codetextbook.grammar.compose import Program, arguments, choices, compose_chain
from codetextbook.grammar.kinds import KINDS
from codetextbook.grammar.lessons import LESSONS
from codetextbook.grammar.phrase import in_steps, noun, signature
from codetextbook.grammar.primitive import Primitive
from codetextbook.grammar.writer import WRITER, define, known_families
from codetextbook.nouns import document_id

MAX_ATTEMPTS = 60
AUDIENCES = ("beginners", "pupils who know loops", "students of a first course", "self-taught programmers")
_OPENINGS = (
    "Our task: {}",
    "Let us write a function for this: {}",
    "Here is a typical task. {}",
    "Suppose we need this: {}",
)
_AGAIN = (
    "The same can be written in another way:",
    "Another version, with the same meaning:",
    "Here is a second way to say it:",
)
_FURTHER = (
    "## One step further\n\nSmall functions become useful when they are combined.",
    "## Combining it\n\nThe result can feed a second step.",
)
_EDGES = (
    "Look at the last call, too: it tries an unusual input.",
    "It is wise to try edge cases before trusting a function.",
    "The last call looks at an edge.",
)


def write_pages(
    count: int, seed: int, *, families: Collection[str] | None = None, start: int = 0
) -> Iterator[dict[str, Any]]:
    """`count` pages as rows of PAGE; page i depends only on (seed, i, families). Families take turns, and so do the primitives of each.

    Raises:
        ConfigError: a family is unknown.
    """
    allowed = known_families(families)
    groups = choices(allowed).first
    for index in range(start, start + count):
        turn, place = divmod(index, len(groups))
        group = groups[place]
        order = list(range(len(group)))
        Random(f"{seed}/turn/{place}/{turn // len(group)}").shuffle(order)
        yield page_on(group[order[turn % len(group)]], seed=seed, index=index, allowed=allowed)


def page_on(primitive: Primitive, *, seed: int, index: int, allowed: frozenset[str] | None = None) -> dict[str, Any]:
    """A page on one primitive, as a row of PAGE; its step further is from the families allowed."""
    for attempt in range(MAX_ATTEMPTS):
        key = f"{seed}/page/{index}/{attempt}"
        program = compose_chain(Random(key), [primitive], idiom=0)
        if program is None:
            continue
        text = _text(Random(f"{key}/text"), key, program, primitive, allowed)
        return {
            "id": document_id(text),
            "text": text,
            "topic": primitive.name,
            "audience": Random(f"{key}/audience").choice(AUDIENCES),
            "words": sorted({primitive.family, *primitive.tags}),
            "writer": WRITER,
        }
    raise CodetextbookError(f"no page could be written on {primitive.name}", where="grammar")


def _text(rng: Random, key: str, program: Program, primitive: Primitive, allowed: frozenset[str] | None) -> str:
    lesson = LESSONS[primitive.family]
    said = _sentence(rng, program)
    parts = [f"# {lesson.title}: {primitive.tags[0].replace('_', ' ')}", rng.choice(lesson.ideas)]
    parts.append(rng.choice(_OPENINGS).format(said))
    inputs = _inputs(rng, program)
    parts += [*_worked(rng, program, said, inputs, f"{rng.choice(_EDGES)} "), rng.choice(lesson.habits)]
    number = len(primitive.idioms)
    if number > 1:
        other = compose_chain(Random(key), [primitive], idiom=rng.randrange(1, number))
        if other is not None and other.body != program.body:
            parts += [rng.choice(_AGAIN), *_worked(rng, other, said, inputs, "")]
    further = _further(rng, primitive, allowed)
    if further is not None:
        sentence = _sentence(rng, further)
        parts += [rng.choice(_FURTHER), sentence, *_worked(rng, further, sentence, _inputs(rng, further), "")]
    parts.append(f"**To remember:** {lesson.rule}")
    return "\n\n".join(parts) + "\n"


def _sentence(rng: Random, program: Program) -> str:
    if len(program.steps) > 1:
        return in_steps(rng, program, program.parameters[0].name).replace("\xa0", " ")
    said = noun(rng, program, program.parameters[0].name, plain=True).replace("\xa0", " ")
    described = f"Given {KINDS[program.takes].described} {program.parameters[0].name}, "
    return described + (f"tell whether {said}." if program.gives == "bool" else f"return {said}.")


def _further(rng: Random, primitive: Primitive, allowed: frozenset[str] | None) -> Program | None:
    ways = choices(allowed).next.get(primitive.gives) if primitive.chainable else None
    if not ways:
        return None
    follower = rng.choice(rng.choice(ways))
    if follower is primitive or (primitive.reorders and (follower.order_blind or follower.reorders)):
        return None
    return compose_chain(rng, [primitive, follower])


def _inputs(rng: Random, program: Program) -> list[tuple[Any, ...]]:
    """Three inputs, one of them an edge case; where it can be had, not all with the same answer."""
    edge = rng.choice(KINDS[program.takes].edges)
    function = _define(program)
    for _ in range(20):
        inputs = [arguments(rng, program), arguments(rng, program), arguments(rng, program, edge)]
        if len({repr(function(*given)) for given in inputs}) > 1:
            break
    return inputs


def _define(program: Program) -> Callable[..., Any]:
    names = ", ".join(one.name for one in program.parameters)
    return define(f"def {program.name}({names}):\n" + "".join(f"    {line}\n" for line in program.body), program.name)


def _worked(rng: Random, program: Program, said: str, inputs: list[tuple[Any, ...]], remark: str) -> list[str]:
    """A python block that defines and calls the function, and a text block with what it prints."""
    imports, line = signature(rng, program)
    body = "".join(f"    {one}\n" for one in program.body)
    head = "".join(f"{one}\n" for one in sorted(imports))
    docstring = said.split(", ", 1)[1] if said.startswith("Given ") else said
    docstring = docstring[0].upper() + docstring[1:]
    calls = "".join(f"print({program.name}({', '.join(map(repr, given))}))\n" for given in inputs)
    code = (f"{head}\n\n" if head else "") + f'{line}\n    """{docstring}"""\n{body}\n\n{calls}'
    function = _define(program)
    printed = "".join(f"{function(*given)}\n" for given in inputs)
    return [f"```python\n{code}```", f"{remark}It prints\n\n```text\n{printed}```"]
