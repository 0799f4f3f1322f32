"""Wheels and source distributions, read as archives: nothing in them is run, built, installed or written to disk.

An archive is hostile input: names that point outside, links, encrypted members and members that swell are rejected, and an archive as a
whole gives at most `MAX_ARCHIVE_NUM_BYTES`. One that is cut short or damaged gives what stands before the damage.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import BytesParser
from functools import cached_property
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, NamedTuple, cast

from codetextbook.sources.file import (
    MAX_NUM_BYTES,
    Batch,
    File,
    Source,
    is_safe,
    matcher,
    open_bytes,
    refused,
    shards_of,
)
from codetextbook.sources.installed import canonical, licence_of

MAX_ARCHIVE_NUM_BYTES = 2_000_000_000
"""No archive gives more, whatever it says of itself (ours: the largest packages hold about 1 GB)."""

_ZIPS = (".whl", ".zip")
_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
_MAX_HEADER_NUM_BYTES = 1_000_000
_ABOUT = ("METADATA", "PKG-INFO")


class TooMuch(Exception):
    """The archive swells beyond what is allowed."""


class Damaged(Exception):
    """The archive is not what it should be."""


_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    Damaged,
)


class Archives(Source):
    """Wheels and sdists: a file, or a folder of them."""

    kind: Literal["archives"] = "archives"
    """This source."""
    path: str
    """An archive, or a folder of them (.whl, .zip, .tar.gz, .tgz, .tar.bz2, .tar.xz, .tar)."""
    glob: str = "**/*.py"
    """Which members: `**/` is any number of folders."""
    licence: str = ""
    """Licence of archives that say nothing of theirs (SPDX)."""

    def batches(self, scratch: Path) -> Iterator[Batch]:
        """Each archive is a batch; all archives of one distribution are one source."""
        for location in shards_of(self.path, _ZIPS + _TARS):
            archive = Archive(location, self.glob, self.licence)
            if len(archive):
                yield archive


@dataclass(frozen=True)
class Archive:
    """One archive, opened where it is read."""

    location: str
    glob: str
    licence: str

    @property
    def source(self) -> str:
        """The distribution, from the file's name."""
        name = PurePosixPath(self.location).name
        stem = next((name[: -len(ending)] for ending in _TARS + _ZIPS if name.endswith(ending)), name)
        distribution = stem.split("-")[0] if name.endswith(".whl") else stem.rsplit("-", 1)[0]
        return f"archive:{canonical(distribution)}"

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return sum(member.about is None for member in self._members(bare=True))

    def files(self, wanted: Sequence[bool]) -> Iterator[File]:
        """Members that the glob takes. Their licence is the one of the metadata, wherever in the archive that stands."""
        licence = self._stated() or self.licence
        for member in self._members(bare=False):
            if member.about is None:
                place = f"{self.location}:{member.path}"
                if member.reason:
                    yield refused(self.source, member.path, member.reason, member.detail)
                else:
                    yield File(place, member.path, self.source, licence, data=member.data)

    def _stated(self) -> str:
        found = [member for member in self._members(bare=True) if member.about]
        if not found:
            return ""
        first = min(found, key=lambda member: member.path.count("/"))
        parsed = BytesParser().parsebytes(first.about or b"")
        return licence_of(cast(metadata.PackageMetadata, parsed))

    def _members(self, *, bare: bool) -> Iterator[_Member]:
        """All that the archive has for us; the last says so where it is damaged. `bare`: without contents."""
        name = PurePosixPath(self.location).name
        walk = _zip_members if name.endswith(_ZIPS) else _tar_members
        try:
            with open_bytes(self.location) as file:
                yield from walk(file, name, matcher(self.glob), bare)
        except TooMuch as error:
            yield _Member(name, reason="archive_too_large", detail=str(error))
        except _BROKEN as error:
            yield _Member(name, reason="broken_archive", detail=str(error)[:200])


class _Member(NamedTuple):
    path: str
    data: bytes = b""
    reason: str = ""
    detail: str = ""
    about: bytes | None = None
    """The distribution's metadata, where the member is that and no file of code."""


def _is_about(path: str) -> bool:
    parts = path.split("/")
    return parts[-1] in _ABOUT and len(parts) <= 3


