"""One offline page from the facts of a run.

Everything that came from a corpus, a teacher or a model is hostile until escaped: the template escapes by default, the only markup let
through is our own SVG, and the page's content policy forbids scripts and requests of any kind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from codetextbook.charts import figures

WRITERS = {
    "grammar": "by rule (the grammar), no language model",
    "recorded": "a language model, recorded and shipped with the package",
}
"""How the writers of synthetic text are called; any other name is a teacher's."""


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
        "percent": percent,
        "number": number,
        "duration": duration,
        "writer": writer_label,
        "settings": settings_text,
        "words": lambda text: str(text).replace("_", " "),
    }
    return environment.get_template("report.html.j2").render(
        title=title,
        seconds=seconds,
        headline=headline(facts),
        figures={name: Markup(svg) for name, svg in draw(facts).items()},
        score_rows=score_rows(facts["scores"]),
        **facts,
    )


def headline(facts: Mapping[str, Any]) -> list[str]:
    """What the run found, in a few sentences."""
    lines = []
    flows = {row["step"]: row for row in facts["flow"]}
    if "read" in flows and "curate" in flows:
        lines.append(
            f"{number(flows['read']['rows_in'])} {flows['read']['unit']} came in; after duplicates and the quality filter "
            f"{number(flows['curate']['rows_kept'])} were left."
        )
    if facts["pages"] and facts["exercises"]:
        lines.append(
            f"{number(facts['pages']['count'])} textbook pages and {number(facts['exercises']['count'])} exercises stayed "
            "after decontamination."
        )
    for row in score_rows(facts["scores"]):
        if row["model"] == "best":
            bits = (
                "" if row["bits_per_byte"] is None else f", {row['bits_per_byte']:.3f} bits per byte of the references"
            )
            lines.append(
                f"{row['benchmark']}: the best model passes {percent(row['pass_at_1'])} of {row['problems']} problems "
                f"(95 % interval {percent(row['low'])} to {percent(row['high'])}){bits}."
            )
    return lines


def draw(facts: Mapping[str, Any]) -> dict[str, str]:
    """Every figure that the facts have data for."""
    drawn = {}
    shares = flow_shares(facts["flow"])
    if shares:
        drawn["flow"] = figures.flow(shares)
    quality = facts["quality"]
    if quality and "counts" in quality:
        drawn["quality"] = figures.histogram(quality["edges"], quality["counts"], quality["threshold"])
    for step, rows in facts["training"].items():
        if rows:
            drawn[step] = figures.losses(rows, step)
    scored = [
        {
            "label": f"{row['benchmark']}, {row['model']}",
            "model": row["model"],
            "percent": 100 * row["pass_at_1"],
            "low": 100 * row["low"],
            "high": 100 * row["high"],
        }
        for row in score_rows(facts["scores"])
    ]
    if scored:
        drawn["scores"] = figures.scores(scored)
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


def score_rows(scores: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One row for each benchmark and model."""
    if not scores:
        return []
    return [
        {"model": model, "benchmark": benchmark, "pass_at_1": score["pass_at_k"].get("1", 0.0)} | score
        for model, benchmarks in scores["models"].items()
        for benchmark, score in benchmarks.items()
    ]


def percent(share: float | None, digits: int = 1) -> str:
    """A share as per cent."""
    return "not known" if share is None else f"{100 * share:.{digits}f} %"


def number(value: float | None) -> str:
    """A count with thousands told apart; other numbers to four digits."""
    if value is None:
        return "not known"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them."""
    if seconds is None:
        return "not known"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def writer_label(writer: str) -> str:
    """Who wrote a synthetic text, said honestly."""
    return WRITERS.get(writer, f"the teacher {writer}")


def settings_text(config: Any) -> str:
    """Settings as readable JSON."""
    return json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False)
