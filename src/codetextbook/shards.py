"""Cutting work into parts of a stated number of rows, so that a killed stage resumes at its next part; and draws that rows keep.

The cut depends on the rows alone, never on the number of workers: the same input has the same parts everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SHOWN_CHARACTERS = 400
"""What whoever watches is handed of a text."""


def draw_of(seed: int, purpose: str, identity: str) -> int:
    """48 bits drawn for a row: they depend on these alone, never on the order of the rows or on who draws."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}/{identity}".encode()).digest()[:6])


def share_of(seed: int, purpose: str, identity: str) -> float:
    """The same as a number from 0 up to 1."""
    return draw_of(seed, purpose, identity) / 2**48


def split(num_rows: int, rows_per_part: int) -> list[range]:
    """Ranges of row numbers that cover `num_rows` in order; one empty range for no rows, so that every table has a part."""
    if num_rows == 0:
        return [range(0)]
    return [range(start, min(start + rows_per_part, num_rows)) for start in range(0, num_rows, rows_per_part)]


def to_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table of exactly this schema.

    Raises:
        pyarrow.ArrowInvalid: a value does not fit its column.
    """
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def to_rows(table: pa.Table, part: range | None = None) -> list[dict[str, Any]]:
    """A table's rows, or one range of them, as dictionaries."""
    return (table if part is None else table.slice(part.start, len(part))).to_pylist()


def newest(part: Path, column: str) -> str:
    """The beginning of the last row's text in a Parquet part, for whoever watches; empty where the part has no row."""
    texts = pq.read_table(part, columns=[column], partitioning=None)[column]
    return str(texts[-1].as_py())[:SHOWN_CHARACTERS] if len(texts) else ""
