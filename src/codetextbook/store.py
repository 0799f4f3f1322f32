"""The store: finished artifacts as folders, and the writer that makes them whole or not at all.

`store/<stage>/<id>/` holds Parquet, JSON and other parts and a `manifest.json`, **written last: it exists, therefore the artifact is
whole**. Parts are written atomically (a temporary file in the same folder, fsync, rename), so a killed stage resumes at its next part.
One writer holds an artifact's lock; others wait. `digest` covers every part but the volatile ones (timings, logs).

Ours and small, because libraries that hash code run paid work again after an edit that changed nothing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from codetextbook.config import canonical_json, digest
from codetextbook.errors import StageFailed, StoreError

MANIFEST = "manifest.json"
_PARTIAL = ".partial-"
_SCRATCH = ".scratch"

ProgressSink = Callable[[int, int, str, dict[str, Any]], None]
"""Receives (done, total, unit, facts) of a running stage."""


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed into place, on failure removed.

    Raises:
        StoreError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_PARTIAL, dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                "the disk is full", where=str(path), hint="free some space and run again: finished parts are kept"
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as canonical, indented JSON, atomically."""
    value = json.loads(canonical_json(value))
    with atomic(path) as partial:
        partial.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Artifact:
    """A finished folder of the store, to be read."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the artifact is made of and from."""
        return json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))

    @property
    def id(self) -> str:
        """Identity: digest of stage, version, settings and inputs."""
        return self.manifest["id"]

    @property
    def stage(self) -> str:
        """Name of the stage that made it."""
        return self.manifest["stage"]

    @property
    def digest(self) -> str:
        """Digest of the content of every part that is not volatile."""
        return self.manifest["digest"]

    def parts(self, name: str) -> list[Path]:
        """The Parquet parts of a table, in order."""
        return sorted(self.folder.glob(f"{name}-[0-9]*.parquet"))

    def table(self, name: str) -> pa.Table:
        """A table, all parts together.

        Raises:
            StoreError: there is no such table.
        """
        parts = self.parts(name)
        if not parts:
            raise StoreError(f"{self.stage} has no table {name!r}", where=str(self.folder))
        return pa.concat_tables([pq.read_table(part, partitioning=None) for part in parts])

    def rows(self, name: str) -> int:
        """Number of rows of a table, 0 where there is none."""
        return sum(pq.read_metadata(part).num_rows for part in self.parts(name))

    def json(self, name: str) -> Any:
        """The value of NAME.json."""
        return json.loads(self.file(f"{name}.json").read_text(encoding="utf-8"))

    def file(self, name: str) -> Path:
        """Path of a part.

        Raises:
            StoreError: there is no such part.
        """
        path = self.folder / name
        if not path.exists():
            raise StoreError(f"{self.stage} has no part {name!r}", where=str(self.folder))
        return path


JOURNAL = "journal.sqlite3"
"""Name, in the store's folder, of the file of replies that teachers were paid for."""


