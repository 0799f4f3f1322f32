"""A journalled teacher of one or several servers, by either client, and what its journal counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from running_server import Running

from codetextbook.teacher import Journal, Journalled, Limits, Message, OpenAIBackend, Patience, Prices, Request
from codetextbook.teacher.client import BuiltIn, MakeClient
from codetextbook.teacher.official import Official

PRICES = Prices(1.0, 2.0)
both_clients = pytest.mark.parametrize("client", [BuiltIn, Official])


def question(text: str, **changes: Any) -> Request:
    return Request((Message("user", text),), **({"max_tokens": 20} | changes))


def teacher_of(
    folder: Path,
    *servers: Running,
    timeout: float = 5.0,
    in_flight: int = 8,
    client: MakeClient = BuiltIn,
    limits: Limits = Limits(1.0),  # noqa: B008
    hedge: float | None = None,
    **patience: Any,
) -> Journalled:
    urls = [server.url for server in servers]
    backend = OpenAIBackend(
        urls, "m", prices=PRICES, in_flight=in_flight, timeout_seconds=timeout, first_wait_seconds=0.01, client=client
    )
    patient = Patience(**({"patience_seconds": 10.0} | patience))
    journal = Journal(folder / "j.sqlite3")
    return Journalled(backend, journal, prices=PRICES, limits=limits, patience=patient, hedge_after_seconds=hedge)


def counted(folder: Path) -> int:
    """Requests that the journal holds to be billed."""
    journal = Journal(folder / "j.sqlite3")
    spent = journal.spent()
    journal.close()
    assert spent.reserved_requests == 0
    return spent.requests + spent.lost_requests
