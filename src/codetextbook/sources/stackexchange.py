"""A StackExchange dump: each question with a tag and its accepted, or else its best answer, as one Markdown document.

`Posts.xml` is read once as a stream, also out of a `.7z` (extra `stackexchange`), and what is needed goes into a SQLite file in the scratch
folder: memory does not grow with the dump. HTML becomes Markdown in the workers, with code in fences. Scores and licences are kept.

The dump is hostile input: document types and entities are refused, and where the XML breaks, what stood before is used and the break is a
rejected row. Limits: an answer that stands before its question in the file (after a merger of two questions) is not seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, cast
from xml.parsers import expat

from codetextbook.errors import InputError, MissingDependency
from codetextbook.sources.file import Batch, File, Listed, Source, open_bytes, refused
from codetextbook.sources.markdown import to_markdown

MAX_BODY_CHARACTERS = 300_000
"""A longer post is not converted (ours: the site's own limit is 30,000)."""

_QUESTIONS_PER_BATCH = 100
_MAX_PENDING_NUM_BYTES = 64_000_000
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE questions (id INTEGER PRIMARY KEY, accepted INTEGER, score INTEGER, title TEXT, body TEXT, licence TEXT);
CREATE TABLE answers (parent INTEGER PRIMARY KEY, rank INTEGER, score INTEGER, body TEXT, licence TEXT);
CREATE TABLE faults (path TEXT, reason TEXT, detail TEXT);
"""
_ANSWER = """
INSERT INTO answers SELECT :parent, :score + (accepted IS :id) * 1000000000, :score, :body, :licence FROM questions WHERE id = :parent
ON CONFLICT (parent) DO UPDATE SET rank = excluded.rank, score = excluded.score, body = excluded.body, licence = excluded.licence
WHERE excluded.rank > rank
"""
_QUESTION = "INSERT OR IGNORE INTO questions VALUES (:id, :accepted, :score, :title, :body, :licence)"
_JOINED = """
SELECT q.id, q.score, q.title, q.body, q.licence, a.score, a.body, a.licence
FROM questions q LEFT JOIN answers a ON a.parent = q.id ORDER BY q.id
"""


class StackExchange(Source):
    """Questions and answers of a StackExchange dump."""

    kind: Literal["stackexchange"] = "stackexchange"
    """This source."""
    path: str
    """`Posts.xml`, or a `.7z` that holds it."""
    name: str = "stackoverflow"
    """What the source is called in documents."""
    tags: tuple[str, ...] = ("python",)
    """Questions with one of these tags are read (paper §2.1: Python)."""

    def batches(self, scratch: Path) -> Iterator[Batch]:
        """Questions in the order of their numbers."""
        source = f"stackexchange:{self.name}"
        with closing(sqlite3.connect(self._shelf(scratch))) as shelf:
            rows = shelf.execute(_JOINED)
            while some := rows.fetchmany(_QUESTIONS_PER_BATCH):
                yield Questions(source, tuple(some))
            for path, reason, detail in shelf.execute("SELECT path, reason, detail FROM faults ORDER BY rowid"):
                yield Listed((refused(source, path, reason, detail),))

    def sizes(self, scratch: Path) -> Iterator[tuple[str, int]]:
        """Counted where they lie."""
        with closing(sqlite3.connect(self._shelf(scratch))) as shelf:
            count = "SELECT (SELECT count(*) FROM questions) + (SELECT count(*) FROM faults)"
            yield f"stackexchange:{self.name}", shelf.execute(count).fetchone()[0]

    def _shelf(self, scratch: Path) -> Path:
        """The SQLite file of this dump, made at the first call."""
        done = scratch / f"posts-{sha256(self.model_dump_json().encode()).hexdigest()[:16]}.sqlite3"
        if not done.exists():
            partial = done.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            with closing(sqlite3.connect(partial)) as shelf:
                shelf.executescript(_TABLES)
                _Posts(shelf, frozenset(self.tags)).read(self.path)
                shelf.commit()
            partial.rename(done)
        return done


@dataclass(frozen=True)
class Questions:
    """Questions with their best answers, still HTML."""

    source: str
    rows: tuple[tuple[Any, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def files(self, wanted: Sequence[bool]) -> Iterator[File]:
        """A document for each question that has an answer."""
        for row, one in zip(self.rows, wanted, strict=True):
            yield self._document(row) if one else File("", f"questions/{row[0]}.md", self.source, "", text="")

    def _document(self, row: tuple[Any, ...]) -> File:
        number, score, title, body, licence, answer_score, answer, answer_licence = row
        path = f"questions/{number}.md"
        if answer is None:
            return refused(self.source, path, "no_answer")
        if max(len(body), len(answer)) > MAX_BODY_CHARACTERS:
            return refused(self.source, path, "too_long", f"a post of {max(len(body), len(answer))} characters")
        parts = [f"# {' '.join(title.split())}", to_markdown(body), "## Answer", to_markdown(answer)]
        licences = " AND ".join(dict.fromkeys(_spdx(one) for one in (licence, answer_licence) if one))
        text = "\n\n".join(part for part in parts if part) + "\n"
        return File("", path, self.source, licences, text=text, score=score, answer_score=answer_score)


def _spdx(licence: str) -> str:
    """`CC BY-SA 4.0` as SPDX spells it."""
    return licence.strip().replace(" ", "-")


class _Posts:
    """Takes what is needed out of a `Posts.xml` that arrives in pieces."""

    def __init__(self, shelf: sqlite3.Connection, tags: frozenset[str]) -> None:
        self._shelf, self._tags = shelf, tags
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._element
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._fed = 0
        self._broken = False

    def read(self, path: str) -> None:
        """The whole file, or all before its first fault."""
        try:
            if path.endswith(".7z"):
                _unpack(path, self)
            else:
                with open_bytes(path) as file:
                    while piece := file.read(1 << 20):
                        self.feed(piece)
            self.end()
        except FileNotFoundError as error:
            raise InputError(f"no file {path!r}", where="[read] sources", hint="check the path") from error
        except (OSError, EOFError) as error:
            self._fault(str(error))

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if self._broken:
            return
        try:
            self._fed += len(piece)
            self._parser.Parse(piece, False)
            if self._fed - self._parser.CurrentByteIndex > _MAX_PENDING_NUM_BYTES:
                self._fault("an element of more than 64 MB")
        except (expat.ExpatError, _Doctype) as error:
            self._fault(str(error))

    def end(self) -> None:
        """No more bytes."""
        if not self._broken:
            try:
                self._parser.Parse(b"", True)
            except expat.ExpatError as error:
                self._fault(str(error))

    def _fault(self, detail: str) -> None:
        self._broken = True
        self._shelf.execute("INSERT INTO faults VALUES ('Posts.xml', 'broken_file', ?)", (detail[:300],))

    def _element(self, name: str, row: Mapping[str, str]) -> None:
        if name != "row":
            return
        kind = row.get("PostTypeId")
        if kind == "1" and self._tags & set(row.get("Tags", "").strip("<>|").replace("><", "|").split("|")):
            self._keep(_QUESTION, row, ("Id", "Title"))
        elif kind == "2":
            self._keep(_ANSWER, row, ("Id", "ParentId"))

    def _keep(self, order: str, row: Mapping[str, str], needed: Sequence[str]) -> None:
        try:
            values = {
                "id": int(row["Id"]),
                "parent": int(row.get("ParentId") or 0),
                "accepted": int(row["AcceptedAnswerId"]) if row.get("AcceptedAnswerId") else None,
                "score": int(row.get("Score") or 0),
                "title": row.get("Title", ""),
                "body": row["Body"],
                "licence": row.get("ContentLicense", ""),
            }
            if any(not row.get(name) for name in needed):
                raise KeyError(next(name for name in needed if not row.get(name)))
            self._shelf.execute(order, values)
        except (KeyError, ValueError, OverflowError) as error:
            path = f"posts/{row.get('Id', '?')[:40]}"
            self._shelf.execute("INSERT INTO faults VALUES (?, 'broken_row', ?)", (path, f"{error!r}"[:200]))


class _Doctype(Exception):
    pass


def _refuse_doctype(*_: Any) -> None:
    raise _Doctype("a document type is not allowed")


def _unpack(path: str, posts: _Posts) -> None:
    """Give the pieces of `Posts.xml` in a 7z archive to the reader, as they are unpacked."""
    try:
        import py7zr
        from py7zr.io import NullIO, Py7zIO, WriterFactory
    except ImportError as error:
        raise MissingDependency(
            "the package `py7zr` is not installed", where=path, hint="pip install 'codetextbook[stackexchange]'"
        ) from error

    class Pieces(Py7zIO):  # type: ignore[misc]
        num_bytes = 0

        def write(self, s: bytes | bytearray) -> int:
            self.num_bytes += len(s)
            posts.feed(bytes(s))
            return len(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None: ...

        def size(self) -> int:
            return self.num_bytes

    class Factory(WriterFactory):  # type: ignore[misc]
        def create(self, filename: str) -> Py7zIO:
            return Pieces() if filename.rsplit("/", 1)[-1] == "Posts.xml" else NullIO()

    try:
        with open_bytes(path) as file, py7zr.SevenZipFile(file) as archive:
            names = [name for name in archive.getnames() if name.rsplit("/", 1)[-1] == "Posts.xml"]
            if not names:
                raise InputError("there is no Posts.xml in it", where=path, hint="the dump's file of posts")
            archive.extract(targets=names[:1], factory=Factory())
    except (InputError, FileNotFoundError):
        raise
    except Exception as error:  # noqa: BLE001  # whatever py7zr raises on a damaged archive
        cast(Any, posts)._fault(f"damaged archive: {error}")
