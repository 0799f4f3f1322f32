"""The peers of `benchmarks.dedup`, each as its own documentation has it. Runs in an environment that has them, and imports nothing of ours.

All take 112 hashes; datatrove and Daft in 14 bands of 8, as datatrove's default is; text-dedup in the bands it chooses for the threshold.

text-dedup is 0.3.0, the last release whose MinHash command needs no Spark; it pins a SciPy that has wheels for Python 3.8 to 3.10 only, so
it has an environment of its own: `python3.10 -m venv ENV`, then `ENV/bin/pip install --only-binary=networkit text-dedup==0.3.0`. It has no
check of candidates: a shared band is a duplicate. 0.3.1 and later need Spark or Dask, and are not measured.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

BANDS, HASHES_PER_BAND, NGRAM = 14, 8, 5


def write(out: Path, kept: list[str]) -> None:
    """The ids that stay, and what it took."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    found = {
        "kept": kept,
        "cpu_seconds": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak_megabytes": max(own.ru_maxrss, children.ru_maxrss) / 1024,
    }
    (out / "result.json").write_text(json.dumps(found))


def groups_to_kept(ids: list[str], lengths: list[int], groups: Any) -> list[str]:
    """Connected components of documents that share a band; of each the longest stays."""
    parent = list(range(len(ids)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for group in groups:
        for other in group[1:]:
            parent[root(other)] = root(group[0])
    best: dict[int, int] = {}
    for one in range(len(ids)):
        known = best.get(root(one))
        if known is None or lengths[one] > lengths[known]:
            best[root(one)] = one
    return [ids[one] for one in sorted(best.values())]


def daft(corpus: Path, out: Path, threshold: float) -> None:
    """Daft's own MinHash, its explode and group-by, components, and what stays written as Parquet, as the others write it."""
    import os

    os.environ["DO_NOT_TRACK"] = "true"
    import daft
    from daft import col

    frame = daft.read_parquet(f"{corpus}/documents-*.parquet").select("id", "text").collect()
    ids, texts = (frame.to_pydict()[name] for name in ("id", "text"))
    number = {key: place for place, key in enumerate(ids)}
    signed = frame.with_column(
        "bands",
        col("text").minhash(num_hashes=BANDS * HASHES_PER_BAND, ngram_size=NGRAM, seed=42).chunk(HASHES_PER_BAND),
    ).select("id", "bands")
    signed = signed.with_column("band", daft.lit(list(range(BANDS)))).explode("bands", "band")
    grouped = signed.groupby("band", "bands").agg(col("id").list_agg()).to_pydict()["id"]
    kept = groups_to_kept(ids, [len(text) for text in texts], ([number[key] for key in one] for one in grouped))
    staying = daft.from_pydict({"id": kept})
    daft.read_parquet(f"{corpus}/documents-*.parquet").join(staying, on="id", how="semi").write_parquet(
        str(out / "kept"), compression="zstd"
    )
    write(out, kept)


def datatrove(corpus: Path, out: Path, threshold: float) -> None:
    """datatrove's four steps, each with its local executor."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    config = MinhashConfig(num_buckets=BANDS, hashes_per_bucket=HASHES_PER_BAND, n_grams=NGRAM)
    step = {name: str(out / name) for name in ("signatures", "buckets", "removed", "kept")}

    def reader() -> ParquetReader:
        return ParquetReader(str(corpus), glob_pattern="documents-*.parquet")

    pipelines: list[tuple[list[Any], int]] = [
        ([reader(), MinhashDedupSignature(output_folder=step["signatures"], config=config)], 1),
        ([MinhashDedupBuckets(step["signatures"], step["buckets"], config=config)], BANDS),
        ([MinhashDedupCluster(step["buckets"], step["removed"], config=config)], 1),
        ([reader(), MinhashDedupFilter(step["removed"]), JsonlWriter(step["kept"], compression=None)], 1),
    ]
    for number, (pipeline, tasks) in enumerate(pipelines):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(out / f"log{number}")).run()
    kept = [json.loads(line)["id"] for path in (out / "kept").glob("*.jsonl") for line in path.open()]
    write(out, kept)


def text_dedup(corpus: Path, out: Path, threshold: float) -> None:
    """text-dedup's MinHash command, as its README has it, with our threshold, hashes and n-grams."""
    import datasets
    import text_dedup as _  # noqa: F401

    order = [sys.executable, "-m", "text_dedup.minhash", "--path", "parquet", "--split", "train", "--column", "text"]
    order += ["--data_files", f"{corpus}/documents-*.parquet", "--cache_dir", str(out / "cache")]
    order += ["--output_dir", str(out), "--index_name", "lsh.pkl", "--graph_name", "graph.networkit"]
    order += ["--dedup_name", "kept", "--threshold", str(threshold), "--seed", "42"]
    subprocess.run([*order, "--ngram", str(NGRAM), "--num_perm", str(BANDS * HASHES_PER_BAND)], check=True)
    write(out, list(datasets.load_from_disk(str(out / "kept"))["id"]))


if __name__ == "__main__":
    name, corpus, out, threshold = sys.argv[1:]
    {"daft": daft, "datatrove": datatrove, "text_dedup": text_dedup}[name](Path(corpus), Path(out), float(threshold))
