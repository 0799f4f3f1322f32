"""Figures as static SVG that lies inside the page: no script, no font, no request.

Drawn by Altair and rendered by vl-convert. Ink takes the page's text colour, so that one picture serves light and dark; data colours are of
middle brightness and told apart without hue too (bars are labelled, lines are dashed). Drawn narrow, so that a phone shows the text at a
readable size. Every figure on the page has its table beside it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import altair as alt
import vl_convert

WIDTH_PIXELS = 400
WIDTH_BESIDE_LABELS = 290
"""Pixels of a plot whose rows have labels beside it: the two together are about as wide as the others."""
LABEL_CHARACTERS = 24
"""Longest line of a label; what is longer goes on below it."""
LARGEST_SCALE = 1.25
"""How much larger than it was drawn a figure is shown."""
ROOM_PER_CHARACTER = 1.5
LABEL_ROWS = 30
"""Rows of a figure that its label reads out; its table has all."""
BLUE, ORANGE, GREY = "#3b82c4", "#c8701c", "#82878f"

INK = "#010203"
"""A colour that stands for the page's ink until the SVG is written."""


def histogram(edges: Sequence[float], counts: Sequence[int], threshold: float | None) -> str:
    """Counts between edges, with a line at the threshold."""
    rows = [
        {
            "from": low,
            "to": high,
            "count": count,
            "side": "kept" if threshold is None or (low + high) / 2 >= threshold else "not kept",
        }
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("from:Q", title="predicted quality", bin="binned", axis=alt.Axis(tickCount=5, labelFlush=False)),
            x2="to:Q",
            y=alt.Y("count:Q", title="documents"),
            color=alt.Color(
                "side:N",
                scale=alt.Scale(domain=["not kept", "kept"], range=[GREY, BLUE]),
                legend=alt.Legend(orient="top", title=None),
            ),
        )
    )
    label = f"Histogram of predicted quality: {sum(counts):,} documents from {edges[0]:.3g} to {edges[-1]:.3g}"
    if threshold is None:
        return _svg(bars, "histogram", label)
    rule = alt.Chart(alt.Data(values=[{"at": threshold}])).mark_rule(color=INK, strokeDash=[5, 3], size=2)
    return _svg(bars + rule.encode(x="at:Q"), "histogram", f"{label}; the threshold is {threshold:.3g}")


SERIES = ("training", "validation", "precision", "recall", "characters kept", "documents kept")
_COLOURS = (BLUE, ORANGE, BLUE, ORANGE, GREY, INK)
_DASHES = ([1, 0], [5, 3], [1, 0], [5, 3], [2, 2], [8, 3])


def lines(
    rows: Sequence[dict[str, Any]],
    name: str,
    x: str,
    y: str,
    *,
    at: float | None = None,
    from_zero: bool = False,
    height: int = 220,
) -> str:
    """Lines: `rows` hold `x`, `value` and `series`, which are told apart by colour and dashes; `at` is marked on the x axis."""
    names = [series for series in SERIES if any(row["series"] == series for row in rows)]
    places = [SERIES.index(series) for series in names]
    ticks = "~s" if max((abs(row["value"]) for row in rows), default=0) >= 1_000 else "~g"
    encoded: dict[str, Any] = {
        "x": alt.X("x:Q", title=x, axis=alt.Axis(tickCount=5, labelFlush=False)),
        "y": alt.Y(
            "value:Q",
            title=y,
            scale=alt.Scale(zero=from_zero),
            axis=alt.Axis(tickCount=4, titlePadding=12, format=ticks),
        ),
    }
    if names:
        colours = alt.Scale(domain=names, range=[_COLOURS[place] for place in places])
        dashes = alt.Scale(domain=names, range=[_DASHES[place] for place in places])
        legend = alt.Legend(orient="top", title=None, columns=2, symbolType="stroke", symbolSize=400, labelLimit=200)
        encoded |= {
            "color": alt.Color("series:N", scale=colours, legend=legend),
            "strokeDash": alt.StrokeDash("series:N", scale=dashes, legend=legend),
        }
    chart: Any = alt.Chart(alt.Data(values=list(rows))).mark_line(point=len(rows) < 40, color=BLUE).encode(**encoded)
    if at is not None:
        rule = alt.Chart(alt.Data(values=[{"at": at}])).mark_rule(color=INK, strokeDash=[5, 3], size=2)
        chart += rule.encode(x="at:Q")
    return _svg(chart, name, _read_lines(rows, x, y), height=height)


def intervals(rows: Sequence[dict[str, Any]], name: str, axis: str, *, from_zero: bool = True) -> str:
    """A point and its whisker on each line: `rows` hold `label`, `value`, `low`, `high` and `kind`, which chooses the colour."""
    scale = alt.Scale(domainMin=0) if from_zero else alt.Scale(zero=False)
    shown = _wrapped(rows)
    base = alt.Chart(alt.Data(values=shown), height=_height(shown, 28)).encode(y=_labels())
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("value:Q", title=axis, scale=scale, axis=alt.Axis(tickCount=5, labelFlush=False, labelOverlap=True)),
        color=alt.Color("kind:N", legend=None, sort=None, scale=alt.Scale(range=[BLUE, ORANGE, GREY])),
    )
    whiskers = base.mark_rule(color=INK).encode(x="low:Q", x2="high:Q")
    read = [f"{row['label']} {row['value']:.3g} ({row['low']:.3g} to {row['high']:.3g})" for row in rows]
    return _svg(whiskers + points, name, _read(axis, read), height=None, labels=[row["label"] for row in shown])