class Writer:
    """A stage's hand on the artifact it is making."""

    def __init__(self, folder: Path, progress: ProgressSink | None = None) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = {}
        self._flow: dict[str, Any] | None = None
        self._kept_table: str | None = None
        self._progress = progress
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.rglob(f"{_PARTIAL}*"):
            leftover.unlink()

    def has(self, name: str) -> bool:
        """Whether a part is there already, from an attempt that was cut short. `documents-00003` or `model/phi.json`."""
        return any((self.folder / f"{name}{ending}").exists() for ending in ("", ".parquet", ".json"))

    def table(self, name: str, index: int, table: pa.Table) -> None:
        """Write one Parquet part of a table, atomically."""
        with atomic(self.folder / f"{name}-{index:05d}.parquet") as partial:
            pq.write_table(table, partial, compression="zstd", version="2.6")

    def json(self, name: str, value: Any) -> None:
        """Write NAME.json, atomically."""
        write_json(self.folder / f"{name}.json", value)

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """Yield a temporary path that becomes the part `name` on success."""
        with atomic(self.folder / name) as partial:
            yield partial

    @contextlib.contextmanager
    def volatile(self, name: str) -> Iterator[Path]:
        """Like `file`, but left out of the content digest: timings and logs."""
        self._volatile_list.parent.mkdir(exist_ok=True)
        write_json(self._volatile_list, sorted({name, *self._volatile()}))
        with atomic(self.folder / name) as partial:
            yield partial

    @property
    def journal(self) -> Path:
        """Where the store keeps what teachers have answered, whatever stage asked."""
        return self.folder.parent.parent / JOURNAL

    @property
    def scratch(self) -> Path:
        """A folder kept between attempts and removed when the artifact is finished."""
        folder = self.folder / _SCRATCH
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def _volatile_list(self) -> Path:
        return self.folder / _SCRATCH / "volatile.json"

    def _volatile(self) -> list[str]:
        """Names of the volatile parts, of this attempt and of those before it."""
        return json.loads(self._volatile_list.read_text(encoding="utf-8")) if self._volatile_list.exists() else []

    def fact(self, key: str, value: Any) -> None:
        """Record a small deterministic fact in the manifest."""
        self.facts[key] = json.loads(canonical_json(value))

    def progress(self, done: int, total: int, unit: str, **facts: Any) -> None:
        """Tell whoever watches how far the stage is."""
        if self._progress is not None:
            self._progress(done, total, unit, facts)

    def flow(
        self,
        *,
        rows_in: int,
        unit: str = "documents",
        kept: str | None = None,
        rows_kept: int | None = None,
        rejected: dict[str, int] | None = None,
    ) -> None:
        """Declare conservation: what came in, what was kept (a table's rows, or a number), what was rejected and why.

        Without `rejected`, the reasons are counted from the table `rejected`.
        """
        self._kept_table = kept if kept is not None else (unit if rows_kept is None else None)
        self._flow = {"rows_in": rows_in, "unit": unit, "rows_kept": rows_kept, "rejected": rejected}

    def finish(self, header: dict[str, Any], seconds: float) -> Artifact:
        """Check conservation and write the manifest, last.

        Raises:
            StageFailed: rows were lost or made up, or the stage declared no flow.
        """
        seen = Artifact(self.folder)
        flow = self._reconcile(seen)
        volatile = self._volatile()
        shutil.rmtree(self.folder / _SCRATCH, ignore_errors=True)
        files: dict[str, dict[str, Any]] = {
            str(path.relative_to(self.folder)): {"sha256": sha256(path), "num_bytes": path.stat().st_size}
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name != MANIFEST
        }
        lasting = {name: entry["sha256"] for name, entry in files.items() if name not in volatile}
        tables = sorted({path.name.rsplit("-", 1)[0] for path in self.folder.glob("*-[0-9]*.parquet")})
        manifest = header | {
            "digest": content_digest(lasting),
            "rows": {name: seen.rows(name) for name in tables},
            "flow": flow,
            "facts": self.facts,
            "files": files,
            "volatile": volatile,
            "seconds": round(seconds, 3),
        }
        write_json(self.folder / MANIFEST, manifest)
        return Artifact(self.folder)

    def _reconcile(self, seen: Artifact) -> dict[str, Any]:
        where = str(self.folder)
        if self._flow is None:
            raise StageFailed(
                "the stage did not declare its flow of rows", where=where, hint="call out.flow(rows_in=...)"
            )
        flow = dict(self._flow)
        if flow["rows_kept"] is None:
            flow["rows_kept"] = seen.rows(str(self._kept_table))
        if flow["rejected"] is None:
            reasons = [pq.read_table(part, columns=["reason"]) for part in seen.parts("rejected")]
            counted = pa.concat_tables(reasons)["reason"].value_counts().to_pylist() if reasons else []
            flow["rejected"] = {entry["values"]: entry["counts"] for entry in counted}
        total = flow["rows_kept"] + sum(flow["rejected"].values())
        if total != flow["rows_in"]:
            raise StageFailed(
                f"{flow['rows_in']} {flow['unit']} came in but {flow['rows_kept']} were kept and "
                f"{total - flow['rows_kept']} rejected",
                where=where,
                hint="this is a defect of the stage: please report it",
            )
        return flow


