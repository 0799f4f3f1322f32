"""False alarms: matches that a person has looked at and found to be none, in a JSON Lines file that the recipe names.

One line is one mark, an object with `benchmark`, `task_id`, `document_id`, `detector`, `by` and `why`; the first four are columns of the
table `matches`, so a mark is copied from there. Documents are known by the hash of their text: a mark stays with the text through every
later run, and a text that has changed is looked at afresh. The file's digest is part of the artifact's identity.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError, model_validator

from codetextbook.benchmarks.leaks import DETECTORS, Detector
from codetextbook.config import Config
from codetextbook.errors import BenchmarkError
from codetextbook.store import sha256


class AlarmFile(Config):
    """Marks of a person, told apart by their content and not by their path."""

    path: str
    """Path of the JSON Lines file."""
    sha256: str = ""
    """SHA-256 of the file; filled in when the file is there, so that another mark is another artifact."""

    @model_validator(mode="before")
    @classmethod
    def _know_the_content(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("sha256") and Path(str(values.get("path", ""))).is_file():
            return {**values, "sha256": sha256(Path(values["path"]))}
        return values


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
    if file.sha256 and sha256(path) != file.sha256:
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
