"""The standard library and the installed packages of the running Python."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import Field, field_validator

from codetextbook.errors import InputError
from codetextbook.sources.file import Batch, File, Source, listed


class StandardLibrary(Source):
    """The standard library of the running Python."""

    kind: Literal["stdlib"] = "stdlib"
    """This source."""
    exclude: tuple[str, ...] = ("test", "idlelib", "lib2to3", "site-packages", "__pycache__")
    """Names of folders left out (ours: test suites and what is not a library)."""

    def batches(self, scratch: Path) -> Iterator[Batch]:
        """The Python files of the interpreter's library."""
        root = Path(sysconfig.get_paths()["stdlib"])
        found = _walk(root, frozenset(self.exclude))
        return listed([File(str(root / path), path, "stdlib", "PSF-2.0") for path in found])


class Packages(Source):
    """Packages installed in the running environment."""

    kind: Literal["packages"] = "packages"
    """This source."""
    names: tuple[str, ...] = ()
    """Distributions to read; none named means all that are installed."""
    required_by: tuple[str, ...] = Field(default=(), exclude_if=lambda named: not named)
    """Requirements such as `codetextbook[laptop]`: only what they bring is read, so that other tools beside them change no corpus."""
    exclude: tuple[str, ...] = ("codetextbook",)
    """Distributions left out."""

    @field_validator("required_by")
    @classmethod
    def _can_be_read(cls, requirements: tuple[str, ...]) -> tuple[str, ...]:
        for one in requirements:
            try:
                Requirement(one)
            except InvalidRequirement as error:
                raise ValueError(f"{one!r} is no requirement: {str(error).splitlines()[0]}") from None
        return requirements

    def batches(self, scratch: Path) -> Iterator[Batch]:
        """The Python files that installed distributions own; each distribution is a source."""
        installed = {canonical(one.metadata["Name"]): one for one in metadata.distributions()}
        unwanted = {canonical(name) for name in self.exclude}
        roots = [Requirement(one) for one in self.required_by]
        named = [canonical(name) for name in (*self.names, *(root.name for root in roots))]
        missing = [name for name in named if name not in installed]
        if missing:
            raise InputError(
                f"packages that are not installed: {', '.join(missing)}",
                where="[read] sources",
                hint=f"pip install {' '.join(missing)}",
            )
        wanted = {canonical(name) for name in self.names} | brought_by(roots, installed) or set(installed)
        found: dict[str, File] = {}
        for name in sorted(wanted - unwanted):
            licence = licence_of(installed[name].metadata)
            owned = [
                str(path) for path in installed[name].files or () if path.suffix == ".py" and ".." not in path.parts
            ]
            for path in sorted(owned):
                location = str(installed[name].locate_file(path))
                found.setdefault(location, File(location, path, f"package:{name}", licence))
        return listed(list(found.values()))


def brought_by(roots: Sequence[Requirement], installed: Mapping[str, metadata.Distribution]) -> set[str]:
    """Names of the installed distributions that requirements bring, their own requirements included (PEP 508)."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(canonical(root.name), extra) for root in roots for extra in ("", *root.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen or name not in installed:
            continue
        seen.add((name, extra))
        found.add(name)
        for one in map(Requirement, installed[name].requires or ()):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                waiting += [(canonical(one.name), each) for each in ("", *one.extras)]
    return found


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 spells it."""
    return name.lower().replace("_", "-").replace(".", "-")


def licence_of(about: metadata.PackageMetadata) -> str:
    """What a distribution's metadata says of its licence: SPDX expression, short text, or classifier."""
    stated = next((one for key in ("License-Expression", "License") for one in about.get_all(key) or ()), "")
    if stated and "\n" not in stated and len(stated) < 80:
        return stated
    classified = [
        one.rsplit(" :: ", 1)[-1] for one in about.get_all("Classifier") or () if one.startswith("License ::")
    ]
    return " AND ".join(classified)


def _walk(root: Path, exclude: frozenset[str]) -> list[str]:
    found = []
    for here, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in exclude)
        found += [(Path(here) / name).relative_to(root).as_posix() for name in files if name.endswith(".py")]
    return sorted(found)
