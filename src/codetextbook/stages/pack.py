"""Texts to one flat array of tokens, `<|endoftext|>` between files (paper §2.3: one 1-D array, sliced to the context's length).

`train-00000.npy` and so on are shards of one array of unsigned integers (16 bits where the vocabulary allows), to be mapped from disk; so
are those of `validation`. The table `texts` says where each text begins, so that any token can be traced to its document
(`train/tokens.py`). Texts stand in an order drawn from the seed, since slices of one package side by side would make a biased batch. Pages
and documents are put to validation by a draw on their id; exercises by their split. Exercises that are held out are in no array: they are
rejected here, by name.

By default every text is there once. `tokens` and `weights` make the training array a mixture of exactly so many tokens instead.

Limit: a sequence may hold the end of one text and the start of the next, and attention looks across, as in the paper.

Texts are encoded part by part on the site's engine and gathered from there, so memory holds about 100 bytes a text and none of its tokens;
the disk holds the tokens twice until the stage ends.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator
from tokenizers import Tokenizer as Vocabulary

from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import END_OF_TEXT, REJECTED
from codetextbook.shards import draw_of, share_of, split, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer, atomic
from codetextbook.text.encoding import Encoder
from codetextbook.text.infill import Sentinels, cut, sentinels_of, told
from codetextbook.train.gathering import ENCODED, Texts, reconcile, text_rows
from codetextbook.train.mixture import Chosen, budgets, choose
from codetextbook.train.tokens import Tokens

TEXTS_AT_ONCE = 200
"""Texts that are encoded in one go; the passes over their pieces stay small."""
TEXTS_PER_PART = 50_000

Part = Literal["documents", "pages", "exercises"]

TEXT = pa.schema(
    [
        ("id", pa.string()),
        ("part", pa.string()),
        ("split", pa.string()),
        ("first_token", pa.int64()),
        ("tokens", pa.int64()),
        ("num_bytes", pa.int64()),
        ("reading", pa.int32()),
        ("whole", pa.bool_()),
    ]
)
"""A text in an array. `first_token` counts within its split's array; `tokens` includes the `<|endoftext|>` after it; `num_bytes` is the
whole text's. `reading`: how often it came before; not `whole`: cut to the budget, its end token kept."""


class Pack(Config):
    """Which texts, how many tokens of them, and how many texts are kept for validation."""

    parts: tuple[Part, ...] = ("documents", "pages")
    """Tables of the clean texts that go in (paper §2.3: CodeTextbook is documents and pages; CodeExercises is exercises)."""
    tokens: int | dict[str, int] | None = None
    """Training tokens, exactly: of all parts together, or of each. Unset: every text once (paper §2.3)."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Shares of the parts in `tokens`, or in as many as need no repeating (ours). Empty: as the parts have them."""
    repeat: bool = False
    """Whether a part with fewer tokens than it should give is read again, in a new order; otherwise that is an error (ours)."""
    validation_share: float = Field(default=0.02, ge=0.0, le=0.5)
    """Share of documents and pages that are kept for validation (ours)."""
    fim_share: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of training texts that are told for fill-in-the-middle; needs `[tokenizer] fim` (paper: none)."""
    fim_suffix_first_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Of those, the share told suffix first (arXiv 2207.14255: half)."""
    shard_tokens: int = Field(default=2**28, ge=1)
    """Tokens of one file (ours: 512 MB)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the order, of the choice, of fill-in-the-middle and of the draw for validation."""
    order_seed: int | None = Field(default=None, ge=0)
    """Seed of order and choice alone, so that another order keeps the same validation texts; unset: `seed`."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        named = {*self.weights, *(self.tokens if isinstance(self.tokens, dict) else ())}
        amounts = [
            *self.weights.values(),
            *(self.tokens.values() if isinstance(self.tokens, dict) else [self.tokens or 0]),
        ]
        if unknown := sorted(named - {*self.parts}):
            raise ValueError(f"{unknown[0]} is not among parts")
        if isinstance(self.tokens, dict) and self.weights:
            raise ValueError("weights share out one number of tokens; tokens names the parts already")
        if any(amount < 0 for amount in amounts) or (self.weights and not any(self.weights.values())):
            raise ValueError("tokens and weights are not negative, and one weight is above 0")
        return self


class Text(NamedTuple):
    """A text on its way into an array."""

    id: str
    part: str
    split: str
    text: str


class Piece(NamedTuple):
    """A file of clean texts, which one worker encodes."""

    number: int
    part: Part
    path: Path


def texts_of(part: str, row: dict[str, Any], cfg: Pack) -> Text:
    """A row of a clean table as a text: for an exercise the whole program (paper §2.3: trained on like any file)."""
    if part == "exercises":
        return Text(row["id"], part, row["split"], row["prompt"] + row["solution"])
    held = share_of(cfg.seed, "validation", row["id"]) < cfg.validation_share
    return Text(row["id"], part, "validation" if held else "train", row["text"])


@lru_cache(maxsize=1)
def _encoder(path: Path) -> Encoder:
    """A worker's own; processes share the cores, so the vocabulary's threads are switched off."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return Encoder(Vocabulary.from_file(str(path)))


