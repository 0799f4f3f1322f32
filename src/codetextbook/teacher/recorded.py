"""Replies recorded earlier, replayed: tests, demonstrations, and colleagues without a key.

The file is what `codetextbook journal export` writes: JSON Lines, one reply each, under the digest of model, parameters,
messages and sample. What was not recorded has no answer; nothing is made up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from codetextbook.errors import InputError
from codetextbook.teacher.protocol import FAILED, Failure, Reply, Request


class RecordedTeacher:
    """Answers from a table of replies; costs nothing."""

    def __init__(self, model: str, replies: Mapping[str, Reply]) -> None:
        self._model, self._replies = model, replies

    @classmethod
    def read(cls, path: Path, model: str) -> Self:
        """The replies of one model in a file.

        Raises:
            InputError: a line is not a reply.
        """
        replies = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
            if not line:
                continue
            try:
                row = json.loads(line)
                key = str(row["key"])
                tokens = int(row["input_tokens"]), int(row["output_tokens"])
                scores = {str(name): float(value) for name, value in (row.get("scores") or {}).items()}
                reason, name = str(row["finish_reason"]), str(row["model"])
                replies[key] = Reply(str(row["text"]), *tokens, 0.0, reason, name, scores)
            except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(f"not a recorded reply ({error})", where=f"{path}, line {number}") from None
        return cls(model, {key: reply for key, reply in replies.items() if reply.model == model})

    @property
    def model(self) -> str:
        """Name of the model whose replies these are."""
        return self._model

    @property
    def in_flight(self) -> int:
        """One: there is nothing to wait for."""
        return 1

    def facts(self) -> dict[str, Any]:
        """Nothing is spent."""
        return {}

    def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def ask(self, request: Request) -> Reply | Failure:
        """The recorded reply, or a failure that says it is not there."""
        key = request.key(self._model)
        reply = self._replies.get(key)
        if reply is None:
            return Failure("not_recorded", f"no reply of {self._model!r} under {key[:16]}")
        reason = FAILED.get(reply.finish_reason)
        return reply if reason is None else Failure(reason, reply.text)
