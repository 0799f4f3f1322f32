"""A teacher that answers by a function of the question, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from codetextbook.site import Site, TeacherSite
from codetextbook.teacher import Failure, Reply, Request
from codetextbook.teacher.protocol import as_json


class Scripted:
    """Every answer costs a thousandth of a dollar."""

    model, in_flight = "m", 4

    def __init__(self, answer: Callable[[Request], str | None]) -> None:
        self.answer = answer
        self.asked: list[Request] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def ask(self, request: Request) -> Reply | Failure:
        """The answer; a failure where there is none."""
        self.asked.append(request)
        text = self.answer(request)
        return Failure("refused", "") if text is None else Reply(text, 10, 20, 0.001, "stop", self.model)


def fenced(code: str) -> str:
    """A reply of one block."""
    return f"Here it is.\n\n```python\n{code}```\n"


def recorded_site(folder: Path, answered: Sequence[tuple[Request, str]]) -> Site:
    """A site whose teacher has these answers and no others."""
    rows = []
    for request, text in answered:
        reply = Reply(text, 10, 20, 0.0, "stop", "m")
        rows.append(as_json(reply) | {"key": request.key("m"), "request": request.plain()})
    file = folder / "replies.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Site(workers=1, threads=1, teacher=TeacherSite(kind="recorded", model="m", replies=str(file)))
