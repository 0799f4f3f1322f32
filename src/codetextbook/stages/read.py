"""Read the sources of real code into documents (paper §2.1, which reads The Stack and StackOverflow).

Each file becomes a document or a rejection with its reason: nothing is skipped in silence. Paths are kept relative to their source, so that
the same files give the same artifact on every machine. A cap is a seeded sample, not the head of a list.

Sources: the standard library, installed packages, folders, and JSON Lines or Parquet in The Stack's layout. What a source holds is not part
of the artifact's id: raise `revision` after files have changed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import resources
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from codetextbook import sources
from codetextbook.config import Config
from codetextbook.errors import InputError
from codetextbook.nouns import DOCUMENT, REJECTED, document_id
from codetextbook.shards import split, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Writer
from codetextbook.text.decode import decode_prose, decode_python
from codetextbook.text.python_ast import parse

FILES_PER_PART, FILES_PER_TASK = 1_000, 50


class StandardLibrary(Config):
    """The standard library of the running Python."""

    kind: Literal["stdlib"] = "stdlib"
    """This source."""
    exclude: tuple[str, ...] = ("test", "idlelib", "lib2to3", "site-packages", "__pycache__")
    """Names of folders left out (ours: test suites and what is not a library)."""


class Packages(Config):
    """Packages installed in the running environment."""

    kind: Literal["packages"] = "packages"
    """This source."""
    names: tuple[str, ...] = ()
    """Distributions to read; none named means all that are installed."""
    exclude: tuple[str, ...] = ("codetextbook",)
    """Distributions left out."""


class Folder(Config):
    """A folder of the user's own."""

    kind: Literal["folder"] = "folder"
    """This source."""
    path: str
    """Where it is; a relative path starts at the current folder."""
    name: str = "folder"
    """What the source is called in documents."""
    glob: str = "**/*.py"
    """Which files, as in pathlib."""
    licence: str = ""
    """Licence of all its files, if they share one (SPDX)."""


class Rows(Config):
    """JSON Lines (also gzip) or Parquet with one file a row, as The Stack has it."""

    kind: Literal["rows"] = "rows"
    """This source."""
    path: str
    """A file, or a folder of them."""
    name: str = "rows"
    """What the source is called in documents."""
    text_column: str = "content"
    """Column of the file's text (The Stack: `content`; its newer layout: `text`)."""
    path_column: str = "max_stars_repo_path"
    """Column of the file's path."""
    licence_column: str = "max_stars_repo_licenses"
    """Column of the licences."""


Source = Annotated[StandardLibrary | Packages | Folder | Rows, Field(discriminator="kind")]


class Read(Config):
    """Where real code comes from."""

    sources: tuple[Source, ...] = (StandardLibrary(), Packages())
    """Read in this order."""
    seed: int = 0
    """Seed of the sample that a cap takes."""
    max_files_per_source: int = Field(default=1_500, ge=1)
    """Files of one source (one package is one source) at most (ours)."""
    max_files: int = Field(default=5_000, ge=1)
    """Files in all at most (ours: what a laptop reads, embeds and judges in two minutes)."""
    min_characters: int = Field(default=60, ge=0)
    """Shorter files teach nothing (ours)."""
    max_characters: int = Field(default=100_000, ge=1)
    """Longer files are data or generated (ours; StarCoder's filters are of this kind)."""
    max_line_characters: int = Field(default=1_000, ge=1)
    """Files with a longer line are data or generated (StarCoder and The Stack use 1,000)."""
    syntax: Literal["any", "parses"] = "any"
    """`parses` rejects files that the running Python cannot parse."""
    first: Literal["graded", "none"] = "graded"
    """`graded`: a cap never leaves out files for which the product ships recorded grades, so that `annotate` finds them."""
    revision: int = 0
    """Raise it to read again sources whose files have changed."""


class Kept(NamedTuple):
    """What became of some files."""

    documents: list[dict[str, Any]]
    rejected: list[dict[str, Any]]


def listing(cfg: Read) -> tuple[list[sources.File], list[sources.File]]:
    """Files to read and files over the caps, both in the order of sources and paths.

    Raises:
        InputError: a source is missing.
    """
    found: list[sources.File] = []
    for source in cfg.sources:
        found += _files(source)
    by_source: dict[str, list[sources.File]] = {}
    for file in found:
        by_source.setdefault(file.source, []).append(file)
    first = graded_paths() if cfg.first == "graded" else frozenset()
    chosen: set[sources.File] = set()
    for name, files in by_source.items():
        chosen |= _sample(files, cfg.max_files_per_source, f"{cfg.seed}/{name}", first)
    chosen = _sample([file for file in found if file in chosen], cfg.max_files, f"{cfg.seed}/all", first)
    return [file for file in found if file in chosen], [file for file in found if file not in chosen]


