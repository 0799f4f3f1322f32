"""Remove exact and near duplicates (The Stack is deduplicated before the paper reads it).

Exact: equal `id` (text after newlines and trailing space are spelt one way). Near: exact Jaccard similarity of code-token 5-grams, for
candidates that loose MinHash bands propose; greedily, the longest stays, and only what is at the threshold to something that stays is
removed. Every removal names its keeper and its similarity. Published recipes treat a shared band as proof and close transitively; against
comparing all pairs that removes up to seven unlike files for each like one.

Limits: signatures of all documents are held in memory (0.5 KB each), shingles too (about 8 bytes a token).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
from pydantic import Field

from codetextbook.config import Config
from codetextbook.nouns import DOCUMENT, REJECTED
from codetextbook.shards import split, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.text.minhash import Hashes, near_duplicates, shingles

ROWS_PER_PART = 2_000

DUPLICATE = REJECTED.append(pa.field("keeper", pa.string())).append(pa.field("similarity", pa.float64()))
"""A removed document, the id of the one that stays, and their Jaccard similarity (1 for exact copies)."""


class Dedup(Config):
    """What counts as the same file."""

    threshold: float = Field(default=0.7, ge=0.3, le=1.0)
    """Jaccard similarity of code-token 5-grams from which two files are the same (BigCode and datatrove use 0.7 to 0.85)."""
    seed: int = 0
    """Seed of the MinHash functions; it can change which pairs are compared, never the verdict on a pair."""


def exact_copies(ids: list[str]) -> dict[int, int]:
    """For each row that repeats an earlier one: the row that it repeats."""
    first: dict[str, int] = {}
    return {row: first[key] for row, key in enumerate(ids) if first.setdefault(key, row) != row}


def _shingle_all(texts: list[str]) -> list[Hashes]:
    return [shingles(text) for text in texts]


def _removal(document: dict[str, Any], reason: str, keeper: dict[str, Any], similarity: float) -> dict[str, Any]:
    return {
        "id": document["id"],
        "reason": reason,
        "detail": f"{document['path']} is like {keeper['source']} {keeper['path']}",
        "text": document["text"],
        "source": document["source"],
        "keeper": keeper["id"],
        "similarity": similarity,
    }


@stage(version=1)
def dedup(cfg: Dedup, documents: Artifact, *, out: Writer, site: Site) -> None:
    """Documents to documents that differ."""
    rows = documents.table("documents").to_pylist()
    copies = exact_copies([row["id"] for row in rows])
    unique = [number for number in range(len(rows)) if number not in copies]
    texts = [rows[number]["text"] for number in unique]
    batches = [texts[start : start + 64] for start in range(0, len(texts), 64)]
    sets: list[Hashes] = []
    for batch in site.engine().map(_shingle_all, batches):
        sets += batch
        out.progress(len(sets), len(texts), "documents")
    removals = near_duplicates(sets, [rows[number]["id"] for number in unique], cfg.threshold, cfg.seed)
    near = {unique[one.removed]: (unique[one.keeper], one.similarity) for one in removals}
    rejected = [_removal(rows[row], "exact_copy", rows[keeper], 1.0) for row, keeper in copies.items()]
    rejected += [_removal(rows[row], "near_duplicate", rows[keeper], alike) for row, (keeper, alike) in near.items()]
    kept = [rows[number] for number in unique if number not in near]
    for index, part in enumerate(split(len(kept), ROWS_PER_PART)):
        out.table("documents", index, to_table(kept[part.start : part.stop], DOCUMENT))
    out.table("rejected", 0, to_table(rejected, DUPLICATE))
    _facts(out, rows, rejected)
    out.flow(rows_in=len(rows), unit="documents")


def _facts(out: Writer, rows: list[dict[str, Any]], rejected: list[dict[str, Any]]) -> None:
    clusters = Counter(row["keeper"] for row in rejected)
    total, removed = Counter(row["source"] for row in rows), Counter(row["source"] for row in rejected)
    out.fact("largest_cluster", 1 + max(clusters.values(), default=0))
    out.fact("share_removed_by_source", {name: round(removed[name] / total[name], 4) for name in sorted(total)})
