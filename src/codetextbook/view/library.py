"""The rows of the shelves, by DuckDB over the Parquet parts of the artifacts.

The short columns of a shelf are read once into memory, for an artifact never changes; a page is then a query over them
(`docs/view.md` has the measured times and the memory). Texts are read from Parquet, one row at a time. A search in
the texts has to read them all: it goes on for a fraction of a second in each request, and the page asks again until it is through.

DuckDB may read below the store and nowhere else, and its settings are locked: no query can reach another file.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from codetextbook.config import digest
from codetextbook.store import Artifact
from codetextbook.view.catalog import Catalog
from codetextbook.view.shelves import Relation, Shelf

ROWS_PER_PAGE = 50
FACET_VALUES = 40
SEARCH_SECONDS = 0.2
"""Time that one request may spend on reading texts."""
HITS_KEPT = 5_000
PARTS_PER_LOOK = 4
SEARCHES_KEPT = 8
CUT_COLUMNS = ("reason", "detail")
"""Columns of which a list has the beginning alone."""


class Facet(NamedTuple):
    """A column that a list can be narrowed by, and how many rows have each value, the most first."""

    name: str
    values: list[tuple[str, int]]


@dataclass
class Search:
    """A search in the texts, as far as it has come."""

    hits: list[tuple[int, int]] = field(default_factory=list)
    """Part and row of each text that holds the words."""
    parts_read: int = 0
    parts: int = 0

    @property
    def done(self) -> bool:
        """Whether every text was read, or enough of them hold the words."""
        return self.parts_read >= self.parts or len(self.hits) >= HITS_KEPT


class Light(NamedTuple):
    """The short columns of a shelf of one artifact, in memory."""

    shelf: Shelf
    artifact: Artifact | None
    """None for `rejected`, which has the rows of every step."""
    table: str
    files: list[Path]
    steps: list[str]
    """For each file, the step that wrote it; empty but for `rejected`."""
    total: int
    facets: list[Facet]


@dataclass(frozen=True)
class Ask:
    """What a list is asked for; every name in it is known to the shelf."""

    words: str = ""
    in_texts: bool = False
    exact: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    keys: tuple[bool, frozenset[str]] | None = None
    """Only rows whose key is (or is not) one of these."""
    sort: str = ""
    page: int = 1


class Rows(NamedTuple):
    """One page of a list."""

    rows: list[dict[str, Any]]
    number: int
    """Rows that match, on all pages."""
    search: Search | None


class Library:
    """One connection to DuckDB and what was read through it."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._connection = duckdb.connect(":memory:")
        for setting in (
            f"allowed_directories = [{_quoted(f'{catalog.root}/')}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._connection.execute(f"SET {setting}")
        self._lights: dict[str, Light | None] = {}
        self._searches: OrderedDict[tuple[str, str], Search] = OrderedDict()
        self._lock = threading.Lock()

    def light(self, shelf: Shelf, artifact: Artifact | None) -> Light | None:
        """The short columns of a shelf; None where the artifact has no such table.

        Raises:
            StoreError: a part leads out of the workspace.
        """
        joined = {name: self.catalog.related(artifact, one.stage) if artifact else None for name, one in shelf.joined}
        made_from = [artifact] if artifact else list(self.catalog.steps().values())
        table = f"{shelf.name}_{digest([one.id if one else '' for one in (*made_from, *joined.values())])}"
        with self._lock:
            if table not in self._lights:
                files, steps = self._files(shelf, artifact)
                self._lights[table] = self._read(shelf, artifact, table, files, steps, joined) if files else None
            return self._lights[table]

    def rows(self, light: Light, ask: Ask) -> Rows:
        """One page of what was asked for."""
        search = self._search(light, ask.words) if ask.words and ask.in_texts else None
        where, values = _conditions(light, ask, search)
        order, skipped = _order(light.shelf, ask.sort), (ask.page - 1) * ROWS_PER_PAGE
        cursor = self._connection.cursor()
        wanted = f"SELECT rowid FROM {light.table} {where} ORDER BY {order} LIMIT {ROWS_PER_PAGE} OFFSET {skipped}"
        found = _dictionaries(
            cursor.execute(
                f"SELECT * EXCLUDE (words) FROM {light.table} WHERE rowid IN ({wanted}) ORDER BY {order}", values
            )
        )
        if not where:
            return Rows(found, light.total, search)
        if 0 < len(found) < ROWS_PER_PAGE or (not found and ask.page == 1):
            return Rows(found, skipped + len(found), search)  # the last page: nothing to count
        return Rows(found, _count(cursor.execute(f"SELECT count(*) FROM {light.table} {where}", values)), search)

    def row(self, light: Light, key: str) -> dict[str, Any] | None:
        """A whole row, texts and all, with the short columns of the list; None where there is none of that key."""
        cursor = self._connection.cursor()
        found = _dictionaries(
            cursor.execute(f"SELECT * EXCLUDE (words) FROM {light.table} WHERE key = ? LIMIT 1", [key])
        )
        if not found:
            return None
        place = found[0]
        part = _relation([light.files[place["file_index"]]])
        whole = cursor.execute(f"SELECT * FROM {part} WHERE file_row_number = ?", [place["file_row_number"]])
        return _dictionaries(whole)[0] | {name: value for name, value in place.items() if name not in CUT_COLUMNS}

    def keys(self, light: Light, ask: Ask) -> list[str]:
        """Keys of all that was asked for, on every page, in order."""
        where, values = _conditions(light, ask, None)
        cursor = self._connection.cursor()
        found = cursor.execute(
            f"SELECT key FROM {light.table} {where} ORDER BY {_order(light.shelf, ask.sort)}", values
        )
        return [row[0] for row in found.fetchall()]

    def values(self, light: Light, column: str, keys: Iterable[str]) -> dict[str, Any]:
        """A short column's value for each of these keys that is there."""
        cursor = self._connection.cursor()
        query = f"SELECT key, {column} FROM {light.table} WHERE key IN (SELECT unnest(?::VARCHAR[]))"
        return dict(cursor.execute(query, [list(keys)]).fetchall())

    def _files(self, shelf: Shelf, artifact: Artifact | None) -> tuple[list[Path], list[str]]:
        if artifact is not None:
            return self.catalog.parts(artifact, shelf.table), []
        every = [
            (step, part) for step, one in self.catalog.steps().items() for part in self.catalog.parts(one, shelf.table)
        ]
        return [part for _, part in every], [step for step, _ in every]

    def _read(
        self,
        shelf: Shelf,
        artifact: Artifact | None,
        table: str,
        files: list[Path],
        steps: list[str],
        joined: dict[str, Artifact | None],
    ) -> Light:
        cursor = self._connection.cursor()
        named = {"step": steps, "part": [file.stem.rpartition("-")[2] for file in files]} if steps else {}
        with_step = "".join(f", {_list(names)}[file_index::BIGINT + 1] AS {name}" for name, names in named.items())
        own = self._columns(cursor, files, shelf.columns)
        relations = [f"own AS (SELECT {own}, file_index, file_row_number{with_step} FROM {_relation(files)})"]
        for name, relation in shelf.joined:
            relations.append(f"{name} AS ({self._joined(cursor, joined[name], relation)})")
        cursor.execute(
            f"CREATE TABLE {table} AS WITH {', '.join(relations)} "
            f"SELECT *, lower(concat_ws(chr(10), {', '.join(shelf.searched)})) AS words FROM "
            f"(SELECT {shelf.select}, own.file_index, own.file_row_number FROM own {shelf.join}) "
            "ORDER BY file_index, file_row_number"
        )
        total = _count(cursor.execute(f"SELECT count(*) FROM {table}"))
        facets = [
            Facet(
                name,
                cursor.execute(
                    f"SELECT coalesce({name}, '') AS value, count(*) AS number FROM {table} "
                    f"GROUP BY value ORDER BY number DESC, value LIMIT {FACET_VALUES}"
                ).fetchall(),
            )
            for name in shelf.facets
        ]
        return Light(shelf, artifact, table, files, steps, total, facets)

    def _joined(self, cursor: duckdb.DuckDBPyConnection, related: Artifact | None, relation: Relation) -> str:
        files = self.catalog.parts(related, relation.table) if related else []
        if not files:
            nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in relation.columns.items())
            return f"SELECT {nothing} WHERE false"
        key = next(iter(relation.columns))
        columns = self._columns(cursor, files, relation.columns)
        return f"SELECT {columns} FROM {_relation(files)} QUALIFY row_number() OVER (PARTITION BY {key}) = 1"

    def _columns(self, cursor: duckdb.DuckDBPyConnection, files: list[Path], wanted: dict[str, str]) -> str:
        """The columns, with null for those that an artifact of an earlier version lacks."""
        there = {row[0] for row in cursor.execute(f"DESCRIBE SELECT * FROM {_relation(files)}").fetchall()}
        return ", ".join(name if name in there else f"NULL::{kind} AS {name}" for name, kind in wanted.items())

    def _search(self, light: Light, words: str) -> Search:
        """Go on with a search in the texts, for as long as one request may."""
        with self._lock:
            key = (light.table, words)
            search = self._searches.setdefault(key, Search(parts=len(light.files)))
            self._searches.move_to_end(key)
            if len(self._searches) > SEARCHES_KEPT:
                self._searches.popitem(last=False)
            until = time.monotonic() + SEARCH_SECONDS
            while not search.done and time.monotonic() < until:
                self._look(light, words, search)
            return search

    def _look(self, light: Light, words: str, search: Search) -> None:
        first = search.parts_read
        some = light.files[first : first + PARTS_PER_LOOK]
        holds = " OR ".join(_holds(name) for name in light.shelf.texts)
        found = self._connection.cursor().execute(
            f"SELECT file_index + {first}, file_row_number FROM {_relation(some)} WHERE {holds} LIMIT {HITS_KEPT}",
            [words] * len(light.shelf.texts),
        )
        search.hits += found.fetchall()
        del search.hits[HITS_KEPT:]
        search.parts_read += len(some)


