"""Figures as static SVG that lies inside the page: no script, no font, no request.

Drawn by Altair and rendered by vl-convert. Ink takes the page's text colour, so that one picture serves light and dark; data colours are of
middle brightness and told apart without hue too (bars are labelled, lines are dashed). Drawn narrow, so that a phone shows the text at a
readable size. Every figure on the page has its table beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import vl_convert

WIDTH_PIXELS = 400
BLUE, ORANGE, GREY = "#3b82c4", "#d9822b", "#8a8f98"

_INK = "#010203"
"""A colour that stands for the page's ink until the SVG is written."""


def histogram(edges: Sequence[float], counts: Sequence[int], threshold: float | None) -> str:
    """Counts between edges, with a line at the threshold."""
    rows = [
        {
            "from": low,
            "to": high,
            "count": count,
            "side": "kept" if threshold is None or low >= threshold else "not kept",
        }
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("from:Q", title="predicted quality", bin="binned"),
            x2="to:Q",
            y=alt.Y("count:Q", title="documents"),
            color=alt.Color(
                "side:N",
                scale=alt.Scale(domain=["not kept", "kept"], range=[GREY, BLUE]),
                legend=alt.Legend(orient="top", title=None),
            ),
        )
    )
    if threshold is None:
        return _svg(bars, "histogram")
    rule = alt.Chart(alt.Data(values=[{"at": threshold}])).mark_rule(color=_INK, strokeDash=[5, 3], size=2)
    return _svg(bars + rule.encode(x="at:Q"), "histogram")


def losses(rows: Sequence[dict[str, Any]], name: str) -> str:
    """Loss against step; `rows` hold `step`, `loss` and `series` (training or validation)."""
    line = alt.Chart(alt.Data(values=list(rows))).mark_line(point=len(rows) < 40)
    return _svg(
        line.encode(
            x=alt.X("step:Q", title="optimizer step"),
            y=alt.Y("loss:Q", title="loss, nats per token", scale=alt.Scale(zero=False)),
            color=alt.Color(
                "series:N",
                scale=alt.Scale(domain=["training", "validation"], range=[BLUE, ORANGE]),
                legend=alt.Legend(orient="top", title=None),
            ),
            strokeDash=alt.StrokeDash(
                "series:N", scale=alt.Scale(domain=["training", "validation"], range=[[1, 0], [5, 3]]), legend=None
            ),
        ),
        name,
    )


def intervals(rows: Sequence[dict[str, Any]], name: str, axis: str, *, from_zero: bool = True) -> str:
    """A point and its whisker on each line: `rows` hold `label`, `value`, `low`, `high` and `kind`, which chooses the colour."""
    scale = alt.Scale(domainMin=0) if from_zero else alt.Scale(zero=False)
    base = alt.Chart(alt.Data(values=list(rows)), height=28 * len(rows)).encode(
        y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=260))
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("value:Q", title=axis, scale=scale),
        color=alt.Color("kind:N", legend=None, sort=None, scale=alt.Scale(range=[BLUE, ORANGE, GREY])),
    )
    whiskers = base.mark_rule(color=_INK).encode(x="low:Q", x2="high:Q")
    return _svg(whiskers + points, name, height=None)


def flow(rows: Sequence[dict[str, Any]]) -> str:
    """Share of rows kept and rejected at each stage: `rows` hold `stage`, `part`, `share`."""
    bars = alt.Chart(alt.Data(values=list(rows)), height=24 * len({row["stage"] for row in rows})).mark_bar()
    return _svg(
        bars.encode(
            y=alt.Y("stage:N", title=None, sort=None),
            x=alt.X("share:Q", title="rows, %", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color(
                "part:N",
                scale=alt.Scale(domain=["kept", "rejected"], range=[BLUE, ORANGE]),
                legend=alt.Legend(orient="top", title=None),
            ),
            order=alt.Order("part:N"),
        ),
        "flow",
        height=None,
    )


def _svg(chart: Any, name: str, height: int | None = 220) -> str:
    sized = {"width": WIDTH_PIXELS} | ({} if height is None else {"height": height})
    ink = {
        "labelColor": _INK,
        "titleColor": _INK,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
    }
    spec = (
        chart.properties(**sized)
        .configure(background="transparent")
        .configure_axis(**ink, domainColor=GREY, tickColor=GREY, gridColor=GREY, gridOpacity=0.25)
        .configure_legend(labelColor=_INK, titleColor=_INK, labelFontSize=13)
        .configure_view(stroke=None)
        .to_dict()
    )
    return _embed(vl_convert.vegalite_to_svg(spec), name)


def _embed(svg: str, name: str) -> str:
    """Make a stand-alone SVG fit into a page: ids of its own, the page's ink, no fixed size."""
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(?:width|height|style)="[^"]*"', "", head)
    return f"{head}>{rest}"