def _zip_members(file: IO[bytes], name: str, glob: Any, bare: bool) -> Iterator[_Member]:
    left = MAX_ARCHIVE_NUM_BYTES
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            path = info.filename
            if info.is_dir() or not (glob.match(path.lstrip("/")) or _is_about(path)):
                continue
            trouble = _zip_trouble(info)
            if _is_about(path):
                if bare and not trouble and info.file_size < _MAX_HEADER_NUM_BYTES:
                    with archive.open(info) as member:
                        yield _Member(path, about=member.read(_MAX_HEADER_NUM_BYTES))
            elif trouble:
                yield _Member(_printable(path), reason=trouble[0], detail=trouble[1])
            elif bare:
                yield _Member(path)
            else:
                try:
                    with archive.open(info) as member:
                        data = member.read(MAX_NUM_BYTES + 1)
                except _BROKEN as error:
                    yield _Member(path, reason="broken_member", detail=str(error)[:200])
                    continue
                left -= len(data)
                if left < 0:
                    yield _Member(path, reason="archive_too_large", detail=f"more than {MAX_ARCHIVE_NUM_BYTES:,} bytes")
                elif len(data) > MAX_NUM_BYTES:
                    yield _Member(path, reason="too_large", detail=f"more than {MAX_NUM_BYTES:,} bytes")
                else:
                    yield _Member(path, data)


def _zip_trouble(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    if not is_safe(info.filename):
        return "unsafe_path", "points out of the archive"
    if info.flag_bits & 0x1:
        return "encrypted", ""
    if stat.S_ISLNK(info.external_attr >> 16):
        return "link", "a symbolic link"
    return ("too_large", f"{info.file_size:,} bytes") if info.file_size > MAX_NUM_BYTES else None


def _tar_members(file: IO[bytes], name: str, glob: Any, bare: bool) -> Iterator[_Member]:
    stream = _Counted(_decompressed(file, name))
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|", tarinfo=_Header) as archive:
        for info in archive:
            archive.members = []  # type: ignore[attr-defined]  # or it keeps every header it has seen
            path = info.name
            if info.isdir() or not (glob.match(path.lstrip("/")) or _is_about(path)):
                continue
            trouble = _tar_trouble(info)
            if _is_about(path):
                if bare and not trouble and info.size < _MAX_HEADER_NUM_BYTES:
                    yield _Member(path, about=_content(archive, info))
            elif trouble:
                yield _Member(_printable(path), reason=trouble[0], detail=trouble[1])
            elif bare:
                yield _Member(path)
            else:
                try:
                    data = _content(archive, info)
                except (TooMuch, *_BROKEN) as error:
                    yield _Member(path, reason="broken_member", detail=str(error)[:200])
                    raise
                yield _Member(path, data)
    while stream.read(1 << 20):  # to the end: a cut behind the last member is a cut
        pass


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    member = archive.extractfile(info)
    data = member.read() if member is not None else b""
    if len(data) < info.size:
        raise Damaged(f"{info.name} is cut short")
    return data


def _tar_trouble(info: tarfile.TarInfo) -> tuple[str, str] | None:
    if not is_safe(info.name):
        return "unsafe_path", "points out of the archive"
    if info.issym() or info.islnk():
        return "link", "a link"
    if not info.isreg():
        return "not_a_file", "a device or a pipe"
    return ("too_large", f"{info.size:,} bytes") if info.size > MAX_NUM_BYTES else None


def _printable(path: str) -> str:
    return path.encode("utf-8", "replace").decode()


class _Header(tarfile.TarInfo):
    """A header that is refused where `tarfile` would stop without a word, or hold as long a name as it is told to."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            header = super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise Damaged(str(error)) from error
        if header.type in (b"L", b"K", b"x", b"g", b"X") and header.size > _MAX_HEADER_NUM_BYTES:
            raise Damaged(f"a name or header of {header.size:,} bytes")
        return header


class _Counted:
    """A stream that ends in an error beyond the limit."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._left = stream, MAX_ARCHIVE_NUM_BYTES

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch(f"more than {MAX_ARCHIVE_NUM_BYTES:,} bytes")
        return data


def _decompressed(file: IO[bytes], name: str) -> IO[bytes]:
    if name.endswith((".gz", ".tgz")):
        return cast(IO[bytes], gzip.open(file))
    if name.endswith(".bz2"):
        return cast(IO[bytes], bz2.open(file))
    return cast(IO[bytes], lzma.open(file)) if name.endswith(".xz") else file
