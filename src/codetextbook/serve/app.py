"""The HTTP side: `/v1/completions` with and without streaming, `/v1/models`, `/health`, as OpenAI's clients expect them.

It listens on this machine alone unless another address is named: there are no keys, so whoever can reach it can use it. What a client
asks for that cannot be had is refused by name, never ignored. At the end (Ctrl-C, SIGTERM) no new request is taken, and those under way
have ten seconds to finish.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codetextbook.errors import InputError
from codetextbook.model.batch import Row
from codetextbook.model.folder import Loaded
from codetextbook.model.generate import encode
from codetextbook.model.sampling import Sampling
from codetextbook.serve.scheduler import CANCELLED, FAULT, Busy, Job, Scheduler

REQUEST_BYTES = 1 << 20
GRACE_SECONDS = 10.0
FINISH = {"stop": "stop", "end_of_text": "stop", "max_tokens": "length", "context": "length"}


TOO_LATE = "too_late"


class Refusal(NamedTuple):
    """A status of HTTP and what it says."""

    status: int
    message: str


BROKEN = {
    CANCELLED: Refusal(503, "the server is stopping"),
    FAULT: Refusal(500, "the model failed"),
    TOO_LATE: Refusal(504, "the time limit of a request has passed"),
}
"""Why a text was not finished."""


class Asked(BaseModel):
    """A request for completions, as OpenAI's interface has it; `top_k` is ours."""

    model_config = ConfigDict(extra="forbid")

    model: str
    prompt: str | list[str] = Field(min_length=0, max_length=REQUEST_BYTES)
    max_tokens: int = Field(default=16, ge=1)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    n: int = Field(default=1, ge=1, le=128)
    stop: str | list[str] | None = None
    seed: int | None = None
    stream: bool = False
    stream_options: dict[str, bool] | None = None
    echo: bool = False
    user: str = ""
    best_of: Literal[1] | None = None
    logprobs: Literal[0] | None = None
    suffix: Literal[""] | None = None
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    logit_bias: None = None

    @property
    def prompts(self) -> list[str]:
        """Every prompt, as often as it is to be completed."""
        return [one for one in ([self.prompt] if isinstance(self.prompt, str) else self.prompt) for _ in range(self.n)]

    @property
    def sampling(self) -> Sampling:
        """How its texts are written."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(self.max_tokens, self.temperature, self.top_p, tuple(stops), self.top_k)


class Piece(BaseModel):
    """Part of the text of one choice."""

    index: int
    text: str
    reason: str


@dataclass(frozen=True)
class Server:
    """A model under a name, and how long a request may take."""

    loaded: Loaded
    name: str
    scheduler: Scheduler
    request_seconds: float

    async def health(self, request: web.Request) -> web.Response:
        """Whether texts are written, and how many."""
        fault = self.scheduler.fault
        status = {"status": "ok"} if fault is None else {"status": "fault", "detail": str(fault)}
        return web.json_response(status | self.scheduler.load, status=200 if fault is None else 503)

    async def models(self, request: web.Request) -> web.Response:
        """The one model."""
        model = {"id": self.name, "object": "model", "created": 0, "owned_by": "codetextbook"}
        wanted = request.match_info.get("model", self.name)
        if wanted != self.name:
            return refuse(404, f"no model {wanted!r}; here is {self.name!r}")
        return web.json_response(model if "model" in request.match_info else {"object": "list", "data": [model]})

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """Complete every prompt of a request."""
        try:
            asked = Asked.model_validate_json(await request.read())
            if asked.model != self.name:
                return refuse(404, f"no model {asked.model!r}; here is {self.name!r}")
            rows = self._rows(asked)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            return refuse(400, f"{'.'.join(map(str, fault['loc'])) or 'the request'}: {fault['msg'].lower()}")
        except InputError as error:
            return refuse(400, str(error))
        inbox: asyncio.Queue[Piece] = asyncio.Queue()
        jobs = [self._job(index, row, inbox) for index, row in enumerate(rows)]
        try:
            self.scheduler.submit(jobs)
        except Busy:
            return refuse(429, "too many texts are waiting: try again soon", {"Retry-After": "1"})
        deadline = asyncio.get_running_loop().call_later(self.request_seconds, _give_up, inbox)
        try:
            return await (self._stream if asked.stream else self._whole)(request, asked, rows, inbox)
        finally:
            deadline.cancel()
            for job in jobs:
                job.cancel()

    def _rows(self, asked: Asked) -> list[Row]:
        sampling = asked.sampling
        seed = asked.seed if asked.seed is not None else secrets.randbits(48)
        ids = [encode(self.loaded, prompt, asked.max_tokens, "refuse") for prompt in asked.prompts]
        if not ids:
            raise InputError("there is no prompt", where="prompt")
        return [Row(some, sampling, seed + index) for index, some in enumerate(ids)]

    def _job(self, index: int, row: Row, inbox: asyncio.Queue[Piece]) -> Job:
        loop = asyncio.get_running_loop()

        def listen(text: str, reason: str) -> None:
            loop.call_soon_threadsafe(inbox.put_nowait, Piece(index=index, text=text, reason=reason))

        return Job(row, listen)

    async def _whole(
        self, request: web.Request, asked: Asked, rows: list[Row], inbox: asyncio.Queue[Piece]
    ) -> web.Response:
        texts, reasons = [prompt if asked.echo else "" for prompt in asked.prompts], [""] * len(rows)
        async for piece in _pieces(inbox, len(rows)):
            texts[piece.index] += piece.text
            reasons[piece.index] = piece.reason
            if piece.reason in BROKEN:
                return refuse(*BROKEN[piece.reason])
        choices = [_choice(index, texts[index], reasons[index]) for index in range(len(rows))]
        return web.json_response(self._answer(choices) | {"usage": _usage(asked, rows)})

    async def _stream(
        self, request: web.Request, asked: Asked, rows: list[Row], inbox: asyncio.Queue[Piece]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        head = self._answer([])

        async def send(event: dict[str, Any]) -> None:
            await response.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())

        if asked.echo:
            for index, prompt in enumerate(asked.prompts):
                await send(head | {"choices": [_choice(index, prompt, "")]})
        async for piece in _pieces(inbox, len(rows)):
            if piece.reason in BROKEN:
                await send(_error(BROKEN[piece.reason].message))
                return response
            await send(head | {"choices": [_choice(piece.index, piece.text, piece.reason)]})
        if (asked.stream_options or {}).get("include_usage"):
            await send(head | {"usage": _usage(asked, rows)})
        await response.write(b"data: [DONE]\n\n")
        return response

    def _answer(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self.name,
            "choices": choices,
        }


def _give_up(inbox: asyncio.Queue[Piece]) -> None:
    inbox.put_nowait(Piece(index=0, text="", reason=TOO_LATE))


async def _pieces(inbox: asyncio.Queue[Piece], rows: int) -> AsyncIterator[Piece]:
    """Everything that is written, until every row has ended or one of them cannot."""
    while rows:
        piece = await inbox.get()
        rows = 0 if piece.reason in BROKEN else rows - bool(piece.reason)
        yield piece


def _choice(index: int, text: str, reason: str) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": FINISH[reason] if reason else None}


def _usage(asked: Asked, rows: list[Row]) -> dict[str, int]:
    prompt = sum(
        len(row.prompt) - 1 for row in rows[:: asked.n]
    )  # the token before every text is ours, not the client's
    written = sum(len(row.written) for row in rows)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _error(message: str, status: int = 500) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def refuse(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """An error as OpenAI's clients read it."""
    return web.json_response(_error(message, status), status=status, headers=headers)


def run(loaded: Loaded, name: str, *, host: str, port: int, rows: int, waiting: int, request_seconds: float) -> None:
    """Serve until interrupted."""
    scheduler = Scheduler(loaded, rows=rows, waiting=waiting)
    server = Server(loaded, name, scheduler, request_seconds)
    app = web.Application(client_max_size=REQUEST_BYTES)
    app.add_routes(
        [
            web.get("/health", server.health),
            web.get("/v1/models", server.models),
            web.get("/v1/models/{model}", server.models),
            web.post("/v1/completions", server.completions),
        ]
    )
    try:
        web.run_app(app, host=host, port=port, shutdown_timeout=GRACE_SECONDS, handler_cancellation=True)
    finally:
        scheduler.close()
