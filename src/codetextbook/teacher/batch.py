"""The Batch API: bulk work within a day, at a share of the price; the same replies, the same journal.

Requests that are asked in one moment become one batch: a file of JSON Lines is uploaded, the batch is made, looked at now and
then, and its results are fetched. Results come in any order, and some twice; each belongs to the request whose key it carries.

A crash never submits twice. What a batch holds is in the journal before it is uploaded. When the process died between making
the batch and learning its number, the server's own list is searched for the name that the batch was given. Requests of a batch
still under way keep their reservation, and whoever asks for them next waits for that batch.

Limits: a batch holds 50,000 requests and 200 MB (the protocol's most); what it leaves unanswered (expired, failed) is released,
and asked anew by the next batch.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from codetextbook.errors import TeacherError
from codetextbook.teacher import wire
from codetextbook.teacher.client import key_header, struck
from codetextbook.teacher.journal import Journal
from codetextbook.teacher.openai import fatal
from codetextbook.teacher.protocol import Again, Failure, Prices, Reply, Request, unheard

MOST_REQUESTS = 50_000
MOST_BYTES = 190_000_000
GATHER_SECONDS = 0.5
LABEL = "codetextbook_batch"
ENDED = frozenset({"completed", "expired", "failed", "cancelled"})
TROUBLES_IN_A_ROW = 20


class Item(NamedTuple):
    """A request that waits for its batch."""

    request: Request
    key: str
    done: asyncio.Future[Reply | Failure | Again]


class Batch(NamedTuple):
    """A batch as the journal knows it; `file` and `batch` are the server's names, empty until they are known."""

    number: int
    name: str
    file: str
    batch: str


