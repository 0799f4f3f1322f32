"""Published benchmarks by name: where they are looked for, how their content is known, and which of their problems are sat.

A name is looked up in a folder of the user's (the files as their authors publish them) and then in the local Hugging Face cache. Nothing
is downloaded: what is missing is named with the way to get it. What was found is known by a digest of its content, not of its file, so that
the JSON Lines of the authors and the Parquet of the hub are the same benchmark.

`mbpp` and `mbpp_3shot` are the 500 test problems (tasks 11 to 510), in two named prompt forms, because phi-1's own is not published.
`mbpp_3shot` is Google's (2108.07732 §3): three solved tasks (2, 3, 4), then the task with its tests, answered between [BEGIN] and [DONE].
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from codetextbook.benchmarks import mbpp, plus
from codetextbook.errors import BenchmarkError
from codetextbook.nouns import Problem

Row = dict[str, Any]
FOLDER_VARIABLE = "CODETEXTBOOK_BENCHMARK_DATA"
"""Environment variable with the folder of benchmark files."""
_TEST_TASKS = range(11, 511)


@dataclass(frozen=True)
class Published:
    """One benchmark of others. `hub`: dataset and folder of its Parquet files in a Hugging Face cache."""

    file: str
    content: str
    """SHA-256 of its rows' content."""
    problems: Callable[[str, Sequence[Row]], list[Problem]]
    fields: tuple[str, ...]
    hint: str
    hub: tuple[str, str] | None = None


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return tuple(_KNOWN)


def load(name: str, folder: str | Path | None = None) -> list[Problem]:
    """The problems of a published benchmark.

    Raises:
        BenchmarkError: it is not on this machine (and how to get it), or its content is not the published one.
    """
    return _KNOWN[name].problems(name, rows(name, folder))


def rows(name: str, folder: str | Path | None = None) -> list[Row]:
    """All rows as published, in the order of their tasks; raises what `load` raises."""
    known = _KNOWN[name]
    for source, found in _found(known, folder):
        ordered = sorted(found, key=lambda row: int(str(row["task_id"]).rpartition("/")[2]))
        if content_digest(ordered, known.fields) != known.content:
            raise BenchmarkError(f"this is not {name} as published", where=source, hint=known.hint)
        return ordered
    raise BenchmarkError(
        f"{name} is not on this machine",
        where=f"{_folder(folder) or f'{FOLDER_VARIABLE} is not set'}; the Hugging Face cache",
        hint=f"{known.hint}; put {known.file} into a folder and set {FOLDER_VARIABLE} to it",
    )


def content_digest(found: Sequence[Row], fields: Sequence[str]) -> str:
    """SHA-256 of what a benchmark asks and expects, whatever file it came in."""
    digest = hashlib.sha256()
    for row in found:
        digest.update(json.dumps([_plain(row.get(field)) for field in fields]).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def _folder(folder: str | Path | None) -> str:
    return str(folder or os.environ.get(FOLDER_VARIABLE, ""))


def _found(known: Published, folder: str | Path | None) -> Iterator[tuple[str, list[Row]]]:
    if _folder(folder):
        path = Path(_folder(folder)) / known.file
        if path.is_file():
            yield str(path), list(read_rows(path))
    if known.hub:
        dataset, inner = known.hub
        cached = _hub_cache() / f"datasets--{dataset.replace('/', '--')}" / "snapshots"
        for snapshot in sorted(cached.glob(f"*/{inner}")):
            parts = sorted(snapshot.glob("*.parquet"))
            if parts:
                yield str(snapshot), [row for part in parts for row in pq.read_table(part).to_pylist()]


def _hub_cache() -> Path:
    home = os.environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of a JSON array or of JSON Lines, gzipped or not.

    Raises:
        BenchmarkError: it is neither.
    """
    for _, row in numbered_rows(path):
        yield row


def numbered_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Rows with their line (in an array: their place), counted from 1; raises what `read_rows` raises."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode("utf-8")
        if path.name.removesuffix(".gz").endswith(".json"):
            yield from enumerate(json.loads(text), start=1)
            return
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield number, json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise BenchmarkError(f"not JSON Lines: {error}", where=str(path)) from error


def _test_problems(make: Callable[[str, Row], Problem], benchmark: str, found: Sequence[Row]) -> list[Problem]:
    return [make(benchmark, row) for row in found if row["task_id"] in _TEST_TASKS]


def _three_shot(benchmark: str, found: Sequence[Row]) -> list[Problem]:
    shots = [row for row in found if row["task_id"] in mbpp.SHOTS]
    return _test_problems(partial(mbpp.few_shot, shots=shots), benchmark, found)


def _all_plus(benchmark: str, found: Sequence[Row]) -> list[Problem]:
    return [plus.from_row(benchmark, row) for row in found]


_MBPP_FIELDS = ("task_id", "text", "code", "test_list", "test_setup_code")
_PLUS_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "base_input", "plus_input", "atol")
_MBPP_CONTENT = "b3cd1d732cd2d0a7eb2644292d5c5b13abe318237d3687b7b9810c5e1a6677d0"
_HUB_MBPP = "google-research-datasets/mbpp"
_MBPP_HINT = f"`hf download {_HUB_MBPP} --repo-type dataset`, or mbpp.jsonl of google-research/google-research"
_EVALPLUS_HINT = "the release file of evalplus/humanevalplus_release or evalplus/mbppplus_release on GitHub"
_KNOWN = {
    "mbpp": Published(
        "mbpp.jsonl",
        _MBPP_CONTENT,
        partial(_test_problems, mbpp.zero_shot),
        _MBPP_FIELDS,
        _MBPP_HINT,
        (_HUB_MBPP, "full"),
    ),
    "mbpp_3shot": Published("mbpp.jsonl", _MBPP_CONTENT, _three_shot, _MBPP_FIELDS, _MBPP_HINT, (_HUB_MBPP, "full")),
    "mbpp_sanitized": Published(
        "sanitized-mbpp.json",
        "5f7dcba901843317fdb0bdd6d1311fd9e0d755d6923e3d08f08cdc841e3fc1f4",
        partial(_test_problems, mbpp.zero_shot),
        ("task_id", "prompt", "code", "test_list", "test_imports"),
        f"`hf download {_HUB_MBPP} --repo-type dataset`, or sanitized-mbpp.json of google-research/google-research",
        (_HUB_MBPP, "sanitized"),
    ),
    "humaneval_plus": Published(
        "HumanEvalPlus-v0.1.10.jsonl.gz",
        "16bc07ea3cbe7ec67143c38beef32385a7405fac4c03a366927ff1a2d92a9ec0",
        _all_plus,
        _PLUS_FIELDS,
        _EVALPLUS_HINT,
    ),
    "mbpp_plus": Published(
        "MbppPlus-v0.2.0.jsonl.gz",
        "a0370064ae2afe59bf3b83f6dbdb19f9cebc489d3e7062c6d4fd52014fe1a680",
        _all_plus,
        _PLUS_FIELDS,
        _EVALPLUS_HINT,
    ),
}
