"""Many questions asked at once, by plain functions that know nothing of event loops.

`ask_all` runs the loop, holds the number of requests under way, and answers in the order of the questions. `ask_objects` wants
answers that hold something: a reply that does not gets one more try, with what was wrong, and is then rejected with its text
kept. `ask_ahead` asks for all that a stage will want and leaves the replies in the journal: a stage that works part by part
would else ask part by part, and wait for the slowest reply of each (for a day each, where replies come in batches).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Generic, NamedTuple, TypeVar

from codetextbook.errors import TeacherError
from codetextbook.teacher.protocol import Failure, Message, Reply, Request, Teacher

T = TypeVar("T")

QUIET_SECONDS = 1.0
"""A round that is over before is not told of: the journal answered it."""
_later: ContextVar[Callable[[int, int], None] | None] = ContextVar("later", default=None)


class Answer(NamedTuple, Generic[T]):
    """What a question brought: a value, or why there is none; and what it cost, the second try included."""

    value: T | None
    failure: Failure | None
    model: str
    dollars: float


def ask_all(
    teacher: Teacher, requests: Sequence[Request], *, watch: Callable[[int], None] | None = None
) -> list[Reply | Failure]:
    """Answers in the order of the questions. `watch` hears how many there are, after each.

    When the teacher cannot go on, what is under way is awaited (it is paid for, and the journal keeps it) before the error is raised.

    Raises:
        TeacherError: the teacher cannot go on.
    """
    answers: dict[int, Reply | Failure] = {}
    _run(teacher, requests, teacher.ask, answers.__setitem__, watch)
    return [answers[place] for place in range(len(requests))]


def ask_objects(
    teacher: Teacher, requests: Sequence[Request], read: Callable[[str], T | None], *, repair: str
) -> list[Answer[T]]:
    """What `read` finds in each answer. Where it finds nothing, the same conversation goes on with the words `repair`, once.

    Raises:
        TeacherError: the teacher cannot go on.
    """
    answers: dict[int, Answer[T]] = {}

    async def converse(request: Request) -> Answer[T]:
        return await _converse(teacher, request, read, repair)

    _run(teacher, requests, converse, answers.__setitem__)
    return [answers[place] for place in range(len(requests))]


@contextlib.contextmanager
def later_rounds(tell: Callable[[int, int], None]) -> Iterator[None]:
    """`tell` hears, after each answer of a round that nobody else watches, of how many questions how many are answered."""
    token = _later.set(tell)
    try:
        yield
    finally:
        _later.reset(token)


def _unless_quick(tell: Callable[[int, int], None], total: int) -> Callable[[int], None]:
    began = time.monotonic()

    def watch(done: int) -> None:
        if time.monotonic() - began > QUIET_SECONDS:
            tell(done, total)

    return watch


def ask_ahead(
    teacher: Teacher,
    requests: Iterable[Request],
    read: Callable[[str], object | None] = bool,
    *,
    repair: str = "",
    watch: Callable[[int], None] | None = None,
) -> None:
    """Ask everything that will be asked, as `ask_objects` does where there is a `repair`; the journal keeps the replies.

    Raises:
        TeacherError: the teacher cannot go on.
    """

    async def converse(request: Request) -> object:
        return await (_converse(teacher, request, read, repair) if repair else teacher.ask(request))

    _run(teacher, requests, converse, lambda place, answer: None, watch)


async def _converse(teacher: Teacher, request: Request, read: Callable[[str], T | None], repair: str) -> Answer[T]:
    """One question, and one more try."""
    reply = await teacher.ask(request)
    dollars = reply.dollars if isinstance(reply, Reply) else 0.0
    if isinstance(reply, Reply) and read(reply.text) is None:
        again = request.followed_by(Message("assistant", reply.text), Message("user", repair))
        reply = await teacher.ask(again)
        dollars += reply.dollars if isinstance(reply, Reply) else 0.0
    if isinstance(reply, Failure):
        return Answer(None, reply, teacher.model, dollars)
    value = read(reply.text)
    failure = Failure("malformed_reply", reply.text) if value is None else None
    return Answer(value, failure, reply.model, dollars)


def _run(
    teacher: Teacher,
    requests: Iterable[Request],
    answer: Callable[[Request], Awaitable[T]],
    keep: Callable[[int, T], None],
    watch: Callable[[int], None] | None = None,
) -> None:
    """Answer each request, no more at once than the teacher bears, in a loop of its own."""
    faults: list[TeacherError] = []
    waiting = iter(enumerate(requests))
    answered = 0
    later = _later.get()
    if watch is None and later is not None and isinstance(requests, Sequence):
        watch = _unless_quick(later, len(requests))

    async def work() -> None:
        nonlocal answered
        for place, request in waiting:
            if faults:
                return
            try:
                keep(place, await answer(request))
            except TeacherError as error:
                faults.append(error)
                return
            answered += 1
            if watch is not None:
                watch(answered)

    async def everybody() -> None:
        async with teacher, asyncio.TaskGroup() as group:
            for _ in range(_workers(teacher, requests)):
                group.create_task(work())

    asyncio.run(everybody())
    if faults:
        raise faults[0]


def _workers(teacher: Teacher, requests: Iterable[Request]) -> int:
    return min(teacher.in_flight, len(requests)) if isinstance(requests, Sequence) else teacher.in_flight


def dollars_of(replies: Iterable[Reply | Failure]) -> float:
    """What replies cost when they were paid for."""
    return sum(reply.dollars for reply in replies if isinstance(reply, Reply))


def yes_share(scores: Mapping[str, float], yes: str, no: str) -> float | None:
    """Probability of one answer among two, from their log-probabilities; None where neither is known."""
    if yes not in scores and no not in scores:
        return None
    odds = scores.get(yes, -30.0) - scores.get(no, -30.0)
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, odds))))
