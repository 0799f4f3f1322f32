"""Figures: well-formed SVG that fits into a page, whatever the labels."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from codetextbook.charts import figures, graph
from codetextbook.charts.words import duration, number, percent, short, writer_label

SCORE = {"kind": "best", "value": 2.0, "low": 1.0, "high": 4.0}


def test_a_histogram_is_valid_svg_in_the_pages_ink() -> None:
    svg = figures.histogram([0.0, 0.5, 1.0], [3, 7], 0.5)
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg") and "width" not in root.attrib and "viewBox" in root.attrib
    assert "currentColor" in svg
    assert "#010203" not in svg
    bars = [node.attrib["fill"] for node in root.iter() if node.attrib.get("aria-roledescription") == "bar"]
    assert bars == [figures.GREY, figures.BLUE]


def test_hostile_labels_stay_labels() -> None:
    svg = figures.intervals([{**SCORE, "label": "</svg><script>alert(1)</script>&"}], "scores", "%")
    root = ET.fromstring(svg)
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert any("script" in (node.text or "") for node in root.iter())


def test_one_page_holds_two_curves_without_a_clash_of_ids() -> None:
    rows = [{"x": step, "value": 5.0 - step / 10, "series": "training"} for step in range(3)]
    first, second = (
        {
            node.attrib["id"]
            for node in ET.fromstring(figures.lines(rows, name, "step", "loss")).iter()
            if "id" in node.attrib
        }
        for name in ("pretrain", "finetune")
    )
    assert not first & second


def test_figures_repeat_to_the_byte() -> None:
    rows = [
        {"label": f"dedup: {kind}", "kind": kind, "value": share, "told": str(share)}
        for kind, share in (("kept", 70), ("rejected", 30))
    ]
    drawn = [figures.bars(rows, "flow", "%", ("kept", "rejected")) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert any((node.text or "") == "70" for node in ET.fromstring(drawn[0]).iter())


def test_series_are_told_apart_without_colour() -> None:
    rows = [{"x": x, "value": x, "series": series} for series in ("precision", "recall") for x in range(2)]
    svg = ET.fromstring(figures.lines(rows, "thresholds", "threshold", "share", at=0.5))
    dashes = {
        node.attrib.get("stroke-dasharray", "none")
        for node in svg.iter()
        if "line mark" in node.attrib.get("aria-label", "")
    }
    lines = {
        node.attrib.get("stroke-dasharray")
        for node in svg.iter()
        if node.attrib.get("aria-roledescription") == "line mark"
    }
    assert len(lines | dashes) >= 2


def test_a_graph_puts_what_was_made_below_what_it_was_made_from() -> None:
    rows = [
        {"step": "report</a>", "id": "c", "inputs": {"x": "a", "y": "b"}},
        {"step": "read", "id": "a", "inputs": {}},
        {"step": "dedup", "id": "b", "inputs": {"corpus": "a", "gone": "z"}},
    ]
    svg = ET.fromstring(graph.draw(rows))
    heights = {node[1].text: float(node[1].attrib["y"]) for node in svg if node.tag == "a"}
    assert heights["read"] < heights["dedup"] < heights["report</a>"]
    assert sum(node.tag == "path" for node in svg) == 2  # that the report was made from `read` follows from `dedup`


def test_numbers_as_people_read_them() -> None:
    assert (number(1234567), number(0.12345), number(None)) == ("1,234,567", "0.1235", "not known")
    assert (percent(0.0123), percent(None)) == ("1.2 %", "not known")
    assert (duration(5), duration(600), duration(9000), duration(None)) == ("5.0 s", "10 min", "2.5 h", "not known")
    assert (short(2_566_784), short(1_418_270_720), short(350_000), short(7), short(None)) == (
        "2.6M",
        "1.4B",
        "350k",
        "7",
        "not known",
    )
    assert writer_label("gpt-x") == "the teacher gpt-x"
