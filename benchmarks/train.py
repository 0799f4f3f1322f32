"""Training: ours beside transformers (a plain loop, and its Trainer), litgpt, nanoGPT and llm.c, on the same shapes, batch and machine.

Each trains in a process of its own. On a CPU, rates are tokens a second of processor time; on a GPU, of the clock. Utilisation is against
matrix products measured here just before (2 n^3 operations each); operations of a token: train/footprint.py. Precision is bf16 where the
machine is fast in it, else fp32, for all but llm.c, which has fp32 only. `+compiled` is torch.compile, whose compiling is not counted: each
peer is to be taken at its best. Peers run in the interpreter that CODETEXTBOOK_BENCH_PYTHON names, nanoGPT and llm.c from the folders that
CODETEXTBOOK_NANOGPT and CODETEXTBOOK_LLMC name; one that is missing is named. `muon` is the laptop recipe's optimizer, which does more in
a step; ratios are to the better of `ours` and `ours+compiled`.
Limit: with other programs on the machine, several threads spin while they wait and their processor time counts: run alone, or set
CODETEXTBOOK_BENCH_THREADS=1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks import train_clients
from benchmarks.frame import Outcome, arguments, tell, versions
from codetextbook.model.config import PhiConfig
from codetextbook.train.footprint import flop_per_token
from codetextbook.train.precision import fast_bf16, resolve_device

OWN = ("ours", "ours+compiled", "muon")
PEERS = (
    "transformers", "transformers+compiled", "trainer", "trainer+compiled", "litgpt", "litgpt+compiled", "nanogpt",
    "nanogpt+compiled", "llmc",
)  # fmt: skip


def measured(name: str, shape: str, steps: int, precision: str) -> train_clients.Times | str:
    """Seconds of one client's steps; or why it did not run."""
    own = name in (*OWN, "peak")
    python = sys.executable if own else os.environ.get("CODETEXTBOOK_BENCH_PYTHON", sys.executable)
    threads = os.environ.get("CODETEXTBOOK_BENCH_THREADS", str(len(os.sched_getaffinity(0))))
    environment = os.environ | {"CODETEXTBOOK_BENCH_THREADS": threads, "HF_HUB_OFFLINE": "1"}
    command = [python, train_clients.__file__, name, shape, str(steps), precision]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no word"])[-1][:100]
    return train_clients.Times(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print tokens a second of each, utilisation, and the ratios."""
    options = arguments(__doc__ or "")
    device = resolve_device("auto")
    precision = "bf16" if fast_bf16(device) else "fp32"
    gpu = device == "cuda"
    shapes = ("phi1-small", "phi1") if gpu else ("laptop",) if options.quick else ("laptop", "medium")
    outcome = Outcome(
        "train", {"device": device, "precision": precision}, versions=versions("torch", "transformers", "litgpt")
    )
    rows: list[tuple[str, ...]] = [("shape", "way", "tokens/s", "of peak", "times as fast are we")]
    side = 8_192 if gpu else 1_024
    for name in shapes:
        shape = train_clients.SHAPES[name]
        steps = 20 if gpu or name == "laptop" else 3
        products = measured("peak", name, 20, precision)
        if isinstance(products, str):
            raise SystemExit(products)
        top = 20 * 2 * side**3 / (products.wall if gpu else products.cpu)
        config = PhiConfig(
            vocabulary=shape.vocabulary, layers=shape.layers, hidden=shape.hidden, heads=shape.heads,
            mlp=4 * shape.hidden, context=shape.context,
        )  # fmt: skip
        best = 0.0
        for way in (*OWN, *PEERS):
            found = measured(way, name, steps, precision)
            if isinstance(found, str):
                outcome.peers[f"{way}/{name}"] = {"missing": True}
                rows.append((name, way, "missing", "", found))
                continue
            rate = steps * shape.batch * shape.context / (found.wall if gpu else found.cpu)
            share = rate * flop_per_token(config) / top
            told = {"tokens_per_second": round(rate), "utilisation": round(share, 3)}
            ratio = ""
            if way in OWN:
                best = max(best, rate if way != "muon" else 0.0)
                outcome.ours[f"{way}/{name}"] = told
            else:
                outcome.peers[f"{way}/{name}"] = told
                outcome.ratios[f"{way}/{name}"] = round(best / rate, 2)
                ratio = f"{best / rate:.2f}"
            rows.append((name, way, f"{rate:,.0f}", f"{share:.2f}", ratio))
    tell(outcome, rows, as_json=options.json)


if __name__ == "__main__":
    main()
