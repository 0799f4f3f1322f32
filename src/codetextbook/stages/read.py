"""Read the sources of real code into documents (paper §2.1, which reads The Stack and StackOverflow).

Each file becomes a document or a rejection with its reason: nothing is skipped in silence. Paths are kept relative to their source, so that
the same files give the same artifact on every machine. A cap is a seeded sample, not the head of a list.

Sources are `codetextbook.sources`. They are gone through twice, to count, so that a cap can be a fair draw, and to read. Both times as a
stream: memory does not grow with the corpus, but for one byte a file where a cap applies. Limit: what a source holds is not part of the
artifact's id: raise `revision` after files have changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from codetextbook.config import Config
from codetextbook.errors import InputError
from codetextbook.nouns import DOCUMENT, REJECTED, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.sources import (
    AnySource,
    Archives,
    Batch,
    File,
    Folder,
    Git,
    Hub,
    Packages,
    Rows,
    StackExchange,
    StandardLibrary,
)
from codetextbook.sources.caps import OVER, WANTED, Caps, draw
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.text.code_facts import facts_of
from codetextbook.text.decode import Decoded, decode_prose, decode_python, settle
from codetextbook.text.licences import header_licence, is_allowed
from codetextbook.text.notebook import to_markdown
from codetextbook.text.python_ast import parse
from codetextbook.text.secrets import mask_personal, mask_secrets

__all__ = [
    "Archives",
    "Folder",
    "Git",
    "Hub",
    "Packages",
    "Read",
    "Rows",
    "StackExchange",
    "StandardLibrary",
    "read",
]

FILES_PER_PART = 1_000
OVER_PER_PART = 100_000
"""Files over a cap, of which only the names are kept."""

DONE = 2
"""Beside OVER and WANTED: a file of a part that stands already."""
_ALONE = "leave the sources alone while they are read, and run again"


class Read(Config):
    """Where real code comes from."""

    sources: tuple[AnySource, ...] = (StandardLibrary(), Packages())
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
    licences: tuple[str, ...] = ()
    """Licences that are read (SPDX: `MIT`, `Apache-2.0`; `""` admits files that state none); empty: all."""
    licence_headers: bool = False
    """A line `SPDX-License-Identifier` in a file's head counts more than what its source says."""
    secrets: Literal["keep", "mask", "reject"] = "keep"
    """Keys and tokens: `mask` puts `<KEY>` in their place (extra `secrets`)."""
    personal: Literal["keep", "mask", "reject"] = "keep"
    """E-mail and public IP addresses: `mask` puts `<EMAIL>` and `<IP_ADDRESS>` in their place."""
    facts: Literal["none", "syntax"] = "none"
    """`syntax`: the table `facts` has for each document its functions, docstrings, comments, imports, and where it does not parse."""
    first: Literal["graded", "none"] = "graded"
    """`graded`: a cap never leaves out files for which the product ships recorded grades, so that `annotate` finds them."""
    revision: int = 0
    """Raise it to read again sources whose files have changed."""


FACTS = pa.schema(
    [
        ("id", pa.string()),
        ("score", pa.int64()),
        ("answer_score", pa.int64()),
        ("secrets", pa.int32()),
        ("personal", pa.int32()),
        ("parses", pa.bool_()),
        ("error", pa.string()),
        ("error_line", pa.int32()),
        ("error_column", pa.int32()),
        ("python2", pa.bool_()),
        ("functions", pa.int32()),
        ("classes", pa.int32()),
        ("docstring_share", pa.float64()),
        ("comment_share", pa.float64()),
        ("imports", pa.list_(pa.string())),
        ("lines", pa.int32()),
        ("comment_line_share", pa.float64()),
        ("documented", pa.int32()),
        ("examples", pa.int32()),
        ("loops", pa.int32()),
        ("branches", pa.int32()),
        ("literal_share", pa.float64()),
        ("stubs", pa.int32()),
        ("tests", pa.int32()),
        ("own_imports", pa.int32()),
        ("standard_imports", pa.int32()),
        ("longest_function_lines", pa.int32()),
        ("median_function_lines", pa.float64()),
    ]
)
"""What is known of a document beside its text, by its id: votes (StackExchange), what was masked, and what its syntax tree says."""


def graded_paths() -> frozenset[str]:
    """Paths of the files that the recorded grades speak of."""
    lines = resources.files("codetextbook").joinpath("data", "grades.jsonl").read_text(encoding="utf-8").splitlines()
    return frozenset(json.loads(line)["path"] for line in lines)


