"""Pairs within a distance: exact, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest

import codetextbook.text.nearest as module
from codetextbook.text.nearest import pairs_within

RNG = np.random.default_rng(5)


def unit(rows: int, width: int = 24) -> np.ndarray:
    vectors = RNG.normal(size=(rows, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("distance", [0.0, 0.9, 1.2, 2.0])
def test_agrees_with_every_pair_in_double_precision(distance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    known = unit(20)
    vectors = np.concatenate([unit(90), known[::2]])
    exact = np.linalg.norm(vectors.astype(np.float64)[:, None] - known.astype(np.float64)[None], axis=2)
    expected = [(row, column) for row, column in np.argwhere(exact <= distance).tolist()]
    assert [(pair.row, pair.known) for pair in pairs_within(vectors, known, distance)] == expected
    assert len(expected) >= 10
    monkeypatch.setattr(module, "ROWS_PER_BLOCK", 7)
    found = list(pairs_within(vectors, known, distance))
    assert [(pair.row, pair.known) for pair in found] == expected
    assert [pair.distance for pair in found] == pytest.approx([exact[place] for place in expected], abs=1e-6)


def test_equal_vectors_are_at_zero() -> None:
    known = unit(3)
    assert [pair.distance for pair in pairs_within(known, known, 0.0)] == [0.0, 0.0, 0.0]


def test_nothing_is_near_nothing() -> None:
    assert (
        list(pairs_within(np.zeros((0, 4)), unit(2, 4), 2.0))
        == list(pairs_within(unit(2, 4), np.zeros((0, 4)), 2.0))
        == []
    )
