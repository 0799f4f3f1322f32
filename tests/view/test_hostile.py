"""Hostile content is shown, and harmless: it does not run, hide, reorder, or flood the page."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

import pytest
from browser import Browser
from hostile_workspace import hostile_workspace
from hypothesis import given
from hypothesis import strategies as st
from served import Started, Viewer

from codetextbook.view.harmless import LINES_SHOWN, harmless, lines
from codetextbook.view.shelves import SHELVES

UNSEEN = r"/[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\u{e0000}-\u{e007f}]/u"


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, start: Started) -> Iterator[Viewer]:
    with start(hostile_workspace(tmp_path_factory.mktemp("hostile"))) as viewer:
        yield viewer


@pytest.mark.parametrize("shelf", SHELVES)
@pytest.mark.parametrize("width", [1280, 390])
def test_no_row_can_harm_the_page(shelf: str, width: int, attacked: Viewer, browser: Browser) -> None:
    browser.size(width, 800)
    browser.open(f"{attacked.address}/{shelf}")
    browser.wait("window.htmx && document.querySelector('a.row')")
    browser.press("j")
    browser.wait("document.querySelector('#detail h1')")
    assert browser.ask("window.pwned") is None
    assert browser.ask("document.scripts.length") == 2
    assert browser.ask("document.images.length") == 0
    assert (
        browser.ask(
            "[...document.querySelectorAll('*')].some(one => [...one.attributes].some(a => a.name.startsWith('on')))"
        )
        is False
    )
    assert browser.ask("document.body.innerText.includes('<script>window.pwned=1</script>')")
    assert browser.ask("document.body.innerText.includes('{{ 7 * 7 }}')")
    assert browser.ask(f"{UNSEEN}.test(document.documentElement.outerHTML)") is False
    assert browser.ask("document.body.innerText.includes('U+202E') && document.body.innerText.includes('␛[31m')")
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    assert browser.ask("document.documentElement.outerHTML.length") < 1_000_000


@pytest.mark.parametrize(
    "path",
    ["/", "/artifacts/0000000000000001", "/documents?q=%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE&state=%22%3E%3Cb%3E"],
)
def test_other_pages_are_as_harmless(path: str, attacked: Viewer, browser: Browser) -> None:
    browser.open(attacked.address + path)
    assert browser.ask("window.pwned") is None
    assert browser.ask("document.scripts.length") == 2
    assert browser.ask(f"{UNSEEN}.test(document.documentElement.outerHTML)") is False


def test_what_is_cut_is_told_and_can_be_reached(attacked: Viewer) -> None:
    first = attacked.ask("/documents?open=d")
    assert f"Lines 1 to {LINES_SHOWN:,} of 50,003" in first.words
    assert "2,999,006 more characters" in first.words
    assert "THE END" in attacked.ask("/duplicates?open=0.0").words
    later = attacked.ask("/documents?open=d&from=49501")
    assert "line_49999 = 49999" in later.words


def test_a_mark_is_written_as_the_text_is(attacked: Viewer, browser: Browser) -> None:
    browser.open(f"{attacked.address}/matches")
    browser.wait("window.htmx && document.querySelector('a.row')")
    browser.press("j")
    browser.wait("document.querySelector('#detail input[name=why]')")
    browser.ask("document.querySelector('#detail input[name=why]').value = '</p><script>window.pwned=4</script>'")
    browser.ask("document.querySelector('#detail .answer button').click()")
    browser.wait("document.querySelector('#detail button[name=unmark]')")
    assert browser.ask("window.pwned") is None
    assert browser.ask("document.body.innerText.includes('Marked as a false alarm by ada: </p><script>')")


@given(st.text())
def test_nothing_unseen_is_left(text: str) -> None:
    shown = harmless(text)
    assert {unicodedata.category(one) for one in shown if one not in "\n\t"} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()
    assert harmless(shown) == shown


@given(st.text(alphabet="ab'\"#<& \n\t([{\\rfdef:=1"))
def test_colours_change_no_character(text: str) -> None:
    shown = [html.unescape(re.sub(r"<[^>]*>", "", line)) for line in lines(text).shown]
    assert "\n".join(shown) == (text.removesuffix("\n") if text != "\n" else "")


def test_a_file_is_coloured() -> None:
    some = lines('def f(x):\n    """Doc <b>."""\n    return 1  # one\n')
    assert some.total == 3
    assert some.shown[0] == '<i class="k">def</i> <i class="f">f</i>(x):'
    assert some.shown[1] == '    <i class="s">&#34;&#34;&#34;Doc &lt;b&gt;.&#34;&#34;&#34;</i>'
    assert some.shown[2].endswith('<i class="c"># one</i>')


def test_of_prose_only_the_code_is_coloured() -> None:
    some = lines("# Loops\nfor all of us\n```python\nfor x in y:\n```\nfor you", prose=True)
    assert (some.shown[1], some.shown[5]) == ("for all of us", "for you")
    assert some.shown[3].startswith('<i class="k">for</i>')
