"""Exercises of a language model: those that ship recorded, and those asked of a teacher (paper §2.2).

The recorded set was written once, with care, by a large model. The paper made exercises diverse mainly by constraining function names; its
prompt is not published. Here each number draws a topic, a name (verb and noun), two more words and a difficulty from the seed alone.
A reply holds two fenced blocks: the function with its docstring and solution, then its tests. Where it does not, it is rejected; nothing
is mended.
"""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple

from codetextbook.errors import InputError
from codetextbook.nouns import document_id
from codetextbook.teacher.protocol import Failure, Message, Reply, Request

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


def assignment(index: int, curriculum: Mapping[str, Any], seed: int) -> Drill:
    """Topic, name, words and difficulty of exercise number `index`; a function of the seed and the number alone."""
    draw = random.Random(f"{seed}/exercise/{index}")
    key = draw.choice(sorted(curriculum["topics"]))
    topic = curriculum["topics"][key]
    verb, noun = draw.choice(sorted(curriculum["words"]["verbs"])), draw.choice(sorted(curriculum["words"]["nouns"]))
    pool = sorted({word for words in curriculum["words"].values() for word in words} - {verb, noun})
    name = re.sub(r"\W+", "_", f"{verb}_{noun}".lower())
    area = curriculum["areas"][topic["area"]]
    return Drill(name, key, area, topic["title"], tuple(draw.sample(pool, 2)), draw.choice(DIFFICULTIES))


def request_for(drill: Drill, index: int, *, temperature: float, max_tokens: int) -> Request:
    """What the teacher is sent for one exercise."""
    template = (resources.files("codetextbook.teacher") / "prompts" / "exercise.md").read_text(encoding="utf-8")
    text = template.format(
        topic=drill.title, area=drill.area, name=drill.name, words=", ".join(drill.words), difficulty=drill.difficulty
    )
    return Request((Message("user", text),), temperature, max_tokens, sample=index)


def from_reply(drill: Drill, reply: Reply | Failure, index: int) -> tuple[dict[str, Any], Failure | None]:
    """A row of EXERCISE that nothing has checked, and why it cannot be one, if so."""
    row: dict[str, Any] = {"entry_point": drill.name, "topic": drill.topic, "family": drill.topic, "split": ""}
    row |= {"writer": reply.model if isinstance(reply, Reply) else "", "verified": False}
    row |= {"prompt": reply.text if isinstance(reply, Reply) else "", "solution": "", "tests": ""}
    row["id"] = document_id(row["prompt"] or f"teacher exercise {index}")
    if isinstance(reply, Failure):
        return row, reply
    if reply.finish_reason == "length":
        return row, Failure("cut_off", f"after {reply.output_tokens} tokens")
    blocks = [block.group(1) for block in _FENCE.finditer(reply.text)]
    if len(blocks) != 2:
        return row, Failure("not_two_blocks", f"{len(blocks)} blocks of code")
    parts = _split(blocks[0])
    if parts is None:
        return row, Failure("unparsable", "the first block is no function with a docstring and a body below it")
    row |= {"prompt": parts[0], "solution": parts[1], "tests": blocks[1].strip() + "\n"}
    row["id"] = document_id(row["prompt"] + row["solution"])
    return row, None


def _split(code: str) -> tuple[str, str] | None:
    """A program cut behind its function's docstring; None where there is no such place."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if not functions or not ast.get_docstring(functions[-1]) or len(functions[-1].body) < 2:
        return None
    cut = functions[-1].body[0].end_lineno or 0
    lines = code.rstrip("\n").split("\n")
    return "\n".join(lines[:cut]) + "\n", "\n".join(lines[cut:]).lstrip("\n").rstrip() + "\n"
