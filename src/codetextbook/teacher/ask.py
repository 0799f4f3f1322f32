"""Many questions asked at once, by plain functions that know nothing of event loops.

`ask_all` runs the loop, holds the number of requests under way, and answers in the order of the questions. `ask_objects` wants
answers that hold something: a reply that does not gets one more try, with what was wrong, and is then rejected with its text
kept.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from codetextbook.errors import TeacherError
from codetextbook.teacher.protocol import Failure, Message, Reply, Request, Teacher

T = TypeVar("T")


def ask_all(
    teacher: Teacher, requests: Sequence[Request], *, watch: Callable[[int], None] | None = None
) -> list[Reply | Failure]:
    """Answers in the order of the questions. `watch` hears how many there are, after each.

    When the teacher cannot go on, what is under way is awaited (it is paid for, and the journal keeps it) before the error is raised.

    Raises:
        TeacherError: the teacher cannot go on.
    """
    return asyncio.run(_ask_all(teacher, requests, watch)) if requests else []


async def _ask_all(
    teacher: Teacher, requests: Sequence[Request], watch: Callable[[int], None] | None
) -> list[Reply | Failure]:
    answers: dict[int, Reply | Failure] = {}
    waiting = iter(enumerate(requests))
    faults: list[BaseException] = []

    async def work(places: Iterator[tuple[int, Request]]) -> None:
        for place, request in places:
            if faults:
                return
            try:
                answers[place] = await teacher.ask(request)
            except TeacherError as error:
                faults.append(error)
                return
            if watch is not None:
                watch(len(answers))

    async with teacher, asyncio.TaskGroup() as group:
        for _ in range(min(teacher.in_flight, len(requests))):
            group.create_task(work(waiting))
    if faults:
        raise faults[0]
    return [answers[place] for place in range(len(requests))]


class Answer(NamedTuple, Generic[T]):
    """What a question brought: a value, or why there is none; and what it cost, the second try included."""

    value: T | None
    failure: Failure | None
    model: str
    dollars: float


def ask_objects(
    teacher: Teacher, requests: Sequence[Request], read: Callable[[str], T | None], *, repair: str
) -> list[Answer[T]]:
    """What `read` finds in each answer. Where it finds nothing, the same conversation goes on with the words `repair`, once.

    Raises:
        TeacherError: the teacher cannot go on.
    """
    first = ask_all(teacher, requests)
    bad = [place for place, reply in enumerate(first) if isinstance(reply, Reply) and read(reply.text) is None]
    again = [_gone_on(requests[place], first[place], repair) for place in bad]
    second = dict(zip(bad, ask_all(teacher, again), strict=True))
    answers: list[Answer[T]] = []
    for place, reply in enumerate(first):
        last = second.get(place, reply)
        dollars = sum(one.dollars for one in {id(reply): reply, id(last): last}.values() if isinstance(one, Reply))
        if isinstance(last, Failure):
            answers.append(Answer(None, last, teacher.model, dollars))
            continue
        value = read(last.text)
        failure = Failure("malformed_reply", last.text) if value is None else None
        answers.append(Answer(value, failure, last.model, dollars))
    return answers


def _gone_on(request: Request, reply: Reply | Failure, repair: str) -> Request:
    said = reply.text if isinstance(reply, Reply) else ""
    return request.followed_by(Message("assistant", said), Message("user", repair))


def yes_share(scores: Mapping[str, float], yes: str, no: str) -> float | None:
    """Probability of one answer among two, from their log-probabilities; None where neither is known."""
    if yes not in scores and no not in scores:
        return None
    odds = scores.get(yes, -30.0) - scores.get(no, -30.0)
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, odds))))
