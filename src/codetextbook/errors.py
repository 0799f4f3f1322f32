"""Everything that can go wrong, as one tree.

    CodetextbookError
    ├── ConfigError         a recipe or site file says something that cannot be
    ├── InputError          a source, a file or an argument of the user's cannot be used
    ├── StoreError          an artifact is missing, damaged or was tampered with
    ├── StageFailed         a stage ran and its result cannot stand (nothing kept, rows lost, too many rejections)
    ├── TeacherError        the teacher cannot answer (budget spent, key refused, server gone)
    ├── SandboxError        untrusted code cannot be contained here
    ├── TrainingError       training cannot go on (not finite, out of memory, precision not supported)
    ├── BenchmarkError      a benchmark cannot be read or does not match its digest
    └── MissingDependency   an extra is not installed

A message says what happened, where, and what to do. The command line prints it without a traceback; anything that is not in this
tree is a defect of ours and keeps its traceback.
"""

from __future__ import annotations


class CodetextbookError(Exception):
    """A fault with an explanation: `what` happened, `where`, and a `hint` of what to try."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(what, where, hint)

    def __str__(self) -> str:
        parts = [self.what.rstrip(".")]
        if self.where:
            parts.append(f"where: {self.where}")
        if self.hint:
            parts.append(f"try: {self.hint}")
        return ". ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by keyword arguments, so that a worker's error arrives whole in the parent."""
        return (_rebuild, (type(self), self.what, self.where, self.hint))


def _rebuild(kind: type[CodetextbookError], what: str, where: str, hint: str) -> CodetextbookError:
    return kind(what, where=where, hint=hint)


class ConfigError(CodetextbookError):
    """A recipe or site file says something that cannot be."""


class InputError(CodetextbookError):
    """A source, a file or an argument of the user's cannot be used."""


class StoreError(CodetextbookError):
    """An artifact is missing, damaged or was tampered with."""


class StageFailed(CodetextbookError):
    """A stage ran and its result cannot stand."""


class TeacherError(CodetextbookError):
    """The teacher cannot answer."""


class SandboxError(CodetextbookError):
    """Untrusted code cannot be contained here."""


class TrainingError(CodetextbookError):
    """Training cannot go on."""


class BenchmarkError(CodetextbookError):
    """A benchmark cannot be read or does not match its digest."""


class MissingDependency(CodetextbookError):
    """An extra is not installed."""
