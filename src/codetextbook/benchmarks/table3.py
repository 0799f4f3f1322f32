"""The paper's Table 3, laid out: a row for each tau, ours in our columns and the paper's in its own (paper §5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codetextbook.benchmarks.section5 import PAPER, PAPER_PHI1_PERCENT, PAPER_REMOVED, PaperScores

SIDES = ("similar", "not_similar", "total")
SENTENCE = (
    "The paper's columns are not comparable with ours: its models are larger and its exercises are others. They show what the method "
    "found there: finetuned again, phi-1 loses on similar problems; on the others it stays above the larger StarCoder at tau .95, .90 and "
    ".85, and falls below it at .80."
)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of our rows (as `contamination` writes them) beside the paper's, and a second one with intervals and paired tests."""
    head = (
        "tau",
        "problems similar / not",
        "exercises pruned",
        "as trained: similar / not / all",
        "retrained: similar / not / all",
        "paper: problems",
        "paper: exercises pruned",
        "paper: phi-1",
        "paper: retrained",
        "paper: StarCoder-Prompted",
    )
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [_line([*_ours(row), *_papers(row["tau"])]) for row in rows]
    sure = ("tau", "model", *(f"{side.replace('_', ' ')}, 95 % interval" for side in SIDES), "solved by one alone", "p")
    detail = [_line(sure), _line(["---"] * len(sure))]
    detail += [_line(cells) for row in rows for cells in _detail(row)]
    return "\n".join(
        [
            "pass@1 in per cent, with solved / problems; of all problems in the last place.",
            "",
            *lines,
            "",
            SENTENCE,
            "",
            "How sure ours are (p: McNemar, exact, as trained against retrained on all problems):",
            "",
            *detail,
            "",
        ]
    )


def _ours(row: Mapping[str, Any]) -> list[str]:
    models = row["models"]
    return [
        f"{row['tau']:g}",
        f"{row['similar']} / {row['not_similar']}",
        f"{row['pruned']:,} of {row['training_exercises']:,}",
        *(" / ".join(_cell(models[name][side]) for side in SIDES) for name in ("as_trained", "retrained")),
    ]


def _papers(tau: float) -> list[str]:
    found = next((one for one in PAPER if one.tau == tau), None)
    if found is None:
        return ["not in the paper"] + [""] * 4
    removed = PAPER_REMOVED.get(tau)
    return [
        f"{found.similar} / {found.not_similar}",
        f"{removed:,} of 879,500" if removed else "not stated",
        _paper_cell(found.phi1._replace(total=PAPER_PHI1_PERCENT)),
        _paper_cell(found.retrained),
        _paper_cell(found.starcoder_prompted),
    ]


def _paper_cell(scores: PaperScores) -> str:
    return f"{scores.similar} / {scores.not_similar} / {scores.total}"


def _cell(cell: Mapping[str, Any]) -> str:
    if cell["percent"] is None:
        return "none"
    return f"{cell['percent']:.1f} ({cell['solved']:g}/{cell['problems']})"


def _detail(row: Mapping[str, Any]) -> list[list[str]]:
    paired = row["paired"]
    alone = {"as_trained": paired["only_first"], "retrained": paired["only_second"]}
    return [
        [
            f"{row['tau']:g}",
            name.replace("_", " "),
            *(f"{100 * cells[side]['low']:.1f} to {100 * cells[side]['high']:.1f}" for side in SIDES),
            str(alone[name]),
            f"{paired['p_value']:.3g}",
        ]
        for name, cells in row["models"].items()
    ]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
