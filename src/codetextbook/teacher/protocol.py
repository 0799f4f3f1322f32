"""What a teacher is: messages in, a reply out, with its tokens, its price and why it ended."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

from codetextbook.config import canonical_json
from codetextbook.errors import TeacherError

TOKENS_OF_FRAME = 16
"""Most tokens that a chat template is taken to add round one message."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Request:
    """What is asked, with everything that changes the answer. `sample` tells repeated askings apart."""

    messages: tuple[Message, ...]
    temperature: float = 0.0
    max_tokens: int = 1_024
    sample: int = 0

    def key(self, model: str) -> str:
        """SHA-256 of the model, the parameters, the messages and the sample: under it a reply is kept."""
        return hashlib.sha256(canonical_json({"model": model, **asdict(self)}).encode("utf-8", "replace")).hexdigest()

    def followed_by(self, *messages: Message) -> Request:
        """The same conversation, gone on."""
        return replace(self, messages=(*self.messages, *messages))

    @property
    def most_input_tokens(self) -> int:
        """No tokenizer makes more: a token holds a byte at least."""
        return sum(len(one.content.encode("utf-8", "replace")) + TOKENS_OF_FRAME for one in self.messages)


@dataclass(frozen=True)
class Reply:
    """What came back."""

    text: str
    input_tokens: int
    output_tokens: int
    dollars: float
    finish_reason: str
    model: str


@dataclass(frozen=True)
class Failure:
    """This one request has no answer and will have none; others may. `reason` is a short code."""

    reason: str
    detail: str


class Prices(NamedTuple):
    """Dollars for a million tokens."""

    input: float
    output: float

    def dollars(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class Unanswered(TeacherError):
    """No answer after every try. `maybe_paid`: the server had the request, and may have billed it."""

    maybe_paid: bool = False


class Teacher(Protocol):
    """Whoever answers. Entered before the first question, left after the last; may be entered again."""

    @property
    def model(self) -> str:
        """Name of the model, part of every reply's key."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests that may be under way at once."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def ask(self, request: Request) -> Reply | Failure:
        """Answer, or say why this request cannot be answered.

        Raises:
            TeacherError: no request can be answered (budget spent, key refused, server gone).
        """
        ...


class Endpoint(Protocol):
    """The site's settings of a server (`codetextbook.site.TeacherSite`)."""

    @property
    def base_url(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def api_key_env(self) -> str: ...
    @property
    def requests_in_flight(self) -> int: ...
    @property
    def timeout_seconds(self) -> float: ...
    @property
    def dollars_limit(self) -> float: ...
    @property
    def tokens_limit(self) -> int | None: ...
    @property
    def dollars_per_million_input_tokens(self) -> float | None: ...
    @property
    def dollars_per_million_output_tokens(self) -> float | None: ...


def body_of(request: Request, model: str) -> dict[str, Any]:
    """A request in the words of the chat-completions protocol."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [asdict(message) for message in request.messages],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
    }
    return body | ({"seed": request.sample} if request.sample else {})
