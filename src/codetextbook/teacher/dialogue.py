"""An exercise in several questions: the function, a critique if wanted, its tests, a second solution if wanted (paper §2.2 and after it).

Each question goes to all exercises of a part before the next one is asked, so that a server is kept busy. The tests are asked with the
docstring alone: they and the solution are two readings of it. Instruction reversal begins from a real function instead: the teacher
writes the docstring, the tests, and a body of its own, which must agree with the real one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from codetextbook.teacher import drills
from codetextbook.teacher.ask import ask_all, dollars_of
from codetextbook.teacher.corpus import RealFunction
from codetextbook.teacher.drills import Drill, asserts_of, code_of, question, row_from, split_function
from codetextbook.teacher.estimate import Asking, evenly
from codetextbook.teacher.protocol import Failure, Message, Reply, Request, Teacher

CRITIQUE = (
    "Read your exercise as a strict editor: is the docstring exact at the edges, is every example true, is the solution right and plain? "
    "Then reply with the exercise again, improved where it can be, in one block fenced with ```python and with nothing else."
)

Row = dict[str, Any]


class Ways(NamedTuple):
    """How the teacher is asked."""

    seed: int
    temperature: float
    max_tokens: int
    constrained: bool = True
    critique: bool = False
    second: bool = False
    personas: bool = False


class Written(NamedTuple):
    """One exercise as far as it got: a row, why it cannot be one, and another body for its prompt, if one was wanted."""

    row: Row
    failure: Failure | None
    second: str = ""


class Part(NamedTuple):
    """All exercises of a part, and what they cost."""

    written: list[Written]
    dollars: float


def drawn(numbers: Iterable[int], ways: Ways, fragments: Sequence[str] = ()) -> Iterator[tuple[Drill, Request]]:
    """What exercises are to be about, each with the first question."""
    for number in numbers:
        drill = drills.assignment(number, curriculum(), ways.seed, persona=ways.personas)
        if fragments:
            drill = drill._replace(seed=fragments[number % len(fragments)])
        yield (
            drill,
            drills.function_request(
                drill, number, temperature=ways.temperature, max_tokens=ways.max_tokens, constrained=ways.constrained
            ),
        )


@cache
def curriculum() -> dict[str, Any]:
    """The shipped one."""
    return tomllib.loads((resources.files("codetextbook.data") / "curriculum.toml").read_text(encoding="utf-8"))


def write(
    numbers: Sequence[int],
    teacher: Teacher,
    ways: Ways,
    *,
    fragments: Sequence[str] = (),
    closed: Collection[str] = (),
) -> Part:
    """The exercises of these numbers; topics that are closed are not asked for.

    Raises:
        TeacherError: the teacher cannot go on.
    """
    given = list(drawn(numbers, ways, fragments))
    replies: list[Reply | Failure] = [Failure("cell_exhausted", drill.topic) for drill, _ in given]
    places = [place for place, (drill, _) in enumerate(given) if drill.topic not in closed]
    for place, reply in zip(places, ask_all(teacher, [given[place][1] for place in places]), strict=True):
        replies[place] = reply
    dollars = dollars_of(replies)
    if ways.critique:
        replies, spent = _criticised([request for _, request in given], replies, teacher)
        dollars += spent
    made = [
        Written(*row_from(drill, reply, number, constrained=ways.constrained))
        for (drill, _), reply, number in zip(given, replies, numbers, strict=True)
    ]
    return _finished(made, numbers, teacher, ways, dollars)


def asking(model: str, wanted: int, ways: Ways) -> Asking | None:
    """What so many exercises take; answers are taken to be as long as the recorded exercises and their tests."""
    numbers = evenly(wanted)
    if not numbers:
        return None
    rows = drills.recorded_rows()
    first = [request for _, request in drawn(numbers, ways)]
    tests = [tests_request(row, 0, ways) for row in rows][: len(first)]
    rounds = 1 + ways.critique + ways.second
    sizes = [len((row["prompt"] + row["solution"]).encode()) for row in rows] * rounds
    sizes += [len(row["tests"].encode()) for row in rows]
    words = f"{len(first)} of its prompts, and the {len(rows)} recorded exercises"
    return Asking(model, wanted * (rounds + 1), first * rounds + tests, sizes, words)


def reverse(given: Sequence[tuple[int, RealFunction]], teacher: Teacher, ways: Ways) -> Part:
    """Exercises whose solutions are the real functions; a second solution is always asked for.

    Raises:
        TeacherError: the teacher cannot go on.
    """
    asked = [_ask("exercise_docstring.md", number, ways, code=one.code) for number, one in given]
    replies = ask_all(teacher, asked)
    made = [_reversed(one, reply, number) for (number, one), reply in zip(given, replies, strict=True)]
    numbers = [number for number, _ in given]
    return _finished(made, numbers, teacher, ways._replace(second=True), dollars_of(replies))


def tests_request(row: Row, number: int, ways: Ways) -> Request:
    """The question for the tests of a function; the solution is not shown."""
    return _ask("exercise_tests.md", number, ways, prompt=row["prompt"], name=row["entry_point"])


def _ask(file: str, number: int, ways: Ways, **values: str) -> Request:
    return question(file, number, temperature=ways.temperature, max_tokens=ways.max_tokens, **values)


def _criticised(
    asked: Sequence[Request], replies: list[Reply | Failure], teacher: Teacher
) -> tuple[list[Reply | Failure], float]:
    """The replies, each after the teacher has judged it itself; where that brings no function, the first one stays."""
    places = [place for place, reply in enumerate(replies) if isinstance(reply, Reply)]
    again = []
    for place in places:
        reply = replies[place]
        assert isinstance(reply, Reply)
        again.append(asked[place].followed_by(Message("assistant", reply.text), Message("user", CRITIQUE)))
    answers = ask_all(teacher, again) if again else []
    better = list(replies)
    for place, answer in zip(places, answers, strict=True):
        code = code_of(answer)
        if isinstance(code, str) and split_function(code) is not None:
            better[place] = answer
    return better, dollars_of(answers)


def _reversed(one: RealFunction, reply: Reply | Failure, number: int) -> Written:
    drill = Drill(one.name, "instruction_reversal", "", "", (), "")
    row, _ = row_from(drill, reply, number)
    code = code_of(reply)
    if isinstance(code, Failure):
        return Written(row, code)
    parts = split_function(code.rstrip() + "\n    return None\n")
    if parts is None or parts.name != one.name:
        return Written(row, Failure("unparsable", "the block is no `def` line with a docstring of that function"))
    return Written(one.as_row(parts.prompt, row["writer"]), None)


def _finished(made: list[Written], numbers: Sequence[int], teacher: Teacher, ways: Ways, dollars: float) -> Part:
    """Tests, and second solutions if wanted, for those that have not failed."""
    places = [place for place, one in enumerate(made) if one.failure is None]
    replies = ask_all(teacher, [tests_request(made[place].row, numbers[place], ways) for place in places])
    dollars += dollars_of(replies)
    for place, reply in zip(places, replies, strict=True):
        code = code_of(reply)
        if isinstance(code, Failure):
            made[place] = Written(made[place].row, Failure("no_tests", f"{code.reason}: {code.detail}"))
        else:
            made[place] = Written(made[place].row | {"tests": asserts_of(code)}, None)
    if not ways.second:
        return Part(made, dollars)
    places = [place for place in places if made[place].failure is None]
    asked = [_ask("exercise_solution.md", numbers[place], ways, prompt=made[place].row["prompt"]) for place in places]
    replies = ask_all(teacher, asked)
    for place, reply in zip(places, replies, strict=True):
        code = code_of(reply)
        parts = split_function(code) if isinstance(code, str) else None
        if parts is None or parts.name != made[place].row["entry_point"]:
            made[place] = Written(made[place].row, Failure("no_second_solution", "the reply holds no such function"))
        else:
            made[place] = made[place]._replace(second=parts.body)
    return Part(made, dollars + dollars_of(replies))
