"""From the site's settings to a teacher that is journalled and within its budget.

The site says which kind: `openai` (any compatible server), `batch` (the same protocol's half-price bulk work), `local` (weights
on this machine), `vllm` (its offline engine) or `recorded` (a file of replies). The stages see one thing, a `Teacher`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from codetextbook.errors import ConfigError, TeacherError
from codetextbook.teacher.ask import ask_ahead, later_rounds
from codetextbook.teacher.client import BuiltIn
from codetextbook.teacher.journal import Journal, Limits
from codetextbook.teacher.journalled import Journalled, Patience
from codetextbook.teacher.official import Official
from codetextbook.teacher.openai import OpenAIBackend
from codetextbook.teacher.prices import quote
from codetextbook.teacher.protocol import Backend, Failure, Prices, Reply, Request
from codetextbook.teacher.recorded import RecordedTeacher
from codetextbook.teacher.wire import Dialect

FREE = Prices(0.0, 0.0)


class Endpoint(Protocol):
    """The site's settings of a teacher (`codetextbook.site.TeacherSite`)."""

    @property
    def kind(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def more_urls(self) -> Sequence[str]: ...
    @property
    def model(self) -> str: ...
    @property
    def weights(self) -> str: ...
    @property
    def replies(self) -> str: ...
    @property
    def journal(self) -> str: ...
    @property
    def api_key_env(self) -> str: ...
    @property
    def requests_in_flight(self) -> int: ...
    @property
    def timeout_seconds(self) -> float: ...
    @property
    def patience_seconds(self) -> float: ...
    @property
    def dollars_limit(self) -> float: ...
    @property
    def tokens_limit(self) -> int | None: ...
    @property
    def requests_limit(self) -> int | None: ...
    @property
    def prices(self) -> str: ...
    @property
    def dollars_per_million_input_tokens(self) -> float | None: ...
    @property
    def dollars_per_million_output_tokens(self) -> float | None: ...
    @property
    def tokens_field(self) -> str: ...
    @property
    def extra_body(self) -> Mapping[str, Any]: ...
    @property
    def json_schema(self) -> bool: ...
    @property
    def poll_seconds(self) -> float: ...
    @property
    def client(self) -> str: ...
    @property
    def hedge_after_seconds(self) -> float | None: ...


class Connected(Protocol):
    """A teacher that holds a file or a model open until it is closed."""

    @property
    def model(self) -> str: ...
    @property
    def in_flight(self) -> int: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    async def ask(self, request: Request) -> Reply | Failure: ...
    def facts(self) -> dict[str, Any]: ...
    def close(self) -> None: ...


def connect(endpoint: Endpoint, journal: Path, *, model: str = "") -> Connected:
    """The teacher of a site, its replies kept in the site's journal, or else in the file `journal`. `model` goes before the site's.

    Raises:
        TeacherError: no model is named, or its price is not known.
    """
    name = model or endpoint.model
    if not name:
        raise TeacherError(
            "no teacher is named", where="[teacher] of site.toml", hint="set kind, model, and where it is to be found"
        )
    if endpoint.kind == "recorded":
        if not endpoint.replies:
            raise ConfigError("a recorded teacher needs its file of replies", where="[teacher] replies")
        return RecordedTeacher.read(Path(endpoint.replies), name)
    prices = prices_of(endpoint, name)
    limits = Limits(endpoint.dollars_limit, endpoint.tokens_limit, endpoint.requests_limit)
    book = Journal(Path(endpoint.journal) if endpoint.journal else journal)
    try:
        backend = _backend(endpoint, name, prices, book)
    except BaseException:
        book.close()
        raise
    patience = Patience(patience_seconds=endpoint.patience_seconds)
    extra = dict(endpoint.extra_body) if endpoint.kind in ("openai", "batch") else None
    hedge = endpoint.hedge_after_seconds
    return Journalled(
        backend, book, prices=prices, limits=limits, patience=patience, extra=extra, hedge_after_seconds=hedge
    )


@contextlib.contextmanager
def connect_ahead(
    endpoint: Endpoint,
    journal: Path,
    requests: Iterable[Request],
    read: Callable[[str], object | None] = bool,
    *,
    model: str,
    repair: str = "",
    tell: Callable[..., None],
) -> Iterator[Connected]:
    """A site's teacher that has answered all these requests, for a stage that then works part by part; closed at the end.

    `tell` hears how many answers there are, and the teacher's facts by name; of the questions that follow from answers (repairs, tests)
    also their `total` and `unit`. `read` and `repair`: as for `ask_ahead`.

    Raises:
        TeacherError: as `connect`; or the teacher cannot go on.
    """
    with contextlib.closing(connect(endpoint, journal, model=model)) as teacher:
        ask_ahead(teacher, requests, read, repair=repair, watch=lambda done: tell(done, **teacher.facts()))
        with later_rounds(lambda done, total: tell(done, total=total, unit="further replies", **teacher.facts())):
            yield teacher


def prices_of(endpoint: Endpoint, name: str) -> Prices:
    """What a million tokens cost at a site; nothing for weights on this machine.

    Raises:
        TeacherError: the price is not known.
    """
    if endpoint.kind in ("local", "vllm"):
        return FREE
    own = endpoint.dollars_per_million_input_tokens, endpoint.dollars_per_million_output_tokens
    return quote(name, endpoint.base_url, own=own, file=endpoint.prices, batch=endpoint.kind == "batch").prices


def _backend(endpoint: Endpoint, name: str, prices: Prices, book: Journal) -> Backend:
    if endpoint.kind == "local":
        from codetextbook.teacher.local import LocalBackend
        from codetextbook.teacher.weights import find

        return LocalBackend(find(endpoint.weights or f"hub:{name}"), name, rows=endpoint.requests_in_flight)
    if endpoint.kind == "vllm":
        from codetextbook.teacher.vllm import VllmBackend

        return VllmBackend(endpoint.weights.removeprefix("hub:") or name, name, in_flight=endpoint.requests_in_flight)
    if endpoint.kind == "batch":
        from codetextbook.teacher.batch import BatchBackend

        return BatchBackend(
            endpoint.base_url,
            name,
            book,
            prices=prices,
            api_key_env=endpoint.api_key_env,
            extra=endpoint.extra_body,
            tokens_field=endpoint.tokens_field,
            poll_seconds=endpoint.poll_seconds,
        )
    dialect = Dialect(endpoint.tokens_field, endpoint.extra_body, endpoint.json_schema)
    return OpenAIBackend(
        (endpoint.base_url, *endpoint.more_urls),
        name,
        prices=prices,
        api_key_env=endpoint.api_key_env,
        in_flight=endpoint.requests_in_flight,
        timeout_seconds=endpoint.timeout_seconds,
        dialect=dialect,
        client=Official if endpoint.client == "openai" else BuiltIn,
    )
