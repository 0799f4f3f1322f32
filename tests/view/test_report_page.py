"""The report in a real browser: samples are chosen without a script, and it fits a phone."""

from __future__ import annotations

import pytest
from browser import Browser
from served import Viewer

SHOWN = "[...document.querySelectorAll('#samples details')].filter(one => one.offsetParent !== null)"


def test_samples_are_narrowed_by_a_click(viewer: Viewer, browser: Browser) -> None:
    browser.open(f"{viewer.address}/report")
    every = browser.ask(f"{SHOWN}.length")
    bases = browser.ask("document.querySelectorAll('#samples [data-model=\"1\"]').length")
    assert 0 < bases < every
    browser.ask("document.querySelector('.model-1').click()")
    assert browser.ask(f"{SHOWN}.length") == bases
    browser.ask("document.querySelector('input[name=model]').click()")
    assert browser.ask(f"{SHOWN}.length") == every


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_is_wider_than_a_phone(viewer: Viewer, browser: Browser, dark: bool) -> None:
    browser.size(390, 800, dark=dark)
    browser.open(f"{viewer.address}/report")
    browser.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 26)" if dark else "rgb(251, 251, 250)"
    )


def test_the_keyboards_place_is_seen(viewer: Viewer, browser: Browser) -> None:
    browser.open(f"{viewer.address}/report")
    browser.press("Tab")
    assert browser.ask("document.activeElement.getAttribute('href')") == "#summary"
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert browser.ask("getComputedStyle(document.activeElement).outlineWidth") == "2px"


def test_a_box_of_the_lineage_leads_to_its_settings(viewer: Viewer, browser: Browser) -> None:
    browser.open(f"{viewer.address}/report")
    browser.ask(
        "document.querySelector('a[href=\"#made-curate\"]').dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    browser.wait("location.hash === '#made-curate'")
    assert "keep_share" in browser.ask("document.querySelector('#made-curate pre').textContent")