class Store:
    """All artifacts under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def folder(self, stage: str, artifact_id: str) -> Path:
        """Where an artifact is, or will be."""
        return self.root / stage / artifact_id

    def scratch(self, stage: str, artifact_id: str) -> Path:
        """Where an artifact's writer keeps what it needs between attempts; there only while it is being made."""
        return self.folder(stage, artifact_id) / _SCRATCH

    def find(self, stage: str, artifact_id: str) -> Artifact | None:
        """The artifact, if it is whole."""
        folder = self.folder(stage, artifact_id)
        return Artifact(folder) if (folder / MANIFEST).exists() else None

    def artifacts(self) -> list[Artifact]:
        """Every whole artifact, oldest first."""
        found = [Artifact(path.parent) for path in self.root.glob(f"*/*/{MANIFEST}")]
        return sorted(found, key=lambda artifact: (artifact.folder / MANIFEST).stat().st_mtime_ns)

    @contextlib.contextmanager
    def writing(self, stage: str, artifact_id: str, waiting: Callable[[], None] | None = None) -> Iterator[Path]:
        """Hold the only writer's lock of an artifact; a second run waits here until the first has finished or died."""
        folder = self.folder(stage, artifact_id)
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(folder.parent / f".{artifact_id}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting is not None:
                waiting()
            lock.acquire()
        try:
            yield folder
        finally:
            lock.release()

    def verify(self) -> list[str]:
        """Compare every part with its manifest; one line for each fault found."""
        faults = []
        for artifact in self.artifacts():
            label = f"{artifact.folder.parent.name}/{artifact.folder.name}"
            try:
                faults += [f"{label}: {fault}" for fault in _faults(artifact)]
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                faults.append(f"{label}: manifest.json cannot be read ({error})")
        return faults

    def collect(self, keep: set[str]) -> int:
        """Remove every artifact whose id is not in `keep`, and what unfinished attempts left; returns bytes freed."""
        freed = 0
        for folder in sorted(self.root.glob("*/*")):
            if not folder.is_dir() or folder.name in keep:
                continue
            with self.writing(folder.parent.name, folder.name):
                freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                (folder / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(folder)
        return freed


def content_digest(files: dict[str, str]) -> str:
    """Digest of parts: a map from name to SHA-256."""
    return hashlib.sha256(canonical_json(files).encode()).hexdigest()[:16]


def identity(stage: str, version: int, config: Any, inputs: dict[str, str]) -> str:
    """The id of an artifact, known before it is made. `inputs` maps the stage's parameter names to the ids of the inputs."""
    return digest({"stage": stage, "version": version, "config": config, "inputs": inputs})


def _faults(artifact: Artifact) -> Iterator[str]:
    manifest = artifact.manifest
    lasting = {}
    for name, entry in manifest["files"].items():
        path = artifact.folder / name
        if not path.is_file():
            yield f"{name} is missing"
        elif sha256(path) != entry["sha256"]:
            yield f"{name} was changed"
        if name not in manifest["volatile"]:
            lasting[name] = entry["sha256"]
    if content_digest(lasting) != manifest["digest"]:
        yield "manifest.json was tampered with (its digest does not match its parts)"
    known = identity(manifest["stage"], manifest["version"], manifest["config"], manifest["inputs"])
    if known != manifest["id"] or manifest["id"] != artifact.folder.name:
        yield "manifest.json was tampered with (its identity does not match its settings)"
