"""Who may call the viewer: this machine's own pages, and beyond loopback only who has the token.

- **Host** must be a loopback name, or beyond loopback an address or this machine's name: a page that has its own name point here
  (DNS rebinding) is refused.
- **Origin** and `Sec-Fetch-Site` must be the viewer's own: no page of another origin may call it. Another page may link to it.
- **Token**: beyond loopback, every request needs it: once in the address, from then on in a cookie that scripts cannot read.
- A strict content policy on every answer: no inline script or style, nothing from elsewhere, no frame around it.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 16_384
"""Of a request's body; a grade is a few dozen."""
COOKIE = "codetextbook_view"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers would call our own forms' origin "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Middleware that refuses whoever may not call, and sets the headers of every answer."""

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refuse(request)
        answer: ASGIApp = refusal if refusal is not None else self.app
        await answer(scope, _limited(receive), _with_headers(send))

    def _refuse(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if not self._knows(_name_of(host)):
            return _no("this host name is not the viewer's")
        origin = request.headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return _no("another origin may not call the viewer")
        site = request.headers.get("sec-fetch-site", "none")
        link = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not link:
            return _no("another site may not call the viewer")
        if request.method not in ("GET", "HEAD") and origin is None:
            return _no("a request that changes something must name its origin")
        if int(request.headers.get("content-length") or 0) > MOST_BYTES:
            return PlainTextResponse("too long", status_code=413)
        return self._ask_for_token(request) if self.token is not None else None

    def _knows(self, name: str) -> bool:
        if is_loopback(name):
            return True
        if self.token is None:
            return False
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return name == socket.gethostname().lower()

    def _ask_for_token(self, request: Request) -> Response | None:
        assert self.token is not None
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if any(_same(one, self.token) for one in (request.cookies.get(COOKIE, ""), bearer)):
            return None
        asked = parse_qsl(request.url.query, keep_blank_values=True)
        if not any(name == "token" and _same(value, self.token) for name, value in asked):
            return PlainTextResponse(
                "open the address, with its token, that the viewer printed when it started", status_code=401
            )
        rest = urlencode([(name, value) for name, value in asked if name != "token"])
        answer = RedirectResponse(_path(request) + (f"?{rest}" if rest else ""), status_code=303)
        answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict", path="/")
        return answer


def _path(request: Request) -> str:
    """The path alone: two slashes at its start would lead to another host."""
    return "/" + request.url.path.lstrip("/")


def _no(why: str) -> Response:
    return PlainTextResponse(why, status_code=403)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _name_of(host: str) -> str:
    """The name in a Host header, without the port."""
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower()


def _limited(receive: Receive) -> Callable[[], Awaitable[Message]]:
    """A body whose length was not told is cut off too."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        return {"type": "http.disconnect"} if taken > MOST_BYTES else message

    return limited


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                if name not in headers:
                    headers[name] = value
        await send(message)

    return sending
