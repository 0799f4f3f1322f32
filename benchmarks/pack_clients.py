"""One way of packing for `benchmarks.pack`, alone in its process: `python pack_clients.py NAME FOLDER OUT`.

FOLDER holds `texts.parquet` and `tokenizer.json`. Prints processor seconds; the tokens, put back into the order of the files where a way
changes it, go to OUT/in-order.npy, which is not counted. Runs in whichever environment has the way's packages.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

END_OF_TEXT = "<|endoftext|>"
Run = Callable[[], Any]
Read = Callable[[Any], np.ndarray]


def ours(folder: Path, out: Path) -> tuple[Run, Read]:
    import pyarrow.parquet as pq

    import codetextbook.stages.decontaminate
    import codetextbook.stages.tokenizer
    from codetextbook.site import Site
    from codetextbook.stages.contract import run_stage
    from codetextbook.stages.pack import Pack, pack
    from codetextbook.store import Artifact, Store, Writer
    from codetextbook.train.tokens import Tokens

    assert codetextbook.stages.decontaminate
    assert codetextbook.stages.tokenizer
    store = Store(out)
    table = pq.read_table(folder / "texts.parquet")

    def finished(stage: str, writer: Writer) -> Artifact:
        writer.flow(rows_in=0, unit="texts", rows_kept=0, rejected={})
        return writer.finish({"id": "made", "stage": stage, "version": 1, "config": {}, "inputs": {}}, 0.0)

    clean, vocab = (Writer(store.folder(stage, "made")) for stage in ("decontaminate", "tokenizer"))
    clean.table("documents", 0, table)
    with vocab.file("tokenizer.json") as path:
        path.write_bytes((folder / "tokenizer.json").read_bytes())
    inputs = finished("tokenizer", vocab), finished("decontaminate", clean)
    cfg = Pack(parts=("documents",), validation_share=0.0)

    def read(made: Artifact) -> np.ndarray:
        tokens = Tokens.of(made.folder, "train")
        places = {row["id"]: (row["first_token"], row["tokens"]) for row in made.table("texts").to_pylist()}
        own = [places[identity] for identity in table["id"].to_pylist()]
        return np.concatenate([tokens[first : first + count] for first, count in own])

    return lambda: run_stage(pack, cfg, *inputs, store=store, site=Site(workers=1)), read


def datatrove(folder: Path, out: Path) -> tuple[Run, Read]:
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    reader = ParquetReader(str(folder), glob_pattern="texts.parquet")
    step = DocumentTokenizer(
        str(out),
        tokenizer_name_or_path=str(folder / "tokenizer.json"),
        eos_token=END_OF_TEXT,
        shuffle_documents=False,
        save_filename="texts",
    )

    def read(_: Any) -> np.ndarray:
        return np.concatenate([np.fromfile(path, np.uint16) for path in sorted(out.rglob("*.ds"))])

    return lambda: step.run(reader.run(None, 0, 1), 0, 1), read


def datasets_map(folder: Path, out: Path) -> tuple[Run, Read]:
    import datasets
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end = vocabulary.token_to_id(END_OF_TEXT)
    datasets.disable_progress_bars()

    def encode(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        return {"ids": [[*one.ids, end] for one in vocabulary.encode_batch_fast(batch["text"])]}

    def run() -> None:
        texts = datasets.Dataset.from_parquet(str(folder / "texts.parquet"), cache_dir=str(out / "cache"))
        features = datasets.Features({"ids": datasets.Sequence(datasets.Value("uint16"))})
        made = texts.map(encode, batched=True, remove_columns=texts.column_names, features=features)
        ids = [batch["ids"].combine_chunks().flatten().to_numpy() for batch in made.with_format("arrow").iter(1000)]
        np.save(out / "tokens.npy", np.concatenate(ids))

    return run, lambda _: np.load(out / "tokens.npy")


def tiktoken(folder: Path, out: Path) -> tuple[Run, Read]:
    import pyarrow.parquet as pq
    import tiktoken as package

    settings = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    byte_of = {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}
    ranks = {
        bytes(byte_of[character] for character in token): number
        for token, number in settings["model"]["vocab"].items()
        if token != END_OF_TEXT
    }
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"  # tiktoken's own
    encoding = package.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={END_OF_TEXT: 50256})

    def run() -> None:
        texts = pq.read_table(folder / "texts.parquet")["text"].to_pylist()
        end = np.array([50256], np.uint16)
        ids = [some for text in texts for some in (encoding.encode_to_numpy(text, disallowed_special=()), end)]
        np.save(out / "tokens.npy", np.concatenate(ids).astype(np.uint16))

    return run, lambda _: np.load(out / "tokens.npy")


WAYS: dict[str, Callable[[Path, Path], tuple[Run, Read]]] = {
    "ours": ours,
    "datatrove": datatrove,
    "datasets": datasets_map,
    "tiktoken": tiktoken,
}


def main() -> None:
    name, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    run, read = WAYS[name](folder, out)
    start = time.process_time()
    made = run()
    seconds = time.process_time() - start
    np.save(out / "in-order.npy", read(made))
    print(json.dumps({"cpu_seconds": seconds}))


if __name__ == "__main__":
    main()
