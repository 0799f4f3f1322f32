"""How far texts lie from each other in meaning: distances between the vectors of a pretrained model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codetextbook.text.embedding import Embedding


def spread(texts: Sequence[str], settings: Embedding | None = None) -> dict[str, float | int]:
    """Mean cosine distance of two texts (`apart`), and of a text from the nearest other one (`nearest`); of fewer than two, only how many.

    Raises:
        MissingDependency: the embedding model is not installed.
    """
    if len(texts) < 2:
        return {"texts": len(texts)}
    from codetextbook.text.embed import embed_batch

    vectors = embed_batch(texts, settings or Embedding()).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    distances = 1.0 - vectors @ vectors.T
    others = distances[~np.eye(len(texts), dtype=bool)].reshape(len(texts), len(texts) - 1)
    return {
        "texts": len(texts),
        "apart": round(float(others.mean()), 4),
        "nearest": round(float(others.min(axis=1).mean()), 4),
    }
