"""How long a page of the viewer takes over a million documents: a real server, real requests, the best of five.

Wall time, and beside it the processor time of the server's threads: on a machine that others use, the first is too high.

The workspace is made first: documents of about a kilobyte in parts of 2,000 rows, as the stages write them, each with a score, a hundredth
with a grade. The first page of a list reads its short columns; the later ones do not. Not a race: there are no peers and no ratios.

    python -m benchmarks.view --quick
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from benchmarks.frame import Outcome, arguments, tell, versions
from codetextbook.nouns import DOCUMENT, GRADE
from codetextbook.stages.curate import SCORE
from codetextbook.store import Store, Writer

ROWS_PER_PART = 2_000
REPEATS = 5
PAGES = {
    "a page of the list": "/documents?page=7",
    "sorted by quality": "/documents?sort=-quality",
    "narrowed and sorted": "/documents?state=kept&source=package:p3&quality_from=0.5&sort=-quality",
    "a word in paths": "/documents?q=module_12345",
    "the last page": "/documents?page=LAST",
    "a document opened": "/documents?page=7&open=KEY",
    "only the document, as keys do": "/documents?page=7&open=KEY#detail",
    "graded documents": "/grades?sort=-grade&open=KEY",
}


def make(work: Path, rows: int) -> str:
    """Write the workspace; returns the id of a document in its middle."""
    store, generator = Store(work / "store"), np.random.default_rng(0)
    ids = [hashlib.sha256(f"{number}".encode()).hexdigest()[:32] for number in range(rows)]
    quality = generator.random(rows).round(6)
    filler = "".join(
        f"    value_{line} = compute(value_{line - 1}, {line})  # a line like any other\n" for line in range(1, 18)
    )
    writers = [
        Writer(store.folder(stage, f"{number:016x}")) for number, stage in enumerate(("dedup", "annotate", "curate"))
    ]
    for index, first in enumerate(range(0, rows, ROWS_PER_PART)):
        part = range(first, min(first + ROWS_PER_PART, rows))
        documents = [
            {
                "id": ids[row],
                "text": f"def function_{row}(value_0):\n{filler}    return value_17  # {'needle' if row % 9973 == 0 else row}\n",
                "source": f"package:p{row % 37}",
                "licence": "MIT",
                "path": f"package_{row % 37}/sub_{row % 991}/module_{row}.py",
                "quality": None,
            }
            for row in part
        ]
        scores = [
            {
                "document_id": ids[row],
                "quality": quality[row],
                "kept": bool(quality[row] > 0.8),
                "grade": None,
                "out_of_fold": None,
                "characters": len(documents[row - first]["text"]),
            }
            for row in part
        ]
        grades = [
            dict(
                zip(GRADE.names, (ids[row], float(row % 6), f"a reason for {row}", "p", "a teacher", 0.0), strict=True)
            )
            for row in part
            if row % 100 == 0 or row == rows // 2
        ]
        for writer, name, some, schema in zip(
            writers,
            ("documents", "grades", "scores"),
            (documents, grades, scores),
            (DOCUMENT, GRADE, SCORE),
            strict=True,
        ):
            writer.table(name, index, pa.Table.from_pylist(some, schema=schema))
    for number, (writer, inputs) in enumerate(
        zip(writers, ({}, {"documents": 0}, {"documents": 0, "grades": 1}), strict=True)
    ):
        stage = writer.folder.parent.name
        writer.flow(rows_in=rows, rows_kept=rows, rejected={})
        names = {name: f"{value:016x}" for name, value in inputs.items()}
        writer.finish({"id": f"{number:016x}", "stage": stage, "version": 1, "config": {}, "inputs": names}, 1.0)
    return ids[rows // 2]


@contextlib.contextmanager
def serving(work: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of a viewer."""
    command = [sys.executable, "-m", "codetextbook", "view", "--work", str(work), "--port", "0", "--as", "benchmark"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    try:
        yield urlsplit(process.stdout.readline()).port or 0, process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        process.stdout.close()


class Times(NamedTuple):
    """Milliseconds of one request: wall, and processor time of the server."""

    wall: float
    processor: float

    @property
    def shown(self) -> dict[str, float]:
        """For the table and the line of JSON."""
        return {"wall": round(self.wall, 1), "processor": round(self.processor, 1)}


class Asking:
    """Requests to a server, timed."""

    def __init__(self, port: int, process: int) -> None:
        self.port, self.process = port, process
        self.body = b""

    def time(self, path: str) -> Times:
        """One request, its body read."""
        path, _, part = path.partition("#")
        before, start = self._processor(), time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("GET", path, headers={"HX-Target": part} if part else {})
        answer = connection.getresponse()
        self.body = answer.read()
        wall = 1000 * (time.perf_counter() - start)
        connection.close()
        assert answer.status == 200 and b"</section>" in self.body, (path, answer.status)
        return Times(wall, self._processor() - before)

    def best(self, path: str) -> Times:
        """The best of a few, of each kind of time."""
        every = [self.time(path) for _ in range(REPEATS)]
        return Times(min(one.wall for one in every), min(one.processor for one in every))

    def search(self, path: str) -> list[Times]:
        """The requests that a search in the texts takes, one after the other, as the page makes them."""
        times = [self.time(path)]
        while b"of the texts searched" in self.body:
            times.append(self.time(path))
        return times

    def _processor(self) -> float:
        threads = Path(f"/proc/{self.process}/task").glob("*/schedstat")
        return sum(int(one.read_text(encoding="utf-8").split()[0]) for one in threads) / 1e6


def resident_megabytes(process: int) -> float:
    """Memory that a process holds."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmRSS"))


def main() -> None:
    """Print the times."""
    options = arguments(__doc__ or "")
    rows = 100_000 if options.quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        key = make(work, rows)
        with serving(work) as (port, process):
            asking = Asking(port, process)
            found = {
                "first page, columns read": asking.time("/documents"),
                "first page of grades": asking.time("/grades"),
            }
            for name, path in PAGES.items():
                found[name] = asking.best(path.replace("KEY", key).replace("LAST", str(rows // 50)))
            steps = asking.search("/documents?q=needle&in=texts#list")
            found["a search in the texts, the median request"] = sorted(steps)[len(steps) // 2]
            found["a search in the texts, all requests"] = Times(*map(sum, zip(*steps, strict=True)))
            megabytes = resident_megabytes(process)
    ours = {"rows": rows, "requests_of_a_search": len(steps), "megabytes": round(megabytes)}
    ours |= {name: times.shown for name, times in found.items()}
    table = [(f"{rows:,} documents, {megabytes:,.0f} MB resident", "ms, wall", "ms, processor")]
    table += [(name, *(f"{value:,}" for value in times.shown.values())) for name, times in found.items()]
    tell(Outcome("view", ours, versions=versions("duckdb", "starlette", "uvicorn")), table, as_json=options.json)


if __name__ == "__main__":
    main()
