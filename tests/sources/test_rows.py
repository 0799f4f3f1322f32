"""Rows of JSON Lines and Parquet: both layouts of The Stack, and every way in which a file of rows can be broken."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import CODE, documents, made, rejections

from codetextbook.errors import ConfigError, InputError
from codetextbook.sources import Folder, Rows

OLDER = {
    "content": CODE,
    "max_stars_repo_path": "a/b.py",
    "max_stars_repo_licenses": ["MIT", "Apache-2.0"],
    "size": len(CODE),
}
NEWER = {
    "text": CODE,
    "blob_id": "0a1b2c",
    "path": "/src/b.py",
    "detected_licenses": ["MIT"],
    "license_type": "permissive",
}


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data).to_pybytes())


WRITE: dict[str, Callable[[Path, list[dict[str, Any]]], Any]] = {
    ".jsonl": lambda path, rows: path.write_bytes(lines(rows)),
    ".jsonl.gz": lambda path, rows: path.write_bytes(gzip.compress(lines(rows))),
    ".jsonl.zst": lambda path, rows: path.write_bytes(zstd(lines(rows[:1])) + zstd(lines(rows[1:]))),
    ".parquet": lambda path, rows: pq.write_table(pa.Table.from_pylist(rows), path),
}


@pytest.mark.parametrize("ending", list(WRITE))
def test_both_layouts_of_the_stack_are_read_without_any_setting(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    more = OLDER | {"content": CODE + "# more\n", "max_stars_repo_path": "c.py", "max_stars_repo_licenses": []}
    WRITE[ending](folder / f"older{ending}", [OLDER, more])
    WRITE[ending](folder / f"newer{ending}", [NEWER])
    found = documents(made(tmp_path, Rows(path=str(folder), name="stack")))
    assert {path: row["licence"] for path, row in found.items()} == {
        "a/b.py": "MIT OR Apache-2.0",
        "c.py": "",
        "/src/b.py": "MIT",
    }
    assert found["a/b.py"]["text"] == CODE
    assert {row["source"] for row in found.values()} == {"rows:stack"}


def test_a_declared_encoding_is_not_applied_to_text_that_is_text_already(tmp_path: Path) -> None:
    text = "# coding: latin-1\nname = 'caf\u00e9'\n" + CODE
    WRITE[".jsonl"](tmp_path / "a.jsonl", [OLDER | {"content": text}])
    assert documents(made(tmp_path, Rows(path=str(tmp_path / "a.jsonl"))))["a/b.py"]["text"] == text


def test_broken_lines_are_rejected_and_the_others_read(tmp_path: Path) -> None:
    bad = [
        b"{not json}\n",
        b"[1, 2]\n",
        b'"text"\n',
        b"[" * 100_000 + b"\n",
        b'{"content": "\xff\xfe"}\n',
        b'{"content": 7, "path": "number.py"}\n',
        b'{"content": null, "path": "null.py"}\n',
        json.dumps({"content": CODE + "\0", "path": "nul.py"}).encode() + b"\n",
        json.dumps({"content": CODE + "\ud800", "path": "half.py"}).encode() + b"\n",
        json.dumps({"content": "x" * 10_000_000, "path": "one_line.py"}).encode() + b"\n",
    ]
    (tmp_path / "a.jsonl").write_bytes(
        lines([OLDER]) + b"\n".join(bad) + b"\n" + lines([OLDER | {"max_stars_repo_path": "z.py"}])
    )
    artifact = made(tmp_path, Rows(path=str(tmp_path / "a.jsonl")))
    assert set(documents(artifact)) == {"a/b.py", "z.py"}
    assert sorted(rejections(artifact).items()) == [
        ("a.jsonl/1", "broken_row"),
        ("a.jsonl/2", "broken_row"),
        ("a.jsonl/3", "broken_row"),
        ("a.jsonl/4", "broken_row"),
        ("a.jsonl/5", "broken_row"),
        ("half.py", "not_utf8"),
        ("nul.py", "nul_bytes"),
        ("null.py", "no_text"),
        ("number.py", "no_text"),
        ("one_line.py", "too_long"),
    ]


@pytest.mark.parametrize("ending", [".jsonl.gz", ".jsonl.zst"])
def test_what_stands_before_a_cut_is_read(tmp_path: Path, ending: str) -> None:
    rows = [
        OLDER | {"content": f"{CODE}# number {number}\n", "max_stars_repo_path": f"{number}.py"}
        for number in range(5_000)
    ]
    path = tmp_path / f"cut{ending}"
    WRITE[ending](path, rows)
    path.write_bytes(path.read_bytes()[:-40])
    artifact = made(tmp_path, Rows(path=str(path)), max_files_per_source=9_000, max_files=9_000)
    assert 0 < len(documents(artifact)) < 5_000
    reasons = rejections(artifact)
    assert [reason for reason in reasons.values() if reason != "broken_row"] == ["broken_file"]


def test_no_gzip_at_all_is_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(b"plain words")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "c.jsonl").write_bytes(b"")
    assert set(rejections(made(tmp_path, Rows(path=str(tmp_path)))).values()) == {"broken_file"}


def test_a_damaged_column_of_parquet_rejects_its_rows_and_counts_them(tmp_path: Path) -> None:
    rows = [
        OLDER | {"content": f"{CODE}# {number}\n" * 50, "max_stars_repo_path": f"{number}.py"} for number in range(900)
    ]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=300, use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    middle = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    data[middle + 20 : middle + 60] = b"\xff" * 40
    path.write_bytes(data)
    artifact = made(tmp_path, Rows(path=str(path)))
    assert artifact.manifest["flow"]["rows_in"] == 900
    assert len(documents(artifact)) >= 200
    assert set(rejections(artifact).values()) <= {"broken_file", "not_utf8"}
    assert rejections(artifact)


def test_urls_are_opened_by_fsspec(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    with memory.open("/corpus/rows/a.jsonl.gz", "wb") as file:
        file.write(gzip.compress(lines([OLDER])))
    with memory.open("/corpus/code/deep/b.py", "wb") as file:
        file.write((CODE + "# b\n").encode())
    found = documents(made(tmp_path, Rows(path="memory://corpus/rows"), Folder(path="memory://corpus/code")))
    assert set(found) == {"a/b.py", "deep/b.py"}
    with pytest.raises(InputError, match="nothing at"):
        made(tmp_path / "2", Rows(path="memory://corpus/nowhere"))
    with pytest.raises((InputError, ConfigError), match="nonsense"):
        made(tmp_path / "3", Rows(path="nonsense://corpus"))


PEAK = """
import resource, sys
from pathlib import Path
from reading import made
from codetextbook.sources import Rows
if __name__ == "__main__":
    made(Path(sys.argv[1]), Rows(path=sys.argv[2]), max_files=10**6, max_files_per_source=10**6, max_line_characters=10**6)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.parametrize("ending", [".jsonl.gz", ".parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    text = CODE + "\n".join(f"value_{number} = {number}" for number in range(1_500))
    peaks = []
    for count in (600, 6_000):
        path = tmp_path / f"{count}{ending}"
        if ending == ".parquet":
            writer = pq.ParquetWriter(path, pa.schema([("content", pa.string())]))
            for start in range(0, count, 200):
                writer.write_table(
                    pa.table({"content": [f"{text}\n# {number}" for number in range(start, start + 200)]})
                )
            writer.close()
        else:
            with gzip.open(path, "wt", compresslevel=1) as file:
                for number in range(count):
                    file.write(json.dumps({"content": f"{text}\n# {number}"}) + "\n")
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(tmp_path / f"{count}{ending}-made"), str(path)],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 80  # MB: ten times the rows, 160 MB of text against 16
