"""A person's judgement of documents, kept as it is given, and made an artifact.

Each answer is written at once to `reviews/NAME.jsonl` in the workspace: one line a document, yes as 5 and no as 0, so that any cut of the
teacher's scale lies between them and the file can be named as `[annotate] grades`. The artifact `review` holds the same rows in the
schema of grades, with the artifact that was judged as its input. The teacher's grade is not shown before the person has given theirs.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from codetextbook.benchmarks.alarms import Alarm, AlarmFile, Mark, load_marks
from codetextbook.benchmarks.pinned import PinnedFile
from codetextbook.config import Config
from codetextbook.errors import InputError, StoreError
from codetextbook.nouns import GRADE
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contract import Stage, run_stage
from codetextbook.store import Artifact, Store, Writer, atomic

YES, NO = 5.0, 0.0
ALARMS = "false_alarms.jsonl"


class Review(Config):
    """Whose grades, and which."""

    by: str
    """Name of the person."""
    grades: PinnedFile
    """The person's file, told apart by its content."""


class Ledger:
    """One person's grades in a workspace.

    Raises:
        InputError: the name cannot be that of a file.
        StoreError: the file holds a line that is no grade.
    """

    def __init__(self, work: Path, by: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,59}", by):
            raise InputError(
                f"{by!r} cannot name a reviewer", where="--as", hint="letters, digits, '.', '-', '_', spaces"
            )
        self.by, self.work = by, work
        self.path = work / "reviews" / f"{by}.jsonl"

    def grades(self) -> dict[str, float]:
        """Grades by document, in the order in which they were first given."""
        return {row["document_id"]: float(row["score"]) for row in _read(self.path)}

    def grade(self, document_id: str, score: float | None) -> None:
        """Write a grade down, or take one back; it is on the disk when this returns."""
        with _alone(self.path):
            rows = {row["document_id"]: row for row in _read(self.path)}
            if score is None:
                rows.pop(document_id, None)
            else:
                said = {"score": score, "teacher": f"person: {self.by}", "prompt_id": "yes_no"}
                rows[document_id] = {"document_id": document_id} | said
            _write(self.path, rows.values())

    def keep(self, store: Store, judged: Artifact) -> Artifact:
        """The grades so far as an artifact.

        Raises:
            InputError: there are none yet.
        """
        if not self.grades():
            raise InputError("there is no grade to keep yet", where=str(self.path))
        settings = Review(by=self.by, grades=PinnedFile(path=str(self.path)))
        return run_stage(_STAGE, settings, judged, store=store, site=Site())


def review(cfg: Review, judged: Artifact, *, out: Writer, site: Site) -> None:
    """A person's file as grades."""
    rows = _read(Path(cfg.grades.path))
    out.table("grades", 0, to_table([dict.fromkeys(GRADE.names, "") | row | {"dollars": 0.0} for row in rows], GRADE))
    out.fact("by", cfg.by)
    out.fact("yes", sum(row["score"] == YES for row in rows))
    out.flow(rows_in=len(rows), unit="grades", rejected={})


_STAGE = Stage("review", 1, review, Review, ("judged",))
"""Not among the pipeline's stages: it is made by a person, not by a recipe."""


class Alarms:
    """The false alarms that were marked in a workspace."""

    def __init__(self, work: Path) -> None:
        self.path = work / ALARMS

    def marks(self) -> dict[Alarm, Mark]:
        """Marks by what they are about.

        Raises:
            BenchmarkError: a line cannot be understood.
        """
        return load_marks(AlarmFile(path=str(self.path)) if self.path.exists() else None)

    def mark(self, mark: Mark) -> None:
        """Write a mark down, in the place of an earlier one of the same match."""
        with _alone(self.path):
            self._write(self.marks() | {mark.alarm: mark})

    def unmark(self, alarm: Alarm) -> None:
        """Take a mark back."""
        with _alone(self.path):
            self._write({key: mark for key, mark in self.marks().items() if key != alarm})

    def _write(self, marks: dict[Alarm, Mark]) -> None:
        _write(self.path, [mark.model_dump() for mark in marks.values()])


def _read(path: Path) -> list[dict[str, Any]]:
    rows = []
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            rows.append(_row(line, f"{path}, line {number}"))
    return rows


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if isinstance(row["document_id"], str) and row["score"] in (YES, NO):
            return dict(row)
    except (ValueError, KeyError, TypeError):
        pass
    raise StoreError("this line is no grade", where=where, hint="mend it, or take the line out")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a file against other viewers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        yield


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Replace a file of JSON lines, whole or not at all."""
    with atomic(path) as partial:
        partial.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
