"""False alarms: matches that a person has looked at and found to be none, in a JSON Lines file that the recipe names.

One line is one mark, an object with `benchmark`, `task_id`, `document_id`, `detector`, `by` and `why`; the first four are columns of the
table `matches`, so a mark is copied from there. Documents are known by the hash of their text: a mark stays with the text through every
later run, and a text that has changed is looked at afresh. The file's digest is part of the artifact's identity.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from codetextbook.benchmarks.leaks import DETECTORS, Detector
from codetextbook.benchmarks.pinned import PinnedFile
from codetextbook.config import Config
from codetextbook.errors import BenchmarkError


class AlarmFile(PinnedFile):
    """Marks of a person, told apart by their content and not by their path."""

    path: str
    """Path of the JSON Lines file."""


class Alarm(NamedTuple):
    """What a mark is about: one text, one problem, one detector."""

    benchmark: str
    task_id: str
    document_id: str
    detector: Detector


class Mark(Config):
    """One line of the file."""

    benchmark: str
    """Name of the benchmark."""
    task_id: str
    """The problem's id."""
    document_id: str
    """The text's id, as the table `matches` has it."""
    detector: Detector
    """The detector that was wrong."""
    by: str
    """Who looked at it."""
    why: str
    """Why it is no leak."""

    @property
    def alarm(self) -> Alarm:
        """What the mark is about."""
        return Alarm(self.benchmark, self.task_id, self.document_id, self.detector)


def load_marks(file: AlarmFile | None) -> dict[Alarm, Mark]:
    """The marks of a file, by what they are about; none without a file.

    Raises:
        BenchmarkError: the file is missing, is not what its digest says, or has a line that cannot be understood or says something twice.
    """
    if file is None:
        return {}
    path = Path(file.path)
    if not path.is_file():
        raise BenchmarkError("no such file of false alarms", where=file.path)
    if file.changed:
        raise BenchmarkError(
            "the file of false alarms changed", where=file.path, hint="remove its sha256 from the recipe"
        )
    marks: dict[Alarm, Mark] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        mark = _read(line, f"{file.path}, line {number}")
        if mark.alarm in marks:
            raise BenchmarkError("the same match is marked twice", where=f"{file.path}, line {number}")
        marks[mark.alarm] = mark
    return marks


def _read(line: str, where: str) -> Mark:
    hint = f"benchmark, task_id, document_id, detector (one of {', '.join(DETECTORS)}), by, why"
    try:
        return Mark.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        about = " ".join([*map(str, problem["loc"]), problem["msg"].lower()])
        raise BenchmarkError(f"this line is no mark: {about}", where=where, hint=hint) from None
