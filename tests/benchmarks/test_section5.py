"""Section 5: the paper's table adds up, ours is split and summed the same way."""

from __future__ import annotations

from itertools import pairwise

import planted
import pytest

from codetextbook.benchmarks.problems import humaneval
from codetextbook.benchmarks.section5 import (
    PAPER,
    PAPER_PHI1_PERCENT,
    PaperRow,
    closest,
    implied,
    implied_total,
    join,
    scores_on,
    split_problems,
)
from codetextbook.errors import BenchmarkError
from codetextbook.text.match_rate import match_rate
from codetextbook.text.python_ast import read_code

PROBLEMS = humaneval()


@pytest.mark.parametrize("row", PAPER, ids=lambda row: f"tau {row.tau}")
def test_the_papers_rows_add_up_to_its_own_totals(row: PaperRow) -> None:
    assert row.similar + row.not_similar == len(PROBLEMS)
    assert implied_total(row, row.phi1) == PAPER_PHI1_PERCENT
    assert implied_total(row, row.retrained) == row.retrained.total
    assert implied_total(row, row.starcoder_prompted) == row.starcoder_prompted.total


def test_the_paper_calls_more_problems_similar_as_tau_falls() -> None:
    assert all(high.tau > low.tau and high.similar < low.similar for high, low in pairwise(PAPER))


def test_a_percentage_that_no_whole_number_makes_is_refused() -> None:
    assert implied(81.7, 71) == 58
    with pytest.raises(BenchmarkError, match=r"81\.0 % is no whole number of 71"):
        implied(81.0, 71)


def test_nearest_neighbours_agree_with_every_pair_compared() -> None:
    problems = PROBLEMS[:30]
    texts = [one.prompt + one.reference for one in PROBLEMS[10:50]] + [
        planted.NAMES_CHANGED,
        planted.INNOCENT,
        "not code (",
    ]
    found = closest(problems, texts, floor=0.6, min_nodes=1)
    for number, text in enumerate(texts):
        mine = [function.shape for function in read_code(text).functions]
        rates = [
            match_rate(shape, function.shape)
            for one in problems
            for function in read_code(one.prompt + one.reference).functions
            for shape in mine
        ]
        best = max(rates, default=0.0)
        assert found.of_text.get(number, 0.0) == (pytest.approx(best) if best >= 0.6 else 0.0)
    assert found.of_problem[0][0] == 1.0 and texts[found.of_problem[0][1]] == planted.NAMES_CHANGED
    assert all(found.of_problem[number] == (1.0, number - 10) for number in range(10, 30) if number not in (11, 28))


def test_batches_join_to_the_same_neighbours() -> None:
    texts = [one.prompt + one.reference for one in PROBLEMS[5:45]] * 2
    whole = closest(PROBLEMS, texts, floor=0.7, min_nodes=1)
    sizes = [7, 30, 0, 43]
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    parts = [
        closest(PROBLEMS, texts[start : start + size], floor=0.7, min_nodes=1)
        for start, size in zip(starts, sizes, strict=True)
    ]
    assert join(parts, sizes) == whole


def test_more_problems_are_similar_and_more_texts_near_as_tau_falls() -> None:
    texts = [one.prompt + one.reference for one in PROBLEMS[::2]]
    found = closest(PROBLEMS, texts, floor=0.5, min_nodes=1)
    rates = {PROBLEMS[number].task_id: rate for number, (rate, _) in found.of_problem.items()}
    splits = [split_problems(PROBLEMS, rates, tau) for tau in (0.95, 0.9, 0.85, 0.8, 0.5)]
    assert all(set(high.similar) <= set(low.similar) for high, low in pairwise(splits))
    assert len(splits[0].similar) < len(splits[-1].similar)
    assert set(splits[0].similar) >= {one.task_id for one in PROBLEMS[::2]}
    for split in splits:
        assert sorted((*split.similar, *split.not_similar)) == sorted(one.task_id for one in PROBLEMS)


def test_scores_on_the_two_sides_add_up_to_the_whole() -> None:
    split = split_problems(PROBLEMS, {f"HumanEval/{number}": 0.96 for number in range(71)}, 0.95)
    passed = {one.task_id: float(number < 58 or 71 <= number < 96) for number, one in enumerate(PROBLEMS)}
    scores = scores_on(split, passed)
    shown = [round(cell.percent or 0, 1) for cell in scores]
    assert shown == [81.7, 26.9, 50.6]
    assert scores.similar.solved + scores.not_similar.solved == scores.total.solved == 83
    assert scores.similar.low < 0.817 < scores.similar.high


def test_several_samples_give_shares_and_an_interval_by_bootstrap() -> None:
    split = split_problems(PROBLEMS[:4], {"HumanEval/0": 1.0, "HumanEval/1": 1.0}, 0.95)
    scores = scores_on(split, {f"HumanEval/{number}": share for number, share in enumerate([0.5, 0.25, 0.0, 1.0])})
    assert scores.similar.percent == 37.5
    assert 0.25 <= scores.similar.low <= 0.375 <= scores.similar.high <= 0.5


def test_an_empty_side_has_no_score_and_a_missing_problem_is_named() -> None:
    nothing = split_problems(PROBLEMS[:2], {}, 0.95)
    assert scores_on(nothing, {"HumanEval/0": 1.0, "HumanEval/1": 0.0}).similar.percent is None
    with pytest.raises(BenchmarkError, match="HumanEval/1"):
        scores_on(nothing, {"HumanEval/0": 1.0})
