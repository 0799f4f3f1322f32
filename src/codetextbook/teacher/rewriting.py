"""Curated files written anew, first for style, then to stand alone (after the paper: SwallowCode's two steps).

A rewriting is kept only if it parses, has functions left, and those that stand alone in the old file and in the new give the same on a
fixed pool of arguments, errors included. Limit: functions that need anything else are not compared, and a pool is no proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, product
from typing import Any, NamedTuple

from codetextbook.errors import SandboxError
from codetextbook.nouns import document_id
from codetextbook.sandbox import Sandbox, Status
from codetextbook.teacher.ask import ask_all, dollars_of
from codetextbook.teacher.checking import Refusal
from codetextbook.teacher.corpus import RealFunction, functions_in
from codetextbook.teacher.drills import code_of, question
from codetextbook.teacher.protocol import Failure, Teacher
from codetextbook.text.python_ast import parse, read_code

STEPS = ("rewrite_style.md", "rewrite_whole.md")
TOPIC = "rewritten"
POOL: tuple[Any, ...] = (0, 3, -2, [3, 1, 2], "abc", [], "", 2.5, {"a": 1}, None, ["b", "a"], True)
MAX_CALLS = 40
MODULES = (
    "bisect", "collections", "datetime", "functools", "heapq", "itertools", "math", "operator", "re", "statistics", "string",
)  # fmt: skip
"""Modules that a function which stands alone may use."""

Row = dict[str, Any]


class Rewritten(NamedTuple):
    """Rows of PAGE, each with why it is not kept, if so; and what they cost."""

    rows: list[tuple[Row, Refusal | None]]
    dollars: float


def rewrite(
    texts: Sequence[str], first: int, teacher: Teacher, sandbox: Sandbox, *, temperature: float, max_tokens: int
) -> Rewritten:
    """These files, written anew. `first` is the number of the first one: it tells repeated askings apart.

    Raises:
        TeacherError: the teacher cannot go on.
        SandboxError: the sandbox itself broke.
    """
    codes: list[str | Failure] = list(texts)
    dollars = 0.0
    for step in STEPS:
        places = [place for place, code in enumerate(codes) if isinstance(code, str)]
        requests = [
            question(step, first + place, temperature=temperature, max_tokens=max_tokens, code=str(codes[place]))
            for place in places
        ]
        replies = ask_all(teacher, requests)
        dollars += dollars_of(replies)
        for place, reply in zip(places, replies, strict=True):
            codes[place] = code_of(reply)
    made = []
    for place, (old, code) in enumerate(zip(texts, codes, strict=True)):
        text = f"```python\n{code}```\n" if isinstance(code, str) else ""
        row: Row = {
            "id": document_id(text or f"rewriting {first + place}"),
            "text": text,
            "topic": TOPIC,
            "audience": "",
        }
        row |= {"words": [], "writer": teacher.model}
        why = Refusal(code.reason, code.detail) if isinstance(code, Failure) else difference(old, code, sandbox)
        made.append((row, why))
    return Rewritten(made, dollars)


def difference(old: str, new: str, sandbox: Sandbox) -> Refusal | None:
    """Why a rewriting is not kept; None where nothing is found.

    Raises:
        SandboxError: the sandbox itself broke.
    """
    if parse(new) is None:
        return Refusal("unparsable", new[:300])
    if not read_code(new).functions:
        return Refusal("no_function", "nothing is left to learn from")
    before = {one.name: one for one in functions_in(old, MODULES)}
    for one in functions_in(new, MODULES):
        if one.name in before and (shown := _shown(before[one.name], sandbox)) != _shown(one, sandbox):
            return Refusal("behaves_differently", f"{one.name}: {shown[:200]}")
    return None


def _shown(one: RealFunction, sandbox: Sandbox) -> str:
    """What a function gives on the pool, a line for each call."""
    tree = parse(one.code)
    assert tree is not None
    number = len(tree.body[-1].args.args)  # type: ignore[attr-defined]
    calls = "".join(
        f"try:\n    print(repr({one.name}({', '.join(map(repr, given))})))\nexcept Exception as error:\n    print(type(error))\n"
        for given in islice(product(POOL, repeat=number), MAX_CALLS)
    )
    results = sandbox.run([one.code, calls])
    if any(result.status == Status.SANDBOX_BROKE for result in results):
        raise SandboxError("the sandbox broke while a rewriting was compared", where="textbook")
    return "\n".join(f"{result.status.value} {result.stdout}" for result in results)
