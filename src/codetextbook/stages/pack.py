"""Texts to one flat array of tokens, `<|endoftext|>` between files (paper §2.3: one 1-D array, sliced to the context's length).

`train.npy` and `validation.npy` are unsigned integers (16 bits where the vocabulary allows), to be mapped from disk; the table `texts` says
where each text begins, so that any token can be traced to its document. Texts stand in an order drawn from the seed, since slices of one
package side by side would make a biased batch. Pages and documents are put to validation by a draw on their id; exercises by their split.
Exercises that are held out are in no array: they are rejected here, by name.

Limit: one text is encoded whole, so a text of a gigabyte needs some of memory; arrays are written piece by piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field
from tokenizers import Tokenizer as Vocabulary

from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import END_OF_TEXT, REJECTED
from codetextbook.shards import split, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer, atomic

TEXTS_PER_PIECE = 5_000

Part = Literal["documents", "pages", "exercises"]

TEXT = pa.schema(
    [
        ("id", pa.string()),
        ("part", pa.string()),
        ("split", pa.string()),
        ("first_token", pa.int64()),
        ("tokens", pa.int64()),
        ("num_bytes", pa.int64()),
    ]
)
"""A text in an array. `first_token` counts within its split's array; `tokens` includes the `<|endoftext|>` after it."""


class Pack(Config):
    """Which texts, and how many of them are kept for validation."""

    parts: tuple[Part, ...] = ("documents", "pages")
    """Tables of the clean texts that go in (paper §2.3: CodeTextbook is documents and pages; CodeExercises is exercises)."""
    validation_share: float = Field(default=0.02, ge=0.0, le=0.5)
    """Share of documents and pages that are kept for validation (ours)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the order and of the draw for validation."""


class Text(NamedTuple):
    """A text on its way into an array."""

    id: str
    part: str
    split: str
    text: str


def texts_of(part: str, row: dict[str, Any], cfg: Pack) -> Text:
    """A row of a clean table as a text: for an exercise the whole program (paper §2.3: trained on like any file)."""
    if part == "exercises":
        return Text(row["id"], part, row["split"], row["prompt"] + row["solution"])
    held = _draw(cfg.seed, "validation", row["id"]) < cfg.validation_share
    return Text(row["id"], part, "validation" if held else "train", row["text"])


def in_order(texts: Sequence[Text], seed: int) -> list[Text]:
    """The texts in the order of the seed, which does not depend on the order they came in."""
    return sorted(texts, key=lambda text: (_draw(seed, "order", text.id), text.part))


def _draw(seed: int, purpose: str, identity: str) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}/{identity}".encode()).digest()[:6]) / 2**48


@stage(version=1)
def pack(cfg: Pack, vocab: Artifact, clean: Artifact, *, out: Writer, site: Site) -> None:
    """Encode piece by piece, then join the pieces of each split into its array."""
    vocabulary = Vocabulary.from_file(str(vocab.file("tokenizer.json")))
    rows = [texts_of(part, row, cfg) for part in cfg.parts for row in clean.table(part).to_pylist()]
    packed = in_order([text for text in rows if text.split in ("train", "validation")], cfg.seed)
    pieces = split(len(packed), TEXTS_PER_PIECE)
    for index, piece in enumerate(pieces):
        record = out.scratch / f"{index:05d}.npz"
        if not record.exists():
            _encode(packed[piece.start : piece.stop], vocabulary, record)
        out.progress(piece.stop, len(packed), "texts")
    sizes = _write_arrays([out.scratch / f"{index:05d}.npz" for index in range(len(pieces))], packed, vocabulary, out)
    held_out = [_held_out(text) for text in rows if text.split not in ("train", "validation")]
    out.table("rejected", 0, to_table(held_out, REJECTED))
    _tell(packed, sizes, vocabulary, out)
    out.flow(rows_in=len(rows), unit="texts", kept="texts")