def encode_piece(piece: Piece, *, cfg: Pack, vocabulary: Path, scratch: Path) -> None:
    """Encode one file of clean texts, unless an earlier attempt did: its tokens, its texts, and what is held out of it."""
    record = scratch / f"{piece.number:05d}.parquet"
    if record.exists():
        return
    encoder = _encoder(vocabulary)
    sentinels = sentinels_of(encoder.vocabulary)
    if cfg.fim_share and sentinels is None:
        raise StageFailed(
            "the vocabulary has no tokens for it", where="[pack] fim_share", hint="[tokenizer] fim = true"
        )
    columns = ["id", "prompt", "solution", "split"] if piece.part == "exercises" else ["id", "text"]
    tokens, rows, held_out = [np.empty(0, encoder.dtype)], [], []
    for batch in pq.ParquetFile(piece.path).iter_batches(TEXTS_AT_ONCE, columns=columns):
        texts = [texts_of(piece.part, row, cfg) for row in batch.to_pylist()]
        ids = encode_texts([text for text in texts if text.split != "heldout"], encoder, cfg, sentinels)
        tokens += ids
        sizes = iter(map(len, ids))
        rows += [
            {
                "id": text.id,
                "split": text.split,
                "draw": draw_of(cfg.seed if cfg.order_seed is None else cfg.order_seed, "order", text.id),
                "tokens": next(sizes) if text.split != "heldout" else 0,
                "num_bytes": len(text.text.encode()),
            }
            for text in texts
        ]
        held_out += [_held_out(text) for text in texts if text.split == "heldout"]
    with atomic(record.with_suffix(".npy")) as path, path.open("wb") as file:
        np.save(file, np.concatenate(tokens))
    with atomic(record.with_suffix(".rejected")) as path:
        pq.write_table(to_table(held_out, REJECTED), path)
    with atomic(record) as path:  # last: it says that the file is done
        pq.write_table(to_table(rows, ENCODED), path)


def encode_texts(texts: Sequence[Text], encoder: Encoder, cfg: Pack, sentinels: Sentinels | None) -> list[np.ndarray]:
    """Each text's tokens and the end after it; some training texts told for fill-in-the-middle."""
    cuts = [_cuts(text, cfg) for text in texts]
    encoded = encoder.encode([some for parts in cuts for some in parts])
    ends = encoded.lengths.cumsum()
    pieces = iter(np.split(encoded.tokens, ends[:-1]) if len(ends) else [])
    end = np.array([encoder.vocabulary.token_to_id(END_OF_TEXT)], encoder.dtype)
    made = []
    for text, parts in zip(texts, cuts, strict=True):
        ids = next(pieces)
        if sentinels is not None and len(parts) == 3:
            suffix_first = share_of(cfg.seed, "suffix first", text.id) < cfg.fim_suffix_first_share
            ids = told((ids, next(pieces), next(pieces)), sentinels, suffix_first=suffix_first)
        made.append(np.concatenate([ids, end]))
    return made


def _cuts(text: Text, cfg: Pack) -> tuple[str, ...]:
    """A text, or its three parts."""
    if text.split == "train" and share_of(cfg.seed, "fim", text.id) < cfg.fim_share:
        return cut(text.text, share_of(cfg.seed, "first cut", text.id), share_of(cfg.seed, "second cut", text.id))
    return (text.text,)


def _held_out(text: Text) -> dict[str, Any]:
    return {
        "id": text.id,
        "reason": "held_out",
        "detail": f"split {text.split}",
        "text": text.text,
        "source": text.part,
    }


