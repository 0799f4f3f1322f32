"""Lines, calibration, the nested forest and the comparison of judges, each on numbers that can be checked by hand or by a peer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codetextbook.errors import StageFailed
from codetextbook.teacher import calibration
from codetextbook.teacher.agreement import agreement, area_within, at_cutoff, cutoff_for, make_folds
from codetextbook.teacher.filtering import by_budget, by_precision, by_share, kept_curve, refuse_empty, slices
from codetextbook.teacher.forest import Growing, Size, nested, plant, probabilities, sizes
from codetextbook.teacher.judges import in_words
from codetextbook.teacher.kinds import kind_of

RANDOM = np.random.default_rng(0)
GOOD = RANDOM.random(200) < 0.4
VECTORS = RANDOM.normal(size=(200, 12)).astype(np.float32) + GOOD[:, None] * np.linspace(0, 1, 12, dtype=np.float32)
GROUPS = [f"p{k % 20}" for k in range(200)]
GROWING = Growing((5, 20), (2, 0), 2, 3, 0)


@pytest.mark.parametrize("rows", [1, 100, 5_000])
@pytest.mark.parametrize("workers", [1, 3])
def test_our_evaluation_of_a_forest_is_scikit_learns_to_the_last_bit(rows: int, workers: int) -> None:
    model = plant(GROWING, Size(30, 0)).fit(VECTORS, GOOD)
    some = np.random.default_rng(1).normal(size=(rows, 12)).astype(np.float16).astype(np.float32)
    assert np.array_equal(probabilities(model, some, workers), model.predict_proba(some)[:, 1])


def test_a_vector_that_is_not_finite_is_refused() -> None:
    model = plant(GROWING, Size(3, 0)).fit(VECTORS, GOOD)
    with pytest.raises(ValueError, match="NaN"):
        probabilities(model, np.full((1, 12), np.nan, np.float32))


def test_a_smaller_forest_is_a_prefix_of_a_larger_one() -> None:
    found = {(one.trees, one.depth): one.auc for one in sizes(GROWING, VECTORS, GOOD, GROUPS)}
    alone = sizes(GROWING._replace(trees=(5, 6)), VECTORS, GOOD, GROUPS)
    assert found[5, 2] == next(one.auc for one in alone if (one.trees, one.depth) == (5, 2))
    assert set(found) == {(5, 2), (20, 2), (5, 0), (20, 0)}


def test_a_grade_never_reaches_the_judgement_of_its_own_document() -> None:
    folds = make_folds(GOOD, GROUPS, 5, 0).folds
    before, _ = nested(GROWING, VECTORS, GOOD, GROUPS, folds)
    test = folds[0][1]
    turned = GOOD.copy()
    turned[test] = ~turned[test]
    after, _ = nested(GROWING, VECTORS, turned, GROUPS, folds)
    assert np.array_equal(before[test], after[test])
    assert not np.array_equal(np.delete(before, test), np.delete(after, test))


def test_calibration_keeps_the_order_and_brings_votes_to_what_happens() -> None:
    draw = np.random.default_rng(3)
    true = draw.random(4_000)
    good = draw.random(4_000) < true
    votes = np.clip(0.5 + 0.3 * (true - 0.3), 0, 1)
    curve = calibration.fit(votes, good)
    said = curve(votes)
    assert np.array_equal(np.argsort(said, kind="stable"), np.argsort(votes, kind="stable"))
    folds = make_folds(good, [str(k % 50) for k in range(4_000)], 5, 0).folds
    told = calibration.reliability(votes, calibration.cross_fitted(votes, good, folds), good, curve)
    assert told["calibration_error"] < 0.05 < told["calibration_error_before"]
    assert told["brier"] < told["brier_before"]
    assert sum(row["documents"] for row in told["bins"]) == 4_000


def test_votes_that_say_the_opposite_are_left_as_they_are() -> None:
    votes = np.linspace(0.1, 0.9, 50)
    assert calibration.fit(votes, votes < 0.5) == calibration.AS_IT_IS
    assert np.allclose(calibration.AS_IT_IS(votes), votes)


def test_a_share_of_characters_sets_the_threshold() -> None:
    quality, characters = np.array([0.9, 0.8, 0.8, 0.1]), np.array([10, 10, 10, 70])
    assert by_share(quality, characters, 0.05) == 0.9
    assert by_share(quality, characters, 0.15) == 0.8
    assert by_share(quality, characters, 1.0) == 0.1
    curve = kept_curve(quality, characters, 2.0)
    assert curve[0]["documents"] == 4 and curve[32] == {
        "threshold": 0.8, "documents": 3, "characters": 30, "tokens": 15, "share": 0.3
    }  # fmt: skip
    assert curve[-1]["documents"] == 0


def test_a_budget_is_never_passed_and_equal_qualities_stay_together() -> None:
    quality, characters = np.array([0.9, 0.8, 0.8, 0.1]), np.array([10, 10, 10, 70])
    assert by_budget(quality, characters, 29) == 0.9
    assert by_budget(quality, characters, 30) == 0.8
    assert by_budget(quality, characters, 10_000) == 0.1
    with pytest.raises(StageFailed, match="10 characters, and the budget is 9"):
        by_budget(quality, characters, 9)


def test_a_precision_is_held_by_the_lowest_threshold_that_has_it() -> None:
    good = np.array([True] * 18 + [False] * 2 + [True] * 2 + [False] * 8)
    said = np.linspace(0.9, 0.1, 30)
    line = by_precision(good, said, 0.9)
    assert good[said >= line].mean() >= 0.9
    assert all(good[said >= other].mean() < 0.9 for other in said[said < line])
    with pytest.raises(StageFailed, match="100%") as caught:
        by_precision(~good, said, 1.0)
    assert "reaches" in caught.value.hint


def test_a_threshold_that_keeps_nothing_says_which_would() -> None:
    quality = np.array([0.1, 0.5, 0.62] + [0.3] * 10_211)
    with pytest.raises(StageFailed) as caught:
        refuse_empty(quality, 0.95)
    assert caught.value.what == "threshold 0.95 keeps 0 of 10,214 documents"
    assert (caught.value.where, caught.value.hint) == ("[curate] threshold", "0.50 keeps 2")
    refuse_empty(quality, 0.62)


def compared(own: np.ndarray, length: np.ndarray, rule: np.ndarray) -> dict[str, Any]:
    judged = {"forest": own, "length_alone": length, "syntax_tree_rule": rule}
    return agreement(GOOD, judged, "forest", GROUPS, resamples=200, seed=0)


def test_the_words_follow_the_paired_intervals() -> None:
    noise, sure = RANDOM.random(200), GOOD + RANDOM.random(200) * 0.9
    beats = in_words(compared(sure, noise, noise))
    assert (
        beats[0].startswith("The filter beats length alone")
        and beats[1] == "It beats every simpler judge that was tried."
    )
    loses = in_words(compared(noise, noise, sure))
    assert loses[0].startswith("That the filter beats length alone is not shown")
    assert loses[1].startswith("A simpler judge beats it: a fixed rule over the syntax tree")
    assert in_words(compared(noise, sure, sure))[0].startswith("Length alone beats the filter")


def test_figures_at_a_cutoff_count_what_is_called() -> None:
    good, scores = np.array([True, True, False, False] * 10), np.array([0.9, 0.4, 0.6, 0.1] * 10)
    found = at_cutoff(good, scores, 0.5, ["a"] * 40, resamples=50, seed=0)
    assert (found["called"], found["precision"], found["recall"], found["f1"]) == (20, 0.5, 0.5, 0.5)
    assert found["f1_interval"][0] < 0.5 < found["f1_interval"][1]
    assert cutoff_for(scores, 10) == 0.9 and cutoff_for(scores, 15) == 0.6


def test_a_judge_that_tells_only_the_slices_apart_stands_at_chance_within_each() -> None:
    names = ["short" if k % 2 else "long" for k in range(400)]
    draw = np.random.default_rng(8)
    short = np.array([name == "short" for name in names])
    good = draw.random(400) < np.where(short, 0.8, 0.2)
    quality = short + 0.01 * draw.random(400)
    rows = slices(names, quality, quality >= 1, np.arange(400), good, quality, resamples=100, seed=0)
    assert [(row["documents"], row["graded"]) for row in rows] == [(200, 200), (200, 200)]
    assert {row["name"]: row["share_kept"] for row in rows} == {"long": 0.0, "short": 1.0}
    assert all(row["auc_interval"][0] < 0.5 < row["auc_interval"][1] for row in rows)
    assert area_within(good, quality, resamples=10, seed=0)["auc"] > 0.75


def test_a_slice_with_too_few_of_one_kind_has_no_area() -> None:
    assert area_within(np.array([True] * 4 + [False] * 50), np.arange(54.0), resamples=5, seed=0)["auc"] is None
    assert area_within(np.array([True] * 5 + [False] * 50), -np.arange(55.0), resamples=5, seed=0)["auc"] == 1.0


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("pkg/tests/help.py", "def f(): pass", "test"),
        ("pkg/test_a.py", "", "test"),
        ("pkg/examples/a.py", "def f(): pass", "tutorial"),
        ("pkg/a_pb2.py", "# Generated by the protocol buffer compiler.  DO NOT EDIT!\n", "generated"),
        ("pkg/__init__.py", "from .a import b\n", "package file"),
        ("setup.py", "setup()\n", "configuration"),
        ("pkg/run.py", "def f():\n    pass\n\nif __name__ == '__main__':\n    f()\n", "script"),
        ("pkg/tables.py", "WIDTHS = {1: 2}\n", "declarations"),
        ("pkg/sorts.py", "def sort(items):\n    return sorted(items)\n", "library"),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_path_and_head(path: str, text: str, kind: str) -> None:
    assert kind_of(path, text) == kind
