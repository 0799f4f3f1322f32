"""Scoring documents with a trained forest: our evaluation beside scikit-learn's `predict_proba`, on prepared features.

The forest of the laptop recipe (300 trees on 384 numbers, a few hundred graded documents) judges documents that it has not seen. Vectors
are random around two centres, in float32, ready in memory. Ours must give scikit-learn's probabilities to the last bit. Seconds are
processor seconds on one thread; with `--threads` the wall clock of both on that many threads, where scikit-learn adds trees up in the
order in which they end.

    python -m benchmarks.forest --quick
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_limits

from benchmarks.frame import Outcome, seconds_of, tell, versions
from codetextbook.teacher.forest import Growing, Size, plant, probabilities

WIDTH, GRADED, TREES = 384, 343, 300
CORPUS = 35_000_000
"""Files of the paper's corpus (§2.1)."""


def documents(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of length one as an embedder gives them, and which of them are good."""
    draw = np.random.default_rng(seed)
    good = draw.random(number) < 0.36
    rows = draw.normal(size=(number, WIDTH)).astype(np.float32)
    rows += good[:, None] * np.linspace(0, 0.5, WIDTH, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16).astype(np.float32), good


def wall_of(model: RandomForestClassifier, rows: np.ndarray, threads: int) -> tuple[float, float]:
    """Seconds by the clock of ours and of scikit-learn on several threads, the better of two each, in turn."""
    ours, theirs = float("inf"), float("inf")
    for _ in range(2):
        start = time.perf_counter()
        probabilities(model, rows, threads)
        ours = min(ours, time.perf_counter() - start)
        model.n_jobs = threads
        start = time.perf_counter()
        model.predict_proba(rows)
        theirs = min(theirs, time.perf_counter() - start)
        model.n_jobs = 1
    return ours, theirs


def main() -> None:
    """Print documents a second of each, whether the probabilities are equal, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller load, done within a minute")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    parser.add_argument("--threads", type=int, default=0, help="also by the clock on so many threads")
    options = parser.parse_args()
    model = plant(Growing((TREES,), (0,), 2, 3, 0), Size(TREES, 0)).fit(*documents(GRADED, 0))
    rows, _ = documents(10_000 if options.quick else 100_000, 1)
    outcome = Outcome("forest", {}, versions=versions("scikit-learn", "numpy"))
    table: list[tuple[str, ...]] = [("way", "documents/s", "hours of a core for 35M", "times as fast are we", "equal")]
    with threadpool_limits(limits=1):
        equal = bool(np.array_equal(probabilities(model, rows), model.predict_proba(rows)[:, 1]))
        repeats = 2 if options.quick else 3
        ours = seconds_of(lambda: probabilities(model, rows), repeats=repeats)
        theirs = seconds_of(lambda: model.predict_proba(rows), repeats=repeats)
    for name, seconds in (("ours", ours), ("scikit-learn", theirs)):
        ratio = "" if name == "ours" else f"{theirs / ours:.2f}"
        rate, hours = len(rows) / seconds, CORPUS / len(rows) * seconds / 3600
        table.append((name, f"{rate:,.0f}", f"{hours:.2f}", ratio, json.dumps(equal)))
    outcome.ours = {"documents_per_second": round(len(rows) / ours), "trees": TREES, "equal": equal}
    outcome.peers["scikit-learn"] = {"documents_per_second": round(len(rows) / theirs)}
    outcome.ratios["scikit-learn"] = round(theirs / ours, 2)
    if options.threads:
        mine, other = wall_of(model, rows, options.threads)
        name = f"scikit-learn, {options.threads} threads"
        table.append((name, f"{len(rows) / other:,.0f}", "", f"{other / mine:.2f}", "by the clock"))
        outcome.peers[name] = {"documents_per_second": round(len(rows) / other)}
        outcome.ratios[name] = round(other / mine, 2)
    tell(outcome, table, as_json=options.json)


if __name__ == "__main__":
    main()