def judge(file: File, cfg: Read) -> dict[str, Any]:
    """One file as a row of DOCUMENT, or of REJECTED (told apart by `reason`)."""
    if file.reason:
        return _rejection(file, file.reason, file.detail)
    try:
        decoded = _decoded(file)
    except OSError as error:
        return _rejection(file, "unreadable", error.strerror or str(error))
    except InputError as error:
        return _rejection(file, "too_large", str(error))
    if decoded.reason:
        return _rejection(file, decoded.reason, decoded.detail)
    text = decoded.text
    reason, detail = _unfit(text, cfg)
    licence = (header_licence(text) if cfg.licence_headers else "") or file.licence
    if not reason and cfg.licences and not is_allowed(licence, cfg.licences):
        reason, detail = "licence", licence or "none is stated"
    if reason:
        return _rejection(file, reason, detail, text)
    counts: dict[str, int] = {}
    for kind, policy, mask in (("secrets", cfg.secrets, mask_secrets), ("personal", cfg.personal, mask_personal)):
        if policy != "keep":
            masked = mask(text)
            if masked.found and policy == "reject":
                return _rejection(file, kind, f"{masked.found} found")
            text, counts[kind] = masked
    key = document_id(text)
    row: dict[str, Any] = {"id": key, "text": text, "source": file.source, "licence": licence, "path": file.path}
    row["quality"] = None
    if _has_facts(cfg):
        is_code = cfg.facts == "syntax" and file.path.endswith((".py", ".pyi"))
        syntax = facts_of(text)._asdict() if is_code else {}
        row["facts"] = {"id": key, "score": file.score, "answer_score": file.answer_score, **counts, **syntax}
    return row


def _has_facts(cfg: Read) -> bool:
    """Whether there is anything to know of documents beside their texts."""
    asked = cfg.facts == "syntax" or cfg.secrets != "keep" or cfg.personal != "keep"
    return asked or any(isinstance(source, StackExchange) for source in cfg.sources)


def _decoded(file: File) -> Decoded:
    if file.text is not None:
        decoded = settle(file.text)
    elif file.path.endswith((".py", ".pyi")):
        decoded = decode_python(file.read())
    else:
        decoded = decode_prose(file.read())
    return to_markdown(decoded.text) if file.path.endswith(".ipynb") and not decoded.reason else decoded


def _unfit(text: str, cfg: Read) -> tuple[str, str]:
    if not text.strip():
        return "empty", ""
    if len(text) < cfg.min_characters:
        return "too_short", f"{len(text)} characters"
    if len(text) > cfg.max_characters:
        return "too_long", f"{len(text)} characters"
    if _has_longer_line(text, cfg.max_line_characters):
        longest = max(map(len, text.splitlines()))
        if longest > cfg.max_line_characters:
            return "long_line", f"a line of {longest} characters"
    if cfg.syntax == "parses" and parse(text) is None:
        return "does_not_parse", ""
    return "", ""


def _has_longer_line(text: str, most: int) -> bool:
    """Whether a line has more characters, in a few looks for line ends instead of cutting at each."""
    start = 0
    while len(text) - start > most:
        end = text.rfind("\n", start, start + most + 1)
        if end < 0:
            return True
        start = end + 1
    return False


def _rejection(file: File, reason: str, detail: str, text: str = "") -> dict[str, Any]:
    return {
        "id": document_id(text or f"{file.source}/{file.path}"),
        "reason": reason,
        "detail": f"{file.path}: {detail}" if detail else file.path,
        "text": text[:2_000],
        "source": file.source,
    }


class Task(NamedTuple):
    """What a worker is given: some files, and for each whether it is wanted, over the cap, or done already."""

    batch: Batch
    states: bytes


def judge_all(task: Task, cfg: Read) -> list[dict[str, Any] | None]:
    """A row for each file of one task, in its order; None for what is done already."""
    files = task.batch.files([state == WANTED for state in task.states])
    rows: list[dict[str, Any] | None] = []
    for state in task.states:
        file = next(files, None)
        if file is None:
            break
        wanted = judge(file, cfg) if state == WANTED else None
        rows.append(_rejection(file, "over_cap", "") if state == OVER else wanted)
    if len(rows) < len(task.states) or next(files, None) is not None:
        raise InputError(f"{task.batch.source} has changed since it was counted", where="[read] sources", hint=_ALONE)
    return rows


