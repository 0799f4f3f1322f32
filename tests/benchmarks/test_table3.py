"""Table 3 as laid out: ours and the paper's in columns of their own; nothing made up where there is nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codetextbook.benchmarks.problems import humaneval
from codetextbook.benchmarks.section5 import PAPER, scores_on, split_problems
from codetextbook.benchmarks.table3 import SENTENCE, markdown

PROBLEMS = humaneval()


def row(tau: float, similar: int) -> dict[str, Any]:
    split = split_problems(PROBLEMS, {f"HumanEval/{number}": 1.0 for number in range(similar)}, tau)
    scores = scores_on(split, {one.task_id: float(number < 3) for number, one in enumerate(PROBLEMS)})
    cells = {side: cell._asdict() | {"percent": cell.percent} for side, cell in scores._asdict().items()}
    return {
        "tau": tau,
        "similar": similar,
        "not_similar": 164 - similar,
        "training_exercises": 19_000,
        "pruned": 1_234,
        "models": {"as_trained": cells, "retrained": cells},
        "paired": {"only_first": 2, "only_second": 1, "p_value": 1.0},
    }


def table(text: str, first: str) -> list[list[str]]:
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_every_row_has_our_columns_and_the_papers_apart() -> None:
    text = markdown([row(0.95, 40), row(0.8, 60)])
    head, _, *body = table(text, "| tau | problems")
    ours = [cell for cell in head if not cell.startswith("paper: ")]
    assert len(ours) == 5 and len(head) == 10
    assert [cells[0] for cells in body] == ["0.95", "0.8"]
    assert body[0][1:4] == ["40 / 124", "1,234 of 19,000", "7.5 (3/40) / 0.0 (0/124) / 1.8 (3/164)"]
    assert body[0][5:] == [
        "71 / 93",
        "42,500 of 879,500",
        "81.7 / 26.9 / 50.6",
        "74.6 / 32.3 / 50.6",
        "57.7 / 29.0 / 41.5",
    ]
    assert body[1][6] == "354,000 of 879,500"
    assert SENTENCE in text


def test_every_score_has_its_interval() -> None:
    _, _, *body = table(markdown([row(0.95, 40)]), "| tau | model")
    assert [cells[1] for cells in body] == ["as trained", "retrained"]
    assert body[0][2:] == ["2.6 to 19.9", "0.0 to 3.0", "0.6 to 5.2", "2", "1"]


def test_a_tau_that_the_paper_has_not_and_an_empty_side_are_said() -> None:
    text = markdown([row(0.7, 0)])
    assert "not in the paper" in text and "| none / 1.8 (3/164) / 1.8 (3/164) |" in text
    assert all(f"{one.phi1.similar}" not in text for one in PAPER)


def test_the_docs_show_the_commands_columns_the_papers_apart() -> None:
    page = (Path(__file__).parents[2] / "docs" / "decontamination.md").read_text(encoding="utf-8")
    head, _, *body = table(markdown([row(one.tau, 10) for one in PAPER]), "| tau | problems")
    ours_head, _, ours = table(page, f"| {' | '.join(head[:5])} |")
    assert ours_head == head[:5] and ours[0] == "0.95"
    papers_head, _, *papers = table(page, f"| {' | '.join([head[0], *head[5:]])} |")
    assert papers_head == [head[0], *head[5:]]
    assert papers == [[cells[0], *cells[5:]] for cells in body]
