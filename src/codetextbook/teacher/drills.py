"""Exercises of a language model: those that ship recorded, and those asked of a teacher (paper §2.2).

The recorded set was written once, with care, by a large model. The paper made exercises diverse mainly by constraining function names; its
prompt is not published. Here each number draws a topic, a name (verb and noun), two more words and a difficulty from the seed alone;
topics come without replacement. The function with its solution is one question, its tests are another, asked with the docstring alone, so
that a misread docstring does not pass its own tests. Where a reply does not hold what was asked for, it is rejected; nothing is mended.
"""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from codetextbook.errors import InputError
from codetextbook.nouns import document_id
from codetextbook.teacher.assigning import cell, words_of
from codetextbook.teacher.protocol import Failure, Message, Reply, Request
from codetextbook.text.python_ast import parse

Row = dict[str, Any]

RECORDED = "exercises.jsonl"
RECORDED_FIELDS = ("prompt", "solution", "tests", "entry_point", "topic", "family")
DIFFICULTIES = (
    "easy: two or three lines",
    "medium: a loop and a decision, or two steps",
    "harder: two loops, or a helper structure",
)
_FENCE = re.compile(r"^```[ \t]*(?:python|py)?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def recorded_rows() -> list[dict[str, Any]]:
    """The shipped exercises, as rows of EXERCISE that nothing has checked yet.

    Raises:
        InputError: the file is missing, or a line of it cannot be understood.
    """
    file = resources.files("codetextbook.data").joinpath(RECORDED)
    if not file.is_file():
        raise InputError(
            "the recorded exercises are not part of this installation",
            where=f"data/{RECORDED}",
            hint="recorded = false",
        )
    return parse_recorded(file.read_text(encoding="utf-8"))


def parse_recorded(text: str) -> list[dict[str, Any]]:
    """Lines of JSON as rows of EXERCISE.

    Raises:
        InputError: a line is no exercise; it is named.
    """
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            row = {name: given[name] for name in RECORDED_FIELDS}
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"line {number} is no exercise: {error!r}", where=f"data/{RECORDED}") from error
        if not all(isinstance(value, str) for value in row.values()):
            raise InputError(f"line {number} has a field that is no text", where=f"data/{RECORDED}")
        same = document_id(row["prompt"] + row["solution"])
        rows.append({"id": same, **row, "writer": "recorded", "split": "", "verified": False})
    return rows


class Drill(NamedTuple):
    """What an exercise is to be about."""

    name: str
    topic: str
    area: str
    title: str
    words: tuple[str, ...]
    difficulty: str
    persona: str = ""
    """Who it is for; empty for nobody in particular."""
    seed: str = ""
    """Real code that may inspire it; empty for none."""


def assignment(index: int, curriculum: Mapping[str, Any], seed: int, *, persona: bool = False) -> Drill:
    """Topic, name, words and difficulty of exercise number `index`; a function of the seed and the number alone."""
    draw = random.Random(f"{seed}/exercise/{index}")
    chosen = cell(index, curriculum, seed)
    topic = curriculum["topics"][chosen.topic]
    verb, noun = draw.choice(sorted(curriculum["words"]["verbs"])), draw.choice(sorted(curriculum["words"]["nouns"]))
    more = words_of(curriculum, f"{seed}/exercise/{index}/words", 2, without=(verb, noun))
    name = re.sub(r"\W+", "_", f"{verb}_{noun}".lower())
    area = curriculum["areas"][topic["area"]]
    who = curriculum["audiences"][chosen.audience] if persona else ""
    return Drill(name, chosen.topic, area, topic["title"], tuple(more), draw.choice(DIFFICULTIES), who)


def function_request(
    drill: Drill, index: int, *, temperature: float, max_tokens: int, constrained: bool = True
) -> Request:
    """What the teacher is sent for the function of one exercise."""
    lines = []
    if constrained:
        lines = [
            f"Topic: {drill.title} ({drill.area}).",
            f"The name of the function: `{drill.name}`. Let the name decide what the function does.",
            f"An idea to start from: {', '.join(drill.words)}.",
            f"Difficulty: {drill.difficulty}.",
        ]
    if drill.persona:
        lines.append(f"It is for {drill.persona}: their trade gives the task, the names and the numbers.")
    if drill.seed:
        lines.append(f"Let this fragment of real code inspire the task; do not copy it.\n\n```python\n{drill.seed}```")
    text = prompt_file("exercise_function.md").format(constraints="".join(f"{line}\n" for line in lines))
    return Request((Message("user", text),), temperature, max_tokens, sample=index)


def question(file: str, index: int, *, temperature: float, max_tokens: int, **values: str) -> Request:
    """One of the shipped prompts, filled in."""
    text = prompt_file(file).format(**values)
    return Request((Message("user", text),), temperature, max_tokens, sample=index)


@cache
def prompt_file(name: str) -> str:
    """A shipped prompt."""
    return (resources.files("codetextbook.teacher") / "prompts" / name).read_text(encoding="utf-8")


def code_of(reply: Reply | Failure) -> str | Failure:
    """The one block of code in a reply, or why there is none."""
    if isinstance(reply, Failure):
        return reply
    if reply.finish_reason == "length":
        return Failure("cut_off", f"after {reply.output_tokens} tokens")
    blocks = [block.group(1) for block in _FENCE.finditer(reply.text)]
    if not blocks:
        return Failure("no_code", reply.text[:500])
    return blocks[0] if len(blocks) == 1 else Failure("several_blocks", f"{len(blocks)} blocks of code, one wanted")


def row_from(
    drill: Drill, reply: Reply | Failure, index: int, *, constrained: bool = True
) -> tuple[Row, Failure | None]:
    """A row of EXERCISE without tests that nothing has checked, and why it cannot be one, if so."""
    row: Row = {"entry_point": drill.name, "topic": drill.topic, "family": drill.topic, "split": ""}
    row |= {"writer": reply.model if isinstance(reply, Reply) else "", "verified": False}
    row |= {"prompt": reply.text if isinstance(reply, Reply) else "", "solution": "", "tests": ""}
    row["id"] = document_id(row["prompt"] or f"teacher exercise {index}")
    code = code_of(reply)
    if isinstance(code, Failure):
        return row, code
    parts = split_function(code)
    if parts is None:
        return row, Failure("unparsable", "the block is no function with a docstring and a body below it")
    row |= {"prompt": parts.prompt, "solution": parts.body}
    if not constrained:
        row["entry_point"] = parts.name
    row["id"] = document_id(row["prompt"] + row["solution"])
    return row, None


class Parts(NamedTuple):
    """A program cut behind its function's docstring."""

    name: str
    prompt: str
    body: str


def split_function(code: str) -> Parts | None:
    """The last function of a program with what stands before it; None where it has no docstring, or nothing below it.

    What stands behind it is left out: chat models add calls, prints and tests of their own, and none of them is of the exercise.
    """
    tree = parse(code)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)] if tree else []
    if not functions or not ast.get_docstring(functions[-1]) or len(functions[-1].body) < 2:
        return None
    cut = functions[-1].body[0].end_lineno or 0
    lines = code.split("\n")[: functions[-1].end_lineno]
    body = "\n".join(lines[cut:]).lstrip("\n").rstrip() + "\n"
    return Parts(functions[-1].name, "\n".join(lines[:cut]) + "\n", body)


def asserts_of(code: str) -> str:
    """The assert lines of a block of tests, without the imports, calls and copies of the function that chat models put around them."""
    tree = parse(code)
    if tree is None:
        return code
    return "".join(f"{ast.get_source_segment(code, node)}\n" for node in tree.body if isinstance(node, ast.Assert))
