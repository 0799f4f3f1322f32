"""JSON Lines and Parquet with one file of code a row, as The Stack has it in its older and its newer layout.

Read as a stream: a batch of lines, or of Parquet rows, is in memory at a time, never a file. Lines travel to the workers as they are, to be
parsed there. What is broken is rejected and the rest goes on: a line that is no JSON, a line without end, a compressed file that is cut
short (all before the cut is read), a Parquet file without its footer or with a damaged column.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from codetextbook.errors import InputError
from codetextbook.sources.file import MAX_NUM_BYTES, Batch, File, Listed, Source, open_bytes, refused, shards_of

ROW_FILES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".json.gz", ".json.zst", ".parquet")
TEXT_COLUMNS = ("content", "text")
PATH_COLUMNS = ("max_stars_repo_path", "path", "file_path", "blob_id", "id")
LICENCE_COLUMNS = ("max_stars_repo_licenses", "licenses", "detected_licenses", "license")

_ROWS_PER_BATCH, _BYTES_PER_BATCH = 200, 4_000_000
_MAX_LINE_NUM_BYTES = 2 * MAX_NUM_BYTES
_BROKEN = (OSError, EOFError, zlib.error, pa.ArrowException)


class Columns(NamedTuple):
    """What a row's values are called: the first of each that a row has."""

    text: tuple[str, ...]
    path: tuple[str, ...]
    licence: tuple[str, ...]


class Rows(Source):
    """JSON Lines (also gzip, zstd) or Parquet with one file a row, as The Stack has it."""

    kind: Literal["rows"] = "rows"
    """This source."""
    path: str
    """A file, or a folder of them; a URL is opened by fsspec."""
    name: str = "rows"
    """What the source is called in documents."""
    text_column: str = ""
    """Column of the file's text; empty: `content` (The Stack), else `text` (its newer layout)."""
    path_column: str = ""
    """Column of the file's path; empty: `max_stars_repo_path`, `path`, `file_path`, `blob_id` or `id`, whichever there is."""
    licence_column: str = ""
    """Column of the licences; empty: `max_stars_repo_licenses`, `licenses`, `detected_licenses` or `license`."""

    @property
    def columns(self) -> Columns:
        """The columns to look for."""
        return Columns(
            (self.text_column,) if self.text_column else TEXT_COLUMNS,
            (self.path_column,) if self.path_column else PATH_COLUMNS,
            (self.licence_column,) if self.licence_column else LICENCE_COLUMNS,
        )

    def batches(self, scratch: Path) -> Iterator[Batch]:
        """The rows of one file after the other."""
        for shard in shards_of(self.path, ROW_FILES):
            if shard.endswith(".parquet"):
                yield from self._parquet(shard)
            else:
                yield from self._lines(shard)

    def sizes(self, scratch: Path) -> Iterator[tuple[str, int]]:
        """Parquet files say how many rows they have; lines are counted."""
        for shard in shards_of(self.path, ROW_FILES):
            if shard.endswith(".parquet"):
                yield self._label, self._parquet_rows(shard)
            else:
                for batch in self._lines(shard):
                    yield self._label, len(batch)

    @property
    def _label(self) -> str:
        return f"rows:{self.name}"

    def _refused(self, shard: str, number: int, reason: str, detail: str) -> File:
        return refused(self._label, f"{PurePosixPath(shard).name}/{number}", reason, detail)

    def _lines(self, shard: str) -> Iterator[Batch]:
        lines: list[bytes] = []
        number, num_bytes = 0, 0
        try:
            with _decompressed(shard) as file:
                for line in _lines_of(file):
                    if number == 0:
                        _check_columns(line, self.columns.text, shard)
                    lines.append(line)
                    number, num_bytes = number + 1, num_bytes + len(line)
                    if len(lines) == _ROWS_PER_BATCH or num_bytes > _BYTES_PER_BATCH:
                        yield Lines(shard, number - len(lines), tuple(lines), self._label, self.columns)
                        lines, num_bytes = [], 0
            fault = None
        except _BROKEN as error:
            fault = error
        if lines:
            yield Lines(shard, number - len(lines), tuple(lines), self._label, self.columns)
        if fault is not None:
            yield Listed(
                (self._refused(shard, number, "broken_file", f"cut short or damaged after {number} rows: {fault}"),)
            )

    def _parquet_rows(self, shard: str) -> int:
        try:
            with open_bytes(shard) as file:
                return cast(int, pq.read_metadata(file).num_rows)
        except _BROKEN:
            return 1

    def _parquet(self, shard: str) -> Iterator[Batch]:
        total, number = 1, 0
        try:
            with open_bytes(shard) as file:
                table = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True)
                total = table.metadata.num_rows
                names = table.schema_arrow.names
                _need(self.columns.text, names, shard)
                wanted = [name for group in self.columns for name in group if name in names]
                for rows in table.iter_batches(batch_size=_ROWS_PER_BATCH, columns=wanted, use_threads=False):
                    yield Table(shard, number, rows, self._label, self.columns)
                    number += rows.num_rows
        except _BROKEN as error:
            for start in range(number, total, _ROWS_PER_BATCH):
                rest = range(start, min(start + _ROWS_PER_BATCH, total))
                yield Listed(tuple(self._refused(shard, one, "broken_file", str(error)[:200]) for one in rest))


