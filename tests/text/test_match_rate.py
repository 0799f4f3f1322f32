"""Match rates at scale are exact: the bounds rule out nothing that a plain loop would find."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import codetextbook.text.match_rate as module
from codetextbook.benchmarks.problems import humaneval
from codetextbook.text.match_rate import match_rate, pairs_above
from codetextbook.text.python_ast import read_code

SHAPES = st.text(alphabet="abcdefgh", max_size=24)
REAL = [function.shape for one in humaneval() for function in read_code(one.prompt + one.reference).functions]


def plain(shapes: list[str], known: list[str], tau: float) -> list[tuple[int, int, float]]:
    rates = [(i, j, match_rate(one, other)) for i, one in enumerate(shapes) for j, other in enumerate(known)]
    return [entry for entry in rates if entry[2] >= tau - 1e-12]


@given(st.lists(SHAPES, max_size=12), st.lists(SHAPES, max_size=12), st.sampled_from([0.5, 0.8, 0.85, 0.9, 0.95, 1.0]))
def test_every_pair_that_a_plain_loop_finds_is_found(shapes: list[str], known: list[str], tau: float) -> None:
    assert list(pairs_above(shapes, known, tau)) == plain(shapes, known, tau)


@pytest.mark.parametrize("tau", [0.95, 0.8, 0.5])
def test_real_shapes_with_edits_too(tau: float, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(tau)
    shapes = []
    for shape in REAL:
        letters = list(shape)
        for _ in range(draw.randrange(6)):
            letters[draw.randrange(len(letters))] = draw.choice(shape)
        shapes.append("".join(letters))
    expected = plain(shapes, REAL, tau)
    assert len(expected) > 50
    assert list(pairs_above(shapes, REAL, tau)) == expected
    monkeypatch.setattr(module, "PAIRS_PER_BLOCK", 1_000)
    monkeypatch.setattr(module, "PAIRS_PER_GATHER", 7)
    assert list(pairs_above(shapes, REAL, tau)) == expected


@given(SHAPES, SHAPES)
def test_a_rate_is_symmetric_and_1_with_itself(first: str, second: str) -> None:
    assert match_rate(first, second) == match_rate(second, first)
    assert match_rate(first, first) == 1.0
    assert 0.0 <= match_rate(first, second) <= 1.0


def test_pairs_grow_as_tau_falls() -> None:
    found = [{(pair.shape, pair.known) for pair in pairs_above(REAL, REAL, tau)} for tau in (1.0, 0.95, 0.9, 0.8, 0.5)]
    assert all(fewer < more for fewer, more in itertools.pairwise(found))
    assert found[0] >= {(place, place) for place in range(len(REAL))}


def test_shapes_longer_than_a_bucket_counts_are_exact_too() -> None:
    long = "ab" * 3_000
    assert list(pairs_above([long, long + "c" * 400, long + "c" * 10], [long], 0.95)) == [
        (0, 0, 1.0),
        (2, 0, 1 - 10 / 6_010),
    ]


def test_nothing_has_no_pairs() -> None:
    assert list(pairs_above([], REAL, 0.5)) == list(pairs_above(REAL, [], 0.5)) == []
    assert list(pairs_above([""], [""], 0.95)) == [(0, 0, 1.0)]
