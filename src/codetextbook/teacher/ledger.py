"""What can be done with a journal: tell what it holds, check it, and carry it elsewhere (`codetextbook journal`).

The file that is carried is JSON Lines: one reply each, with its key and its request, so that whoever takes it in can compute
the key again. A site whose teacher is of kind `recorded` replays it at no cost."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from codetextbook.config import canonical_json
from codetextbook.errors import InputError
from codetextbook.teacher.journal import Journal, Spent
from codetextbook.teacher.protocol import Reply, Request, as_json

ROWS_PER_COMMIT = 2_000


class ModelStats(NamedTuple):
    """What one model answered."""

    model: str
    replies: int
    input_tokens: int
    output_tokens: int
    dollars: float
    finish_reasons: dict[str, int]


class Stats(NamedTuple):
    """What a journal holds."""

    models: list[ModelStats]
    lost: dict[str, int]
    """Requests that may have been billed without an answer, by reason."""
    spent: Spent
    num_bytes: int


class Fault(NamedTuple):
    """Something that is wrong in a journal."""

    key: str
    what: str


class Taken(NamedTuple):
    """What came of an import."""

    new: int
    known: int


def stats(journal: Journal) -> Stats:
    """Replies, tokens and dollars by model; what is lost; the size of the file."""
    rows = journal.query(
        "SELECT model, finish_reason, count(*), sum(input_tokens), sum(output_tokens), sum(dollars) FROM replies "
        "GROUP BY model, finish_reason ORDER BY model, finish_reason"
    )
    models: dict[str, ModelStats] = {}
    for model, reason, number, sent, answered, dollars in rows:
        one = models.get(model, ModelStats(model, 0, 0, 0, 0.0, {}))
        models[model] = ModelStats(
            model, one.replies + number, one.input_tokens + sent, one.output_tokens + answered, one.dollars + dollars,
            one.finish_reasons | {reason or "none": number},
        )  # fmt: skip
    lost = dict(journal.query("SELECT reason, count(*) FROM lost GROUP BY reason ORDER BY reason"))
    return Stats(list(models.values()), lost, journal.spent(), journal.path.stat().st_size)


def export(journal: Journal, path: Path, *, model: str = "") -> int:
    """Write every reply (of one model, if named) as JSON Lines, whole or not at all; returns how many."""
    part = path.with_name(f"{path.name}.part")
    number = 0
    with part.open("w", encoding="utf-8") as file:
        for key, request, reply in journal.rows(model):
            row = {"key": key, **as_json(reply), "request": request}
            file.write(json.dumps(row, ensure_ascii=True, sort_keys=True) + "\n")
            number += 1
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return number


def take_in(journal: Journal, path: Path) -> Taken:
    """Take in the replies of an exported file. They cost nothing here: someone else paid.

    Raises:
        InputError: a line is no reply; nothing of its group is taken in.

    """
    new = total = 0
    group: list[Callable[[], Any]] = []
    for key, request, reply in _read(path):
        group.append(lambda key=key, request=request, reply=reply: journal.keep(key, request, reply))  # type: ignore[misc]
        total += 1
        if len(group) == ROWS_PER_COMMIT:
            new += sum(journal.together(group))
            group = []
    new += sum(journal.together(group))
    return Taken(new, total - new)


def _read(path: Path) -> Iterator[tuple[str, dict[str, Any], Reply]]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                tokens = int(row["input_tokens"]), int(row["output_tokens"])
                reply = Reply(
                    str(row["text"]), *tokens, 0.0, str(row["finish_reason"]), str(row["model"]), dict(row["scores"])
                )
                if len(bytes.fromhex(row["key"])) != 32 or not isinstance(row["request"], dict):
                    raise ValueError("its key is no digest, or its request no table")
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"not a recorded reply ({error!r})", where=f"{path}, line {number}") from None
            yield row["key"], row["request"], reply


def verify(journal: Journal) -> list[Fault]:
    """Everything that is wrong: a damaged file, a key that is not its request's, sums that are not those of the rows.

    A request that was sent with the site's `extra_body` holds it as `extra`, since its key covers it.

    """
    faults = []
    try:
        for (said,) in journal.query("PRAGMA integrity_check"):
            if said != "ok":
                faults.append(Fault("", f"the file is damaged: {said}"))
        for key, request, reply in journal.rows():
            faults += [Fault(key, what) for what in _wrong(key, request, reply)]
        faults += _wrong_sums(journal)
    except sqlite3.DatabaseError as error:
        faults.append(Fault("", f"the file is damaged: {error}"))
    return faults


def _wrong(key: str, request: dict[str, Any], reply: Reply) -> Iterator[str]:
    said = dict(request)
    extra = said.pop("extra", None)
    try:
        mine = Request.from_plain(said).key(reply.model, extra)
    except TypeError as error:
        yield f"the request cannot be read ({error})"
        return
    if mine != key:
        yield f"the key is not that of its request ({canonical_json(request)[:80]})"


def _wrong_sums(journal: Journal) -> list[Fault]:
    spent = journal.spent()
    ((requests, dollars, tokens),) = journal.query(
        "SELECT count(*), coalesce(sum(dollars), 0), coalesce(sum(input_tokens + output_tokens), 0) FROM replies"
    )
    lost = journal.query("SELECT count(*), coalesce(sum(dollars), 0), coalesce(sum(tokens), 0) FROM lost")[0]
    rows = (requests, dollars, tokens, *lost)
    same = all(abs(one - other) <= 1e-6 * max(1.0, abs(one)) for one, other in zip(rows, spent[:6], strict=True))
    return [] if same else [Fault("", f"the sums {spent[:6]} are not those of the rows {rows}")]
