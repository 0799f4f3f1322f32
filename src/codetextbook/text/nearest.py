"""Pairs of vectors within a distance: exact, in blocks, so that memory does not grow with the corpus (paper §5, embedding distance).

A benchmark has hundreds of vectors and a corpus millions, so one product of matrices a block is all that is needed: an index of
approximate neighbours would save nothing here and could miss pairs. The product only picks candidates; the distance that is reported is
the L2 norm of the difference, in double precision, so that equal vectors are at exactly 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

ROWS_PER_BLOCK = 4_096
_SLACK = 1e-3
"""Added to the squared distance when candidates are picked: float32 sums of 384 products are off by about 1e-6."""


class Near(NamedTuple):
    """Two vectors within the distance."""

    row: int
    """Place among the vectors looked through."""
    known: int
    """Place among the known vectors."""
    distance: float
    """L2 distance; 0 to 2 for vectors of length one."""


def pairs_within(vectors: np.ndarray, known: np.ndarray, distance: float) -> Iterator[Near]:
    """Every pair at `distance` or less, in the order of `vectors` `[rows, width]`, then of `known` `[known, width]`."""
    if not len(vectors) or not len(known):
        return
    theirs = known.astype(np.float32)
    their_squares = (theirs**2).sum(axis=1)
    for start in range(0, len(vectors), ROWS_PER_BLOCK):
        mine = vectors[start : start + ROWS_PER_BLOCK].astype(np.float32)
        squares = (mine**2).sum(axis=1)[:, None] + their_squares[None, :] - 2 * mine @ theirs.T
        for row, column in np.argwhere(squares <= distance**2 + _SLACK).tolist():
            apart = float(np.linalg.norm(mine[row].astype(np.float64) - theirs[column].astype(np.float64)))
            if apart <= distance:
                yield Near(start + row, column, apart)
