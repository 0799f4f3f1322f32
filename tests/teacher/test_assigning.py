"""Cells come without replacement and cover everything; a topic that repeats itself is closed."""

from __future__ import annotations

from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codetextbook.teacher.assigning import Cells, cell
from codetextbook.teacher.dialogue import curriculum


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9))
def test_all_combinations_come_before_one_comes_again(topics: int, audiences: int, styles: int, seed: int) -> None:
    names = {"topics": topics, "audiences": audiences, "styles": styles}
    small = {table: {f"{table}{k}": k for k in range(number)} for table, number in names.items()}
    total = topics * audiences * styles
    drawn = [cell(index, small, seed) for index in range(total)]
    assert set(drawn) == set(product(*(small[table] for table in names)))
    for start in range(0, total, topics):
        assert len({one.topic for one in drawn[start : start + topics]}) == topics
    first = {(one.topic, one.audience) for one in drawn[: topics * audiences]}
    assert len(first) == topics * audiences
    assert cell(total, small, seed).topic in small["topics"]


def test_the_shipped_curriculum_is_covered_by_one_run_through_it() -> None:
    number = len(curriculum()["topics"])
    assert number >= 500 and len(curriculum()["audiences"]) >= 30
    once = [cell(index, curriculum(), 3) for index in range(number)]
    assert {one.topic for one in once} == set(curriculum()["topics"])
    assert {one.audience for one in once} == set(curriculum()["audiences"])
    assert once != [cell(index, curriculum(), 4) for index in range(number)]


def test_only_a_topic_with_more_repetitions_than_news_is_closed() -> None:
    cells = Cells(patience=3)
    cells.kept(["a", "a", "a", "a", "b"])
    cells.repeated(["a", "a", "a", "b", "b"])
    assert cells.closed == frozenset()
    cells.repeated(["b", "c", "c", "c"])
    assert cells.closed == {"b", "c"}
    never = Cells(patience=0)
    never.repeated(["c"] * 100)
    assert never.closed == frozenset()
