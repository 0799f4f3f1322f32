"""Packing: ours beside datatrove's tokenizer step, `datasets.map` with tokenizers, and tiktoken; the same files, GPT-2's vocabulary.

Each reads one Parquet file of Python sources of the standard library and leaves one array of tokens on disk, `<|endoftext|>` after each
file, in a process and on a core of its own. Ours is the whole stage: order, shards, index and the count at the end included. Rates are
megabytes of text per second of processor time, imports not counted; all arrays are compared token by token. Needs the extra `codegen` for
the vocabulary. Peers run in the interpreter that CODETEXTBOOK_BENCH_PYTHON names (datatrove, datasets, tokenizers, tiktoken).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders

from benchmarks import pack_clients
from benchmarks.frame import Outcome, arguments, tell, versions
from codetextbook.nouns import END_OF_TEXT, document_id
from codetextbook.text.vocabulary import codegen, cut_like_gpt2

PEERS = ("datatrove", "datasets", "tiktoken")


def corpus(folder: Path, megabytes: float) -> int:
    """Write sources of the standard library as `texts.parquet`; returns their bytes."""
    root = Path(sysconfig.get_paths()["stdlib"])
    rows, size = {}, 0
    for path in sorted(root.rglob("*.py")):
        if "site-packages" in path.parts or size > megabytes * 1e6:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        if text and END_OF_TEXT not in text and document_id(text) not in rows:
            rows[document_id(text)] = text
            size += len(text.encode())
    pq.write_table(pa.table({"id": list(rows), "text": list(rows.values())}), folder / "texts.parquet")
    return size


def vocabulary(folder: Path) -> None:
    """GPT-2's vocabulary as `tokenizer.json`: CodeGen's without the runs of spaces."""
    made = Tokenizer(codegen().model)
    made.pre_tokenizer, made.decoder = cut_like_gpt2(), decoders.ByteLevel()
    made.add_special_tokens([END_OF_TEXT])
    made.save(str(folder / "tokenizer.json"))


def measured(name: str, folder: Path, repeats: int) -> tuple[float, np.ndarray] | str:
    """Best processor seconds of one way, and its tokens in the order of the files; or why it did not run."""
    python = sys.executable if name == "ours" else os.environ.get("CODETEXTBOOK_BENCH_PYTHON", sys.executable)
    alone = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    best = float("inf")
    for number in range(repeats):
        out = folder / f"{name}-{number}"
        out.mkdir()
        command = [python, pack_clients.__file__, name, str(folder), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | alone)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["no word"])[-1][:120]
        best = min(best, json.loads(done.stdout.splitlines()[-1])["cpu_seconds"])
    return best, np.load(out / "in-order.npy")


def main() -> None:
    """Print megabytes a second of each, whether the tokens are equal, and the ratios."""
    options = arguments(__doc__ or "")
    outcome = Outcome("pack", {}, versions=versions("tokenizers", "pyarrow", "numpy"))
    rows: list[tuple[str, ...]] = [("way", "MB/s", "times as fast are we", "equal tokens")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = corpus(folder, 3.0 if options.quick else 16.0)
        vocabulary(folder)
        ours = measured("ours", folder, 1 if options.quick else 2)
        if isinstance(ours, str):
            raise SystemExit(ours)
        rate = size / 1e6 / ours[0]
        outcome.ours = {"mb_per_second": round(rate, 2), "mb": round(size / 1e6, 1), "tokens": len(ours[1])}
        rows.append(("ours", f"{rate:.2f}", "", f"{len(ours[1]):,}"))
        for peer in PEERS:
            found: Any = measured(peer, folder, 1 if options.quick else 2)
            if isinstance(found, str):
                outcome.peers[peer] = {"missing": True}
                rows.append((peer, "missing", "", found))
                continue
            equal = bool(np.array_equal(found[1], ours[1]))
            theirs = size / 1e6 / found[0]
            outcome.peers[peer] = {"mb_per_second": round(theirs, 2), "equal_tokens": equal}
            outcome.ratios[peer] = round(rate / theirs, 2)
            rows.append((peer, f"{theirs:.2f}", f"{rate / theirs:.2f}", str(equal)))
    tell(outcome, rows, as_json=options.json)


if __name__ == "__main__":
    main()
