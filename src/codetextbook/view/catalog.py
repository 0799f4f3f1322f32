"""What a workspace holds: its whole artifacts, the newest of each step, and how they descend from each other.

Only what lies inside the store is shown: a folder or a part that leads out of it by a link is refused, and artifacts are found by looking
them up in this list, never by making a path of what a browser sent.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from codetextbook.errors import StoreError
from codetextbook.store import MANIFEST, Artifact

_ID = re.compile(r"[0-9a-f]{16}")


class Shown(NamedTuple):
    """The artifacts that can be shown, oldest first, and what is wrong with the others."""

    artifacts: list[Artifact]
    faults: list[str]


class Catalog:
    """The artifacts of a workspace, looked up anew at each call; a manifest is read once."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.root = (work / "store").resolve()
        self._known: dict[tuple[Path, int], Artifact] = {}

    def shown(self) -> Shown:
        """Every whole artifact, oldest first."""
        found: list[tuple[int, str, Artifact]] = []
        faults = []
        for path in self.root.glob(f"*/*/{MANIFEST}"):
            written_ns = path.stat().st_mtime_ns
            key = (path, written_ns)
            try:
                if key not in self._known:
                    self._known[key] = self._read(path)
                found.append((written_ns, str(path), self._known[key]))
            except (StoreError, ValueError, KeyError, TypeError) as error:
                faults.append(f"{path.parent.parent.name}/{path.parent.name} is not shown: {error}")
        return Shown([artifact for _, _, artifact in sorted(found, key=lambda one: one[:2])], sorted(faults))

    def _read(self, path: Path) -> Artifact:
        self._inside(path)
        artifact = Artifact(path.parent)
        if not _ID.fullmatch(artifact.id) or (artifact.stage, artifact.id) != (
            path.parent.parent.name,
            path.parent.name,
        ):
            raise StoreError("its manifest names another artifact")
        return artifact

    def _inside(self, path: Path) -> Path:
        if not path.resolve().is_relative_to(self.root):
            raise StoreError(f"{path.name} leads out of the workspace")
        return path

    def parts(self, artifact: Artifact, table: str) -> list[Path]:
        """The Parquet parts of a table, in order.

        Raises:
            StoreError: a part leads out of the workspace.
        """
        return [self._inside(part) for part in artifact.parts(table)]

    def file(self, artifact: Artifact, name: str) -> Path:
        """A part that is no table.

        Raises:
            StoreError: there is no such part, or it leads out of the workspace.
        """
        return self._inside(artifact.file(name))

    def find(self, artifact_id: str) -> Artifact | None:
        """The artifact of this id."""
        return next((artifact for artifact in self.shown().artifacts if artifact.id == artifact_id), None)

    def of(self, *stages: str) -> list[Artifact]:
        """The artifacts of some stages: the first stage's first, and the newest of each first."""
        newest = list(reversed(self.shown().artifacts))
        return [artifact for stage in stages for artifact in newest if artifact.stage == stage]

    def steps(self) -> dict[str, Artifact]:
        """The newest artifact of each step, by the name that the runs gave it, else by its stage."""
        names = self._names()
        newest: dict[str, Artifact] = {}
        for artifact in self.shown().artifacts:
            newest[names.get(artifact.id, artifact.stage)] = artifact
        return newest

    def related(self, artifact: Artifact, stage: str) -> Artifact | None:
        """The newest artifact of a stage that was made from this one, or that this one was made from."""
        known = {one.id: one for one in self.shown().artifacts}
        above = _ancestors(artifact, known)
        for other in reversed(list(known.values())):
            if other.stage == stage and (other.id in above or artifact.id in _ancestors(other, known)):
                return other
        return None

    def _names(self) -> dict[str, str]:
        """Names of steps by artifact, from `runs.jsonl`."""
        path = self.work / "runs.jsonl"
        names = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            try:
                entry = json.loads(line)
                names[str(entry["id"])] = str(entry["step"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that is being written, or that a person has changed
        return names


def _ancestors(artifact: Artifact, known: dict[str, Artifact]) -> set[str]:
    """Ids of the artifact and of all that it was made from."""
    seen: set[str] = set()
    waiting = [artifact.id]
    while waiting:
        one = waiting.pop()
        if one not in seen and one in known:
            seen.add(one)
            waiting += known[one].manifest["inputs"].values()
    return seen
