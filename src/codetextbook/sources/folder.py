"""A folder of files, here or behind a URL. Links are not followed out of it or in circles: they are rejected, and said to be links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from codetextbook.errors import InputError
from codetextbook.sources.file import Batch, File, Source, is_url, listed, matcher, refused, url_file_system


class Folder(Source):
    """A folder of the user's own."""

    kind: Literal["folder"] = "folder"
    """This source."""
    path: str
    """Where it is: a relative path starts at the current folder; a URL (`s3://...`) is opened by fsspec."""
    name: str = "folder"
    """What the source is called in documents."""
    glob: str = "**/*.py"
    """Which files: `**/` is any number of folders. Notebooks, Markdown and reStructuredText are read as prose with code."""
    licence: str = ""
    """Licence of all its files, if they share one (SPDX)."""

    def batches(self, scratch: Path) -> Iterator[Batch]:
        """The folder's files in the order of their paths."""
        return listed(sorted(self._remote() if is_url(self.path) else self._local(), key=_order))

    def _remote(self) -> Iterator[File]:
        files, root = url_file_system(self.path)
        if not files.isdir(root):
            raise InputError(f"no folder {self.path!r}", where="[read] sources", hint="check the URL")
        for place in files.find(root):
            path = place[len(root) :].lstrip("/")
            if matcher(self.glob).match(path):
                yield File(files.unstrip_protocol(place), path, f"folder:{self.name}", self.licence)

    def _local(self) -> Iterator[File]:
        root = Path(self.path).expanduser()
        if not root.is_dir():
            raise InputError(
                f"no folder {self.path!r}",
                where="[read] sources",
                hint="check the path; a relative one starts where you are now",
            )
        source, real, match = f"folder:{self.name}", root.resolve(), matcher(self.glob).match
        waiting = [("", str(root))]
        while waiting:
            under, here = waiting.pop()
            try:
                entries = list(os.scandir(here))
            except OSError as error:
                yield refused(source, _shown(under.rstrip("/") or "."), "unreadable", error.strerror or str(error))
                continue
            for entry in entries:
                path = under + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((path + "/", entry.path))
                elif entry.is_symlink() and Path(entry.path).is_dir():
                    yield refused(source, _shown(path), "link", "a folder behind a link is not entered")
                elif match(path):
                    trouble = None if entry.is_file(follow_symlinks=False) else _trouble(Path(entry.path), real)
                    if trouble:
                        yield refused(source, _shown(path), *trouble)
                    else:
                        yield File(entry.path, _shown(path), source, self.licence)


def _shown(path: str) -> str:
    """A path as text, whatever bytes the file system has in it."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode()


def _order(file: File) -> tuple[str, ...]:
    """Paths sort by their parts, as pathlib sorts them."""
    return tuple(file.path.split("/"))


def _trouble(place: Path, root: Path) -> tuple[str, str] | None:
    """Why a path is not a file of its folder; None where it is."""
    try:
        if place.is_symlink():
            real = place.resolve(strict=True)
            if not real.is_relative_to(root):
                return "link", "points out of the folder"
        mode = place.stat().st_mode
    except (OSError, RuntimeError) as error:
        return ("link", "points nowhere") if place.is_symlink() else ("unreadable", str(error))
    return None if stat.S_ISREG(mode) else ("not_a_file", "a device, a pipe or a socket")
