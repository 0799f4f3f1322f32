"""Colours that everybody can read: the contrast of the stylesheets' own colours, light and dark, by WCAG 2's formula."""

from __future__ import annotations

import re
from importlib import resources
from itertools import product

import pytest

from codetextbook.charts import figures

SHEETS = {
    "report": resources.files("codetextbook.charts") / "templates" / "report.css",
    "viewer": resources.files("codetextbook.view") / "static" / "view.css",
}
TEXT, GRAPHIC = 4.5, 3.0
"""WCAG 2.2, level AA: 1.4.3 for text, 1.4.11 for what is not text."""
GROUNDS = ("paper", "card", "soft")
"""What text without a background of its own may stand on."""


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `#rrggbb`."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def schemes(css: str) -> dict[str, dict[str, str]]:
    """The colours by name, of the light scheme and of the dark one."""
    blocks = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    assert len(blocks) == 2 and "prefers-color-scheme: dark" in css[: css.index(":root", css.index(":root") + 1)]
    return dict(zip(("light", "dark"), blocks, strict=True))


def pairs(css: str) -> set[tuple[str, str]]:
    """Every colour of text with what it stands on: the rule's own background, or each of the grounds."""
    found = {("ink", ground) for ground in GROUNDS}
    for body in re.findall(r"\{([^{}]*)\}", css):
        inks = re.findall(r"(?<![\w-])color: var\(--(\w+)\)", body)
        own = re.findall(r"background(?:-color)?: var\(--(\w+)\)", body)
        found |= set(product(inks, own or GROUNDS)) if inks else set(product(("ink",), own))
    return found


def test_the_formula_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sheet", SHEETS)
def test_text_can_be_read(sheet: str, scheme: str) -> None:
    css = SHEETS[sheet].read_text(encoding="utf-8")
    colours, wanted = schemes(css)[scheme], pairs(css)
    assert {("quiet", "paper"), ("accent", "paper")} <= wanted
    low = {pair: round(contrast(*(colours[name] for name in pair)), 2) for pair in wanted}
    assert {pair: value for pair, value in low.items() if value < TEXT} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_of_figures_and_the_focus_ring_stand_out(scheme: str) -> None:
    css = SHEETS["report"].read_text(encoding="utf-8")
    colours = schemes(css)[scheme]
    for mark in (figures.BLUE, figures.ORANGE, figures.GREY, colours["accent"]):
        assert contrast(mark, colours["paper"]) >= GRAPHIC, mark


@pytest.mark.parametrize("sheet", SHEETS)
def test_the_keyboards_focus_is_drawn(sheet: str) -> None:
    css = SHEETS[sheet].read_text(encoding="utf-8")
    assert re.search(r":focus-visible \{ outline: 2px solid var\(--accent\)", css)
