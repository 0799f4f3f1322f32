"""One offline page from the facts of a run.

Everything that came from a corpus, a teacher or a model is hostile until escaped: the template escapes by default, the only markup let
through is our own SVG, and the page's content policy forbids scripts and requests of any kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from codetextbook.charts import figures, words


def render(facts: Mapping[str, Any], *, title: str, seconds: Mapping[str, float]) -> str:
    """The page as HTML. `seconds` by step are shown but are not part of the facts."""
    environment = Environment(
        loader=PackageLoader("codetextbook.charts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": words.percent,
        "number": words.number,
        "duration": words.duration,
        "writer": words.writer_label,
        "benchmark": words.benchmark_label,
        "short": words.short,
        "settings": words.settings_text,
        "words": lambda text: str(text).replace("_", " "),
    }
    return environment.get_template("report.html.j2").render(
        title=title,
        seconds=seconds,
        tiles=words.tiles(facts, seconds),
        in_words=words.in_words(facts),
        figures={name: Markup(svg) for name, svg in draw(facts).items()},
        score_rows=words.score_rows(facts["scores"]),
        **facts,
    )


def draw(facts: Mapping[str, Any]) -> dict[str, str]:
    """Every figure that the facts have data for."""
    drawn = {}
    shares = flow_shares(facts["flow"])
    if shares:
        drawn["flow"] = figures.flow(shares)
    quality = facts["quality"]
    if quality and "counts" in quality:
        drawn["quality"] = figures.histogram(quality["edges"], quality["counts"], quality["threshold"])
    if quality and quality["agreement"]:
        judged = [
            {"label": row["judge"], "value": row["auc"], "low": row["low"], "high": row["high"]}
            | {"kind": "filter" if row["is_filter"] else "baseline"}
            for row in quality["agreement"]
        ]
        drawn["agreement"] = figures.intervals(judged, "agreement", "AUC, with 95 % interval")
    for step, rows in facts["training"].items():
        if rows:
            drawn[step] = figures.losses(rows, step)
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
    return drawn


def flow_shares(flow: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Per cent of rows kept and rejected, for the steps that reject anything."""
    rows = []
    for step in flow:
        total, lost = step["rows_in"], sum(step["rejected"].values())
        if total and lost:
            rows += [
                {"stage": step["step"], "part": "kept", "share": 100 * (total - lost) / total},
                {"stage": step["step"], "part": "rejected", "share": 100 * lost / total},
            ]
    return rows
