"""What a source is: it lists batches of files in one order everywhere, and a worker opens the files of a batch.

Listing is a stream and holds no texts longer than a batch: memory does not grow with the corpus. What cannot be read is listed too,
with the reason: nothing is skipped in silence. Paths are relative to their source, so that the same files give the same artifact anywhere.
"""

from __future__ import annotations

import os
import posixpath
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import FileIO
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, cast

from codetextbook.config import Config
from codetextbook.errors import InputError, MissingDependency

MAX_NUM_BYTES = 50_000_000
"""Larger files are not read at all."""

FILES_PER_BATCH = 50


class File(NamedTuple):
    """One file of a source: where it is here, and what it is called everywhere."""

    location: str
    """Where it is on this machine; never written into an artifact."""
    path: str
    source: str
    licence: str
    text: str | None = None
    """The text itself, where it came as text."""
    data: bytes | None = None
    """The bytes, where they came out of a larger file."""
    reason: str = ""
    """Why it cannot be read, if the source knows that already."""
    detail: str = ""
    score: int | None = None
    """What readers voted for it, where they do; for a question with an answer, for the question."""
    answer_score: int | None = None
    """What readers voted for the answer."""

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            OSError: it cannot be read.
            InputError: it is too large.
        """
        if self.data is not None:
            return self.data
        if is_url(self.location):
            with open_bytes(self.location) as file:
                data = file.read(MAX_NUM_BYTES + 1)
        else:  # its size first: a buffer of 50 MB for each small file would be half of the work
            with FileIO(self.location) as file:
                if os.fstat(file.fileno()).st_size > MAX_NUM_BYTES:
                    raise InputError(f"larger than {MAX_NUM_BYTES:,} bytes")
                data = file.read()
        if len(data) > MAX_NUM_BYTES:
            raise InputError(f"larger than {MAX_NUM_BYTES:,} bytes")
        return data


class Batch(Protocol):
    """Some files of one source, small enough to travel to a worker."""

    @property
    def source(self) -> str:
        """The source they belong to."""
        ...

    def __len__(self) -> int: ...

    def files(self, wanted: Sequence[bool]) -> Iterator[File]:
        """As many files as the batch has; those that are not wanted may come without their content."""
        ...


@dataclass(frozen=True)
class Listed:
    """Files that need no opening of anything larger."""

    members: tuple[File, ...]

    @property
    def source(self) -> str:
        """The source they belong to."""
        return self.members[0].source

    def __len__(self) -> int:
        return len(self.members)

    def files(self, wanted: Sequence[bool]) -> Iterator[File]:
        """The files, to be read where they are."""
        return iter(self.members)


class Source(Config, ABC):
    """A place that code comes from: one line of a recipe."""

    @abstractmethod
    def batches(self, scratch: Path) -> Iterator[Batch]:
        """Everything the source has, in one order everywhere. `scratch` is a folder for what does not fit into memory.

        Raises:
            InputError: there is no such source.
        """

    def sizes(self, scratch: Path) -> Iterator[tuple[str, int]]:
        """Name and number of files of each batch, or of several together."""
        for batch in self.batches(scratch):
            yield batch.source, len(batch)


def listed(files: Sequence[File]) -> Iterator[Batch]:
    """Files as batches, none with files of two sources."""
    start = 0
    for end in range(1, len(files) + 1):
        if end == len(files) or end - start == FILES_PER_BATCH or files[end].source != files[start].source:
            yield Listed(tuple(files[start:end]))
            start = end


def refused(source: str, path: str, reason: str, detail: str = "") -> File:
    """A file that is known to be unreadable."""
    return File("", path, source, "", reason=reason, detail=detail)


def is_url(path: str) -> bool:
    """Whether a path is for fsspec: `s3://bucket/folder`."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path) is not None


def open_bytes(path: str) -> IO[bytes]:
    """A local file, or one behind a URL, to be read.

    Raises:
        OSError: it cannot be opened.
    """
    if not is_url(path):
        return Path(path).open("rb")
    return cast(IO[bytes], url_file_system(path)[0].open(path, "rb"))


def url_file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path on it.

    Raises:
        InputError: no such kind of URL.
        MissingDependency: the kind needs a package that is not installed.
    """
    import fsspec

    try:
        return cast(tuple[Any, str], fsspec.url_to_fs(url))
    except ImportError as error:
        raise MissingDependency(str(error), where=url) from error
    except ValueError as error:
        raise InputError(str(error), where=url, hint="a local path, or a URL that fsspec knows") from error


def shards_of(path: str, endings: tuple[str, ...]) -> list[str]:
    """The file, or the files of the folder that end so, sorted.

    Raises:
        InputError: there is nothing there.
    """
    if is_url(path):
        files, root = url_file_system(path)
        if not files.exists(root):
            raise InputError(f"nothing at {path!r}", where="[read] sources", hint="check the URL")
        found = [root] if files.isfile(root) else sorted(files.find(root))
        return [files.unstrip_protocol(one) for one in found if found == [root] or one.endswith(endings)]
    place = Path(path).expanduser()
    if not place.exists():
        raise InputError(f"no file {path!r}", where="[read] sources", hint="check the path")
    if not place.is_dir():
        return [str(place)]
    return sorted(str(one) for one in place.rglob("*") if one.name.endswith(endings) and one.is_file())


@lru_cache(maxsize=64)
def matcher(glob: str) -> re.Pattern[str]:
    """A pattern for paths with `/`: `**/` is any number of folders, `*` stays within one."""
    from fsspec.utils import glob_translate  # a tenth of what starting a worker takes

    return re.compile(glob_translate(glob))


def is_safe(path: str) -> bool:
    """Whether a name out of an archive stays inside it."""
    plain = path.replace("\\", "/")
    return (
        not plain.startswith("/")
        and ".." not in plain.split("/")
        and not re.match(r"[A-Za-z]:", plain)
        and "\0" not in plain
        and posixpath.normpath(plain) not in ("", ".")
    )
