"""The file of every paid reply, and of what is reserved for replies still to come: SQLite, write-ahead log, synchronous.

    replies        what was answered, under the digest of model, parameters, messages and sample: never asked again
    reservations   what a request under way may cost at most, and which process sent it
    lost           what may have been billed without an answer to show for it: counts as spent
    totals         the sums over replies and lost, kept with every change: a budget is checked without reading a million rows
    owners         processes that have the file open, each holding a lock of its own: whose lock is free was killed

Any number of processes of one machine share the file. A killed process's reservations become `lost` when the next one opens the
file or needs the room. Limit: locks and write-ahead logs want a local disk, not a network share.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from codetextbook.errors import InputError
from codetextbook.teacher.protocol import Reply

LOCK_SECONDS = 60.0
FORMAT = 1
_REPLY = "text, input_tokens, output_tokens, dollars, finish_reason, model, scores"

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, model TEXT NOT NULL, request BLOB NOT NULL, text TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, dollars REAL NOT NULL, finish_reason TEXT NOT NULL,
    scores TEXT NOT NULL, unix_seconds INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reservations (
    number INTEGER PRIMARY KEY, key BLOB NOT NULL, owner TEXT NOT NULL, dollars REAL NOT NULL, tokens INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS reserved_keys ON reservations (key);
CREATE TABLE IF NOT EXISTS lost (
    number INTEGER PRIMARY KEY, key BLOB NOT NULL, reason TEXT NOT NULL, dollars REAL NOT NULL, tokens INTEGER NOT NULL,
    unix_seconds INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS totals (
    one INTEGER PRIMARY KEY CHECK (one = 1), requests INTEGER NOT NULL, dollars REAL NOT NULL, tokens INTEGER NOT NULL,
    lost_requests INTEGER NOT NULL, lost_dollars REAL NOT NULL, lost_tokens INTEGER NOT NULL);
INSERT OR IGNORE INTO totals VALUES (1, 0, 0, 0, 0, 0, 0);
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, file TEXT NOT NULL, batch TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batch_items (key BLOB PRIMARY KEY, batch INTEGER NOT NULL) WITHOUT ROWID;
"""


class Spent(NamedTuple):
    """What was spent on replies, what is lost (it may have been billed), and what is reserved for requests under way."""

    requests: int
    dollars: float
    tokens: int
    lost_requests: int
    lost_dollars: float
    lost_tokens: int
    reserved_requests: int
    reserved_dollars: float
    reserved_tokens: int


class Room(NamedTuple):
    """What a reservation takes, at most."""

    dollars: float
    tokens: int


@dataclass(frozen=True)
class Limits:
    """The most that may be spent in all; None for no limit."""

    dollars: float | None = None
    tokens: int | None = None
    requests: int | None = None

    def broken_by(self, spent: Spent, more: Room) -> str:
        """Name of the limit that one more request could pass; empty when there is room."""
        dollars = spent.dollars + spent.lost_dollars + spent.reserved_dollars + more.dollars
        tokens = spent.tokens + spent.lost_tokens + spent.reserved_tokens + more.tokens
        requests = spent.requests + spent.lost_requests + spent.reserved_requests + 1
        if self.dollars is not None and dollars > self.dollars + 1e-9:
            return "dollars_limit"
        if self.tokens is not None and tokens > self.tokens:
            return "tokens_limit"
        return "requests_limit" if self.requests is not None and requests > self.requests else ""


class Asked(NamedTuple):
    """What came of asking for a reservation: its number, or the reply that is there already, or who stands in the way."""

    number: int | None = None
    reply: Reply | None = None
    elsewhere: bool = False
    """Another process is asking the same."""
    limit: str = ""
    """The limit that is in the way."""


