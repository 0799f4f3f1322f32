"""Which texts make up an array, and in what order: everything once, or exactly so many tokens of each part.

A part is read in passes. In each pass every text comes once, in an order drawn from the seed; the last pass ends where the budget does,
and its last text is cut there. Then all texts of all parts stand in one drawn order, so that no stretch of the array is poor in a part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from codetextbook.errors import StageFailed


class Chosen(NamedTuple):
    """The texts of an array, in its order; a text may come more than once."""

    text_n: np.ndarray
    """(n,) numbers of the texts."""
    tokens_n: np.ndarray
    """(n,) tokens that are taken of each."""
    reading_n: np.ndarray
    """(n,) how often the text came before."""


def budgets(
    available: Mapping[str, int], tokens: int | Mapping[str, int] | None, weights: Mapping[str, float]
) -> dict[str, int]:
    """Tokens of each part. Without `tokens`: as many as the weights allow with no text twice; without `weights`: as the parts have them."""
    if isinstance(tokens, Mapping):
        return {part: tokens.get(part, 0) for part in available}
    if not weights and tokens is None:
        return dict(available)
    shares = {part: float(weights.get(part, 0.0)) if weights else float(available[part]) for part in available}
    whole = sum(shares.values())
    if tokens is None:
        tokens = int(min(available[part] * whole / share for part, share in shares.items() if share > 0))
    if not whole:
        return dict.fromkeys(available, 0) | {next(iter(available)): tokens}
    exact = {part: tokens * share / whole for part, share in shares.items()}
    floors = {part: int(value) for part, value in exact.items()}
    by_remainder = sorted(exact, key=lambda part: floors[part] - exact[part])
    short = tokens - sum(floors.values())
    return {part: floors[part] + (place < short) for place, part in enumerate(by_remainder)}


def choose(
    part_n: np.ndarray, tokens_n: np.ndarray, draw_n: np.ndarray, wanted: Mapping[str, int], *, repeat: bool
) -> Chosen:
    """Texts that hold exactly the wanted tokens. `part_n`: name of each text's part; `draw_n`: (n,) uint64, drawn from seed and id.

    Raises:
        StageFailed: a part has fewer tokens than are wanted, and may not be repeated.
    """
    chosen = [
        _of_part(part, np.flatnonzero(part_n == part), tokens_n, draw_n, wanted[part], repeat)
        for part in sorted(wanted)
    ]
    text_n, tokens, reading_n, place_n = (np.concatenate(columns) for columns in zip(*chosen, strict=True))
    order = np.lexsort((part_n[text_n], place_n))
    return Chosen(text_n[order], tokens[order], reading_n[order])


def _of_part(
    part: str, text_n: np.ndarray, tokens_n: np.ndarray, draw_n: np.ndarray, wanted: int, repeat: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Texts of one part, their tokens, the pass each comes in, and the draw of its place."""
    available = int(tokens_n[text_n].sum())
    if wanted > available and not (repeat and available):
        raise StageFailed(
            f"{part} have {available:,} tokens to train on, and {wanted:,} are wanted",
            where="[pack] tokens",
            hint="fewer tokens, other weights, or repeat = true to read texts again" if available else "other weights",
        )
    rows, left, reading = [], wanted, 0
    while left > 0:
        order = text_n[np.argsort(_mixed(draw_n[text_n], 2 * reading + 1), kind="stable")]
        before = np.cumsum(tokens_n[order]) - tokens_n[order]
        own = order[before < left]
        taken = np.minimum(tokens_n[own], left - before[: len(own)])
        place = draw_n[own] if reading == 0 else _mixed(draw_n[own], 2 * reading)
        rows.append((own, taken, np.full(len(own), reading), place))
        left, reading = left - int(taken.sum()), reading + 1
    none = np.empty(0, np.int64)
    first, second, third, fourth = (
        (np.concatenate([none, *columns]) for columns in zip(*rows, strict=True)) if rows else (none,) * 4
    )
    return first, second, third, fourth


def _mixed(draw_n: np.ndarray, number: int) -> np.ndarray:
    """Further draws from one: the finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = draw_n.astype(np.uint64) + np.uint64((number * 0x9E3779B97F4A7C15) % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
