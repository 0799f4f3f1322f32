"""Diversity: repetition is seen in words and in shape, variety is told from it, and the order of parts does not matter."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codetextbook.grammar import write_exercises
from codetextbook.text.diversity import Gauge, Measured, diversity, import_histogram, modules_of
from codetextbook.text.spread import spread

VARIED = [Measured(row["prompt"] + row["solution"], row["topic"]) for row in write_exercises(80, 1)]
RENAMED = [
    Measured(f"def f{n}(items_{n}):\n    best_{n} = 0\n    for one_{n} in items_{n}:\n        if one_{n} > {n}:\n"
             f"            best_{n} += one_{n}\n    return best_{n}\n", "loops") for n in range(80)
]  # fmt: skip


def test_copies_are_repetition_in_every_number() -> None:
    copies = [VARIED[0]] * 80
    once, often = diversity(VARIED), diversity(copies)
    assert often["repeated_text"] > 0.98 and once["repeated_text"] < 0.1
    assert often["compression"] > 5 * once["compression"]
    assert often["distinct_4grams"] < 0.05 < once["distinct_4grams"]
    assert often["topics"] == 1 and once["topics"] > 50 and once["topic_evenness"] > 0.9


def test_the_same_shape_under_other_names_is_seen() -> None:
    found = diversity(RENAMED)
    assert found["repeated_shape"] > 0.98 > 0.5 > diversity(VARIED)["repeated_shape"]
    assert found["repeated_text"] < 0.5


def test_nothing_is_measured_as_nothing() -> None:
    assert diversity([]) == {"texts": 0}
    assert diversity([Measured("", "t")])["texts"] == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations(range(40)))
def test_a_sample_does_not_depend_on_order_and_writers_are_told_apart(order: list[int]) -> None:
    found = []
    for some in (order, range(40)):
        gauge = Gauge(most=10)
        for k in some:
            gauge.add("even" if k % 2 == 0 else "odd", *VARIED[k])
        found.append((gauge.diversity(), gauge.imports()))
    assert found[0] == found[1] and found[0][0]["even"]["texts"] == found[0][0]["odd"]["texts"] == 10


def test_imports_are_counted_once_for_each_text() -> None:
    page = "## A\n\n```python\nimport math\nfrom math import pi\n```\n\nimport os in prose\n\n```python\nimport re, json.tool\n```\n"
    assert modules_of(page) == {"math", "re", "json"}
    assert modules_of("import os.path\nfrom . import near\n") == {"os"} and modules_of("import (") == set()
    assert import_histogram(Counter({"math": 12, "re": 30, "os": 9})) == {"re": 30, "math": 12}
    assert list(import_histogram(Counter({"math": 12, "re": 30, "os": 9}), 1)) == ["re", "math", "os"]


def test_copies_lie_on_each_other_and_other_subjects_apart() -> None:
    subjects = [
        "def area(width, height):\n    return width * height\n",
        "A whale is a mammal.",
        "import socket\n",
        VARIED[0].text,
    ]
    alike, apart = spread([subjects[0]] * 4), spread(subjects)
    assert abs(alike["apart"]) < 0.01 and abs(alike["nearest"]) < 0.01
    assert apart["apart"] > apart["nearest"] > 0.2
    assert spread(subjects[:1]) == {"texts": 1}


def test_the_spread_is_measured_where_it_is_asked_for() -> None:
    gauge = Gauge(most=10, spread_over=3)
    for one in VARIED[:6]:
        gauge.add("grammar", one.text, one.topic)
    assert gauge.diversity()["grammar"]["spread"]["texts"] == 3
    assert "spread" not in diversity(VARIED[:6])