def bars(
    rows: Sequence[dict[str, Any]], name: str, axis: str, kinds: Sequence[str], *, logarithmic: bool = False
) -> str:
    """A bar on each line, with its number: `rows` hold `label`, `value`, `told` and `kind`, which chooses the colour."""
    shown = _wrapped(rows)
    base = alt.Chart(alt.Data(values=shown), height=_height(shown, 21)).encode(y=_labels(ticks=False))
    scale = alt.Scale(type="log", domainMin=1) if logarithmic else alt.Scale(domainMin=0)
    drawn = base.mark_bar(size=13).encode(
        x=alt.X("value:Q", title=axis, scale=scale, axis=alt.Axis(format="~s", tickCount=4, labelFlush=False)),
        color=alt.Color(
            "kind:N",
            scale=alt.Scale(domain=list(kinds), range=[BLUE, ORANGE, GREY][: len(kinds)]),
            legend=alt.Legend(orient="top", title=None, columnPadding=24) if len(kinds) > 1 else None,
        ),
        **({"x2": alt.datum(1)} if logarithmic else {}),
    )
    told = base.mark_text(align="left", dx=4, fontSize=12, color=INK).encode(x="value:Q", text="told:N")
    read = _read(axis, [f"{row['label']} {row['told']}" for row in rows])
    return _svg(drawn + told, name, read, height=None, labels=[row["label"] for row in shown])


def _wrapped(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, their labels cut into lines."""
    return [row | {"label": "\n".join(textwrap.wrap(row["label"], LABEL_CHARACTERS)) or " "} for row in rows]


def _labels(*, ticks: bool = True) -> alt.Y:
    """Labels of rows, in their order."""
    axis = alt.Axis(labelLimit=260, labelExpr="split(datum.label, '\\n')", labelLineHeight=14, ticks=ticks)
    return alt.Y("label:N", title=None, sort=None, axis=axis)


def _height(rows: Sequence[dict[str, Any]], pixels_per_row: int) -> int:
    """High enough for the label that has the most lines."""
    lines = max((row["label"].count("\n") + 1 for row in rows), default=1)
    return len(rows) * max(pixels_per_row, 6 + 14 * lines)


def _read(axis: str, rows: Sequence[str]) -> str:
    """A figure for who cannot see it: what it shows, and its rows."""
    more = f"; {len(rows) - LABEL_ROWS} more in the table" if len(rows) > LABEL_ROWS else ""
    return f"{axis}: {'; '.join(rows[:LABEL_ROWS])}{more}"


def _read_lines(rows: Sequence[dict[str, Any]], x: str, y: str) -> str:
    """The same of lines: where each begins and ends."""
    ends = []
    for series in dict.fromkeys(row["series"] for row in rows):
        own = sorted((row for row in rows if row["series"] == series), key=lambda row: row["x"])
        ends.append(
            f"{series} from {own[0]['value']:.3g} at {own[0]['x']:.3g} to {own[-1]['value']:.3g} at {own[-1]['x']:.3g}"
        )
    return _read(f"{y} by {x}", ends)


def _svg(chart: Any, name: str, read: str, height: int | None = 220, labels: Sequence[str] = ()) -> str:
    """`read` is for who cannot see it. `labels` stand left of the axis: a browser's font may be wider than the one they were measured in,
    so they get more room."""
    room = ROOM_PER_CHARACTER * max((len(line) for label in labels for line in label.split("\n")), default=0)
    sized = {
        "width": WIDTH_BESIDE_LABELS if labels else WIDTH_PIXELS,
        "padding": {"left": 5 + room, "right": 8, "top": 5, "bottom": 5},
    }
    sized |= {} if height is None else {"height": height}
    ink = {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
    }
    spec = (
        chart.properties(**sized)
        .configure(background="transparent")
        .configure_axis(**ink, domainColor=GREY, tickColor=GREY, gridColor=GREY, gridOpacity=0.25)
        .configure_legend(labelColor=INK, titleColor=INK, labelFontSize=13)
        .configure_view(stroke=None)
        .to_dict()
    )
    return _embed(vl_convert.vegalite_to_svg(spec), name, read)


def _embed(svg: str, name: str, read: str) -> str:
    """Make a stand-alone SVG fit into a page: ids of its own, the page's ink, no fixed size, a label for screen readers."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(?:width|height|style)="[^"]*"', "", head)
    width = float(re.search(r'viewBox="[\d.-]+ [\d.-]+ ([\d.]+)', head)[1])  # type: ignore[index]
    return f'{head} style="max-width:{LARGEST_SCALE * width:.0f}px" role="img" aria-label={quoteattr(read)}>{rest}'
