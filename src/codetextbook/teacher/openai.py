"""Any OpenAI-compatible server over aiohttp: a tenth of the official client's processor time for a request.

A busy or failing server (408, 409, 429, 5xx, a dropped connection, a timeout) is asked again, after the time that it names in
`Retry-After` or an exponential wait. A refused request (400, 413, 422) is that request's failure; a refused key or an unknown model ends
the work. The key comes from an environment variable, is sent in one header, and is struck out of every message.
"""

from __future__ import annotations

import asyncio
import email.utils
import os
import random
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from codetextbook.errors import TeacherError
from codetextbook.teacher.protocol import Failure, Prices, Reply, Request, Unanswered, body_of

AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
REFUSED = frozenset({400, 413, 422})
LONGEST_WAIT_SECONDS = 60.0
SHOWN_CHARACTERS = 300


class OpenAITeacher:
    """A chat-completions endpoint."""

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        prices: Prices,
        api_key_env: str = "OPENAI_API_KEY",
        in_flight: int = 32,
        timeout_seconds: float = 120.0,
        tries: int = 6,
        first_wait_seconds: float = 1.0,
    ) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model, self._prices, self._key_name = model, prices, api_key_env
        self._in_flight, self._timeout = in_flight, timeout_seconds
        self._tries, self._first_wait = tries, first_wait_seconds
        self._session: aiohttp.ClientSession | None = None

    @property
    def model(self) -> str:
        """Name of the model, as the server knows it."""
        return self._model

    @property
    def in_flight(self) -> int:
        """Requests under way at once."""
        return self._in_flight

    async def __aenter__(self) -> Self:
        key = os.environ.get(self._key_name, "")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._in_flight),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            trust_env=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, request: Request) -> Reply | Failure:
        """Ask until there is an answer, a refusal, or no try left.

        Raises:
            Unanswered: every try failed.
            TeacherError: the key or the model was refused.
        """
        trouble, maybe_paid = "", False
        for attempt in range(self._tries):
            wait: float | None = None
            try:
                status, headers, body = await self._post(request)
            except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as error:
                trouble = self._clean(str(error) or type(error).__name__)
            except (aiohttp.ClientError, TimeoutError) as error:
                trouble, maybe_paid = self._clean(str(error) or "no answer in time"), True
            else:
                if status == 200 and (reply := self._reply(request, body)) is not None:
                    return reply
                maybe_paid = maybe_paid or status == 200
                trouble = f"HTTP {status}: {self._clean(_said(body))}"
                if status in REFUSED:
                    return Failure("request_refused", trouble)
                if status != 200 and status not in AGAIN:
                    raise self._fatal(status, trouble)
                wait = retry_after_seconds(headers)
            if attempt + 1 < self._tries:
                await asyncio.sleep(self._wait(attempt) if wait is None else min(wait, LONGEST_WAIT_SECONDS))
        unanswered = Unanswered(
            f"the teacher gave no answer in {self._tries} tries ({trouble})",
            where=self._url,
            hint="is the server up? run again: every answer so far is kept and not paid again",
        )
        unanswered.maybe_paid = maybe_paid
        raise unanswered

    async def _post(self, request: Request) -> tuple[int, Mapping[str, str], Any]:
        if self._session is None:
            raise TeacherError("the teacher was asked before it was entered", hint="use `async with`")
        async with self._session.post(self._url, json=body_of(request, self._model)) as response:
            try:
                body = await response.json(content_type=None)
            except ValueError:
                body = await response.text(errors="replace")
            return response.status, response.headers, body

    def _reply(self, request: Request, body: Any) -> Reply | None:
        """The answer, or None for a body that is none. Without a count of tokens, the most that there can be are charged."""
        try:
            choice = body["choices"][0]
            text = choice["message"].get("content") or ""
            usage = body.get("usage") or {}
            sent = int(usage.get("prompt_tokens", request.most_input_tokens))
            answered = int(usage.get("completion_tokens", request.max_tokens))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError):
            return None
        dollars = self._prices.dollars(sent, answered)
        return Reply(str(text), sent, answered, dollars, str(choice.get("finish_reason") or ""), self._model)

    def _wait(self, attempt: int) -> float:
        return min(LONGEST_WAIT_SECONDS, self._first_wait * 2**attempt) * random.uniform(0.75, 1.25)

    def _clean(self, text: str) -> str:
        """A message of the server's without the key."""
        key = os.environ.get(self._key_name, "")
        return (text.replace(key, "***") if key else text)[:SHOWN_CHARACTERS]

    def _fatal(self, status: int, trouble: str) -> TeacherError:
        if status in (401, 403):
            return TeacherError(
                f"the teacher refused the key ({trouble})", where=self._url, hint=f"put it into ${self._key_name}"
            )
        return TeacherError(
            f"the teacher refused ({trouble})",
            where=self._url,
            hint="check base_url and model in [teacher] of site.toml",
        )


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The wait that a server asks for, in seconds or as a date; None when it names none that can be read."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _said(body: Any) -> str:
    """What the server said in its own words."""
    if isinstance(body, dict):
        error = body.get("error", body)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    return str(body)
