"""Any OpenAI-compatible server over aiohttp: a tenth of the official client's processor time for a request.

One attempt at a time; what to do after a bad one is `journalled`'s to say. What may have been billed is told from what was not:
an error status and a connection that never stood cost nothing; silence, a connection lost after the request was sent, and a
body that is no reply may have cost the most that they can. A refused request (400, 413, 422) is that request's failure; a
refused key, an empty account or an unknown model ends the work.

The key comes from an environment variable and is sent in one header. It is struck out of everything that a server says, before
anything else sees it.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import os
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from codetextbook.errors import ConfigError, TeacherError
from codetextbook.teacher import wire
from codetextbook.teacher.flow import Lane, Lanes
from codetextbook.teacher.protocol import Again, Failure, Prices, Reply, Request

BUSY = frozenset({429, 503, 529})
BROKEN = frozenset({408, 409, 425, 500, 502, 504, 520, 521, 522, 523, 524})
REFUSED = frozenset({400, 413, 422})
NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
SHOWN_CHARACTERS = 300
KEPT_CHARACTERS = 4_000
CONNECT_SECONDS = 15.0
IDLE_SECONDS = 4.0
"""Servers on uvicorn close an idle connection after 5 s: ours lets go first, or a request could be sent into a closing one."""


class Answer(NamedTuple):
    """What one exchange brought."""

    status: int
    headers: Mapping[str, str]
    body: Any
    """Parsed JSON; text where it is none; None where it was longer than any honest reply."""


class OpenAIBackend:
    """Chat completions and completions at one or several servers of the same model."""

    def __init__(
        self,
        urls: Sequence[str],
        model: str,
        *,
        prices: Prices,
        api_key_env: str = "OPENAI_API_KEY",
        in_flight: int = 32,
        timeout_seconds: float = 120.0,
        first_wait_seconds: float = 1.0,
        dialect: wire.Dialect = wire.Dialect(),  # noqa: B008
    ) -> None:
        self._lanes = Lanes([url.rstrip("/") for url in urls], in_flight)
        self._model, self._prices, self._key_name = model, prices, api_key_env
        self._timeout, self._first_wait = timeout_seconds, first_wait_seconds
        self._dialect = dialect
        self._session: aiohttp.ClientSession | None = None

    @property
    def model(self) -> str:
        """Name of the model, as the server knows it."""
        return self._model

    @property
    def in_flight(self) -> int:
        """Requests under way at once, over all servers."""
        return self._lanes.in_flight

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.in_flight, keepalive_timeout=IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(CONNECT_SECONDS, self._timeout)),
            headers=key_header(self._key_name),
            trust_env=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lanes.rest()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def attempt(self, request: Request) -> Reply | Failure | Again:
        """One attempt at the server with the most room.

        Raises:
            TeacherError: the key, the account or the model was refused.
        """
        lane = await self._lanes.take()
        begin, dialect = time.monotonic(), self._dialect
        try:
            answer = await self._post(lane, request, dialect)
        except aiohttp.InvalidURL:
            raise ConfigError(f"no address of a server: {lane.url!r}", where="[teacher] base_url") from None
        except aiohttp.ClientSSLError as error:
            raise TeacherError(f"no safe connection ({error})", where=lane.url, hint="check the certificate") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            lane.is_busy(lane_now(), None, self._first_wait)
            return Again("unreachable", self._clean(str(error)))
        except TimeoutError:
            return Again("timed_out", f"no answer in {self._timeout:g} s", maybe_billed=True)
        except (aiohttp.ClientError, OSError) as error:
            return Again("connection_lost", self._clean(f"{type(error).__name__}: {error}"), maybe_billed=True)
        finally:
            self._lanes.give(lane)
        if answer.status == 200:
            return self._accepted(request, answer, lane, time.monotonic() - begin)
        return self._rejected(request, answer, lane, dialect)

    async def _post(self, lane: Lane, request: Request, dialect: wire.Dialect) -> Answer:
        if self._session is None:
            raise TeacherError("the teacher was asked before it was entered", hint="use `async with`")
        body = wire.body_of(request, self._model, dialect)
        async with self._session.post(lane.url + wire.path_of(request), json=body) as response:
            return Answer(response.status, response.headers, await self._read(response, wire.most_bytes(request)))

    async def _read(self, response: aiohttp.ClientResponse, most: int) -> Any:
        """The body, the key struck out of it; None where it is too long, of which no more is read."""
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > most:
                response.close()
                return None
            pieces.append(piece)
        raw = struck(b"".join(pieces), self._key_name)
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return raw.decode("utf-8", "replace")

    def _rejected(self, request: Request, answer: Answer, lane: Lane, dialect: wire.Dialect) -> Failure | Again:
        """What an error status means."""
        trouble = f"HTTP {answer.status}: {wire.said(answer.body)}"[:SHOWN_CHARACTERS]
        if answer.status in BUSY and wire.error_code(answer.body) not in NO_MONEY:
            lane.is_busy(lane_now(), retry_after_seconds(answer.headers), self._first_wait)
            return Again("busy", trouble)
        if answer.status in BROKEN:
            return Again("server_error", trouble, wait_seconds=self._first_wait)
        if answer.status in REFUSED:
            if dialect.with_schema and request.schema and speaks_of_schemas(wire.said(answer.body)):
                self._dialect = dialect._replace(with_schema=False)
                return Again("without_schema", trouble)
            return Failure("request_refused", trouble)
        raise fatal(answer.status, trouble, lane.url, self._key_name)

    def _accepted(self, request: Request, answer: Answer, lane: Lane, seconds: float) -> Reply | Again:
        if answer.body is None:
            told = f"more than {wire.most_bytes(request):,} bytes for {request.max_tokens:,} tokens"
            return Again("too_long", told, maybe_billed=True)
        reply = wire.reply_of(request, answer.body, self._prices, self._model)
        if reply is None:
            body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            return Again("malformed", body[:SHOWN_CHARACTERS], maybe_billed=True, body=body[:KEPT_CHARACTERS])
        lane.did_well(seconds)
        return reply

    def _clean(self, text: str) -> str:
        """A message without the key, cut to what is shown."""
        return struck(text.encode("utf-8", "replace"), self._key_name).decode("utf-8", "replace")[:SHOWN_CHARACTERS]


def lane_now() -> float:
    """The clock of the event loop, by which pauses are kept."""
    return asyncio.get_running_loop().time()


def key_header(key_name: str) -> dict[str, str]:
    """The one header that holds the key; none where there is no key."""
    key = os.environ.get(key_name, "").strip()
    return {"Authorization": f"Bearer {key}"} if key else {}


def struck(raw: bytes, key_name: str) -> bytes:
    """Bytes of a server's without the key."""
    key = os.environ.get(key_name, "").strip().encode()
    return raw.replace(key, b"***") if len(key) > 3 else raw


def speaks_of_schemas(text: str) -> bool:
    """Whether a refusal is about the JSON schema, and not about what was asked."""
    return any(word in text for word in ("response_format", "json_schema", "guided", "grammar", "structured"))


def fatal(status: int, trouble: str, url: str, key_name: str) -> TeacherError:
    """The error that ends the work."""
    if status in (401, 403):
        return TeacherError(
            f"the teacher refused the key ({trouble})", where=url, hint=f"put a key that is valid into ${key_name}"
        )
    if status == 429:
        return TeacherError(
            f"the account has no money left ({trouble})",
            where=url,
            hint="every answer so far is kept: pay, and run again",
        )
    return TeacherError(
        f"the teacher refused ({trouble})", where=url, hint="check base_url and model in [teacher] of site.toml"
    )


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The wait that a server asks for, in seconds or as a date; None when it names none that can be read."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if seconds == seconds else None