def graded_paths() -> frozenset[str]:
    """Paths of the files that the recorded grades speak of."""
    lines = resources.files("codetextbook").joinpath("data", "grades.jsonl").read_text(encoding="utf-8").splitlines()
    return frozenset(json.loads(line)["path"] for line in lines)


def _files(source: StandardLibrary | Packages | Folder | Rows) -> list[sources.File]:
    if isinstance(source, StandardLibrary):
        return sources.standard_library(source.exclude)
    if isinstance(source, Packages):
        return sources.packages(source.names, source.exclude)
    if isinstance(source, Folder):
        return sources.folder(source.path, source.name, source.glob, source.licence)
    return sources.rows(source.path, source.name, source.text_column, source.path_column, source.licence_column)


def _sample(files: Sequence[sources.File], most: int, seed: str, first: frozenset[str]) -> set[sources.File]:
    """At most so many of the files: those in `first`, then a seeded draw from the others."""
    if len(files) <= most:
        return set(files)
    preferred = [file for file in files if file.path in first and file.source.startswith(("stdlib", "package:"))]
    others = [file for file in files if file not in set(preferred)]
    draw = random.Random(seed)
    if len(preferred) >= most:
        return set(draw.sample(preferred, most))
    return {*preferred, *draw.sample(others, most - len(preferred))}


def judge(file: sources.File, cfg: Read) -> dict[str, Any]:
    """One file as a row of DOCUMENT, or of REJECTED (told apart by `reason`)."""
    try:
        data = file.read()
    except (OSError, InputError) as error:
        return _rejection(file, "unreadable", str(getattr(error, "strerror", None) or error))
    decoded = decode_python(data) if file.path.endswith((".py", ".pyi")) else decode_prose(data)
    if decoded.reason:
        return _rejection(file, decoded.reason, decoded.detail)
    text = decoded.text
    reason, detail = _unfit(text, cfg)
    if reason:
        return _rejection(file, reason, detail, text)
    return {
        "id": document_id(text),
        "text": text,
        "source": file.source,
        "licence": file.licence,
        "path": file.path,
        "quality": None,
    }


def _unfit(text: str, cfg: Read) -> tuple[str, str]:
    if not text.strip():
        return "empty", ""
    if len(text) < cfg.min_characters:
        return "too_short", f"{len(text)} characters"
    if len(text) > cfg.max_characters:
        return "too_long", f"{len(text)} characters"
    longest = max(map(len, text.splitlines()))
    if longest > cfg.max_line_characters:
        return "long_line", f"a line of {longest} characters"
    if cfg.syntax == "parses" and parse(text) is None:
        return "does_not_parse", ""
    return "", ""


def _rejection(file: sources.File, reason: str, detail: str, text: str = "") -> dict[str, Any]:
    return {
        "id": document_id(text or f"{file.source}/{file.path}"),
        "reason": reason,
        "detail": f"{file.path}: {detail}" if detail else file.path,
        "text": text[:2_000],
        "source": file.source,
    }


def judge_all(files: Sequence[sources.File], cfg: Read) -> Kept:
    """Every file of one task."""
    rows = [judge(file, cfg) for file in files]
    return Kept([row for row in rows if "reason" not in row], [row for row in rows if "reason" in row])


def _tasks(files: Sequence[sources.File], part: range) -> Iterator[Sequence[sources.File]]:
    for start in range(part.start, part.stop, FILES_PER_TASK):
        yield files[start : min(start + FILES_PER_TASK, part.stop)]


@stage(version=1)
def read(cfg: Read, *, out: Writer, site: Site) -> None:
    """Sources to documents."""
    files, over = listing(cfg)
    engine = site.engine()
    parts = split(len(files), FILES_PER_PART)
    for index, part in enumerate(parts):
        if not (out.has(f"documents-{index:05d}") and out.has(f"rejected-{index:05d}")):
            done = list(engine.map(partial(judge_all, cfg=cfg), _tasks(files, part)))
            out.table("documents", index, to_table([row for kept in done for row in kept.documents], DOCUMENT))
            out.table("rejected", index, to_table([row for kept in done for row in kept.rejected], REJECTED))
        out.progress(part.stop, len(files), "files")
    out.table("rejected", len(parts), to_table([_rejection(file, "over_cap", "") for file in over], REJECTED))
    out.fact("sources", len({file.source for file in files}))
    out.flow(rows_in=len(files) + len(over), unit="documents")
