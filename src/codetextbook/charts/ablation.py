"""The experiments as a person reads them: the same tables as Markdown and as one offline page, the paper's numbers apart from ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codetextbook.charts import figures
from codetextbook.charts import tables as shown
from codetextbook.charts.tables import Figure, Table
from codetextbook.charts.words import number, percent, short

SETS = {
    "humaneval": "HumanEval's reference solutions, given the prompt",
    "heldout": "solutions of exercise families that no training holds, given the prompt",
    "curated": "held-out documents that the filter would keep",
    "raw": "held-out documents, kept or not",
}
"""What each set of texts is."""

STEP_HEAD = (
    "from",
    "to",
    "difference",
    "95 % interval",
    "seeds above 0",
    "sign test",
    "permutation",
    "Holm",
    "verdict",
)
"""Columns of a table of compared steps (`_step`)."""

PAPER = (
    ("U", "The Stack, deduplicated", "12.19"),
    ("F", "The Stack, filtered", "17.68"),
    ("FT", "CodeTextbook: filtered, with textbooks", "20.12"),
    ("FTX", "CodeTextbook, then CodeExercises (phi-1-small)", "45"),
)
"""The paper's 350M models at 76B tokens (§2 and Fig 2.1): the arm that is meant, what it was trained on, HumanEval's pass@1 in per cent."""
PAPER_SENTENCE = (
    "The paper's numbers are pass@1 of models with 350M parameters after 76B tokens, one training each. They are not comparable with ours; "
    "only their order is."
)


def tables(facts: Mapping[str, Any]) -> list[Table]:
    """Everything that `ablate` found, as tables."""
    seeds = len(facts["seeds"])
    return [
        Table(
            "What each arm was trained on",
            f"{seeds} seeds each; arms that share a seed start from the same weights and take the same steps.",
            ("arm", "trained on", "tokens read", "distinct tokens of code", "epochs", "of them also in F"),
            [_reading(row) for row in facts["arms"] if not row["arm"].endswith("X")],
        ),
        Table(
            "Bits per byte, mean over seeds, with 95 % intervals over seeds and texts",
            "Lower is better. " + "; ".join(f"{name}: {told}" for name, told in SETS.items()) + ".",
            ("arm", *SETS),
            [[row["arm"], *(_interval(row["bits_per_byte"][name]) for name in SETS)] for row in facts["arms"]],
        ),
        Table(
            "What the finetuned arms solve",
            "pass@1, greedy, with 95 % intervals over seeds and problems; no training exercise has the topics of the validation exercises.",
            ("arm", "HumanEval", "parses", "held-out families", "parses", "validation exercises, by seed"),
            [_solving(row) for row in facts["arms"] if "pass_at_1" in row],
        ),
        Table(
            "Orders written down before training",
            "Page's test over seeds: P-value of no order, against bits per byte falling from arm to arm.",
            ("order", *SETS),
            [[order, *(f"{row['p']:.2g}" for row in rows)] for order, rows in _by_order(facts["orders"])],
        ),
        Table(
            "Steps written down before training, on HumanEval's references",
            "Shown: five seeds or more, and the 95 % interval over seeds and texts above 0; reversed: below 0. First minus second.",
            STEP_HEAD,
            [_step(row) for row in facts["steps"] if row["set"] == "humaneval"],
        ),
        Table(
            "The same steps on the other sets",
            "Difference in bits per byte with its 95 % interval. On raw code U should not lose: who wins everywhere shows something else.",
            ("from", "to", *list(SETS)[1:]),
            _others(facts["steps"]),
        ),
        Table(
            "In tokens of raw code",
            "How many tokens of raw code would have brought U as far, read off its trainings at other lengths (straight in log tokens).",
            ("arm", "bits per byte, HumanEval's references", "tokens of raw code that reach it"),
            _equivalents(facts["equivalents"]),
        ),
        Table("The paper's numbers", PAPER_SENTENCE, ("arm", "paper's training set", "paper's pass@1, %"), PAPER),
    ]


def _reading(row: Mapping[str, Any]) -> list[str]:
    return [
        row["arm"],
        row["told"],
        number(row["tokens"]),
        number(row["distinct_tokens"]),
        f"{row['epochs']:.2f}",
        percent(row["share_also_filtered"], 0),
    ]


def _solving(row: Mapping[str, Any]) -> list[str]:
    cells = [row["arm"]]
    for name in ("humaneval", "heldout"):
        one = row["pass_at_1"][name]
        cells += [
            f"{percent(one['mean'])} ({percent(one['low'])} to {percent(one['high'])})",
            percent(row["syntax_valid"][name], 0),
        ]
    return [*cells, f"{', '.join(map(str, row['validation_solved']))} of {row['validation_problems']}"]


def _interval(one: Mapping[str, float]) -> str:
    return f"{one['mean']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _by_order(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(", ".join(row["order"]), []).append(row)
    return list(found.items())


def _step(row: Mapping[str, Any]) -> list[str]:
    return [
        str(row["from"]),
        str(row["to"]),
        f"{row['difference']:+.3f}",
        f"{row['low']:+.3f} to {row['high']:+.3f}",
        f"{row['seeds_above']} of {row['seeds']}",
        *(f"{row[name]:.2g}" for name in ("sign_p", "permutation_p", "holm_p")),
        row["words"].split(":")[0],
    ]


def _others(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    pairs: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["set"] != "humaneval":
            cell = f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
            pairs.setdefault((row["from"], row["to"]), []).append(cell)
    return [[*pair, *cells] for pair, cells in pairs.items()]


def _equivalents(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    curve = rows[-1]["curve"]
    best, worst = curve[-1], curve[0]
    told = []
    for row in rows[:-1]:
        value, equal = row["bits_per_byte"], row["equivalent_tokens"]
        beyond = (
            f"more than {short(best['tokens'])}"
            if value < best["bits_per_byte"]
            else f"fewer than {short(worst['tokens'])}"
        )
        told.append([row["arm"], f"{value:.3f}", beyond if equal is None else short(equal)])
    return told + [
        [rows[-1]["baseline"], f"{one['bits_per_byte']:.3f}", f"{short(one['tokens'])} (trained)"] for one in curve
    ]


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """Each step in words."""
    return [row["words"] for row in facts["steps"] if row["set"] == "humaneval"]


def spikes_tables(facts: Mapping[str, Any]) -> list[Table]:
    """What `spikes` found, as tables."""
    return [
        Table(
            "Solutions of families that textbooks explain and no exercise holds",
            f"Bits per byte given the prompt, mean of {len(facts['seeds'])} seeds with 95 % interval; pass@1 of the finetuned.",
            ("arm", "trained on", "bits per byte", "pass@1"),
            [
                [row["arm"], row["told"], _interval(row), percent(row["pass_at_1"]) if "pass_at_1" in row else ""]
                for row in facts["arms"]
            ],
        ),
        Table(
            "The questions, written down before training",
            "Differences in bits per byte, first minus second.",
            STEP_HEAD,
            [_step(row) for row in facts["questions"]],
        ),
    ]


def markdown(facts: Mapping[str, Any]) -> str:
    """The ablation for a terminal, a pull request or a document."""
    return shown.markdown("Did better data make a better model?", sentences(facts), tables(facts))


def spikes_markdown(facts: Mapping[str, Any]) -> str:
    """The spikes for a terminal, a pull request or a document."""
    words = [row["words"] for row in facts["questions"]]
    return shown.markdown("Does finetuning bring out what exercises do not hold?", words, spikes_tables(facts))


def page(facts: Mapping[str, Any]) -> str:
    """The ablation as one offline page."""
    caption = (
        "mean over seeds, with 95 % intervals over seeds and texts; lower is better. What the arms are trained on, and the figures, are in "
        "the tables below."
    )
    drawn = draw(facts)
    return shown.page(
        "Did better data make a better model?",
        "An experiment of codetextbook after Fig 2.1 of “Textbooks Are All You Need” (arXiv 2306.11644): the same model, the same steps, "
        "other data.",
        sentences(facts),
        [
            Figure(svg, f"{kind}: {caption}")
            for kind, svg in zip(("Bases", "Finetuned on the same exercises"), drawn, strict=True)
        ],
        tables(facts),
    )


def draw(facts: Mapping[str, Any]) -> list[str]:
    """A figure for bases and one for finetuned arms, in the paper's order (Fig 2.1)."""
    drawn = []
    for name, tuned in (("bases", False), ("finetuned", True)):
        rows = [
            {
                "label": row["arm"],
                "value": row["bits_per_byte"]["humaneval"]["mean"],
                "low": row["bits_per_byte"]["humaneval"]["low"],
                "high": row["bits_per_byte"]["humaneval"]["high"],
                "kind": "arm" if row["arm"] in ("U", "F", "FT", "UX", "FX", "FTX") else "control",
            }
            for row in facts["arms"]
            if row["arm"].endswith("X") == tuned
        ]
        drawn.append(figures.intervals(rows, name, "bits per byte, HumanEval's references", from_zero=False))
    return drawn
