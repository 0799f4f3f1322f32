"""Requests through the official `openai` package, for those whose house wants that client (`client = "openai"` of a site).

The package builds the request, signs it and carries it, one try each: its own retries are off, since a retry that nobody counts
may be billed. What comes back is read as bytes and understood by `openai`, as the built-in client's answers are, so that bills,
journal and budget are the same.

Trade-off: about six times the processor time of the built-in client for a request (docs/log.md), and a connection for each. The
package's transport gives what a server sent after one answer to the next question on that connection; here no connection has a next one.
Limit: the package cannot word half a surrogate pair; such a request is refused, not sent.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from codetextbook.errors import MissingDependency
from codetextbook.teacher.client import (
    CONNECT_SECONDS,
    Answer,
    clean,
    key_of,
    lost,
    no_address,
    not_entered,
    not_safe,
    read,
    timed_out,
    understood,
)
from codetextbook.teacher.protocol import Again

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class Official:
    """Over `openai.AsyncOpenAI`.

    Raises:
        MissingDependency: the package is not installed.
    """

    def __init__(self, key_name: str, timeout_seconds: float, connections: int) -> None:
        try:
            import openai  # noqa: F401
        except ImportError:
            raise MissingDependency(
                "the official client is not installed",
                where="[teacher] client",
                hint="pip install 'codetextbook[openai]'",
            ) from None
        self._key_name, self._timeout, self._connections = key_name, timeout_seconds, connections
        self._one: AsyncOpenAI | None = None
        self._by_address: dict[str, AsyncOpenAI] = {}
        self._headers: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        import httpx2
        import openai

        key = key_of(self._key_name)
        self._headers = {} if key else {"Authorization": openai.Omit()}
        self._one = openai.AsyncOpenAI(
            api_key=key or "none",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=httpx2.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout), pool=None),
                limits=httpx2.Limits(max_connections=self._connections, max_keepalive_connections=0),
            ),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._one is not None:
            await self._one.close()
            self._one, self._by_address = None, {}

    async def post(self, base_url: str, path: str, body: Mapping[str, Any], most_bytes: int) -> Answer | Again:
        """What the server answered, or why there is no answer.

        Raises:
            TeacherError: no request can be sent there.
        """
        import httpx2
        import openai

        try:
            async with asyncio.timeout(self._timeout), self._asked(base_url, body) as response:
                raw = await read(response.iter_bytes(), most_bytes)
                return Answer(response.status_code, response.headers, understood(raw, self._key_name))
        except openai.APIStatusError as error:
            raw = error.response.content
            return Answer(error.status_code, error.response.headers, understood(raw, self._key_name))
        except UnicodeEncodeError:
            return Answer(400, {}, "the text holds half a surrogate pair")
        except (openai.APIConnectionError, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            causes = list(_causes(error))
        return self._without_answer(base_url, causes)

    def _asked(self, base_url: str, body: Mapping[str, Any]) -> Any:
        """The package's own call, its answer left as bytes."""
        if self._one is None:
            raise not_entered()
        if base_url not in self._by_address:
            self._by_address[base_url] = self._one.with_options(base_url=base_url)
        client, more = self._by_address[base_url], dict(body)
        call = client.chat.completions if "messages" in body else client.completions
        named = {name: more.pop(name) for name in ("model", "messages", "prompt") if name in more}
        return call.with_streaming_response.create(**named, extra_body=more, extra_headers=self._headers)

    def _without_answer(self, base_url: str, causes: list[BaseException]) -> Again:
        """What an error means, by the errors that caused it, the first cause last."""
        import httpx2

        def has(*kinds: type[BaseException]) -> bool:
            return any(isinstance(cause, kinds) for cause in causes)

        if has(httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            raise no_address(base_url)
        if has(httpx2.ConnectError) and has(ssl.SSLError):
            raise not_safe(base_url, causes[-1])
        if has(httpx2.ConnectError, httpx2.ConnectTimeout):
            return Again("unreachable", clean(str(causes[-1]), self._key_name))
        if has(httpx2.TimeoutException, TimeoutError):
            return timed_out(self._timeout)
        return lost(causes[-1], self._key_name)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