class BatchBackend:
    """Gathers requests into batches and waits for them."""

    def __init__(
        self,
        base_url: str,
        model: str,
        journal: Journal,
        *,
        prices: Prices,
        api_key_env: str = "OPENAI_API_KEY",
        extra: Mapping[str, Any] | None = None,
        tokens_field: str = "max_tokens",
        poll_seconds: float = 30.0,
    ) -> None:
        self._base, self._model, self._journal = base_url.rstrip("/"), model, journal
        self._prices, self._key_name, self._poll = prices, api_key_env, poll_seconds
        self._dialect = wire.Dialect(tokens_field, dict(extra or {}))
        self._session: aiohttp.ClientSession | None = None
        self._waiting: list[Item] = []
        self._gathering: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    @property
    def model(self) -> str:
        """Name of the model, as the server knows it."""
        return self._model

    @property
    def in_flight(self) -> int:
        """All that one batch holds."""
        return MOST_REQUESTS

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=key_header(self._key_name), timeout=aiohttp.ClientTimeout(total=600), trust_env=True
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def attempt(self, request: Request, sent: Callable[[], None] = unheard) -> Reply | Failure | Again:
        """The batch's answer; comes when the batch has ended.

        Raises:
            TeacherError: the key, the file or the batch was refused.
        """
        done: asyncio.Future[Reply | Failure | Again] = asyncio.get_running_loop().create_future()
        key = request.key(self._model, self._dialect.extra or None)
        self._waiting.append(Item(request, key, done))
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather())
        return await done

    async def _gather(self) -> None:
        """When nothing more comes, hand what waits to its batches: those of before a crash first, then new ones."""
        seen = -1
        while seen != len(self._waiting):
            seen = len(self._waiting)
            await asyncio.sleep(GATHER_SECONDS)
        items, self._waiting, self._gathering = self._waiting, [], None
        for batch, part in self._planned(items):
            task = asyncio.create_task(self._serve(batch, part))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _planned(self, items: list[Item]) -> list[tuple[Batch, list[Item]]]:
        """Each item with the batch that it belongs to; new batches are in the journal when this returns."""
        old: dict[int, list[Item]] = {}
        new: dict[str, list[list[Item]]] = {}
        sizes: dict[str, int] = {}
        for item in items:
            found = self._journal.query("SELECT batch FROM batch_items WHERE key = ?", (bytes.fromhex(item.key),))
            if found:
                old.setdefault(found[0][0], []).append(item)
                continue
            path, size = wire.path_of(item.request), len(self._line(item))
            parts = new.setdefault(path, [[]])
            sizes[path] = sizes.get(path, 0) + size
            if len(parts[-1]) == MOST_REQUESTS or sizes[path] > MOST_BYTES:
                parts.append([])
                sizes[path] = size
            parts[-1].append(item)
        known = [(self._known(number), part) for number, part in old.items()]
        return known + [(self._make(part), part) for parts in new.values() for part in parts]

    def _known(self, number: int) -> Batch:
        return Batch(
            *self._journal.query("SELECT number, name, file, batch FROM batches WHERE number = ?", (number,))[0]
        )

    def _make(self, items: list[Item]) -> Batch:
        keys = sorted(item.key for item in items)

        def change() -> Batch:
            tried = self._journal.query("SELECT count(*) FROM batches")[0][0]
            name = hashlib.sha256("".join([str(tried), *keys]).encode()).hexdigest()[:32]
            values = (name, "", "", "made")
            number = self._journal.change("INSERT INTO batches (name, file, batch, state) VALUES (?, ?, ?, ?)", values)
            assert number is not None
            for key in keys:
                self._journal.change("INSERT OR REPLACE INTO batch_items VALUES (?, ?)", (bytes.fromhex(key), number))
            return Batch(number, name, "", "")

        made: Batch = self._journal.together([change])[0]
        return made

    async def _serve(self, batch: Batch, items: list[Item]) -> None:
        """Bring a batch to its end and give each item its answer."""
        waiting = {item.key: item for item in items}
        try:
            batch = await self._submitted(batch, items)
            state = await self._ended(batch)
            for file in (state.get("output_file_id"), state.get("error_file_id")):
                if file:
                    self._hand_out(
                        (await self._call("GET", f"/files/{file}/content")).decode("utf-8", "replace"), waiting
                    )
            left = Again("batch_" + str(state["status"]), _why(state), wait_seconds=self._poll)
        except TeacherError as error:
            for item in items:
                if not item.done.done():
                    item.done.set_exception(error)
            return
        for item in waiting.values():
            item.done.set_result(left)
        self._forget([item.key for item in items if not isinstance(item.done.result(), Reply)])

    async def _submitted(self, batch: Batch, items: list[Item]) -> Batch:
        """The batch with its number; submitted now, unless it was before."""
        if batch.batch:
            return batch
        if batch.file:
            found = await self._search(batch.name)
            if found:
                return self._note(batch, batch.file, found)
        lines = b"".join(self._line(item) for item in items)
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", lines, filename=f"{batch.name}.jsonl", content_type="application/jsonl")
        file = _name_of(json.loads(await self._call("POST", "/files", data=form)))
        batch = self._note(batch, file, "")
        path = wire.path_of(items[0].request)
        wanted = {
            "input_file_id": file,
            "endpoint": "/v1" + path,
            "completion_window": "24h",
            "metadata": {LABEL: batch.name},
        }
        made = _name_of(json.loads(await self._call("POST", "/batches", json=wanted)))
        return self._note(batch, file, made)

    def _note(self, batch: Batch, file: str, made: str) -> Batch:
        """Write down what the server calls a batch, before anything else is done with it."""
        values = (file, made, "submitted" if made else "uploaded", batch.number)
        query = "UPDATE batches SET file = ?, batch = ?, state = ? WHERE number = ?"
        self._journal.together([lambda: self._journal.change(query, values)])
        return batch._replace(file=file, batch=made)

    async def _search(self, name: str) -> str:
        """The server's number of a batch of this name, if it was made after all."""
        after = ""
        while True:
            page = json.loads(await self._call("GET", f"/batches?limit=100{after}"))
            for one in page.get("data", []):
                if (one.get("metadata") or {}).get(LABEL) == name:
                    return _name_of(one)
            if not page.get("has_more") or not page.get("data"):
                return ""
            after = f"&after={_name_of(page['data'][-1])}"

    async def _ended(self, batch: Batch) -> dict[str, Any]:
        while True:
            state: dict[str, Any] = json.loads(await self._call("GET", f"/batches/{batch.batch}"))
            if state.get("status") in ENDED:
                return state
            await asyncio.sleep(self._poll)

    def _hand_out(self, lines: str, waiting: dict[str, Item]) -> None:
        """Give each result of a file to whom it belongs."""
        for line in lines.split("\n"):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                key, response = str(row["custom_id"]), row.get("response") or {}
                status, body = int(response.get("status_code", 0)), response.get("body")
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            item = waiting.pop(key, None)
            if item is None:
                continue
            reply = wire.reply_of(item.request, body, self._prices, self._model) if status == 200 else None
            said = wire.said(body if body is not None else row.get("error"))[:300]
            item.done.set_result(reply if reply is not None else Failure("request_refused", f"HTTP {status}: {said}"))

    def _forget(self, keys: list[str]) -> None:
        """Let what has no reply be asked anew. What has one stays noted: its reply may not be in the journal yet."""
        forget = "DELETE FROM batch_items WHERE key = ?"
        self._journal.together([partial(self._journal.change, forget, (bytes.fromhex(key),)) for key in keys])

    def _line(self, item: Item) -> bytes:
        row = {"custom_id": item.key, "method": "POST", "url": "/v1" + wire.path_of(item.request)}
        return (json.dumps(row | {"body": wire.body_of(item.request, self._model, self._dialect)}) + "\n").encode()

    async def _call(self, method: str, path: str, **content: Any) -> bytes:
        """One exchange. What only reads is tried again for a while; what makes something is not, or it might be made twice.

        Raises:
            TeacherError: refused, or no answer.
        """
        assert self._session is not None, "use `async with`"
        trouble = ""
        for turn in range(TROUBLES_IN_A_ROW if method == "GET" else 1):
            try:
                async with self._session.request(method, self._base + path, **content) as response:
                    raw = struck(await response.read(), self._key_name)
                    if response.status == 200:
                        return raw
                    trouble = f"HTTP {response.status}: {wire.said(wire.parsed(raw.decode('utf-8', 'replace')))}"[:300]
                    if response.status < 500 and response.status != 429:
                        raise fatal(response.status, trouble, self._base + path, self._key_name)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                trouble = struck(f"{type(error).__name__}: {error}".encode(), self._key_name).decode()
            await asyncio.sleep(min(60.0, self._poll * 2 ** min(turn, 5)) if method == "GET" else 0)
        raise TeacherError(
            f"the batch server gives no answer ({trouble})",
            where=self._base + path,
            hint="run again: a batch that was made is found and fetched, never made twice",
        )


def _name_of(body: Any) -> str:
    """The server's name of what it made.

    Raises:
        TeacherError: the body is not what the protocol says.
    """
    name = body.get("id") if isinstance(body, dict) else None
    if not isinstance(name, str) or not name:
        raise TeacherError("the batch server's answer has no id", hint="does the server speak the Batch API?")
    return name


def _why(state: Mapping[str, Any]) -> str:
    errors = (state.get("errors") or {}).get("data") or []
    return "; ".join(str(one.get("message", one)) for one in errors)[:300] or f"the batch is {state['status']}"
