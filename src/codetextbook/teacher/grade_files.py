"""Grades given elsewhere, by one's own people or another system: read from JSON Lines or Parquet, checked, and matched by content.

A row names its document by `document_id` or holds its whole `text`; `score` is from 0 to 5; `reason`, `teacher` and `prompt_id` if known.
What belongs to no known document is counted, never dropped in silence. Where a document has two grades, a stated policy decides.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from codetextbook.errors import InputError
from codetextbook.nouns import GRADE, REJECTED, document_id

Policy = Literal["mean", "first", "reject"]
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: rows of `grades` and rows of `rejected`."""

    grades: list[dict[str, Any]]
    rejected: list[dict[str, Any]]


def read_grades(path: Path) -> Iterator[dict[str, Any]]:
    """The grades of a file, JSON Lines or Parquet by its ending.

    Raises:
        InputError: the file cannot be read, or names the row that is no grade.
    """
    if path.suffix.lower() not in PARQUET:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the grades cannot be read ({error})", where=str(path)) from None
        yield from read_recorded(text.split("\n"), str(path))
        return
    try:
        rows = pq.read_table(path, partitioning=None).to_pylist()
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"not a Parquet file of grades ({str(error).splitlines()[0]})", where=str(path)) from None
    for number, row in enumerate(rows, start=1):
        yield _checked({name: value for name, value in row.items() if value is not None}, f"{path}, row {number}")


def read_recorded(lines: Iterable[str], where: str) -> Iterator[dict[str, Any]]:
    """Recorded grades in JSON Lines, each checked.

    Raises:
        InputError: names the line that is not JSON, has no document, or has a score outside 0 to 5.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON: {error.msg}", where=place, hint="one JSON object a line") from None
        yield _checked(row, place)


def _checked(row: Any, place: str) -> dict[str, Any]:
    if not isinstance(row, dict) or not ("document_id" in row or "text" in row):
        raise InputError("a grade names no document", where=place, hint='give "document_id", or the whole "text"')
    score = row.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not (math.isfinite(score) and 0 <= score <= 5):
        raise InputError(f"score {score!r} is no number from 0 to 5", where=place, hint="leave out what has no grade")
    return row | {"document_id": row["document_id"] if "document_id" in row else document_id(str(row["text"]))}


def match(
    recorded: Iterable[Mapping[str, Any]], known: Mapping[str, str], label: Mapping[str, str], policy: Policy = "mean"
) -> Outcome:
    """Grades that belong to a known document, one each; the others rejected with a reason.

    Two grades of one document that agree are one. Two that disagree: `mean` keeps their mean, `first` the first, `reject` none.
    """
    own: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    rejected = []
    for row in recorded:
        identity = str(row["document_id"])
        if identity in known:
            own[identity].append(row)
        else:
            rejected.append(_left(row, "unknown_document"))
    grades = []
    for identity in sorted(own):
        rows = own[identity]
        scores = [float(row["score"]) for row in rows]
        if policy == "reject" and len(set(scores)) > 1:
            rejected += [_left(row, "grades_disagree") for row in rows]
            continue
        first = rows[0]
        rejected += [_left(row, "graded_twice") for row in rows[1:]]
        grades.append(
            {
                "document_id": identity,
                "score": mean(scores) if policy == "mean" else scores[0],
                "reason": str(first.get("reason", "")),
                "prompt_id": str(first.get("prompt_id", label["prompt_id"])),
                "teacher": " and ".join(dict.fromkeys(str(row.get("teacher", label["teacher"])) for row in rows)),
                "dollars": 0.0,
            }
        )
    return Outcome(grades, rejected)


def given_twice(recorded: Iterable[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """The first two grades of every document that has two."""
    own: dict[str, list[float]] = defaultdict(list)
    for row in recorded:
        own[str(row["document_id"])].append(float(row["score"]))
    return [(scores[0], scores[1]) for _, scores in sorted(own.items()) if len(scores) > 1]


def grade_row(identity: str, score: float, reason: str, prompt_id: str, teacher: str, dollars: float) -> dict[str, Any]:
    """A row of the schema of grades."""
    values = (identity, score, reason, prompt_id, teacher, dollars)
    return dict(zip(GRADE.names, values, strict=True))


def rejected_row(identity: str, reason: str, detail: str, text: str, source: str) -> dict[str, Any]:
    """A row of the schema of what was not kept."""
    return dict(zip(REJECTED.names, (identity, reason, detail, text, source), strict=True))


def _left(row: Mapping[str, Any], reason: str) -> dict[str, Any]:
    shown = f"score {row['score']:g} {row.get('path', '')}".strip()
    return rejected_row(str(row["document_id"]), reason, shown, "", str(row.get("package", "")))
