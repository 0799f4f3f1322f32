"""Tokens in one array: every text is there once, whole, traceable, and in the split it belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

import codetextbook.stages.decontaminate
from codetextbook.errors import StageFailed
from codetextbook.nouns import DOCUMENT, END_OF_TEXT, EXERCISE, PAGE
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages import pack as module
from codetextbook.stages.contract import STAGES, run_stage
from codetextbook.stages.pack import Pack, pack
from codetextbook.stages.tokenizer import Tokenizer as TokenizerConfig
from codetextbook.stages.tokenizer import tokenizer
from codetextbook.store import Artifact, Store, Writer

assert codetextbook.stages.decontaminate


def clean_texts(store: Store) -> Artifact:
    """A finished `decontaminate` artifact: documents, pages and exercises of all splits."""
    documents = [
        {
            "id": f"{n:032x}",
            "text": f"def f{n}(x):\n    return x + {n}  # ü☃\n",
            "source": "s",
            "licence": "",
            "path": "p",
        }
        for n in range(60)
    ]
    pages = [
        {
            "id": f"{n:032x}",
            "text": f"# Page {n}\n\nSome prose.\n",
            "topic": "t",
            "audience": "a",
            "words": [],
            "writer": "w",
        }
        for n in range(100, 120)
    ]
    exercises = [
        {
            "id": f"{n:032x}",
            "prompt": f'def g{n}(x):\n    """Add {n}."""\n',
            "solution": f"    return x + {n}\n",
            "tests": f"assert g{n}(1) == {n + 1}",
            "entry_point": f"g{n}",
            "topic": "add",
            "family": "adding",
            "writer": "grammar",
            "split": ("train", "validation", "heldout")[n % 3],
            "verified": True,
        }
        for n in range(200, 230)
    ]
    out = Writer(store.folder("decontaminate", "made"))
    for name, rows, schema in (
        ("documents", documents, DOCUMENT),
        ("pages", pages, PAGE),
        ("exercises", exercises, EXERCISE),
    ):
        out.table(name, 0, to_table(rows, schema))
    out.flow(rows_in=110, unit="texts", rows_kept=110, rejected={})
    header = {
        "id": "made",
        "stage": "decontaminate",
        "version": STAGES["decontaminate"].version,
        "config": {},
        "inputs": {},
    }
    return out.finish(header, 0.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def clean(store: Store) -> Artifact:
    return clean_texts(store)


@pytest.fixture
def vocab(store: Store, clean: Artifact) -> Artifact:
    return run_stage(tokenizer, TokenizerConfig(size=300), clean, store=store, site=Site(workers=1))


def packed(cfg: Pack, vocab: Artifact, clean: Artifact, store: Store) -> Artifact:
    return run_stage(pack, cfg, vocab, clean, store=store, site=Site(workers=1))


def texts_by_id(clean: Artifact) -> dict[str, str]:
    found = {row["id"]: row["text"] for name in ("documents", "pages") for row in clean.table(name).to_pylist()}
    return found | {row["id"]: row["prompt"] + row["solution"] for row in clean.table("exercises").to_pylist()}


def test_every_text_can_be_read_back_from_its_place(vocab: Artifact, clean: Artifact, store: Store) -> None:
    made = packed(Pack(parts=("documents", "pages", "exercises"), validation_share=0.2), vocab, clean, store)
    vocabulary = Tokenizer.from_file(str(vocab.file("tokenizer.json")))
    arrays = {name: np.load(made.file(f"{name}.npy"), mmap_mode="r") for name in ("train", "validation")}
    known = texts_by_id(clean)
    total = dict.fromkeys(arrays, 0)
    for row in made.table("texts").to_pylist():
        tokens = arrays[row["split"]][row["first_token"] : row["first_token"] + row["tokens"]]
        assert tokens[-1] == vocabulary.token_to_id(END_OF_TEXT)
        assert vocabulary.decode(tokens[:-1].tolist(), skip_special_tokens=False) == known[row["id"]]
        total[row["split"]] += row["tokens"]
    assert total == {name: len(tokens) for name, tokens in arrays.items()}
    facts = made.manifest["facts"]
    assert (facts["tokens"], facts["validation_tokens"]) == (len(arrays["train"]), len(arrays["validation"]))
    assert sum(facts["tokens_by_part"].values()) == facts["tokens"]
    assert arrays["train"].dtype == np.uint16


def test_exercises_keep_their_split_and_held_out_ones_are_rejected(
    vocab: Artifact, clean: Artifact, store: Store
) -> None:
    made = packed(Pack(parts=("exercises",)), vocab, clean, store)
    splits = {row["id"]: row["split"] for row in clean.table("exercises").to_pylist()}
    texts = {row["id"]: row["split"] for row in made.table("texts").to_pylist()}
    assert texts == {key: split for key, split in splits.items() if split != "heldout"}
    rejected = made.table("rejected").to_pylist()
    assert {row["id"] for row in rejected} == {key for key, split in splits.items() if split == "heldout"}
    assert {row["reason"] for row in rejected} == {"held_out"}


def test_the_order_follows_the_seed_and_not_the_order_of_the_input(
    vocab: Artifact, clean: Artifact, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [module.texts_of("documents", row, Pack()) for row in clean.table("documents").to_pylist()]
    assert module.in_order(texts, 1) == module.in_order(texts[::-1], 1) != module.in_order(texts, 2)
    one = packed(Pack(), vocab, clean, store)
    monkeypatch.setattr(module, "TEXTS_PER_PIECE", 7)
    many = packed(Pack(), vocab, clean, Store(store.root / "other"))
    for name in ("train", "validation"):
        assert np.array_equal(np.load(one.file(f"{name}.npy")), np.load(many.file(f"{name}.npy")))


def test_nothing_to_train_on_is_a_clear_failure(vocab: Artifact, clean: Artifact, store: Store) -> None:
    with pytest.raises(StageFailed, match="no text is left to train on"):
        packed(Pack(parts=()), vocab, clean, store)


def test_the_vocabulary_never_learns_from_held_out_exercises(clean: Artifact) -> None:
    from codetextbook.stages.tokenizer import training_texts

    tables = [clean.table(name) for name in ("documents", "pages", "exercises")]
    texts = list(training_texts(*tables, 10**9))
    train = [row for row in tables[2].to_pylist() if row["split"] == "train"]
    assert len(texts) == 80 + len(train)
    assert not any('"""Add 202."""' in text for text in texts)
    assert isinstance(tables[0], pa.Table)
