"""Any OpenAI-compatible server: what is sent, and what an answer means, whichever client carries it.

One attempt at a time; what to do after a bad one is `journalled`'s to say. What may have been billed is told from what was not:
an error status and a connection that never stood cost nothing; silence, a connection lost after the request was sent, and a
body that is no reply may have cost the most that they can. A refused request (400, 413, 422) is that request's failure; a
refused key, an empty account or an unknown model ends the work.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from codetextbook.errors import TeacherError
from codetextbook.teacher import wire
from codetextbook.teacher.client import SHOWN_CHARACTERS, Answer, BuiltIn, MakeClient
from codetextbook.teacher.flow import Lane, Lanes
from codetextbook.teacher.protocol import Again, Failure, Prices, Reply, Request, unheard

BUSY = frozenset({429, 503, 529})
BROKEN = frozenset({408, 409, 425, 500, 502, 504, 520, 521, 522, 523, 524})
REFUSED = frozenset({400, 413, 422})
NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
KEPT_CHARACTERS = 4_000


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
        client: MakeClient = BuiltIn,
    ) -> None:
        self._lanes = Lanes([url.rstrip("/") for url in urls], in_flight)
        self._model, self._prices, self._key_name = model, prices, api_key_env
        self._first_wait, self._dialect = first_wait_seconds, dialect
        self._client = client(api_key_env, timeout_seconds, self._lanes.in_flight)

    @property
    def model(self) -> str:
        """Name of the model, as the server knows it."""
        return self._model

    @property
    def in_flight(self) -> int:
        """Requests under way at once, over all servers."""
        return self._lanes.in_flight

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lanes.rest()
        await self._client.__aexit__(kind, error, trace)

    async def attempt(self, request: Request, sent: Callable[[], None] = unheard) -> Reply | Failure | Again:
        """One attempt at the server with the most room.

        Raises:
            TeacherError: the key, the account or the model was refused.
        """
        lane = await self._lanes.take()
        begin, dialect = time.monotonic(), self._dialect
        body = wire.body_of(request, self._model, dialect)
        try:
            sent()
            answer = await self._client.post(lane.url, wire.path_of(request), body, wire.most_bytes(request))
            if isinstance(answer, Again):
                if answer.everyones:
                    lane.is_busy(lane_now(), None, self._first_wait)
                return answer
        finally:
            self._lanes.give(lane)
        if answer.status == 200:
            return self._accepted(request, answer, lane, time.monotonic() - begin)
        return self._rejected(request, answer, lane, dialect)

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


def lane_now() -> float:
    """The clock of the event loop, by which pauses are kept."""
    return asyncio.get_running_loop().time()


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