@dataclass(frozen=True)
class Lines:
    """Lines of JSON, not yet parsed."""

    shard: str
    first: int
    lines: tuple[bytes, ...]
    source: str
    columns: Columns

    def __len__(self) -> int:
        return len(self.lines)

    def files(self, wanted: Sequence[bool]) -> Iterator[File]:
        """A file for each line."""
        for number, line in enumerate(self.lines, self.first):
            try:
                row = json.loads(line) if line else None
            except (ValueError, RecursionError) as error:
                yield refused(self.source, _place(self.shard, number), "broken_row", str(error)[:200])
                continue
            if not isinstance(row, dict):
                detail = "not a JSON object" if line else f"a line of more than {_MAX_LINE_NUM_BYTES:,} bytes"
                yield refused(self.source, _place(self.shard, number), "broken_row", detail)
            else:
                yield file_of_row(row, self.columns, self.shard, number, self.source)


@dataclass(frozen=True)
class Table:
    """Rows of a Parquet file, or of anything that Arrow holds."""

    shard: str
    first: int
    rows: pa.RecordBatch
    source: str
    columns: Columns

    def __len__(self) -> int:
        return cast(int, self.rows.num_rows)

    def files(self, wanted: Sequence[bool]) -> Iterator[File]:
        """A file for each row."""
        try:
            rows = self.rows.to_pylist()
        except UnicodeDecodeError:
            rows = [_row_or_none(self.rows.slice(place, 1)) for place in range(len(self))]
        for number, row in enumerate(rows, self.first):
            if row is None:
                yield refused(self.source, _place(self.shard, number), "not_utf8", "")
            else:
                yield file_of_row(row, self.columns, self.shard, number, self.source)


def file_of_row(row: Mapping[str, Any], columns: Columns, shard: str, number: int, source: str) -> File:
    """One row as a file."""
    path, stated, text = (_first(row, names) for names in (columns.path, columns.licence, columns.text))
    licence = " OR ".join(map(str, stated)) if isinstance(stated, list) else str(stated or "")
    label = str(path) if path else f"{_place(shard, number)}.py"
    if text is None or not isinstance(text, str | bytes):
        return refused(source, label, "no_text", f"no text in column {' or '.join(columns.text)}")
    content = {"text": text} if isinstance(text, str) else {"data": text}
    return File(f"{shard}:{number}", label, source, licence, **content)  # type: ignore[arg-type]


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _place(shard: str, number: int) -> str:
    return f"{PurePosixPath(shard).name}/{number}"


def _row_or_none(row: pa.RecordBatch) -> dict[str, Any] | None:
    try:
        return cast(dict[str, Any], row.to_pylist()[0])
    except UnicodeDecodeError:
        return None


def _check_columns(line: bytes, text: Sequence[str], shard: str) -> None:
    """A first row without the text means that the setting is wrong, not the row."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return
    if isinstance(row, dict):
        _need(text, list(row), shard)


def _need(text: Sequence[str], names: Sequence[str], shard: str) -> None:
    if not set(text) & set(names):
        raise InputError(
            f"no column {' or '.join(map(repr, text))} in row 0",
            where=shard,
            hint=f"text_column = one of {', '.join(sorted(names))}",
        )


def _decompressed(shard: str) -> IO[bytes]:
    raw = open_bytes(shard)
    if shard.endswith(".gz"):
        return cast(IO[bytes], _Owner(gzip.open(raw), raw))
    if shard.endswith(".zst"):
        return cast(IO[bytes], _Owner(pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"), raw))
    return raw


class _Owner(io.BufferedReader):
    """A stream that closes the file under it."""

    def __init__(self, stream: Any, under: IO[bytes]) -> None:
        super().__init__(stream, 1 << 20)
        self._under = under

    def close(self) -> None:
        super().close()
        self._under.close()


def _lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Lines with something in them; an empty one stands for a line that is too long to be held."""
    while line := file.readline(_MAX_LINE_NUM_BYTES):
        if len(line) == _MAX_LINE_NUM_BYTES and not line.endswith(b"\n"):
            while (more := file.readline(1 << 20)) and not more.endswith(b"\n"):
                pass
            yield b""
        elif line.strip():
            yield line
