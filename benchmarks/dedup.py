"""Near duplicates: which removals are right, against exact Jaccard over all pairs of this machine's Python files; and at what cost.

Files: the standard library and all installed packages, decoded, of 60 to 100,000 characters, exact copies taken out. The truth is brute
force: the intersection of every two sets of code-token 5-grams, by products of sparse matrices. A removal is *false* where no survivor is
at the threshold to it; a survivor is *missed* where it is at the threshold to a longer survivor.

Ours is the stage itself, from Parquet to Parquet, in a process of its own. Peers run in the interpreter of an environment that has them
(`--peers PYTHON`), or each in its own where their needs conflict (`--peers NAME=PYTHON`); one that is not there is named as missing.

    python -m benchmarks.dedup --quick
    python -m benchmarks.dedup --peers /path/to/venv/bin/python --peers text_dedup=/path/to/other/bin/python
    python -m benchmarks.dedup --copies 9        # ten times the corpus, copies with edits: is memory flat?
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from benchmarks.frame import Outcome, tell, versions
from codetextbook.nouns import DOCUMENT, document_id
from codetextbook.text.shingles import shingle_all

THRESHOLD = 0.7
PEERS = ("datatrove", "daft", "text_dedup")
ROWS_PER_PART = 1_000
ROWS_PER_BLOCK = 400


class Judged(NamedTuple):
    """How the removals of one method fare."""

    removed: int
    precision: float
    recall: float


def real_files(most: int) -> Iterator[dict[str, Any]]:
    """Documents of the files on this machine, each text once."""
    paths = sysconfig.get_paths()
    roots = {"stdlib": Path(paths["stdlib"]), "packages": Path(paths["purelib"])}
    seen: set[str] = set()
    for source, root in roots.items():
        for path in sorted(root.rglob("*.py")):
            if source == "stdlib" and "site-packages" in path.parts:
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            key = document_id(text)
            if 60 <= len(text) <= 100_000 and key not in seen:
                seen.add(key)
                name = path.relative_to(root).as_posix()
                yield {"id": key, "text": text, "source": source, "licence": "", "path": name, "quality": None}
                if len(seen) == most:
                    return


def edited(rows: list[dict[str, Any]], copies: int) -> Iterator[dict[str, Any]]:
    """The documents, and of each so many copies with edits: lines dropped, doubled or renamed in one to thirty places."""
    for row in rows:
        yield row
        draw = random.Random(row["id"])
        for number in range(copies):
            lines = row["text"].splitlines(keepends=True)
            for _ in range(draw.randint(1, 30)):
                place = draw.randrange(len(lines))
                lines[place] = draw.choice(["", lines[place] * 2, f"value_{draw.random()} = {number}\n"])
            text = "".join(lines) or row["text"]
            yield row | {"text": text, "id": document_id(text), "path": f"{number}/{row['path']}"}


def write_corpus(rows: Iterator[dict[str, Any]], folder: Path) -> int:
    """Documents as the stage `read` leaves them; their number."""
    folder.mkdir(parents=True)
    count = part = 0
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append(row)
        count += 1
        if len(some) == ROWS_PER_PART:
            pq.write_table(pa.Table.from_pylist(some, schema=DOCUMENT), folder / f"documents-{part:05d}.parquet")
            some, part = [], part + 1
    pq.write_table(pa.Table.from_pylist(some, schema=DOCUMENT), folder / f"documents-{part:05d}.parquet")
    (folder / "manifest.json").write_text(json.dumps({"id": "corpus", "stage": "read"}))
    return count


def pairs_above(sets: list[Any], threshold: float) -> list[tuple[int, int]]:
    """Every pair of sets at the threshold or above, by comparing all."""
    sizes = np.array([len(one) for one in sets])
    values, columns, counts = np.unique(np.concatenate(sets), return_inverse=True, return_counts=True)
    shared = counts[columns] > 1  # what stands in one set only is in no intersection
    rows = np.repeat(np.arange(len(sets)), sizes)[shared]
    matrix = sparse.csr_matrix(
        (np.ones(len(rows), np.int32), (rows, columns[shared])), shape=(len(sets), len(values)), dtype=np.int32
    )
    turned = matrix.T.tocsr()
    found = []
    for start in range(0, len(sets), ROWS_PER_BLOCK):
        common = (matrix[start : start + ROWS_PER_BLOCK] @ turned).tocoo()
        first, second = common.row + start, common.col
        union = sizes[first] + sizes[second] - common.data
        alike = (first < second) & (common.data / union >= threshold)
        found += list(zip(first[alike].tolist(), second[alike].tolist(), strict=True))
    return found


def judged(pairs: list[tuple[int, int]], sizes: list[int], kept: set[int], total: int) -> Judged:
    """Removals against the truth."""
    neighbours: dict[int, list[int]] = {}
    for a, b in pairs:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    removed = [row for row in range(total) if row not in kept]
    false = sum(not any(other in kept for other in neighbours.get(row, ())) for row in removed)
    missed = sum(
        any(other in kept and (sizes[other], other) > (sizes[row], row) for other in neighbours.get(row, ()))
        for row in kept
    )
    right = len(removed) - false
    return Judged(len(removed), right / max(1, len(removed)), right / max(1, right + missed))


OURS = """
import sys
from pathlib import Path
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.dedup import Dedup, dedup
from codetextbook.store import Artifact, Store
import benchmarks.dedup_peers as peers
if __name__ == "__main__":
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    cfg = Dedup(threshold=float(sys.argv[3]), wiped_out_share=1.0)
    made = run_stage(dedup, cfg, Artifact(folder), store=Store(out / "store"), site=Site(workers=1))
    peers.write(out, made.table("documents")["id"].to_pylist())
