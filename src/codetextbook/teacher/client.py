"""One exchange with a server of the OpenAI protocol: a body posted, and what came of it.

`BuiltIn`, over aiohttp, is the default: the official client took about six times its processor time for a request (docs/log.md).
`codetextbook.teacher.official` goes through that client instead. Either tells a connection that never stood, which costs nothing,
from one lost after the request was sent, which may have been billed; what to make of an answer is `openai`'s to say.

The key comes from an environment variable and is sent in one header. It is struck out of everything that a server says, before
anything else sees it.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from codetextbook.errors import ConfigError, TeacherError
from codetextbook.teacher.protocol import Again, Entered

SHOWN_CHARACTERS = 300
CONNECT_SECONDS = 15.0
IDLE_SECONDS = 4.0
"""Servers on uvicorn close an idle connection after 5 s: ours lets go first, or a request could be sent into a closing one."""


class Answer(NamedTuple):
    """What one exchange brought."""

    status: int
    headers: Mapping[str, str]
    body: Any
    """Parsed JSON; text where it is none; None where it was longer than any honest reply."""


class Client(Entered, Protocol):
    """Whoever carries requests to a server: one try each."""

    async def post(self, base_url: str, path: str, body: Mapping[str, Any], most_bytes: int) -> Answer | Again:
        """What the server answered, whatever its status, or why there is no answer.

        Raises:
            TeacherError: no request can be sent there (no address, no safe connection).
        """
        ...


class MakeClient(Protocol):
    """What a client is made of: the key's variable, the seconds of one exchange, and how many are under way at once."""

    def __call__(self, key_name: str, timeout_seconds: float, connections: int) -> Client: ...


class BuiltIn:
    """Over aiohttp."""

    def __init__(self, key_name: str, timeout_seconds: float, connections: int) -> None:
        self._key_name, self._timeout, self._connections = key_name, timeout_seconds, connections
        self._session: aiohttp.ClientSession | None = None
        self._proxy = lru_cache(proxy_of)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(CONNECT_SECONDS, self._timeout)),
            headers=key_header(self._key_name),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, base_url: str, path: str, body: Mapping[str, Any], most_bytes: int) -> Answer | Again:
        """What the server answered, or why there is no answer.

        Raises:
            TeacherError: no request can be sent there.
        """
        if self._session is None:
            raise not_entered()
        try:
            async with self._session.post(base_url + path, json=body, proxy=self._proxy(base_url)) as response:
                raw = await read(response.content.iter_any(), most_bytes)
                if raw is None:
                    response.close()
                return Answer(response.status, response.headers, understood(raw, self._key_name))
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise no_address(base_url) from None
        except aiohttp.ClientSSLError as error:
            raise not_safe(base_url, error) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Again("unreachable", clean(str(error), self._key_name))
        except TimeoutError:
            return timed_out(self._timeout)
        except (aiohttp.ClientError, OSError) as error:
            return lost(error, self._key_name)


def proxy_of(base_url: str) -> str | None:
    """The proxy that the environment names for an address. aiohttp would ask the environment again in a thread, twice a request."""
    address = urlsplit(base_url)
    if not address.hostname or proxy_bypass(address.hostname):
        return None
    return getproxies().get(address.scheme)


async def read(pieces: AsyncIterator[bytes], most: int) -> bytes | None:
    """A body; None where it is longer than that, of which no more is read."""
    kept, size = [], 0
    async for piece in pieces:
        size += len(piece)
        if size > most:
            return None
        kept.append(piece)
    return b"".join(kept)


def understood(raw: bytes | None, key_name: str) -> Any:
    """A body without the key: parsed JSON, or text where it is none."""
    if raw is None:
        return None
    raw = struck(raw, key_name)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")


def timed_out(seconds: float) -> Again:
    """Silence after the request was sent."""
    return Again("timed_out", f"no answer in {seconds:g} s", maybe_billed=True)


def lost(error: BaseException, key_name: str) -> Again:
    """A connection that ended after the request was sent."""
    return Again("connection_lost", clean(f"{type(error).__name__}: {error}", key_name), maybe_billed=True)


def no_address(base_url: str) -> TeacherError:
    """The error of an address that is none."""
    return TeacherError(f"no address of a server: {base_url!r}", where="[teacher] base_url")


def not_safe(base_url: str, error: BaseException) -> TeacherError:
    """The error of a certificate that does not hold."""
    return TeacherError(f"no safe connection ({error})", where=base_url, hint="check the certificate")


def not_entered() -> TeacherError:
    """The error of a client that has no connections yet."""
    return TeacherError("the teacher was asked before it was entered", hint="use `async with`")


def key_of(key_name: str) -> str:
    """The key in an environment variable; empty where there is none.

    Raises:
        ConfigError: no header can hold it; it is not shown.
    """
    key = os.environ.get(key_name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("the key holds characters that no key has", where=f"${key_name}", hint="put it there again")
    return key


def key_header(key_name: str) -> dict[str, str]:
    """The one header that holds the key; none where there is no key."""
    key = key_of(key_name)
    return {"Authorization": f"Bearer {key}"} if key else {}


def struck(raw: bytes, key_name: str) -> bytes:
    """Bytes of a server's without the key."""
    key = os.environ.get(key_name, "").strip().encode()
    return raw.replace(key, b"***") if len(key) > 3 else raw


def clean(text: str, key_name: str) -> str:
    """A message without the key, cut to what is shown."""
    return struck(text.encode("utf-8", "replace"), key_name).decode("utf-8", "replace")[:SHOWN_CHARACTERS]