def _tasks(cfg: Read, states: NDArray[np.uint8], scratch: Path) -> Iterator[Task]:
    start = 0
    for source in cfg.sources:
        for batch in source.batches(scratch):
            task = Task(batch, states[start : start + len(batch)].tobytes())
            start += len(batch)
            if task.states.count(DONE) < len(task.states):
                yield task
    if start != len(states):
        raise InputError(
            f"the sources had {len(states)} files when they were counted and have {start} now",
            where="[read] sources",
            hint=_ALONE,
        )


class Parts:
    """Cuts rows into the artifact's parts, by the number of files that were read; one part is written while the next one is read."""

    def __init__(self, out: Writer, wanted: int, has_facts: bool, writing: Executor) -> None:
        self._out, self._wanted, self._writing = out, wanted, writing
        self._under_way: Future[None] | None = None
        self._tables = ("documents", "rejected", *(("facts",) if has_facts else ()))
        self._num_parts = max(1, -(-wanted // FILES_PER_PART))
        self._documents: list[dict[str, Any]] = []
        self._rejected: list[dict[str, Any]] = []
        self._over: list[dict[str, Any]] = []
        self._index = self._over_index = 0
        while self._index < self._num_parts and self._has(self._index):
            self._index += 1
        self.files_done = min(wanted, self._index * FILES_PER_PART)
        """Files of the parts that stand already."""

    def _has(self, index: int) -> bool:
        return all(self._out.has(f"{name}-{index:05d}") for name in self._tables)

    def add(self, row: dict[str, Any] | None) -> None:
        """The next file's row."""
        if row is None:
            return
        if row.get("reason") == "over_cap":
            self._over.append(row)
            if len(self._over) == OVER_PER_PART:
                self._flush_over()
            return
        (self._rejected if "reason" in row else self._documents).append(row)
        self.files_done += 1
        if self.files_done % FILES_PER_PART == 0:
            self._flush()

    def close(self) -> None:
        """Write what is left; every table has at least one part."""
        if self._index < self._num_parts:
            self._flush()
        if self._over or not self._over_index:
            self._flush_over()
        self._written()

    def _written(self) -> None:
        """Wait for the part that is under way; what went wrong with it is raised here."""
        if self._under_way is not None:
            self._under_way.result()

    def _flush(self) -> None:
        self._written()
        self._under_way = self._writing.submit(self._write, self._index, self._documents, self._rejected)
        self._documents, self._rejected = [], []
        self._index += 1
        self._out.progress(self.files_done, self._wanted, "files")

    def _write(self, index: int, documents: list[dict[str, Any]], rejected: list[dict[str, Any]]) -> None:
        self._out.table("documents", index, to_table(documents, DOCUMENT))
        self._out.table("rejected", index, to_table(rejected, REJECTED))
        if "facts" in self._tables:
            self._out.table("facts", index, to_table([row["facts"] for row in documents], FACTS))

    def _flush_over(self) -> None:
        self._out.table("rejected", self._num_parts + self._over_index, to_table(self._over, REJECTED))
        self._over = []
        self._over_index += 1


@stage(version=1)
def read(cfg: Read, *, out: Writer, site: Site) -> None:
    """Sources to documents."""
    first = graded_paths() if cfg.first == "graded" else frozenset()
    drawn = draw(cfg.sources, Caps(cfg.max_files_per_source, cfg.max_files, cfg.seed), first, out.scratch)
    states = drawn.wanted
    with ThreadPoolExecutor(1) as writing:
        parts = Parts(out, int(states.sum()), _has_facts(cfg), writing)
        states[np.flatnonzero(states)[: parts.files_done]] = DONE
        for rows in site.engine().map(partial(judge_all, cfg=cfg), _tasks(cfg, states, out.scratch)):
            for row in rows:
                parts.add(row)
        parts.close()
    out.fact("sources", drawn.sources)
    if cfg.secrets != "keep" or cfg.personal != "keep":
        out.fact("masked", _masked(out.folder))
    out.flow(rows_in=len(states), unit="documents")


def _masked(folder: Path) -> dict[str, int]:
    """How many secrets and addresses were masked in all."""
    counts = {"secrets": 0, "personal": 0}
    for part in Artifact(folder).parts("facts"):
        table = pq.read_table(part, columns=list(counts), partitioning=None)
        for name in counts:
            counts[name] += pc.sum(table[name]).as_py() or 0
    return counts
