"""Coverage: a benchmark's runs of words are counted once, wherever they stand, and no run goes across two texts."""

from __future__ import annotations

from codetextbook.text.coverage import met, runs_of, shares

WANTED = runs_of(["Return the sum of all even numbers", "even numbers first"])


def test_what_is_wanted_covers_itself_and_other_language_nothing() -> None:
    assert shares(WANTED, [met(["return THE sum of all even_numbers!", "Even numbers first"], WANTED)]) == {
        "1": 1.0,
        "2": 1.0,
        "4": 1.0,
    }
    assert set(shares(WANTED, [met(["ceci n'est pas une pipe"], WANTED)]).values()) == {0.0}


def test_words_without_their_order_are_words_alone() -> None:
    found = shares(WANTED, [met(["numbers even all of sum the return first"], WANTED)])
    assert found == {"1": 1.0, "2": 0.0, "4": 0.0}


def test_no_run_goes_across_two_texts_and_parts_add_up() -> None:
    halves = ["return the", "sum of all even numbers first"]
    apart = shares(WANTED, [met([half], WANTED) for half in halves])
    assert apart == shares(WANTED, [met(halves, WANTED)])
    assert apart["1"] == 1.0 and apart["2"] < 1.0


def test_a_benchmark_without_words_is_covered_by_nothing() -> None:
    assert shares(runs_of([]), []) == {"1": 0.0, "2": 0.0, "4": 0.0}