class Journal:
    """The file of replies and reservations; opened by any number of processes.

    `find` and `query` belong to one thread, `together` may be called from any; what changes the file is called within `together` only.

    Raises:
        InputError: the file is no journal, or one of a later version.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.owner = os.urandom(8).hex()
        self._lock = self._lock_of(self.owner)
        self._base, self._reader = self._open(), self._open()
        try:
            # SQLite does not wait for a lock where two processes turn a new file to WAL at once: one is told at once that it is locked.
            with FileLock(path.with_name(f"{path.name}.opening"), timeout=LOCK_SECONDS):
                for base in (self._base, self._reader):
                    base.execute("PRAGMA journal_mode=WAL")
                    base.execute("PRAGMA synchronous=FULL")
                self._base.executescript(_TABLES)
                self._know_format()
        except (sqlite3.DatabaseError, InputError) as error:
            self._base.close()
            self._reader.close()
            if isinstance(error, InputError):
                raise
            raise InputError(f"this is no journal that can be used ({error})", where=str(path)) from None
        self._spent: Spent | None = None
        self._one_at_a_time = threading.Lock()
        self.together([self._enter, self.bury_the_dead])

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)

    def _know_format(self) -> None:
        (found,) = self._base.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise InputError(f"a later version wrote this journal (format {found})", where=str(self.path))
        self._base.execute(f"PRAGMA user_version={FORMAT}")

    def _lock_of(self, owner: str) -> FileLock:
        return FileLock(self.path.with_name(f"{self.path.name}.{owner}.lock"), thread_local=False)

    def close(self) -> None:
        """Close the file. What this process reserved and never settled is lost: it may have been billed."""
        self.together([lambda: self._lose_all_of(self.owner, "not_awaited")])
        self._base.close()
        self._reader.close()
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def find(self, key: str) -> Reply | None:
        """The reply kept under a key."""
        row = self._reader.execute(f"SELECT {_REPLY} FROM replies WHERE key = ?", (bytes.fromhex(key),)).fetchone()
        return None if row is None else _reply(row)

    def spent(self) -> Spent:
        """All that this file knows to be spent, lost or reserved."""
        return self._sums(self._reader)

    def _sums(self, base: sqlite3.Connection) -> Spent:
        row = base.execute(
            "SELECT t.requests, t.dollars, t.tokens, t.lost_requests, t.lost_dollars, t.lost_tokens, r.* FROM totals t, "
            "(SELECT count(*), coalesce(sum(dollars), 0.0), coalesce(sum(tokens), 0) FROM reservations) r"
        ).fetchone()
        return Spent(*row)

    def together(self, changes: list[Callable[[], Any]]) -> list[Any]:
        """Make several changes in one transaction, on disk when this returns; gives what each change returned."""
        with self._one_at_a_time:
            return self._together(changes)

    def _together(self, changes: list[Callable[[], Any]]) -> list[Any]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            before = self._spent = self._sums(self._base)
            results = [change() for change in changes]
            if self._spent[:6] != before[:6]:
                names = ", ".join(f"{name} = ?" for name in Spent._fields[:6])
                self._base.execute(f"UPDATE totals SET {names}", self._spent[:6])
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        finally:
            self._spent = None
        self._base.execute("COMMIT")
        return results

    def _add(self, **more: float) -> None:
        assert self._spent is not None, "within `together` only"
        self._spent = self._spent._replace(**{name: getattr(self._spent, name) + value for name, value in more.items()})

    def reserve(self, key: str, room: Room, limits: Limits) -> Asked:
        """Set an amount aside before sending, unless the reply is there by now, or someone else is asking for it."""
        assert self._spent is not None
        raw = bytes.fromhex(key)
        row = self._base.execute(f"SELECT {_REPLY} FROM replies WHERE key = ?", (raw,)).fetchone()
        if row is not None:
            return Asked(reply=_reply(row))
        held = self._base.execute("SELECT number, owner FROM reservations WHERE key = ?", (raw,)).fetchone()
        if held is not None and not held[1]:
            self._base.execute("UPDATE reservations SET owner = ? WHERE number = ?", (self.owner, held[0]))
            return Asked(number=held[0])
        if held is not None and held[1] != self.owner:
            return Asked(elsewhere=True)
        limit = limits.broken_by(self._spent, room)
        if limit:
            return Asked(limit=limit)
        values = (raw, self.owner, room.dollars, room.tokens)
        done = self._base.execute("INSERT INTO reservations (key, owner, dollars, tokens) VALUES (?, ?, ?, ?)", values)
        self._add(reserved_requests=1, reserved_dollars=room.dollars, reserved_tokens=room.tokens)
        return Asked(number=done.lastrowid)

    def settle(self, number: int, key: str, request: dict[str, Any], reply: Reply) -> None:
        """Keep a reply in place of its reservation; `request` is the plain table that the key is the digest of."""
        self.release(number)
        self.keep(key, request, reply)

    def keep(self, key: str, request: dict[str, Any], reply: Reply) -> bool:
        """Keep a reply under its key, unless one is there; whether it was taken in."""
        said = zlib.compress(json.dumps(request, sort_keys=True).encode(), 1)
        tokens = (reply.input_tokens, reply.output_tokens)
        scores = json.dumps(dict(reply.scores), sort_keys=True) if reply.scores else ""
        done = self._base.execute(
            "INSERT OR IGNORE INTO replies (key, model, request, text, input_tokens, output_tokens, dollars, finish_reason, scores,"
            " unix_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (bytes.fromhex(key), reply.model, said, reply.text, *tokens, reply.dollars, reply.finish_reason, scores, int(time.time())),
        )  # fmt: skip
        if done.rowcount:
            self._add(requests=1, dollars=reply.dollars, tokens=sum(tokens))
        return bool(done.rowcount)

    def release(self, number: int) -> None:
        """Give back an amount that was certainly not billed."""
        query = "DELETE FROM reservations WHERE number = ? RETURNING dollars, tokens"
        for dollars, tokens in self._base.execute(query, (number,)).fetchall():
            self._add(reserved_requests=-1, reserved_dollars=-dollars, reserved_tokens=-tokens)

    def lose(self, number: int, reason: str) -> None:
        """Count an amount as spent, since it may have been billed."""
        query = "SELECT key, dollars, tokens FROM reservations WHERE number = ?"
        for key, dollars, tokens in self._base.execute(query, (number,)).fetchall():
            self.release(number)
            self._base.execute(
                "INSERT INTO lost (key, reason, dollars, tokens, unix_seconds) VALUES (?, ?, ?, ?, ?)",
                (key, reason, dollars, tokens, int(time.time())),
            )
            self._add(lost_requests=1, lost_dollars=dollars, lost_tokens=tokens)

    def bury_the_dead(self) -> None:
        """Count as lost what killed processes had under way, except what a batch will still bring."""
        for (owner,) in self._base.execute("SELECT owner FROM owners WHERE owner != ?", (self.owner,)).fetchall():
            lock = self._lock_of(owner)
            with suppress(Timeout):
                lock.acquire(timeout=0)
                self._lose_all_of(owner, "killed")
                lock.release()
                Path(lock.lock_file).unlink(missing_ok=True)

    def _enter(self) -> None:
        self._lock.acquire(timeout=LOCK_SECONDS)
        self._base.execute("INSERT INTO owners VALUES (?)", (self.owner,))

    def _lose_all_of(self, owner: str, reason: str) -> None:
        pending = "key IN (SELECT key FROM batch_items)"
        self._base.execute(f"UPDATE reservations SET owner = '' WHERE owner = ? AND {pending}", (owner,))
        rows = self._base.execute("SELECT number FROM reservations WHERE owner = ?", (owner,)).fetchall()
        for (number,) in rows:
            self.lose(number, reason)
        self._base.execute("DELETE FROM owners WHERE owner = ?", (owner,))

    def rows(self, model: str = "") -> Iterator[tuple[str, dict[str, Any], Reply]]:
        """Every reply with its key and its request, in the order of keys."""
        query = f"SELECT key, request, {_REPLY} FROM replies WHERE ? IN ('', model) ORDER BY key"
        for key, said, *rest in self._reader.execute(query, (model,)):
            yield key.hex(), json.loads(zlib.decompress(said)), _reply(tuple(rest))

    def query(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query that changes nothing."""
        return self._reader.execute(sql, values).fetchall()

    def change(self, sql: str, values: tuple[Any, ...] = ()) -> int | None:
        """A change within `together`; gives the number of a new row."""
        return self._base.execute(sql, values).lastrowid


def _reply(row: tuple[Any, ...]) -> Reply:
    text, sent, answered, dollars, reason, model, scores = row
    return Reply(text, sent, answered, dollars, reason, model, json.loads(scores) if scores else {})
