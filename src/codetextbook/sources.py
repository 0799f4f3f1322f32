"""Where files of code are on this machine, listed in one order everywhere: paths relative to their source, links in loops not followed."""

from __future__ import annotations

import gzip
import json
import os
import sysconfig
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from codetextbook.errors import InputError

MAX_NUM_BYTES = 50_000_000
"""Larger files are not opened at all."""


class File(NamedTuple):
    """One file of a source: where it is here, and what it is called everywhere."""

    location: str
    """Where it is on this machine; never written into an artifact."""
    path: str
    source: str
    licence: str
    text: str | None = None
    """The text itself, where it came in a row of a larger file."""

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            OSError: it cannot be read.
            InputError: it is too large.
        """
        if self.text is not None:
            return self.text.encode("utf-8", "surrogatepass")
        if Path(self.location).stat().st_size > MAX_NUM_BYTES:
            raise InputError(f"larger than {MAX_NUM_BYTES:,} bytes")
        return Path(self.location).read_bytes()


def standard_library(exclude: Sequence[str]) -> list[File]:
    """The Python files of the running interpreter's library."""
    root = Path(sysconfig.get_paths()["stdlib"])
    found = _walk(root, frozenset(exclude))
    return [File(str(root / path), path, "stdlib", "PSF-2.0") for path in found]


def packages(names: Sequence[str], exclude: Sequence[str]) -> list[File]:
    """The Python files that installed distributions own.

    Raises:
        InputError: a distribution that was named is not installed.
    """
    installed = {_canonical(one.metadata["Name"]): one for one in metadata.distributions()}
    wanted = [_canonical(name) for name in names] or sorted(installed)
    unwanted = {_canonical(name) for name in exclude}
    missing = [name for name in wanted if name not in installed]
    if missing:
        raise InputError(
            f"packages that are not installed: {', '.join(missing)}",
            where="[read] sources",
            hint=f"pip install {' '.join(missing)}",
        )
    found: dict[str, File] = {}
    for name in sorted(set(wanted) - unwanted):
        licence = _licence(installed[name])
        owned = [str(path) for path in installed[name].files or () if path.suffix == ".py" and ".." not in path.parts]
        for path in sorted(owned):
            location = str(installed[name].locate_file(path))
            found.setdefault(location, File(location, path, f"package:{name}", licence))
    return list(found.values())


def folder(path: str, name: str, glob: str, licence: str) -> list[File]:
    """Files of a folder.

    Raises:
        InputError: there is no such folder.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise InputError(
            f"no folder {path!r}",
            where="[read] sources",
            hint="check the path; a relative one starts where you are now",
        )
    files = (one for one in root.glob(glob) if one.is_file() and _inside(one, root))
    return [File(str(one), one.relative_to(root).as_posix(), f"folder:{name}", licence) for one in sorted(files)]


def rows(path: str, name: str, text_column: str, path_column: str, licence_column: str) -> list[File]:
    """Rows of JSON Lines or Parquet files, each one file of code.

    Raises:
        InputError: no such file; a column is missing; a file is cut short or not what its name says.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise InputError(f"no file {path!r}", where="[read] sources", hint="check the path")
    shards = [root] if root.is_file() else sorted(one for one in root.rglob("*") if one.name.endswith(_ROW_FILES))
    found = []
    for shard in shards:
        for number, row in enumerate(_rows_of(shard)):
            if text_column not in row:
                raise InputError(
                    f"no column {text_column!r} in row {number}",
                    where=str(shard),
                    hint=f"one of {', '.join(sorted(row))}",
                )
            licences = row.get(licence_column) or ""
            licence = " OR ".join(map(str, licences)) if isinstance(licences, list) else str(licences)
            label = str(row.get(path_column) or f"{shard.name}/{number}.py")
            found.append(File(f"{shard}:{number}", label, f"rows:{name}", licence, str(row[text_column] or "")))
    return found


_ROW_FILES = (".jsonl", ".jsonl.gz", ".json.gz", ".parquet")


def _rows_of(shard: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if shard.suffix == ".parquet":
            for batch in pq.ParquetFile(shard).iter_batches():
                yield from batch.to_pylist()
            return
        with gzip.open(shard, "rb") if shard.suffix == ".gz" else shard.open("rb") as lines:
            for line in lines:
                if line.strip():
                    yield json.loads(line)
    except (EOFError, gzip.BadGzipFile, json.JSONDecodeError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise InputError(f"broken file: {error}", where=str(shard), hint="fetch it again, or leave it out") from error


def _walk(root: Path, exclude: frozenset[str]) -> list[str]:
    found = []
    for here, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in exclude)
        found += [(Path(here) / name).relative_to(root).as_posix() for name in files if name.endswith(".py")]
    return sorted(found)


def _inside(path: Path, root: Path) -> bool:
    """Whether a path, links followed, stays under its root: a link out of the folder is not part of it."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def _canonical(name: str) -> str:
    """A distribution's name as PEP 503 spells it."""
    return name.lower().replace("_", "-").replace(".", "-")


def _licence(distribution: metadata.Distribution) -> str:
    """What a distribution says of its licence: SPDX expression, short text, or classifier."""
    about = distribution.metadata
    stated = next((one for key in ("License-Expression", "License") for one in about.get_all(key) or ()), "")
    if stated and "\n" not in stated and len(stated) < 80:
        return stated
    classified = [
        one.rsplit(" :: ", 1)[-1] for one in about.get_all("Classifier") or () if one.startswith("License ::")
    ]
    return " AND ".join(classified)