@stage(version=2)
def pack(cfg: Pack, vocab: Artifact, clean: Artifact, *, out: Writer, site: Site) -> None:
    """Encode file by file, choose and order the texts, gather their tokens into shards, and count everything again."""
    vocabulary = _encoder(vocab.file("tokenizer.json")).vocabulary
    pieces = [Piece(number, *file) for number, file in enumerate(_files(cfg, clean))]
    encode = partial(encode_piece, cfg=cfg, vocabulary=vocab.file("tokenizer.json"), scratch=out.scratch)
    for done, _ in enumerate(site.engine().map(encode, pieces), 1):
        out.progress(done, len(pieces), "files")
    texts = Texts.of(out.scratch, [piece.part for piece in pieces])
    arrays = {"train": training(cfg, texts), "validation": texts.in_order("validation")}
    end = vocabulary.get_vocab()[END_OF_TEXT]
    for name, chosen in arrays.items():
        _write_shards(name, chosen, texts, end, cfg.shard_tokens, out)
    _write_texts(arrays, texts, out)
    _reject(arrays["train"], texts, len(pieces), out)
    out.fact("token_flow", reconcile(arrays, texts, {name: Tokens.of(out.folder, name) for name in arrays}, end))
    _tell(arrays, texts, out)
    out.fact("vocabulary", vocabulary.get_vocab_size())
    kept = len(np.unique(np.concatenate([chosen.text_n for chosen in arrays.values()])))
    out.flow(rows_in=len(texts.rows), unit="texts", rows_kept=kept)


def _files(cfg: Pack, clean: Artifact) -> list[tuple[Part, Path]]:
    return [(part, path) for part in cfg.parts for path in clean.parts(part)]


def training(cfg: Pack, texts: Texts) -> Chosen:
    """The texts of the training array.

    Raises:
        StageFailed: there are none; a part is too small for what it should give.
    """
    everything = texts.in_order("train")
    if not len(everything.text_n):
        raise StageFailed("no text is left to train on", where="[pack] parts", hint="other parts, or more texts")
    if cfg.tokens is None and not cfg.weights:
        return everything
    size_n = np.where(np.isin(np.arange(len(texts.rows)), everything.text_n), texts.column("tokens"), 0)
    available: dict[str, int] = {part: int(size_n[texts.part_n == part].sum()) for part in cfg.parts}
    wanted = budgets(available, cfg.tokens, cfg.weights)
    own = everything.text_n
    chosen = choose(texts.part_n[own], size_n[own], texts.column("draw")[own], wanted, repeat=cfg.repeat)
    return chosen._replace(text_n=own[chosen.text_n])


def _write_shards(name: str, chosen: Chosen, texts: Texts, end: int, shard_tokens: int, out: Writer) -> None:
    total = int(chosen.tokens_n.sum())
    for index, some in enumerate(split(total, shard_tokens) if total else []):
        if out.has(f"{name}-{index:05d}.npy"):
            continue
        descr = np.lib.format.dtype_to_descr(texts.files[0].dtype)
        with out.file(f"{name}-{index:05d}.npy") as path, path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": (len(some),)})
            for tokens in texts.gather(chosen, some.start, some.stop, end):
                file.write(tokens.tobytes())
        out.progress(some.stop, total, f"{name} tokens")


def _write_texts(arrays: Mapping[str, Chosen], texts: Texts, out: Writer) -> None:
    index = 0
    for name, chosen in arrays.items():
        for rows in split(len(chosen.text_n), TEXTS_PER_PART):
            out.table("texts", index, text_rows(name, chosen, texts, rows, TEXT))
            index += 1


def _reject(train: Chosen, texts: Texts, num_files: int, out: Writer) -> None:
    """Held-out exercises with their text, and training texts that the budget left out, which stand in the clean texts."""
    left = np.setdiff1d(texts.of_split("train"), train.text_n)
    over = (
        {"id": row["id"], "reason": "over_budget", "detail": f"{row['tokens']} tokens", "text": "", "source": part}
        for row, part in zip(texts.rows.take(pa.array(left)).to_pylist(), texts.part_n[left], strict=True)
    )
    out.table("rejected", 0, to_table(over, REJECTED))
    for number in range(num_files):
        out.table("rejected", number + 1, pq.read_table(out.scratch / f"{number:05d}.rejected", partitioning=None))


def _tell(arrays: Mapping[str, Chosen], texts: Texts, out: Writer) -> None:
    """Counts for the manifest."""
    train, held = arrays["train"], arrays["validation"]
    held_tokens = int(held.tokens_n.sum())
    held_bytes = int(texts.column("num_bytes")[held.text_n].sum())
    parts = texts.part_n[train.text_n]
    out.fact("tokens", int(train.tokens_n.sum()))
    out.fact("tokens_by_part", {str(part): int(train.tokens_n[parts == part].sum()) for part in np.unique(parts)})
    out.fact("validation_tokens", held_tokens)
    out.fact("validation_bytes_per_token", round(held_bytes / held_tokens, 6) if held_tokens else 0.0)
