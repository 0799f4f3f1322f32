"""A teacher of any backend: every reply kept before it is seen, the budget reserved before anything is sent, and bad attempts
made again.

How often is tried again depends on what it may cost. A busy server, or one that cannot be reached, costs nothing and is
everyone's trouble: it is tried until nobody has had an answer for `patience_seconds`, then the work ends. An error of the
server's costs nothing, but may be this request's own: six tries. An attempt that may have been billed is made once more and no
more, and both count as spent. A slow attempt may get a second one beside it (`hedge`, off by default): that is then the one more.

A request that is out of tries fails alone when others are answered. When several in a row end so, the server is gone and the
work ends: a server that broke down must not reject a corpus. A request that failed is not tried again by the same process: the next
run does that.

Writes of one moment are committed together, in a thread, while the next ones gather. Trade-off: a reservation counts a token
for every byte, so what is reserved is several times what is spent; when it does not fit, the request waits for others to settle
before it is refused.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

from codetextbook.errors import TeacherError
from codetextbook.shards import SHOWN_CHARACTERS
from codetextbook.teacher.hedge import race
from codetextbook.teacher.journal import Asked, Journal, Limits, Room
from codetextbook.teacher.protocol import FAILED, Again, Backend, Failure, Prices, Reply, Request, Unanswered

GONE = 8
"""Requests in a row that end without an answer, after which the server counts as gone."""
LONGEST_WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2
GATHER_SECONDS = 0.01
"""What is written within it is one commit; only where many are under way."""
MANY = 16


@dataclass(frozen=True)
class Patience:
    """How often, and how long, a request is tried again."""

    tries: int = 6
    billed_tries: int = 2
    patience_seconds: float = 300.0


class Attempted(NamedTuple):
    """What came of trying once."""

    number: int
    """Of the reservation that is still to be settled, released or lost."""
    outcome: Reply | Failure | Again
    also_billed: bool
    """A second attempt beside it may have been billed, and was counted."""


class Progress(NamedTuple):
    """What this process has had so far."""

    replies: int
    """Answers, those kept from before among them."""
    kept: int
    """Answers that were in the journal already."""
    failures: int
    input_tokens: int
    output_tokens: int
    dollars: float
    seconds: float
    """Since the first question."""

    @property
    def tokens_per_second(self) -> float:
        """Tokens answered, over the time since the first question."""
        return self.output_tokens / self.seconds if self.seconds else 0.0


class Journalled:
    """A teacher whose replies are kept and whose spending is limited."""

    def __init__(
        self,
        backend: Backend,
        journal: Journal,
        *,
        prices: Prices,
        limits: Limits,
        patience: Patience = Patience(),
        extra: dict[str, Any] | None = None,
        hedge_after_seconds: float | None = None,
    ) -> None:
        self._backend, self._journal, self._prices, self._limits = backend, journal, prices, limits
        self._patience, self._extra, self._hedge_after = patience, extra, hedge_after_seconds
        self._asked: dict[str, asyncio.Task[Reply | Failure]] = {}
        self._failures: dict[str, Failure] = {}
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, "journal")
        self._settled = asyncio.Event()
        self._under_way = 0
        self._in_a_row = 0
        self._last_word = self._begin = 0.0
        self._so_far = Progress(0, 0, 0, 0, 0, 0.0, 0.0)
        self._newest = ""

    @property
    def model(self) -> str:
        """Name of the model behind it."""
        return self._backend.model

    @property
    def in_flight(self) -> int:
        """Requests under way at once."""
        return self._backend.in_flight

    @property
    def progress(self) -> Progress:
        """What this process has had so far."""
        return self._so_far._replace(seconds=time.monotonic() - self._begin if self._begin else 0.0)

    def facts(self) -> dict[str, Any]:
        """What a person who watches wants to know beside the count of answers; dollars are those of the whole journal, as its limit is."""
        now, spent = self.progress, self._journal.spent()
        found = {
            "tokens/s": round(now.tokens_per_second, 1),
            "dollars": round(spent.dollars + spent.lost_dollars, 6),
            "dollars limit": self._limits.dollars,
            "from the journal": now.kept,
            "failed": now.failures,
        }
        return found | ({"sample": self._newest[:SHOWN_CHARACTERS]} if self._newest else {})

    def close(self) -> None:
        """Close the journal."""
        self._writer.shutdown()
        self._journal.close()

    async def __aenter__(self) -> Self:
        self._settled, self._last_word = asyncio.Event(), time.monotonic()
        self._begin = self._begin or self._last_word
        await self._backend.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._backend.__aexit__(kind, error, trace)

    async def ask(self, request: Request) -> Reply | Failure:
        """The kept reply, or a new one that is kept before it is returned; two askers of one question share one answer.

        Raises:
            TeacherError: the budget does not allow it, or the teacher cannot answer.
        """
        key = request.key(self.model, self._extra)
        if key in self._failures:
            return self._failures[key]
        kept = self._journal.find(key)
        if kept is not None:
            return self._told(kept, kept=True)
        if key not in self._asked:
            task = asyncio.create_task(self._pay(key, request))
            self._asked[key] = task
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(self._asked[key])

    async def _pay(self, key: str, request: Request) -> Reply | Failure:
        asked = await self._reserve(key, request)
        if asked.number is None:
            assert asked.reply is not None
            return self._told(asked.reply, kept=True)
        self._under_way += 1
        try:
            return await self._try(key, request, asked.number)
        finally:
            self._under_way -= 1
            self._settled.set()

    async def _try(self, key: str, request: Request, number: int) -> Reply | Failure:
        """Attempt until there is an answer, or none is to be had; the reservation is settled, released or lost by then."""
        tries = billed = 0
        while True:
            number, outcome, also_billed = await self._attempt(key, request, number, may_hedge=not billed)
            if isinstance(outcome, Reply):
                return await self._keep(number, key, request, outcome)
            if isinstance(outcome, Failure):
                await self._commit(partial(self._journal.release, number))
                return self._failed(outcome, key)
            tries += not outcome.everyones
            billed += outcome.maybe_billed + also_billed
            if billed >= self._patience.billed_tries or tries >= self._patience.tries or self._gave_up(outcome):
                return await self._end(number, key, request, outcome)
            if outcome.maybe_billed:
                number = await self._afresh(number, key, request, outcome)
            if outcome.wait_seconds:
                await asyncio.sleep(min(LONGEST_WAIT_SECONDS, outcome.wait_seconds * 2**tries) * random.uniform(0.5, 1))

    async def _attempt(self, key: str, request: Request, number: int, *, may_hedge: bool) -> Attempted:
        """One attempt, or two where the first is slow and the site wants it so.

        Raises:
            TeacherError: no request can be answered; the reservation is released.
        """
        also_billed = False
        try:
            if self._hedge_after is None or not may_hedge:
                return Attempted(number, await self._backend.attempt(request), also_billed)
            attempt, second = partial(self._backend.attempt, request), partial(self._reserve_second, key, request)
            winner, other, unused = await race(attempt, number, self._hedge_after, second)
            number = winner.number
            if unused is not None:
                await self._commit(partial(self._journal.release, unused))
            elif other is not None and other.maybe_billed:
                also_billed = True
                await self._commit(partial(self._journal.lose, other.number, "hedged"))
            elif other is not None:
                await self._commit(partial(self._journal.release, other.number))
            return Attempted(number, winner.task.result(), also_billed)
        except TeacherError:
            await self._commit(partial(self._journal.release, number))
            raise

    async def _reserve_second(self, key: str, request: Request) -> int | None:
        """A reservation for a second attempt; none where the budget has no room for it."""
        asked: Asked = await self._commit(partial(self._journal.reserve, key, self._room(request), self._limits))
        return asked.number

    def _gave_up(self, outcome: Again) -> bool:
        return outcome.everyones and time.monotonic() - self._last_word > self._patience.patience_seconds

    async def _keep(self, number: int, key: str, request: Request, reply: Reply) -> Reply | Failure:
        said = request.plain() | ({"extra": self._extra} if self._extra else {})
        await self._commit(lambda: self._journal.settle(number, key, said, reply))
        self._in_a_row, self._last_word = 0, time.monotonic()
        return self._told(reply)

    async def _end(self, number: int, key: str, request: Request, outcome: Again) -> Reply | Failure:
        """A request out of tries: kept as what it is if the server sent something, else its own failure, or everyone's.

        Raises:
            Unanswered: the server is gone.
        """
        if outcome.reason in FAILED:
            most = self._room(request)
            sent = request.most_input_tokens
            reply = Reply(
                outcome.body or outcome.detail, sent, most.tokens - sent, most.dollars, outcome.reason, self.model
            )
            return await self._keep(number, key, request, reply)
        if outcome.maybe_billed:
            await self._commit(lambda: self._journal.lose(number, outcome.reason))
        else:
            await self._commit(lambda: self._journal.release(number))
        self._in_a_row += 1
        if outcome.everyones or self._in_a_row >= GONE:
            raise Unanswered(
                f"the teacher gives no answer any more ({outcome.reason}: {outcome.detail})",
                where="[teacher] of site.toml",
                hint="is the server up? run again: every answer so far is kept and not paid again",
            )
        return self._failed(Failure(outcome.reason, outcome.detail), key)

    def _told(self, reply: Reply, *, kept: bool = False) -> Reply | Failure:
        """A kept reply as its asker sees it; refusals and bodies without an answer are failures."""
        mine = replace(reply, input_tokens=0, output_tokens=0, dollars=0.0) if kept else reply
        self._newest = reply.text
        self._so_far = Progress(
            self._so_far.replies + 1,
            self._so_far.kept + kept,
            self._so_far.failures,
            self._so_far.input_tokens + mine.input_tokens,
            self._so_far.output_tokens + mine.output_tokens,
            self._so_far.dollars + mine.dollars,
            0.0,
        )
        reason = FAILED.get(reply.finish_reason)
        return reply if reason is None else self._failed(Failure(reason, reply.text))

    def _failed(self, failure: Failure, key: str = "") -> Failure:
        """A failure, counted; under a key where the journal does not hold it."""
        if key:
            self._failures[key] = failure
        self._so_far = self._so_far._replace(failures=self._so_far.failures + 1)
        return failure

    def _room(self, request: Request) -> Room:
        most = request.most_input_tokens
        return Room(self._prices.dollars(most, request.max_tokens), most + request.max_tokens)

    async def _reserve(self, key: str, request: Request) -> Asked:
        """Room for a request; waits for those under way to settle where there is none, and for others who ask the same."""
        room = self._room(request)
        while True:
            self._settled.clear()
            asked: Asked = await self._commit(lambda: self._journal.reserve(key, room, self._limits))
            if asked.number is not None or asked.reply is not None:
                return asked
            if asked.elsewhere:
                await asyncio.sleep(POLL_SECONDS)
                await self._commit(self._journal.bury_the_dead)
            elif self._under_way:
                await self._settled.wait()
            elif await self._others_under_way():
                await asyncio.sleep(POLL_SECONDS)
            else:
                raise self._spent_error(asked.limit, room)

    async def _others_under_way(self) -> bool:
        """Whether another process has requests out that may settle for less than they reserved."""
        await self._commit(self._journal.bury_the_dead)
        query = "SELECT 1 FROM reservations WHERE owner NOT IN (?, '') LIMIT 1"
        return bool(self._journal.query(query, (self._journal.owner,)))

    async def _afresh(self, number: int, key: str, request: Request, outcome: Again) -> int:
        """Count an attempt as spent, and reserve for the next one."""
        room = self._room(request)

        def change() -> Asked:
            self._journal.lose(number, outcome.reason)
            return self._journal.reserve(key, room, self._limits)

        asked: Asked = await self._commit(change)
        if asked.number is None:
            raise self._spent_error(asked.limit, room)
        return asked.number

    def _spent_error(self, limit: str, room: Room) -> TeacherError:
        spent = self._journal.spent()
        lost = f", ${spent.lost_dollars:.4f} of it for answers that never came" if spent.lost_requests else ""
        return TeacherError(
            f"the budget is spent: ${spent.dollars + spent.lost_dollars:.4f}{lost}, {spent.tokens + spent.lost_tokens:,} tokens and "
            f"{spent.requests + spent.lost_requests:,} requests so far; one more may cost ${room.dollars:.4f} and {room.tokens:,} tokens",
            where=f"[teacher] {limit}",
            hint="raise the limit and run again: every answer so far is kept",
        )

    async def _commit(self, change: Callable[[], Any]) -> Any:
        """Have a change made with those of the same moment; returns what it returned when it is on disk."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await done

    async def _write(self) -> None:
        """Commit what has gathered, until nothing is left."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_SECONDS if len(self._asked) > MANY else 0)
                group, self._waiting = self._waiting, []
                changes = [change for change, _ in group]
                try:
                    results = await loop.run_in_executor(self._writer, self._journal.together, changes)
                except sqlite3.Error as error:
                    fault = TeacherError(f"the journal cannot be written ({error})", where=str(self._journal.path))
                    _tell(group, fault)
                    continue
                except BaseException as error:
                    _tell(group, error)
                    raise
                for (_, done), result in zip(group, results, strict=True):
                    if not done.done():
                        done.set_result(result)
        finally:
            self._writing = None


def _tell(group: list[tuple[Callable[[], Any], asyncio.Future[Any]]], fault: BaseException) -> None:
    """Let those who wait for a write know that it failed."""
    for _, done in group:
        if not done.done():
            done.set_exception(fault)
