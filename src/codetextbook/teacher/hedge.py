"""Hedging: an attempt that is slow gets a second one beside it, and the first answer wins (off by default).

For servers whose slowest answers are far slower than most: the work then ends when the second server answers, not when the slow
one does. Price: whoever is not waited for may bill all the same, so the second attempt has a reservation of its own, and what
of it was sent counts as spent. The clock starts when the request leaves: one that waits for a server's turn is not sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Self

from codetextbook.teacher.protocol import Again, Failure, Reply

Attempt = Callable[[Callable[[], None]], Coroutine[Any, Any, Reply | Failure | Again]]


class Runner(NamedTuple):
    """An attempt under way."""

    number: int
    """Of its reservation."""
    task: asyncio.Task[Reply | Failure | Again]
    sent: asyncio.Event

    @classmethod
    def start(cls, attempt: Attempt, number: int) -> Self:
        """Begin an attempt."""
        sent = asyncio.Event()
        return cls(number, asyncio.create_task(attempt(sent.set)), sent)

    @property
    def has_answer(self) -> bool:
        """Whether it ended with something that another attempt need not be waited for: an error that ends the work, too."""
        return self.task.done() and (self.task.exception() is not None or not isinstance(self.task.result(), Again))

    @property
    def maybe_billed(self) -> bool:
        """Whether an attempt that has ended, or was broken off, may be billed."""
        if self.task.cancelled():
            return self.sent.is_set()
        if self.task.exception() is not None:
            return False
        outcome = self.task.result()
        return isinstance(outcome, Reply) or (isinstance(outcome, Again) and outcome.maybe_billed)


class Race(NamedTuple):
    """What came of one attempt, or two; both have ended."""

    winner: Runner
    other: Runner | None = None
    unused: int | None = None
    """A reservation for a second attempt that was not needed after all."""


async def race(
    attempt: Attempt, number: int, after_seconds: float, reserve: Callable[[], Awaitable[int | None]]
) -> Race:
    """An attempt, and a second one if the first has no answer so long after it was sent and `reserve` gives it a reservation."""
    runners = [Runner.start(attempt, number)]
    first, unused = runners[0], None
    try:
        await _sent_or_ended(first)
        await asyncio.wait([first.task], timeout=after_seconds)
        second = None if first.task.done() else await reserve()
        if first.task.done():
            unused = second
        elif second is not None:
            runners.append(Runner.start(attempt, second))
        winner = await _winner(runners)
    finally:
        for one in runners:
            one.task.cancel()
        await asyncio.gather(*(one.task for one in runners), return_exceptions=True)
    return Race(winner, next((one for one in runners if one is not winner), None), unused)


async def _sent_or_ended(first: Runner) -> None:
    leaving = asyncio.create_task(first.sent.wait())
    try:
        await asyncio.wait([first.task, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()


async def _winner(runners: list[Runner]) -> Runner:
    """The first with an answer; when nobody has one, whoever may be billed."""
    while True:
        for one in runners:
            if one.has_answer:
                return one
        left = [one.task for one in runners if not one.task.done()]
        if not left:
            return max(runners, key=lambda one: one.maybe_billed)
        await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
