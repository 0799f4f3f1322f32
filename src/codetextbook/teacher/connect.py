"""From the site's settings to a teacher that is journalled and within its budget; and many questions asked at once.

The stages are plain functions: `ask_all` runs the event loop for them, holds the number of requests under way, and answers in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from codetextbook.errors import TeacherError
from codetextbook.teacher.journal import Journal, Journalled, Limits
from codetextbook.teacher.openai import OpenAITeacher
from codetextbook.teacher.protocol import Endpoint, Failure, Prices, Reply, Request, Teacher


def connect(endpoint: Endpoint, journal: Path, *, model: str = "") -> Journalled:
    """The teacher of a site, its replies kept in the file `journal`. `model` goes before the site's.

    Raises:
        TeacherError: no model is named, or its price is not known.
    """
    name = model or endpoint.model
    if not name:
        raise TeacherError(
            "no teacher is named", where="[teacher] of site.toml", hint="set model, base_url and the prices"
        )
    paid, answered = endpoint.dollars_per_million_input_tokens, endpoint.dollars_per_million_output_tokens
    if paid is None or answered is None:
        raise TeacherError(
            f"the price of {name!r} is not known, and nothing is spent blindly",
            where="[teacher] of site.toml",
            hint="set dollars_per_million_input_tokens and dollars_per_million_output_tokens; 0 for a server of your own",
        )
    prices = Prices(paid, answered)
    asked = OpenAITeacher(
        endpoint.base_url,
        name,
        prices=prices,
        api_key_env=endpoint.api_key_env,
        in_flight=endpoint.requests_in_flight,
        timeout_seconds=endpoint.timeout_seconds,
    )
    limits = Limits(dollars=endpoint.dollars_limit, tokens=endpoint.tokens_limit)
    return Journalled(asked, Journal(journal), prices=prices, limits=limits)


def ask_all(teacher: Teacher, requests: Sequence[Request]) -> list[Reply | Failure]:
    """Answers in the order of the questions.

    When the teacher cannot go on, what is under way is awaited (it is paid for, and the journal keeps it) before the error is raised.

    Raises:
        TeacherError: the teacher cannot go on.
    """
    return asyncio.run(_ask_all(teacher, requests)) if requests else []


async def _ask_all(teacher: Teacher, requests: Sequence[Request]) -> list[Reply | Failure]:
    answers: dict[int, Reply | Failure] = {}
    waiting = iter(enumerate(requests))
    faults: list[BaseException] = []

    async def work(places: Iterator[tuple[int, Request]]) -> None:
        for place, request in places:
            if faults:
                return
            try:
                answers[place] = await teacher.ask(request)
            except TeacherError as error:
                faults.append(error)
                return

    async with teacher, asyncio.TaskGroup() as group:
        for _ in range(min(teacher.in_flight, len(requests))):
            group.create_task(work(waiting))
    if faults:
        raise faults[0]
    return [answers[place] for place in range(len(requests))]
