"""Tokens in one array: every text is there once, whole, traceable, and in the split it belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

import codetextbook.stages.decontaminate
from codetextbook.errors import ConfigError, InputError, StageFailed
from codetextbook.nouns import DOCUMENT, END_OF_TEXT, EXERCISE, PAGE
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages import pack as module
from codetextbook.stages.contract import STAGES, run_stage
from codetextbook.stages.pack import Pack, pack
from codetextbook.stages.tokenizer import Tokenizer as TokenizerConfig
from codetextbook.stages.tokenizer import tokenizer
from codetextbook.store import Artifact, Store, Writer
from codetextbook.text.infill import restored
from codetextbook.train.gathering import reconcile
from codetextbook.train.mixture import Chosen
from codetextbook.train.tokens import Place, TextIndex, Tokens

assert codetextbook.stages.decontaminate


def clean_texts(store: Store) -> Artifact:
    """A finished `decontaminate` artifact: documents, pages and exercises of all splits."""
    documents = [
        {
            "id": f"{n:032x}",
            "text": f"def f{n}(x):\n    return x + {n}  # ü☃ {END_OF_TEXT}\n" + "# more\n" * (n % 5),
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
        for index in range(2):  # two files each
            out.table(name, index, to_table(rows[index::2], schema))
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


def whole(made: Artifact, name: str = "train") -> np.ndarray:
    tokens = Tokens.of(made.folder, name)
    return tokens[0 : len(tokens)]


def texts_by_id(clean: Artifact) -> dict[str, str]:
    found = {row["id"]: row["text"] for name in ("documents", "pages") for row in clean.table(name).to_pylist()}
    return found | {row["id"]: row["prompt"] + row["solution"] for row in clean.table("exercises").to_pylist()}


@pytest.mark.parametrize("shard_tokens", [1, 100, 2**28])
def test_every_text_can_be_read_back_from_its_place(
    shard_tokens: int, vocab: Artifact, clean: Artifact, store: Store
) -> None:
    cfg = Pack(parts=("documents", "pages", "exercises"), validation_share=0.2, shard_tokens=shard_tokens)
    made = packed(cfg, vocab, clean, store)
    vocabulary = Tokenizer.from_file(str(vocab.file("tokenizer.json")))
    arrays = {name: Tokens.of(made.folder, name) for name in ("train", "validation")}
    known = texts_by_id(clean)
    total = dict.fromkeys(arrays, 0)
    for row in made.table("texts").to_pylist():
        tokens = arrays[row["split"]][row["first_token"] : row["first_token"] + row["tokens"]]
        assert tokens[-1] == vocabulary.token_to_id(END_OF_TEXT)
        assert (tokens == tokens[-1]).sum() == 1
        assert vocabulary.decode(tokens[:-1].tolist(), skip_special_tokens=False) == known[row["id"]]
        total[row["split"]] += row["tokens"]
    assert total == {name: len(tokens) for name, tokens in arrays.items()}
    facts = made.manifest["facts"]
    assert (facts["tokens"], facts["validation_tokens"]) == (len(arrays["train"]), len(arrays["validation"]))
    assert sum(facts["tokens_by_part"].values()) == facts["tokens"]
    assert whole(made).dtype == np.uint16
    assert np.array_equal(whole(made), whole(packed(cfg.replace({"shard_tokens": 50}), vocab, clean, store)))


def test_any_token_can_be_traced_to_its_document(vocab: Artifact, clean: Artifact, store: Store) -> None:
    made = packed(Pack(validation_share=0.2), vocab, clean, store)
    for split in ("train", "validation"):
        index, position = TextIndex(made, split), 0
        for row in [row for row in made.table("texts").to_pylist() if row["split"] == split]:
            for offset in range(row["tokens"]):
                assert index.at(position) == Place(row["id"], row["part"], offset)
                position += 1
        assert position == len(Tokens.of(made.folder, split))
        for outside in (-1, position):
            with pytest.raises(InputError, match="no token"):
                index.at(outside)


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


def test_the_order_follows_the_seed_and_not_the_files_of_the_input(
    vocab: Artifact, clean: Artifact, store: Store
) -> None:
    one = packed(Pack(), vocab, clean, store)
    again = Writer(store.folder("decontaminate", "again"))
    for name, schema in (("documents", DOCUMENT), ("pages", PAGE)):
        again.table(name, 0, to_table(clean.table(name).to_pylist()[::-1], schema))
    again.flow(rows_in=80, unit="texts", rows_kept=80, rejected={})
    other = packed(Pack(), vocab, again.finish(clean.manifest | {"id": "again"}, 0.0), store)
    for name in ("train", "validation"):
        assert np.array_equal(whole(one, name), whole(other, name))
    reordered = packed(Pack(order_seed=1), vocab, clean, store)
    assert np.array_equal(np.sort(whole(one)), np.sort(whole(reordered)))
    assert not np.array_equal(whole(one), whole(reordered))
    assert np.array_equal(np.sort(whole(one, "validation")), np.sort(whole(reordered, "validation")))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"tokens": 1001}, None),
        ({"tokens": {"documents": 700, "pages": 101}}, {"documents": 700, "pages": 101}),
        ({"tokens": 401, "weights": {"documents": 0.5, "pages": 0.5}}, {"documents": 201, "pages": 200}),
        ({"tokens": 90, "weights": {"pages": 2.0}}, {"pages": 90}),
    ],
)
def test_a_budget_is_met_to_the_token(
    asked: dict[str, object], expected: dict[str, int] | None, vocab: Artifact, clean: Artifact, store: Store
) -> None:
    everything = packed(Pack(), vocab, clean, store)
    made = packed(Pack.parse(asked, where="x"), vocab, clean, store)
    facts = made.manifest["facts"]
    if expected is not None:
        assert facts["tokens_by_part"] == expected
    assert len(whole(made)) == facts["tokens"] == sum(facts["tokens_by_part"].values())
    flow = facts["token_flow"]
    assert flow["encoded"] == everything.manifest["facts"]["token_flow"]["encoded"] == flow["packed"] + flow["left_out"]
    rows = [row for row in made.table("texts").to_pylist() if row["split"] == "train"]
    assert len({row["id"] for row in rows}) == len(rows)
    assert sum(not row["whole"] for row in rows) <= len(facts["tokens_by_part"])
    assert {row["reason"] for row in made.table("rejected").to_pylist()} == {"over_budget"}
    assert np.array_equal(whole(made, "validation"), whole(everything, "validation"))


def test_weights_alone_take_as_much_as_needs_no_repeating(vocab: Artifact, clean: Artifact, store: Store) -> None:
    available = packed(Pack(), vocab, clean, store).manifest["facts"]["tokens_by_part"]
    made = packed(Pack(weights={"documents": 1.0, "pages": 1.0}), vocab, clean, store)
    assert made.manifest["facts"]["tokens_by_part"] == dict.fromkeys(available, min(available.values()))


def test_a_part_that_is_too_small_is_an_error_or_read_again_as_the_user_says(
    vocab: Artifact, clean: Artifact, store: Store
) -> None:
    available = packed(Pack(), vocab, clean, store).manifest["facts"]["tokens_by_part"]["pages"]
    asked = {"documents": 300, "pages": 2 * available + available // 2}
    with pytest.raises(StageFailed, match=f"pages have {available:,} tokens.*repeat = true"):
        packed(Pack(tokens=asked), vocab, clean, store)
    made = packed(Pack(tokens=asked, repeat=True), vocab, clean, store)
    assert made.manifest["facts"]["tokens_by_part"] == asked
    assert made.manifest["facts"]["token_flow"]["repeated"] == asked["pages"] - available
    pages = [row for row in made.table("texts").to_pylist() if row["part"] == "pages" and row["split"] == "train"]
    by_reading = [[row["id"] for row in pages if row["reading"] == reading] for reading in range(3)]
    assert set(by_reading[0]) == set(by_reading[1]) > set(by_reading[2])
    assert len(by_reading[0]) == len(by_reading[1]) == len(set(by_reading[0]))
    assert by_reading[0] != by_reading[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": {"exercises": 1.0}},
        {"weights": {"pages": 0.0}},
        {"weights": {"pages": -1.0, "documents": 2.0}},
        {"tokens": -5},
        {"tokens": {"pages": 5}, "weights": {"pages": 1.0}},
    ],
)
def test_mixtures_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Pack.parse(wrong, where="my.toml")


def test_a_token_that_is_lost_is_found_out(vocab: Artifact, clean: Artifact, store: Store) -> None:
    out = Writer(store.folder("pack", "by-hand"))
    for number, path in enumerate(clean.parts("documents")):
        piece = module.Piece(number, "documents", path)
        module.encode_piece(piece, cfg=Pack(), vocabulary=vocab.file("tokenizer.json"), scratch=out.scratch)
    texts = module.Texts.of(out.scratch, ["documents", "documents"])
    train = texts.in_order("train")
    tokens = np.concatenate(list(texts.gather(train, 0, int(train.tokens_n.sum()), 0)))
    assert reconcile({"train": train}, texts, {"train": Tokens([tokens])}, 0)["packed"] == len(tokens)
    doubled = Chosen(*(np.append(column, column[:1]) for column in train))
    damaged = tokens.copy()
    damaged[np.flatnonzero(damaged == 0)[0]] = 5
    for chosen, written in ((train, tokens[:-1]), (train, damaged), (doubled, np.append(tokens, tokens[:1]))):
        with pytest.raises(StageFailed, match="do not add up"):
            reconcile({"train": chosen}, texts, {"train": Tokens([written])}, 0)


def test_fill_in_the_middle_changes_the_training_texts_alone_and_can_be_undone(clean: Artifact, store: Store) -> None:
    cfg = Pack(parts=("documents", "exercises"), validation_share=0.2)
    plain_vocab, vocab = (
        run_stage(tokenizer, TokenizerConfig(size=310, fim=on), clean, store=store, site=Site(workers=1))
        for on in (False, True)
    )
    on = packed(cfg.replace({"fim_share": 0.7}), vocab, clean, store)
    off = packed(cfg, vocab, clean, store)
    assert not np.array_equal(whole(on), whole(off))
    assert np.array_equal(whole(on, "validation"), whole(off, "validation"))
    vocabulary, known = Tokenizer.from_file(str(vocab.file("tokenizer.json"))), texts_by_id(clean)
    forms = set()
    for row in on.table("texts").to_pylist():
        tokens = Tokens.of(on.folder, row["split"])[row["first_token"] : row["first_token"] + row["tokens"]].tolist()
        sentinels = tuple(token for token in vocabulary.decode(tokens[:2], False).split("|") if token.startswith("fim"))
        forms.add((row["split"], sentinels))
        assert restored(tokens[:-1], vocabulary) == known[row["id"]]
    suffix_first = ("fim_prefix", "fim_suffix")
    assert forms == {("train", ()), ("train", ("fim_prefix",)), ("train", suffix_first), ("validation", ())}
    with pytest.raises(StageFailed, match=r"\[tokenizer\] fim = true"):
        packed(cfg.replace({"fim_share": 0.7}), plain_vocab, clean, store)


def test_two_workers_pack_the_same_bytes(vocab: Artifact, clean: Artifact, store: Store) -> None:
    cfg = Pack(parts=("documents", "pages", "exercises"), tokens=1500, shard_tokens=400)
    one = packed(cfg, vocab, clean, store)
    two = run_stage(pack, cfg, vocab, clean, store=Store(store.root / "two"), site=Site(workers=2))
    assert one.digest == two.digest


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
