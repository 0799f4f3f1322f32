"""One offline page from the facts of a run.

Everything that came from a corpus, a teacher or a model is hostile until escaped: the template escapes by default, the only markup let
through is our own SVG, and the page's content policy forbids scripts and requests of any kind. Samples are filtered by style alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from codetextbook.charts import ablated, figures, graph, words
from codetextbook.charts.answers import LETTERS
from codetextbook.charts.rendering import environment

TRAININGS = {"pretrain": "Pretraining on CodeTextbook", "finetune": "Finetuning on CodeExercises"}
LOSSES = ("training", "validation")
FLOPS_PER_PARAMETER = 6
"""Floating-point operations that a token costs for each parameter, forwards and backwards, where a training did not record its own count;
attention is left out."""


def render(
    facts: Mapping[str, Any], *, title: str, timing: Mapping[str, Any], ablation: Mapping[str, Any] | None = None
) -> str:
    """The page as HTML. `timing` (`gather.timing`) and `ablation` (what `ablate` found of this run's data, if the workspace has it) are
    shown but are not part of the facts."""
    drawn = draw(facts, timing) | (ablated.drawn(ablation) if ablation else {})
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            seconds=timing["seconds"],
            speed=speeds(facts, timing),
            tiles=words.tiles(facts, timing["seconds"]),
            in_words=words.in_words(facts),
            figures={name: Markup(svg) for name, svg in drawn.items()},
            ablation=ablated.told(ablation) if ablation else None,
            score_rows=words.score_rows(facts["scores"]),
            trainings=TRAININGS,
            letters={letter: verdict.value for verdict, letter in LETTERS.items()},
            choices=choices(facts["samples"]),
            **facts,
        )
    )


def speeds(facts: Mapping[str, Any], timing: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The median speed of each training, the arithmetic of the model that it comes to, and the machine, if it was recorded."""
    parameters = (facts["model"] or {}).get("parameters")
    found: dict[str, dict[str, Any]] = {}
    for step, rows in timing["speed"].items():
        middle = sorted(row["value"] for row in rows)[len(rows) // 2]
        machine = timing["machines"].get(step)
        each = machine["flop_per_token"] if machine else FLOPS_PER_PARAMETER * (parameters or 0)
        found[step] = {"tokens": middle, "flops": each * middle, "machine": machine}
    return found


def choices(samples: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What samples can be narrowed to: each value of three columns, in the order in which it first comes."""
    return {name: list(dict.fromkeys(row[name] for row in samples)) for name in ("verdict", "model", "benchmark")}


def draw(facts: Mapping[str, Any], timing: Mapping[str, Any]) -> dict[str, str]:
    """Every figure that there is data for."""
    drawn = _quality(facts["quality"]) if facts["quality"] else {}
    flow = flow_bars(facts["flow"])
    if flow:
        drawn["flow"] = figures.bars(flow, "flow", "rows of the step, %", ("kept", "rejected"))
    imports = (facts["exercises"] or {}).get("imports", {}).get("rows")
    if imports:
        drawn["imports"] = figures.bars(
            [
                {"label": row["module"], "value": row["exercises"], "told": f"{row['exercises']:,}"}
                | {"kind": "standard library" if row["standard"] else "other"}
                for row in imports
            ],
            "imports",
            "exercises, on a logarithmic scale",
            ("standard library", "other") if not all(row["standard"] for row in imports) else ("standard library",),
            logarithmic=True,
        )
    for step, rows in facts["training"].items():
        drawn |= _training(step, [*(rows or []), *timing["speed"].get(step, [])])
    scored = [
        {
            "label": f"{words.benchmark_label(row['benchmark'])}, {row['model']}",
            "kind": row["model"],
            "value": 100 * row["pass_at_1"],
            "low": 100 * row["low"],
            "high": 100 * row["high"],
        }
        for row in words.score_rows(facts["scores"])
    ]
    if scored:
        drawn["scores"] = figures.intervals(scored, "scores", "pass@1, %, with 95 % interval")
    drawn["lineage"] = graph.draw(facts["lineage"])
    return drawn


def _quality(quality: Mapping[str, Any]) -> dict[str, str]:
    drawn = {}
    if "counts" in quality:
        drawn["quality"] = figures.histogram(quality["edges"], quality["counts"], quality["threshold"])
    columns = {"precision": "precision_recall", "recall": "precision_recall", "share": "kept_curve"}
    curves = [
        {"x": row["threshold"], "value": row[column], "series": "characters kept" if column == "share" else column}
        for column, table in columns.items()
        for row in quality[table]
    ]
    if curves:
        drawn["thresholds"] = figures.lines(
            curves, "thresholds", "threshold on predicted quality", "share", at=quality["threshold"], from_zero=True
        )
    if quality["agreement"]:
        judged = [
            {"label": row["judge"], "value": row["auc"], "low": row["low"], "high": row["high"]}
            | {"kind": "filter" if row["is_filter"] else "baseline"}
            for row in quality["agreement"]
        ]
        drawn["agreement"] = figures.intervals(judged, "agreement", "AUC, with 95 % interval", from_zero=False)
    return drawn


def _training(step: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Loss; and smaller, learning rate, gradient norm and speed."""

    def points(*series: str) -> list[dict[str, Any]]:
        return [{"x": row["step"], **row} for row in rows if row["series"] in series]

    drawn = {}
    if points(*LOSSES):
        drawn[step] = figures.lines(points(*LOSSES), step, "optimizer step", "loss, nats per token")
    for series in ("learning rate", "gradient norm", "tokens a second"):
        if points(series):
            name = f"{step}-{series.replace(' ', '-')}"
            drawn[name] = figures.lines(points(series), name, "optimizer step", series, from_zero=True, height=110)
    return drawn


def flow_bars(flow: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A bar for what each step kept and one for each of its reasons, of the steps that reject anything."""
    rows = []
    for step in flow:
        total, lost = step["rows_in"], sum(step["rejected"].values())
        if total and lost:
            outcomes = {"kept": total - lost} | step["rejected"]
            rows += [
                {
                    "label": f"{step['step']}: {outcome.replace('_', ' ')}",
                    "kind": "kept" if place == 0 else "rejected",
                    "value": 100 * count / total,
                    "told": f"{count:,}",
                }
                for place, (outcome, count) in enumerate(outcomes.items())
            ]
    return rows
