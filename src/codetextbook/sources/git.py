"""Git repositories, bare or checked out, read through git's plumbing: one commit's files, and nothing of the working tree.

A repository is hostile input. Nothing of it is run: no hooks, filters or helpers, no fetching of what a partial clone lacks, and no setting
of the user's or the system's applies. Limits: submodules are not entered; one commit is read, not history.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from codetextbook.errors import InputError, MissingDependency
from codetextbook.sources.file import MAX_NUM_BYTES, Batch, File, Listed, Source, matcher, refused

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_SETTINGS = ("safe.directory=*", f"core.hooksPath={os.devnull}", "core.fsmonitor=false", "core.attributesFile=")
_BLOBS_PER_BATCH = 200


class Git(Source):
    """A git repository, or a folder of them."""

    kind: Literal["git"] = "git"
    """This source."""
    path: str
    """A repository, bare or checked out, or a folder whose folders are repositories."""
    revision: str = "HEAD"
    """Which commit: a branch, a tag or a hash."""
    glob: str = "**/*.py"
    """Which files: `**/` is any number of folders."""
    licence: str = ""
    """Licence of all files, if they share one (SPDX)."""

    def batches(self, scratch: Path) -> Iterator[Batch]:
        """The files of each repository's commit, in git's order; each repository is a source."""
        for repository in self._repositories():
            yield from self._of(repository)

    def _repositories(self) -> list[Path]:
        root = Path(self.path).expanduser()
        if not root.is_dir():
            raise InputError(f"no folder {self.path!r}", where="[read] sources", hint="check the path")
        found = [root] if _git_dir(root) else sorted(one for one in root.iterdir() if one.is_dir() and _git_dir(one))
        if not found:
            raise InputError(
                f"no git repository at {self.path!r}, nor in its folders",
                where="[read] sources",
                hint="a folder with .git in it, or a bare repository",
            )
        return found

    def _of(self, repository: Path) -> Iterator[Batch]:
        source = f"git:{repository.resolve().name.removesuffix('.git')}"
        git_dir = str(_git_dir(repository))
        if self.revision.startswith("-"):
            raise InputError(f"{self.revision!r} is no revision", where="[read] sources")
        done = _git(git_dir, "ls-tree", "-r", "-z", "--long", "--full-tree", f"{self.revision}^{{commit}}")
        if done.returncode:
            why = done.stderr.decode("utf-8", "replace").strip().splitlines()
            yield Listed((refused(source, self.revision, "broken_repository", why[-1] if why else "git failed"),))
            return
        some: list[Blob] = []
        for entry in done.stdout.split(b"\0"):
            blob = _entry(entry)
            if blob is not None and matcher(self.glob).match(blob.path):
                some.append(blob)
                if len(some) == _BLOBS_PER_BATCH:
                    yield Blobs(git_dir, source, self.licence, tuple(some))
                    some = []
        if some:
            yield Blobs(git_dir, source, self.licence, tuple(some))


class Blob(NamedTuple):
    """One file of a commit."""

    mode: str
    object: str
    num_bytes: int
    path: str


@dataclass(frozen=True)
class Blobs:
    """Files of a commit, fetched from one `git cat-file`."""

    git_dir: str
    source: str
    licence: str
    blobs: tuple[Blob, ...]

    def __len__(self) -> int:
        return len(self.blobs)

    def files(self, wanted: Sequence[bool]) -> Iterator[File]:
        """The files; those that are wanted with their bytes."""
        asked = [blob for blob, one in zip(self.blobs, wanted, strict=True) if one and not _trouble(blob)]
        found = _contents(self.git_dir, [blob.object for blob in asked])
        for blob, one in zip(self.blobs, wanted, strict=True):
            location = f"{self.git_dir}:{blob.object}"
            trouble = _trouble(blob)
            if trouble:
                yield refused(self.source, blob.path, *trouble)
            elif not one:
                yield File(location, blob.path, self.source, self.licence, data=b"")
            elif blob.object not in found:
                yield refused(
                    self.source, blob.path, "unreadable", "the repository lacks this object, or it is damaged"
                )
            else:
                yield File(location, blob.path, self.source, self.licence, data=found[blob.object])


def _trouble(blob: Blob) -> tuple[str, str] | None:
    if blob.mode == "120000":
        return "link", "a symbolic link"
    if blob.mode == "160000":
        return "not_a_file", "a submodule"
    return ("too_large", f"{blob.num_bytes:,} bytes") if blob.num_bytes > MAX_NUM_BYTES else None


def _git_dir(path: Path) -> Path | None:
    """The git directory of a repository; None for any other folder."""
    if (path / ".git").exists():
        return path / ".git"
    return path if (path / "HEAD").is_file() and (path / "objects").is_dir() else None


def _entry(line: bytes) -> Blob | None:
    about, tab, path = line.partition(b"\t")
    fields = about.decode().split()
    if not tab or len(fields) != 4:
        return None
    num_bytes = int(fields[3]) if fields[3].isdigit() else 0
    return Blob(fields[0], fields[2], num_bytes, path.decode("utf-8", "replace"))


def _contents(git_dir: str, objects: Sequence[str]) -> dict[str, bytes]:
    """Bytes of each object; one that is missing or damaged ends git's answers, so it is asked again without it."""
    found: dict[str, bytes] = {}
    left = list(dict.fromkeys(objects))
    while left:
        done = _git(git_dir, "cat-file", "--batch", ask="\n".join(left).encode() + b"\n")
        answered = _answers(done.stdout, found)
        left = left[answered + 1 :] if done.returncode else []
    return found


def _answers(output: bytes, found: dict[str, bytes]) -> int:
    """Take git's answers apart; how many there were."""
    at, count = 0, 0
    while (end := output.find(b"\n", at)) >= 0:
        name, *fields = output[at:end].decode("utf-8", "replace").split(" ")
        at = end + 1
        if len(fields) == 2 and fields[1].isdigit():
            size = int(fields[1])
            if at + size >= len(output):
                return count
            if fields[0] == "blob":
                found[name] = output[at : at + size]
            at += size + 1
        count += 1
    return count


def _git(git_dir: str, *arguments: str, ask: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", f"--git-dir={git_dir}", *settings, *arguments],
            input=ask,
            capture_output=True,
            check=False,
            env=kept | _ENVIRONMENT,
        )
    except FileNotFoundError as error:
        raise MissingDependency("git is not installed", where="[read] sources, kind git") from error
