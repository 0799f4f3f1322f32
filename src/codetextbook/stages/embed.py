"""Every document as a vector of a pretrained model: what the quality forest learns on (paper §2.1), made once.

The vectors are a column file: the hash of each document's content and its vector in float16, with the digest of the model that made them.
Another threshold, another forest or other grades read them again and embed nothing; another model, pooling or window is another artifact.

A stage of its own and not a cache beside the store: `docs/decisions/0004-vectors-are-a-stage.md` says why. Limits: a corpus that grew by
one document is another input and is embedded anew. Documents whose vector is not finite are rejected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from codetextbook.errors import StageFailed
from codetextbook.nouns import REJECTED
from codetextbook.shards import split, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.text.embedding import Embedding, batches, texts_per_batch, visible

LEAST_DOCUMENTS_PER_PART = 512
MOST_PARTS = 1_000


class Embed(Embedding):
    """The model, what it reads, and how many documents it may fail on."""

    max_rejected_share: float = Field(default=0.01, ge=0.0, le=1.0)
    """Share of the documents without a finite vector above which the stage fails (ours: such a model is broken)."""


def vector_table(ids: Sequence[str], vectors: np.ndarray, model_digest: str) -> pa.Table:
    """A column file: content hashes and vectors `[documents, width]` in float16."""
    flat = pa.array(vectors.astype(np.float16).reshape(-1))
    columns = [pa.array(ids, pa.string()), pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])]
    table = pa.Table.from_arrays(columns, names=["document_id", "vector"])
    return table.replace_schema_metadata({"model_sha256": model_digest})


def documents_per_part(number: int) -> int:
    """As many as make a part worth a file, and no more than a thousand files."""
    return max(LEAST_DOCUMENTS_PER_PART, math.ceil(number / MOST_PARTS))


@stage(version=1)
def embed(cfg: Embed, documents: Artifact, *, out: Writer, site: Site) -> None:
    """Embed part by part; parts that an earlier attempt finished are kept."""
    table = documents.table("documents").select(["id", "text", "source"])
    if table.num_rows == 0:
        raise StageFailed("there are no documents to embed", where="[embed]", hint="more sources in [read]")
    from codetextbook.text.embed import model_digest  # loads torch

    digest = model_digest(cfg)
    parts = list(enumerate(split(table.num_rows, documents_per_part(table.num_rows))))
    missing = [(index, part) for index, part in parts if not out.has(f"vectors-{index:05d}")]
    texts = [visible(text, cfg) for text in table["text"].to_pylist()]
    ids = table["id"].to_pylist()
    for (index, part), vectors in zip(missing, _vectors(cfg, texts, [part for _, part in missing], site), strict=True):
        finite = np.atleast_1d(np.isfinite(vectors.astype(np.float32)).all(axis=1))
        lost = [place for place, whole in zip(part, finite, strict=True) if not whole]
        out.table("rejected", index, to_table([_rejected(table, place) for place in lost], REJECTED))
        kept = [ids[place] for place, whole in zip(part, finite, strict=True) if whole]
        out.table("vectors", index, vector_table(kept, vectors[finite], digest))
        out.progress(part.stop, table.num_rows, "documents embedded")
    made = Artifact(out.folder)
    _refuse_broken(cfg, made.rows("rejected"), table.num_rows)
    out.fact("model_sha256", digest)
    out.fact("width", pq.read_schema(made.parts("vectors")[0]).field("vector").type.list_size)
    out.flow(rows_in=table.num_rows, unit="documents", kept="vectors")


def _vectors(cfg: Embed, texts: list[str], parts: Sequence[range], site: Site) -> Iterator[np.ndarray]:
    """Vectors of each part: in processes of the engine, or on the GPUs."""
    from codetextbook.text.embed import embed_batch, embed_on, gpus, pick_device

    device = pick_device(site.device)
    groups = [
        [
            [part[place] for place in batch]
            for batch in batches(texts[part.start : part.stop], texts_per_batch(cfg, device))
        ]
        for part in parts
    ]
    work = ([texts[place] for place in batch] for group in groups for batch in group)
    alone = partial(embed_batch, settings=cfg)
    found = iter(site.engine().map(alone, work)) if device == "cpu" else embed_on(gpus(), work, cfg)
    for part, group in zip(parts, groups, strict=True):
        rows: dict[int, np.ndarray] = {}
        for batch in group:
            rows.update(zip(batch, next(found), strict=True))
        yield np.stack([rows[place] for place in part])


def _rejected(table: pa.Table, place: int) -> dict[str, str]:
    row = {name: table[name][place].as_py() for name in ("id", "text", "source")}
    return row | {"reason": "not_finite", "detail": "the model gave a vector with NaN or infinite numbers"}


def _refuse_broken(cfg: Embed, lost: int, number: int) -> None:
    if lost > cfg.max_rejected_share * number:
        raise StageFailed(
            f"the model gave {lost:,} of {number:,} documents a vector with NaN or infinite numbers",
            where="[embed] model",
            hint='whole weights; precision = "fp32" where a model overflows; read the table `rejected`',
        )