def _conditions(light: Light, ask: Ask, search: Search | None) -> tuple[str, list[Any]]:
    """A WHERE clause and its values. Names come from the shelf, never from the request."""
    clauses: list[str] = []
    values: list[Any] = []
    if search is not None:
        places = ", ".join(f"({part}, {row})" for part, row in search.hits) or "(-1, -1)"
        clauses.append(f"(file_index, file_row_number) IN ({places})")
    elif ask.words:
        clauses.append(
            "contains(words, lower(?))"
        )  # they are kept in small letters: a quarter of the time of a pattern
        values.append(ask.words)
    for name, value in ask.exact.items():
        clauses.append(f"coalesce({name}, '') = ?")
        values.append(value)
    for name, (low, high) in ask.ranges.items():
        for sign, bound in ((">=", low), ("<=", high)):
            if bound is not None:
                clauses.append(f"{name} {sign} ?")
                values.append(bound)
    if ask.keys is not None:
        wanted, keys = ask.keys
        clauses.append(f"key {'IN' if wanted else 'NOT IN'} (SELECT unnest(?::VARCHAR[]))")
        values.append(sorted(keys))
    return (f"WHERE {' AND '.join(clauses)}" if clauses else ""), values


def _order(shelf: Shelf, sort: str) -> str:
    name = (sort or shelf.order).removeprefix("-")
    if not name:
        return "rowid"
    return f"{name} {'DESC' if (sort or shelf.order).startswith('-') else 'ASC'} NULLS LAST, rowid"


def _holds(column: str) -> str:
    """Whether a column holds some words, large or small; half the time of comparing what `lower` makes of both."""
    return f"regexp_matches({column}, regexp_escape(?), 'i')"


def _count(cursor: duckdb.DuckDBPyConnection) -> int:
    found = cursor.fetchone()
    return int(found[0]) if found else 0


def _dictionaries(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def _relation(files: list[Path]) -> str:
    plain = (re.sub(r"[\[*?]", r"[\g<0>]", str(file)) for file in files)  # a name is no pattern
    return f"read_parquet({_list(plain)}, union_by_name = true, file_row_number = true)"


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