def _held_out(text: Text) -> dict[str, Any]:
    return {
        "id": text.id,
        "reason": "held_out",
        "detail": f"split {text.split}",
        "text": text.text,
        "source": text.part,
    }


def _encode(texts: Sequence[Text], vocabulary: Vocabulary, record: Path) -> None:
    """One piece: the tokens of its texts, each with the end after it, and how many they are."""
    end = vocabulary.token_to_id(END_OF_TEXT)
    dtype = np.uint16 if vocabulary.get_vocab_size() <= 2**16 else np.uint32
    ids = [[*encoding.ids, end] for encoding in vocabulary.encode_batch_fast([text.text for text in texts])]
    lengths = np.array([len(one) for one in ids], dtype=np.int64)
    tokens = np.fromiter((token for one in ids for token in one), dtype=dtype, count=int(lengths.sum()))
    with atomic(record) as path, path.open("wb") as file:
        np.savez(file, tokens=tokens, lengths=lengths)


def _write_arrays(pieces: Sequence[Path], packed: Sequence[Text], vocabulary: Vocabulary, out: Writer) -> np.ndarray:
    """Both arrays and the index of texts; returns every text's number of tokens."""
    sizes = np.concatenate([np.load(piece)["lengths"] for piece in pieces])
    starts = np.zeros(len(packed), dtype=np.int64)
    for name in ("train", "validation"):
        own = np.array([text.split == name for text in packed], dtype=bool)
        starts[own] = np.cumsum(sizes[own]) - sizes[own]
        with out.file(f"{name}.npy") as path:
            _join(pieces, own, int(sizes[own].sum()), path)
    for index, part in enumerate(split(len(packed), TEXTS_PER_PIECE)):
        rows = (
            {
                "id": packed[place].id,
                "part": packed[place].part,
                "split": packed[place].split,
                "first_token": int(starts[place]),
                "tokens": int(sizes[place]),
                "num_bytes": len(packed[place].text.encode()),
            }
            for place in part
        )
        out.table("texts", index, to_table(rows, TEXT))
    return sizes


def _join(pieces: Sequence[Path], own: np.ndarray, total: int, path: Path) -> None:
    """The tokens of the chosen texts, one piece in memory at a time."""
    dtype = np.load(pieces[0])["tokens"].dtype
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (total,)}
        np.lib.format.write_array_header_1_0(file, header)
        for tokens in _chosen(pieces, own):
            file.write(tokens.tobytes())


def _chosen(pieces: Sequence[Path], own: np.ndarray) -> Iterator[np.ndarray]:
    done = 0
    for piece in pieces:
        with np.load(piece) as kept:
            lengths, tokens = kept["lengths"], kept["tokens"]
        yield tokens[np.repeat(own[done : done + len(lengths)], lengths)]
        done += len(lengths)


def _tell(packed: Sequence[Text], sizes: np.ndarray, vocabulary: Vocabulary, out: Writer) -> None:
    """Counts for the manifest.

    Raises:
        StageFailed: there is nothing to train on.
    """
    train = np.array([text.split == "train" for text in packed], dtype=bool)
    if not train.any():
        raise StageFailed("no text is left to train on", where="[pack] parts", hint="other parts, or more texts")
    held = [place for place, text in enumerate(packed) if text.split == "validation"]
    held_bytes = sum(len(packed[place].text.encode()) for place in held)
    held_tokens = int(sizes[held].sum()) if held else 0
    by_part = {
        part: int(sizes[[place for place, text in enumerate(packed) if text.part == part and train[place]]].sum())
        for part in sorted({text.part for text in packed})
    }
    out.fact("tokens", int(sizes[train].sum()))
    out.fact("tokens_by_part", by_part)
    out.fact("validation_tokens", held_tokens)
    out.fact("validation_bytes_per_token", round(held_bytes / held_tokens, 6) if held_tokens else 0.0)
    out.fact("vocabulary", vocabulary.get_vocab_size())