"""


def run(order: list[str]) -> dict[str, Any] | str:
    """What a method wrote of itself; its last line of error where it failed."""
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1][:200]
    found: dict[str, Any] = json.loads((Path(order[-2]) / "result.json").read_text())
    return found


def interpreters(said: list[str]) -> dict[str, str]:
    """Whose Python is which: `NAME=PYTHON` by the name, the others' by the empty name."""
    found = {"": sys.executable}
    for one in said:
        name, equals, python = one.partition("=")
        found |= {name: python} if equals and name in PEERS else {"": one}
    return found


def main() -> None:
    """Collect, compare all pairs, run every method, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,500 files, done within a minute")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    parser.add_argument(
        "--peers",
        action="append",
        default=[],
        metavar="[NAME=]PYTHON",
        help="the Python of an environment that has the peers, or one peer",
    )
    parser.add_argument("--copies", type=int, default=0, help="copies with edits of each file; then no truth, no peers")
    options = parser.parse_args()
    pythons = interpreters(options.peers)
    rows = list(real_files(1_500 if options.quick else 10**9))
    megabytes = sum(len(row["text"]) for row in rows) * (1 + options.copies) / 1e6
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        count = write_corpus(edited(rows, options.copies), work / "corpus")
        print(f"{count:,} files, about {megabytes:,.0f} million characters, threshold {THRESHOLD}")
        found: dict[str, dict[str, Any] | str] = {}
        order = [sys.executable, "-c", OURS, str(work / "corpus"), str(work / "ours"), str(THRESHOLD)]
        (work / "ours").mkdir()
        found["ours"] = run(order)
        for peer in () if options.copies else PEERS:
            (work / peer).mkdir()
            script = Path(__file__).with_name("dedup_peers.py")
            found[peer] = run(
                [
                    pythons.get(peer, pythons[""]),
                    str(script),
                    peer,
                    str(work / "corpus"),
                    str(work / peer),
                    str(THRESHOLD),
                ]
            )
        outcome = Outcome("dedup", {"files": count}, versions=versions("numpy", "pyarrow", "scipy"))
        table = [("method", "removed", "precision", "recall", "CPU seconds", "peak MB", "our CPU is")]
        truth = None
        if not options.copies:
            sets = shingle_all([row["text"] for row in rows])
            truth = pairs_above(sets, THRESHOLD)
            sizes = [len(one) for one in sets]
        number = {row["id"]: place for place, row in enumerate(rows)}
        for name, result in found.items():
            if isinstance(result, str):
                table.append((name, "missing" if "No module" in result else "failed", "", "", "", result[:60], ""))
                continue
            figures = {"cpu_seconds": result["cpu_seconds"], "peak_megabytes": result["peak_megabytes"]}
            quality: tuple[str, ...] = (f"{count - len(result['kept']):,}", "", "")
            if truth is not None:
                verdict = judged(truth, sizes, {number[one] for one in result["kept"]}, count)
                figures |= verdict._asdict()
                quality = (f"{verdict.removed:,}", f"{verdict.precision:.4f}", f"{verdict.recall:.4f}")
            if name == "ours":
                outcome.ours |= figures
            else:
                outcome.peers[name] = figures
                outcome.ratios[name] = round(figures["cpu_seconds"] / outcome.ours["cpu_seconds"], 2)
            ratio = f"{outcome.ratios[name]} times less" if name in outcome.ratios else ""
            table.append((name, *quality, f"{figures['cpu_seconds']:.1f}", f"{figures['peak_megabytes']:,.0f}", ratio))
        tell(outcome, table, as_json=options.json)


if __name__ == "__main__":
    main()
