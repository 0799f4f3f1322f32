"""What is known of documents' syntax: as `read` wrote it into its table `facts`, or counted anew where it did not.

The counts are the same either way. What takes the facts of every document (slices by functions, imports and syntax) is told only where
`read` wrote them: to parse a corpus for a table of a report would cost as much as reading it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from codetextbook.text.code_facts import CodeFacts, counts_from
from codetextbook.text.syntax_counts import Counts, counts

_COLUMNS = ("id", *(name for name in CodeFacts._fields if not name.startswith("error")))
_FUNCTIONS = (
    (30, "30 functions or more"),
    (10, "10 to 29 functions"),
    (4, "4 to 9 functions"),
    (1, "1 to 3 functions"),
)


class Syntax:
    """Facts of documents, by id."""

    def __init__(self, parts: Sequence[Path], wanted: Collection[str]) -> None:
        """`parts`: files of the table `facts`; `wanted`: ids of the documents that will be asked about."""
        ids = set(wanted)
        self._rows: dict[str, dict[str, Any]] = {}
        for part in parts:
            there = [name for name in _COLUMNS if name in pq.read_schema(part).names]
            rows = pq.read_table(part, columns=there, partitioning=None).to_pylist()
            self._rows.update((row["id"], row) for row in rows if row["id"] in ids)

    def __bool__(self) -> bool:
        """Whether `read` wrote any."""
        return any(row.get("parses") is not None for row in self._rows.values())

    def counts(self, identity: str, text: str) -> Counts:
        """What `read` counted of a document, or what is counted now."""
        return counts_from(self._rows.get(identity, {})) or counts(text)

    def labels(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """The slices that each document is in."""
        rows = [self._rows.get(identity, {}) for identity in ids]
        slices = {"by_functions": by_functions, "by_imports": by_imports, "by_syntax": by_syntax}
        return {name: [label(row) for row in rows] for name, label in slices.items()}


def by_syntax(row: Mapping[str, Any]) -> str:
    """Whether a document parses."""
    if row.get("parses") is None:
        return "no Python file"
    if row["parses"]:
        return "parses"
    return "Python 2" if row["python2"] else "does not parse"


def by_functions(row: Mapping[str, Any]) -> str:
    """How many functions a document has."""
    if not row.get("parses"):
        return "no syntax tree"
    return next((label for least, label in _FUNCTIONS if row["functions"] >= least), "no function")


def by_imports(row: Mapping[str, Any]) -> str:
    """What a document needs beside itself."""
    if not row.get("parses"):
        return "no syntax tree"
    others = set(row["imports"]) - sys.stdlib_module_names
    if others - {"."}:
        return "other packages"
    if others:
        return "modules of its own package"
    return "the standard library alone" if row["imports"] else "no imports"
