"""Every paid reply kept once, and a budget that cannot be overrun.

A reply is on disk (SQLite, write-ahead log, synchronous) before anyone sees it, under the digest of model, parameters, messages and sample:
the same question is never paid twice, whatever is killed. Before a request is sent, the most that it can cost is reserved in the same
file, so that several processes share one budget. A reservation whose answer never came counts as spent: the server may have billed it.

Writes of one moment are committed together. Trade-off: a reservation counts a token for every byte, so the last few per cent of a
budget may stay unspent.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from codetextbook.errors import TeacherError
from codetextbook.teacher.protocol import Failure, Prices, Reply, Request, Teacher, Unanswered

GATHER_SECONDS = 0.002
LOCK_SECONDS = 60.0

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, request TEXT NOT NULL, text TEXT NOT NULL, input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL, dollars REAL NOT NULL, finish_reason TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservations (number INTEGER PRIMARY KEY, key TEXT NOT NULL, dollars REAL NOT NULL, tokens INTEGER NOT NULL);
"""


class Spent(NamedTuple):
    """What was spent, and what is reserved for answers that have not come."""

    dollars: float
    tokens: int
    reserved_dollars: float
    reserved_tokens: int


@dataclass(frozen=True)
class Limits:
    """The most that may be spent in all; None for no limit."""

    dollars: float | None = None
    tokens: int | None = None


class Journal:
    """The file of replies and reservations; opened by any number of processes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._base = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key."""
        row = self._base.execute(
            "SELECT text, input_tokens, output_tokens, dollars, finish_reason, model FROM replies WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else Reply(*row)

    def spent(self) -> Spent:
        """All that this file knows to be spent or reserved."""
        query = "SELECT coalesce(sum(dollars), 0.0), coalesce(sum({}), 0) FROM {}"
        paid = self._base.execute(query.format("input_tokens + output_tokens", "replies")).fetchone()
        held = self._base.execute(query.format("tokens", "reservations")).fetchone()
        return Spent(paid[0], paid[1], held[0], held[1])

    def together(self, changes: list[Callable[[], None]]) -> None:
        """Make several changes in one transaction, on disk when this returns."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            for change in changes:
                change()
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def reserve(self, key: str, dollars: float, tokens: int, limits: Limits) -> int | None:
        """Set an amount aside within a transaction; None when it would pass a limit."""
        spent = self.spent()
        if limits.dollars is not None and spent.dollars + spent.reserved_dollars + dollars > limits.dollars + 1e-12:
            return None
        if limits.tokens is not None and spent.tokens + spent.reserved_tokens + tokens > limits.tokens:
            return None
        done = self._base.execute(
            "INSERT INTO reservations (key, dollars, tokens) VALUES (?, ?, ?)", (key, dollars, tokens)
        )
        return done.lastrowid

    def settle(self, number: int, key: str, request: Request, reply: Reply) -> None:
        """Keep a reply in place of its reservation."""
        self.release(number)
        values = (reply.text, reply.input_tokens, reply.output_tokens, reply.dollars, reply.finish_reason)
        said = json.dumps(asdict(request), ensure_ascii=True, sort_keys=True)
        self._base.execute(
            "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (key, reply.model, said, *values)
        )

    def release(self, number: int) -> None:
        """Give an amount back that was certainly not billed."""
        self._base.execute("DELETE FROM reservations WHERE number = ?", (number,))

    def export(self, path: Path) -> int:
        """Write every reply as JSON Lines, for `RecordedTeacher`; returns how many. Requests are left out."""
        names = ("key", "model", "text", "input_tokens", "output_tokens", "finish_reason")
        rows = self._base.execute(f"SELECT {', '.join(names)} FROM replies ORDER BY key").fetchall()
        lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")
        return len(rows)


class Journalled:
    """A teacher whose replies are kept and whose spending is limited."""

    def __init__(self, teacher: Teacher, journal: Journal, *, prices: Prices, limits: Limits) -> None:
        self._teacher, self._journal, self._prices, self._limits = teacher, journal, prices, limits
        self._asked: dict[str, asyncio.Future[Reply | Failure]] = {}
        self._waiting: list[tuple[Callable[[], None], asyncio.Future[None]]] = []

    @property
    def model(self) -> str:
        """Name of the model behind it."""
        return self._teacher.model

    @property
    def in_flight(self) -> int:
        """Requests under way at once."""
        return self._teacher.in_flight

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    async def __aenter__(self) -> Self:
        await self._teacher.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._teacher.__aexit__(kind, error, trace)

    async def ask(self, request: Request) -> Reply | Failure:
        """The kept reply, or a new one that is kept before it is returned; two askers of one question share one answer.

        Raises:
            TeacherError: the budget does not allow it, or the teacher cannot answer.
        """
        key = request.key(self.model)
        kept = self._journal.find(key)
        if kept is not None:
            return kept
        if key not in self._asked:
            task = asyncio.ensure_future(self._pay(key, request))
            self._asked[key] = task
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(self._asked[key])

    async def _pay(self, key: str, request: Request) -> Reply | Failure:
        number = await self._reserve(key, request)
        try:
            reply = await self._teacher.ask(request)
        except Unanswered as error:
            if not error.maybe_paid:
                await self._commit(lambda: self._journal.release(number))
            raise
        except TeacherError:
            await self._commit(lambda: self._journal.release(number))
            raise
        if isinstance(reply, Failure):
            await self._commit(lambda: self._journal.release(number))
        else:
            await self._commit(lambda: self._journal.settle(number, key, request, reply))
        return reply

    async def _reserve(self, key: str, request: Request) -> int:
        most = request.most_input_tokens
        dollars, tokens = self._prices.dollars(most, request.max_tokens), most + request.max_tokens
        got: list[int | None] = []
        await self._commit(lambda: got.append(self._journal.reserve(key, dollars, tokens, self._limits)))
        if got[-1] is not None:
            return got[-1]
        spent = self._journal.spent()
        lost = (
            f", and ${spent.reserved_dollars:.4f} is reserved for answers not yet come"
            if spent.reserved_dollars
            else ""
        )
        raise TeacherError(
            f"the budget is spent: ${spent.dollars:.4f} and {spent.tokens:,} tokens so far{lost}; one more request may cost ${dollars:.4f}",
            where="[teacher] dollars_limit" if self._limits.dollars is not None else "the limit of tokens",
            hint="raise the limit and run again: every answer so far is kept",
        )

    async def _commit(self, change: Callable[[], None]) -> None:
        """Have a change made with those of the same moment; returns when it is on disk."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((change, done))
        if len(self._waiting) == 1:
            loop.call_later(GATHER_SECONDS, self._flush)
        await done

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            self._journal.together([change for change, _ in waiting])
        except sqlite3.Error as error:
            fault = TeacherError(f"the journal cannot be written ({error})", where=str(self._journal.path))
            for _, done in waiting:
                if not done.done():
                    done.set_exception(fault)
            return
        for _, done in waiting:
            if not done.done():
                done.set_result(None)
