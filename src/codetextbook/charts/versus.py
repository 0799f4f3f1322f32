"""Two runs side by side: what was set, made and scored differently, and what paired tests say of it.

A paired test speaks of these two trained models. Whether the way of training differs, only seeds can tell: `codetextbook ablate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from codetextbook.charts import figures, tables, words
from codetextbook.charts.tables import Figure, Table
from codetextbook.charts.words import number, percent

TITLE = "Two runs side by side"
LONGEST_VALUE = 80
"""Characters of a setting that are shown."""


class Side(NamedTuple):
    """One run: its report's id, and the facts of its report."""

    label: str
    report: str
    facts: Mapping[str, Any]


class Pair(NamedTuple):
    """One model's place in both runs (`best`, `base`), and what paired tests say, by benchmark; or why there are none."""

    model: str
    benchmarks: Mapping[str, Mapping[str, Any]]
    why_not: str = ""


def sentences(pairs: Sequence[Pair]) -> list[str]:
    """What is shown and what is not."""
    told = []
    for pair in pairs:
        if pair.why_not:
            told.append(f"{pair.model}: not compared. {pair.why_not}")
        for benchmark, one in pair.benchmarks.items():
            told.append(f"{words.benchmark_label(benchmark)}: {one['words']}")
            bits = one["bits_per_byte"]
            if bits:
                told.append(f"{words.benchmark_label(benchmark)}, {pair.model}: {_bits_in_words(bits)}")
    return told


def _bits_in_words(bits: Mapping[str, float]) -> str:
    which = "the second" if bits["difference"] > 0 else "the first"
    clear = bits["low"] > 0 or bits["high"] < 0
    told = f"{which} needs {abs(bits['difference']):.3f} bits fewer for a byte of the references" if clear else ""
    interval = f"first minus second {bits['low']:+.3f} to {bits['high']:+.3f}, bootstrap over problems"
    return f"{told} ({interval})." if clear else f"bits per byte do not tell them apart ({interval})."


def every(first: Side, second: Side, pairs: Sequence[Pair]) -> list[Table]:
    """All tables; those without a row are left out."""
    found = [
        Table(
            "The runs",
            "",
            ("", "first", "second"),
            [("run", first.label, second.label), ("report", first.report, second.report)],
        ),
        Table(
            "Scores by paired tests",
            "First minus second, in points of 100; McNemar's exact test on first samples, a bootstrap over problems on all of them.",
            ("benchmark", "model", "first", "second", "difference", "95 %, paired", "95 %, bootstrap", "p"),
            [_score(pair.model, *one, first, second) for pair in pairs for one in pair.benchmarks.items()],
        ),
        Table(
            "Bits per byte of the reference solutions",
            "Lower is better; first minus second with its 95 % interval, a bootstrap over problems.",
            ("benchmark", "model", "first", "second", "difference", "95 % interval"),
            [
                (
                    words.benchmark_label(benchmark),
                    pair.model,
                    f"{bits['first']:.3f}",
                    f"{bits['second']:.3f}",
                    f"{bits['difference']:+.3f}",
                    f"{bits['low']:+.3f} to {bits['high']:+.3f}",
                )
                for pair in pairs
                for benchmark, one in pair.benchmarks.items()
                if (bits := one["bits_per_byte"])
            ],
        ),
        Table("What was set differently", "", ("setting", "first", "second"), settings(first.facts, second.facts)),
        Table(
            "What was made", "Rows kept.", ("step", "first", "second", "same artifact"), made(first.facts, second.facts)
        ),
    ]
    return [table for table in found if table.rows]


def _score(model: str, benchmark: str, one: Mapping[str, Any], first: Side, second: Side) -> tuple[str, ...]:
    shown = [side.facts["scores"]["models"][model][benchmark] for side in (first, second)]
    return (
        words.benchmark_label(benchmark),
        model,
        *(
            f"{percent(score['pass_at_k'].get('1'))} ({percent(score['low'])} to {percent(score['high'])})"
            for score in shown
        ),
        f"{100 * one['difference']:+.1f}",
        f"{100 * one['low']:+.1f} to {100 * one['high']:+.1f}",
        f"{100 * one['bootstrap_low']:+.1f} to {100 * one['bootstrap_high']:+.1f}",
        f"{one['p_value']:.2g}",
    )


def settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Settings with other values, as `step.setting`."""
    sides = [
        {f"{row['step']}.{name}": value for row in facts["lineage"] for name, value in _flat(row["config"] or {})}
        for facts in (first, second)
    ]
    return [
        (name, _value(sides[0].get(name)), _value(sides[1].get(name)))
        for name in dict.fromkeys([*sides[0], *sides[1]])
        if sides[0].get(name) != sides[1].get(name)
    ]


def _flat(config: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{above}{name}.")
        else:
            found.append((f"{above}{name}", value))
    return found


def _value(value: Any) -> str:
    told = "not set" if value is None else str(value)
    return told if len(told) <= LONGEST_VALUE else f"{told[:LONGEST_VALUE]}…"


def made(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows that each step kept, and whether both runs have the very same artifact."""
    kept = [{row["step"]: row for row in facts["flow"]} for facts in (first, second)]
    ids = [{row["step"]: row["id"] for row in facts["lineage"]} for facts in (first, second)]
    return [
        (
            step,
            *(f"{number(side[step]['rows_kept'])} {side[step]['unit']}" if step in side else "none" for side in kept),
            "yes" if ids[0].get(step) == ids[1].get(step) else "no",
        )
        for step in dict.fromkeys([*kept[0], *kept[1]])
    ]


def markdown(first: Side, second: Side, pairs: Sequence[Pair]) -> str:
    """For a terminal or a pull request."""
    return tables.markdown(TITLE, sentences(pairs), every(first, second, pairs))


def page(first: Side, second: Side, pairs: Sequence[Pair]) -> str:
    """One offline page."""
    drawn = draw(first, second, pairs)
    caption = "pass@1 of both runs' models, with 95 % intervals; whether they differ, the paired tests say."
    lead = f"First: {first.label}. Second: {second.label}."
    shown = [Figure(drawn, caption)] if drawn else []
    return tables.page(TITLE, lead, sentences(pairs), shown, every(first, second, pairs))


def draw(first: Side, second: Side, pairs: Sequence[Pair]) -> str:
    """Scores of both, one under the other; empty where there are none."""
    rows = []
    for pair in pairs:
        for benchmark in pair.benchmarks:
            for name, side in (("first", first), ("second", second)):
                score = side.facts["scores"]["models"][pair.model][benchmark]
                rows.append(
                    {"label": f"{words.benchmark_label(benchmark)}, {pair.model}, {name}", "kind": name}
                    | {"value": 100 * score["pass_at_k"].get("1", 0.0)}
                    | {end: 100 * score[end] for end in ("low", "high")}
                )
    return figures.intervals(rows, "versus", "pass@1, %, with 95 % interval") if rows else ""
