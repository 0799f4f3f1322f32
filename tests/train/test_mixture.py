"""Budgets and mixtures: exact to the token, each text once a reading, and pack then unpack gives every document back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetextbook.errors import StageFailed
from codetextbook.train.mixture import Chosen, budgets, choose
from codetextbook.train.tokens import Tokens

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=40)


def drawn(sizes: list[int], parts: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(len(sizes))
    names = np.array([f"part{number % parts}" for number in range(len(sizes))])
    return names, np.array(sizes, np.int64), rng.integers(0, 2**48, len(sizes), dtype=np.uint64)


@given(SIZES, st.integers(0, 400), st.booleans())
def test_a_choice_holds_the_wanted_tokens_and_each_text_once_a_reading(
    sizes: list[int], wanted: int, repeat: bool
) -> None:
    part_n, tokens_n, draw_n = drawn(sizes, parts=1)
    if wanted > sum(sizes) and not repeat:
        with pytest.raises(StageFailed, match="part0 have"):
            choose(part_n, tokens_n, draw_n, {"part0": wanted}, repeat=repeat)
        return
    chosen = choose(part_n, tokens_n, draw_n, {"part0": wanted}, repeat=repeat)
    assert chosen.tokens_n.sum() == wanted
    pairs = set(zip(chosen.text_n.tolist(), chosen.reading_n.tolist(), strict=True))
    assert len(pairs) == len(chosen.text_n)
    cut = chosen.tokens_n < tokens_n[chosen.text_n]
    assert cut.sum() <= 1
    for reading in range(wanted // sum(sizes)):
        assert (chosen.reading_n == reading).sum() == len(sizes)


def test_all_parts_are_spread_over_the_whole_array() -> None:
    part_n, tokens_n, draw_n = drawn([10] * 2_000)
    chosen = choose(part_n, tokens_n, draw_n, {"part0": 1_000, "part1": 10_000}, repeat=False)
    first_half = part_n[chosen.text_n[: len(chosen.text_n) // 2]]
    assert 30 <= (first_half == "part0").sum() <= 70


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 1000), min_size=1),
    st.none() | st.integers(0, 5000),
    st.dictionaries(st.sampled_from("abcd"), st.floats(0.01, 10.0)),
)
def test_budgets_add_up_and_follow_the_weights(
    available: dict[str, int], tokens: int | None, weights: dict[str, float]
) -> None:
    weights = {part: weight for part, weight in weights.items() if part in available}
    wanted = budgets(available, tokens, weights)
    assert wanted.keys() == available.keys()
    if tokens is not None:
        assert sum(wanted.values()) == tokens
    if not weights and tokens is None:
        assert wanted == available
    if weights:
        whole = sum(weights.values())
        for part, count in wanted.items():
            assert abs(count - sum(wanted.values()) * weights.get(part, 0.0) / whole) < 1 + 1e-6
        if tokens is None:
            assert all(wanted[part] <= available[part] for part in wanted)


@given(st.lists(st.lists(st.integers(1, 99), max_size=12), min_size=1, max_size=20), st.integers(1, 50), st.data())
def test_any_slice_of_shards_is_the_slice_of_the_whole(texts: list[list[int]], size: int, data: st.DataObject) -> None:
    flat = np.array([token for text in texts for token in [*text, 0]], np.uint16)
    tokens = Tokens([flat[start : start + size] for start in range(0, len(flat), size)])
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(flat) + 3)] * 2)))
    assert tokens[start:stop].tolist() == flat[start:stop].tolist()
    assert (len(tokens), tokens.count(0)) == (len(flat), len(texts))


def test_an_empty_choice_is_empty() -> None:
    part_n, tokens_n, draw_n = drawn([3, 4])
    assert [len(column) for column in choose(part_n, tokens_n, draw_n, {"part0": 0}, repeat=False)] == [0, 0, 0]
    assert isinstance(choose(part_n, tokens_n, draw_n, {"part0": 3}, repeat=False), Chosen)
