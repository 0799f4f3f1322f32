"""What a teacher is: messages in, a reply out, with its tokens, its price and why it ended.

Two edges. A `Backend` makes one attempt at one request (a server, a model on this machine) and says honestly whether it may
have been billed. A `Teacher` answers: `Journalled` makes one of a backend by keeping replies, holding the budget and trying
again; `RecordedTeacher` replays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

from codetextbook.config import canonical_json
from codetextbook.errors import TeacherError

TOKENS_OF_FRAME = 16
"""Most tokens that a chat template is taken to add round one message."""


FAILED = {
    "refusal": "refused",
    "content_filter": "content_filter",
    "malformed": "malformed_response",
    "too_long": "too_long",
}
"""How a kept reply that holds no answer ends, by its finish reason."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Request:
    """What is asked, with everything that changes the answer."""

    messages: tuple[Message, ...]
    temperature: float = 0.0
    max_tokens: int = 1_024
    sample: int = 0
    """Tells repeated askings apart; sent as the seed where it is not 0."""
    stop: tuple[str, ...] = ()
    """Texts at which the answer ends; they are not part of it."""
    schema: Mapping[str, Any] | None = None
    """JSON schema of the answer. A server that can is held to it; any other is trusted, and its reply checked."""
    answers: tuple[str, ...] = ()
    """Single-token answers whose log-probabilities are wanted, as in ("Yes", "No")."""
    form: Literal["chat", "completion"] = "chat"
    """`completion` sends the contents, joined, as a text to be continued: no chat template."""

    def key(self, model: str, extra: Mapping[str, Any] | None = None) -> str:
        """SHA-256 of the model, the parameters, the messages and the sample: under it a reply is kept.

        A parameter added to this class later does not change the keys of requests that do not use it.
        """
        said = self.plain() | {"model": model} | ({"extra": extra} if extra else {})
        return hashlib.sha256(canonical_json(said).encode("utf-8", "replace")).hexdigest()

    def plain(self) -> dict[str, Any]:
        """The request as a table, without the parameters that it leaves unset."""
        late = {"stop": self.stop, "schema": self.schema, "answers": self.answers}
        said: dict[str, Any] = {
            "messages": [{"role": one.role, "content": one.content} for one in self.messages],
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "sample": self.sample,
        }
        said |= {name: value for name, value in late.items() if value}
        return said | ({"form": self.form} if self.form != "chat" else {})

    @classmethod
    def from_plain(cls, said: Mapping[str, Any]) -> Self:
        """The request of such a table."""
        values = dict(said)
        values["messages"] = tuple(Message(**one) for one in values["messages"])
        for name in ("stop", "answers"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)

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
    scores: Mapping[str, float] = field(default_factory=dict)
    """Natural log-probability of each of the request's `answers` that the teacher told."""


@dataclass(frozen=True)
class Failure:
    """This one request has no answer and will have none; others may. `reason` is a short code."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Again:
    """An attempt that gave no answer, and may be made again."""

    reason: str
    """A short code: `busy`, `unreachable`, `server_error`, `timed_out`, `connection_lost`, `malformed`, `without_schema`."""
    detail: str
    maybe_billed: bool = False
    """The server had the request and did not say that it failed: it may have billed it."""
    wait_seconds: float = 0.0
    """How long to wait before the next attempt."""
    body: str = ""
    """What the server sent, where it sent something that is no reply."""

    @property
    def everyones(self) -> bool:
        """Whether any other request would fare the same: the trouble is the server's, not the request's."""
        return self.reason in ("busy", "unreachable")


class Prices(NamedTuple):
    """Dollars for a million tokens."""

    input: float
    output: float

    def dollars(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost."""
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


class Unanswered(TeacherError):
    """No answer after every try, and nobody else had one: the server is gone."""


def unheard() -> None:
    """For an attempt whose leaving nobody wants to hear of."""


class Entered(Protocol):
    """Entered before the first question, left after the last; may be entered again."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Backend(Entered, Protocol):
    """Whoever makes one attempt at a request."""

    @property
    def model(self) -> str:
        """Name of the model, part of every reply's key."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests that may be under way at once."""
        ...

    async def attempt(self, request: Request, sent: Callable[[], None] = unheard) -> Reply | Failure | Again:
        """One attempt. `sent` is called when the request leaves for a server that could answer it a second time (hedging).

        Raises:
            TeacherError: no request can be answered (key refused, model unknown).
        """
        ...


class Teacher(Entered, Protocol):
    """Whoever answers."""

    @property
    def model(self) -> str:
        """Name of the model, part of every reply's key."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests that may be under way at once."""
        ...

    async def ask(self, request: Request) -> Reply | Failure:
        """Answer, or say why this request cannot be answered.

        Raises:
            TeacherError: no request can be answered (budget spent, key refused, server gone).
        """
        ...


def as_json(reply: Reply) -> dict[str, Any]:
    """A reply as a table of plain values."""
    return asdict(replace(reply, scores=dict(reply.scores)))
