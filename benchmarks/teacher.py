"""The teacher's client against litellm, the openai SDK and distilabel on one loopback server; its journal with many rows; its local
kind against `transformers.generate`.

    python -m benchmarks.teacher --quick

Peers of the network run in the environment whose Python CODETEXTBOOK_BENCH_PYTHON names, where they are installed (`pip install litellm
openai distilabel`); a peer that is not there is named as missing. Each client is alone in a process, ours with its journal and budget. The
local kind writes with a model of SmolLM2-135M's shape and weights drawn at random (a smaller one with --quick): 64 answers of 16 to 64
tokens, 32 rows; `generate` writes batches of 32 to the longest of each.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import loopback, teacher_clients
from benchmarks.frame import Outcome, arguments, tell, versions
from codetextbook.teacher import Journal, Limits, Reply
from codetextbook.teacher.journal import Room

IN_FLIGHT = 512
DELAY_SECONDS = 2.0
PEERS = ("openai", "litellm", "distilabel")


@contextmanager
def server(delay_seconds: float) -> Iterator[str]:
    """The server's address, while it runs."""
    command = [sys.executable, loopback.__file__, str(delay_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.kill()


def measured(name: str, python: str, url: str, requests: int) -> dict[str, Any] | None:
    """One client's figures; None where it cannot run."""
    command = [python, teacher_clients.__file__, name, url, str(requests), str(IN_FLIGHT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print("".join(line + "\n" for line in done.stderr.splitlines() if line.endswith(" MB")), end="")
    if done.returncode:
        print(f"{name}: not run ({(done.stderr.strip().splitlines() or ['no word'])[-1][:120]})")
        return None
    found = json.loads(done.stdout.splitlines()[-1])
    rate = found["answers"] / found["seconds"]
    return {
        "requests_per_second": round(rate, 1),
        "steady_requests_per_second": round(found["steady_rate"], 1),
        "cpu_ms_per_request": round(1e3 * found["cpu_seconds"] / found["answers"], 3),
        "early_mb": round(found["early_mb"]),
        "end_mb": round(found["end_mb"]),
    }


def network(outcome: Outcome, rows: list[tuple[str, ...]], requests: int) -> None:
    """All clients at the same server, after the same delay."""
    ideal = requests / (DELAY_SECONDS * -(-requests // IN_FLIGHT))
    rows.append(
        (
            "client",
            "requests/s",
            "of the ideal (after the first third)",
            "CPU ms a request",
            "MB after a tenth",
            "MB at the end",
        )
    )
    python = os.environ.get("CODETEXTBOOK_BENCH_PYTHON", sys.executable)
    with server(DELAY_SECONDS) as url:
        for name in ("ours", *PEERS):
            found = measured(name, sys.executable if name == "ours" else python, url, requests)
            if found is None:
                outcome.peers[name] = {"missing": True}
                continue
            share = found["requests_per_second"] / ideal
            found["share_of_ideal"] = round(share, 3)
            steady = found["steady_share_of_ideal"] = round(found["steady_requests_per_second"] / ideal, 3)
            rate, cpu = found["requests_per_second"], found["cpu_ms_per_request"]
            rows.append(
                (
                    name,
                    f"{rate:.0f}",
                    f"{share:.0%} ({steady:.0%})",
                    f"{cpu:.2f}",
                    str(found["early_mb"]),
                    str(found["end_mb"]),
                )
            )
            if name == "ours":
                outcome.ours |= found
            else:
                outcome.peers[name] = found
                outcome.ratios[f"{name}, requests/s"] = round(outcome.ours["requests_per_second"] / rate, 2)
                outcome.ratios[f"{name}, CPU"] = round(cpu / outcome.ours["cpu_ms_per_request"], 2)


def memory(outcome: Outcome, rows: list[tuple[str, ...]], requests: int) -> None:
    """Whether memory grows with the number of requests: ours, at a server that answers at once."""
    with server(0.05) as url:
        found = measured("ours", sys.executable, url, requests)
    assert found is not None
    outcome.ours["memory"] = found | {"requests": requests}
    rows.append((f"ours, {requests:,} requests", f"{found['requests_per_second']:.0f}", "", f"{found['cpu_ms_per_request']:.2f}",
                 str(found["early_mb"]), str(found["end_mb"])))  # fmt: skip


def journal(outcome: Outcome, rows: list[tuple[str, ...]], number: int) -> None:
    """Looking up and keeping a reply when the journal holds a number of them already."""
    draw = random.Random(0)
    reply = Reply("x" * 300, 700, 60, 1e-3, "stop", "m")
    request = {"messages": [{"role": "user", "content": teacher_clients.prompt(0)}]}
    with tempfile.TemporaryDirectory() as folder:
        book = Journal(Path(folder) / "j.sqlite3")
        for start in range(0, number, 5_000):
            keys = [f"{draw.getrandbits(256):064x}" for _ in range(min(5_000, number - start))]
            book.together([partial(book.keep, key, request, reply) for key in keys])
        find = [_seconds(partial(book.find, key)) for key in keys[:1_000]]
        keep = []
        for _ in range(50):
            fresh = [f"{draw.getrandbits(256):064x}" for _ in range(64)]
            begin = time.perf_counter()
            asked = book.together([partial(book.reserve, key, Room(1e-3, 100), Limits(1e9)) for key in fresh])
            pairs = zip(asked, fresh, strict=True)
            book.together([partial(book.settle, one.number, key, request, reply) for one, key in pairs])
            keep.append((time.perf_counter() - begin) / 64)
        size = book.path.stat().st_size / 1e6
        book.close()
    told = {
        "rows": number,
        "find_ms": 1e3 * statistics.median(find),
        "keep_ms": 1e3 * statistics.median(keep),
        "mb": size,
    }
    outcome.ours["journal"] = {name: round(value, 4) for name, value in told.items()}
    rows.append((f"journal of {number:,} rows", f"find {told['find_ms']:.3f} ms", f"reserve and keep {told['keep_ms']:.3f} ms",
                 f"{size:,.0f} MB", "", ""))  # fmt: skip


def _seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def local(outcome: Outcome, rows: list[tuple[str, ...]], *, small: bool) -> None:
    """Answers of different lengths: ours, `generate` one by one, and `generate` in batches."""
    try:
        import torch
        import transformers
    except ImportError:
        outcome.peers["transformers.generate"] = {"missing": True}
        return
    shape = {
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    if not small:
        shape = {
            "hidden_size": 576,
            "intermediate_size": 1_536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
        }
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=49_152, max_position_embeddings=2_048, tie_word_embeddings=True, **shape
    )
    model = transformers.LlamaForCausalLM(config).eval()
    draw = random.Random(0)
    prompts = [[draw.randrange(10, 49_000) for _ in range(draw.randint(60, 120))] for _ in range(64)]
    lengths = [draw.randint(16, 64) for _ in prompts]
    few = 4 if small else 6
    ways = {
        "ours": lambda: _ours(model, prompts, lengths),
        "generate, one by one": lambda: _generate(
            model, [[one] for one in prompts[:few]], [[one] for one in lengths[:few]]
        ),
        "generate, batches of 32": lambda: _generate(model, [prompts[:32], prompts[32:]], [lengths[:32], lengths[32:]]),
    }
    speeds = {}
    for name, way in ways.items():
        begin = time.perf_counter()
        tokens = way()
        speeds[name] = tokens / (time.perf_counter() - begin)
        rows.append((f"local: {name}", f"{speeds[name]:.1f} tokens/s", "", "", "", ""))
    outcome.ours["local_tokens_per_second"] = round(speeds["ours"], 1)
    for name in list(ways)[1:]:
        outcome.peers[f"transformers.{name}"] = {"tokens_per_second": round(speeds[name], 1)}
        outcome.ratios[f"transformers.{name}"] = round(speeds["ours"] / speeds[name], 2)


def _ours(model: Any, prompts: list[list[int]], lengths: list[int]) -> int:
    """Tokens that the local kind's rows write."""
    from codetextbook.teacher import Message, Request
    from codetextbook.teacher.local import LocalModel, Ready

    teacher = LocalModel.__new__(LocalModel)
    teacher.model, teacher.tokenizer, teacher.ends, teacher.name, teacher._prefix = model, _Numbers(), set(), "m", None
    teacher.device, teacher.broken_off = model.device, threading.Event()
    told: list[Reply] = []
    queue: deque[Any] = deque()
    for tokens, length in zip(prompts, lengths, strict=True):
        queue.append((Ready(Request((Message("user", ""),), max_tokens=length), tokens), told.append))
    while queue:
        teacher.write(queue, 32)
    assert sorted(reply.output_tokens for reply in told) == sorted(lengths)
    return sum(reply.output_tokens for reply in told)


class _Numbers:
    """A tokenizer for weights that mean nothing."""

    def decode(self, tokens: list[int], **_: Any) -> str:
        return " ".join(map(str, tokens))


def _generate(model: Any, batches: list[list[list[int]]], lengths: list[list[int]]) -> int:
    """Tokens wanted, of batches padded on the left and written to the longest answer of each, as `generate` does."""
    import torch

    wanted = 0
    with torch.inference_mode():
        for batch, most in zip(batches, lengths, strict=True):
            width = max(map(len, batch))
            ids = torch.tensor([[0] * (width - len(one)) + one for one in batch])
            mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in batch])
            longest = max(most)
            model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=longest,
                min_new_tokens=longest,
                do_sample=False,
                pad_token_id=0,
            )
            wanted += sum(most)
    return wanted


def main() -> None:
    options = arguments(__doc__.splitlines()[0])
    outcome = Outcome("teacher", {}, versions=versions("aiohttp", "transformers", "torch"))
    rows: list[tuple[str, ...]] = []
    network(outcome, rows, IN_FLIGHT * (3 if options.quick else 6))
    memory(outcome, rows, 3_000 if options.quick else 100_000)
    journal(outcome, rows, 20_000 if options.quick else 1_000_000)
    local(outcome, rows, small=options.quick)
    tell(outcome, rows, as_json=options.json)


if __name__ == "__main__":
    main()
