"""A StackExchange dump: questions with their accepted or best answers as Markdown, out of XML and 7z, broken ones too."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pytest
from reading import documents, made, rejections

from codetextbook.errors import InputError
from codetextbook.sources import StackExchange
from codetextbook.sources.markdown import to_markdown


def row(**values: Any) -> str:
    return (
        "  <row "
        + " ".join(f'{name}="{escape(str(value)).replace(chr(10), "&#xA;")}"' for name, value in values.items())
        + " />\n"
    )


def question(number: int, tags: str = "<python><list>", **more: Any) -> str:
    body = f"<p>How do I reverse list number {number}, please? I have tried it all day long.</p>"
    values = {"Title": f"Reverse {number}", "Body": body, "Tags": tags, "Score": 7, "ContentLicense": "CC BY-SA 3.0"}
    return row(Id=number, PostTypeId=1, **(values | more))


def answer(number: int, parent: int, words: str, score: int, **more: Any) -> str:
    body = f"<p>{words}</p>\n<pre><code>def reverse(xs):\n    return xs[::-1]  # a &lt; b\n</code></pre>"
    values = {"Body": body, "Score": score, "ContentLicense": "CC BY-SA 4.0"}
    return row(Id=number, PostTypeId=2, ParentId=parent, **(values | more))


def posts(*rows: str) -> str:
    return '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "".join(rows) + "</posts>\n"


DUMP = posts(
    question(1, AcceptedAnswerId=3),
    answer(2, 1, "The popular one", 90),
    answer(3, 1, "The accepted one", 2),
    question(4, tags="<java>"),
    answer(5, 4, "Java", 1),
    question(6, tags="|python|sorting|"),
    answer(7, 6, "Worse", -1),
    answer(8, 6, "Best", 5),
    question(9),
)


def test_the_accepted_or_else_the_best_answer_is_taken(tmp_path: Path) -> None:
    (tmp_path / "Posts.xml").write_text(DUMP, encoding="utf-8")
    artifact = made(tmp_path, StackExchange(path=str(tmp_path / "Posts.xml")))
    found = documents(artifact)
    assert set(found) == {"questions/1.md", "questions/6.md"}
    assert found["questions/1.md"]["text"] == (
        "# Reverse 1\n\nHow do I reverse list number 1, please? I have tried it all day long.\n\n## Answer\n\nThe accepted one\n\n"
        "```\ndef reverse(xs):\n    return xs[::-1]  # a < b\n```\n"
    )
    assert "Best" in found["questions/6.md"]["text"]
    assert found["questions/1.md"]["licence"] == "CC-BY-SA-3.0 AND CC-BY-SA-4.0"
    assert rejections(artifact) == {"questions/9.md": "no_answer"}


def test_a_7z_gives_the_same(tmp_path: Path) -> None:
    import py7zr

    plain, packed = tmp_path / "Posts.xml", tmp_path / "site.7z"
    plain.write_text(DUMP, encoding="utf-8")
    with py7zr.SevenZipFile(packed, "w") as archive:
        archive.writestr("<users/>", "Users.xml")
        archive.write(plain, "Posts.xml")
    of_plain = made(tmp_path / "1", StackExchange(path=str(plain)))
    of_packed = made(tmp_path / "2", StackExchange(path=str(packed)))
    assert of_plain.digest == of_packed.digest
    with py7zr.SevenZipFile(tmp_path / "none.7z", "w") as archive:
        archive.writestr("<users/>", "Users.xml")
    with pytest.raises(InputError, match="no Posts.xml"):
        made(tmp_path / "3", StackExchange(path=str(tmp_path / "none.7z")))
    packed.write_bytes(packed.read_bytes()[:100])
    assert set(rejections(made(tmp_path / "4", StackExchange(path=str(packed)))).values()) == {"broken_file"}


@pytest.mark.parametrize(
    "tail",
    [
        '  <row Id="10" PostTypeId="1" Title="cut',
        '  <row Id="10" &nope; />\n</posts>',
        "  <row></posts>",
        "\x01</posts>",
    ],
)
def test_what_stands_before_broken_xml_is_read(tmp_path: Path, tail: str) -> None:
    (tmp_path / "Posts.xml").write_text(DUMP.removesuffix("</posts>\n") + tail, encoding="utf-8")
    artifact = made(tmp_path, StackExchange(path=str(tmp_path / "Posts.xml")))
    assert set(documents(artifact)) == {"questions/1.md", "questions/6.md"}
    assert rejections(artifact)["Posts.xml"] == "broken_file"


def test_entities_are_refused_and_odd_rows_counted(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE posts [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>\n<posts>&b;&c;</posts>'
    (tmp_path / "Posts.xml").write_text(bomb)
    artifact = made(tmp_path / "1", StackExchange(path=str(tmp_path / "Posts.xml")))
    assert rejections(artifact) == {"Posts.xml": "broken_file"}
    odd = posts(question(1, Score="many"), row(Id=2, PostTypeId=1, Tags="<python>", Title="x"), question(10**30))
    (tmp_path / "Posts.xml").write_text(odd)
    artifact = made(tmp_path / "2", StackExchange(path=str(tmp_path / "Posts.xml")))
    assert set(rejections(artifact).values()) == {"broken_row"}
    assert artifact.manifest["flow"]["rows_in"] == 3


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<p>One <strong>two</strong> <em>three</em> <code>a  b</code></p>", "One **two** *three* `a b`"),
        ("<p>Tick <code>a`b</code></p>", "Tick ``a`b``"),
        ('<pre class="lang-py prettyprint-override"><code>if a:\n    b\n</code></pre>', "```python\nif a:\n    b\n```"),
        ("<pre><code>```\nx\n```</code></pre>", "````\n```\nx\n```\n````"),
        ("<ul><li>a</li><li><p>b</p><pre><code>c\nd</code></pre></li></ul>", "- a\n- b\n\n  ```\n  c\n  d\n  ```"),
        ("<ol>\n<li>a<ul><li>b</li></ul></li>\n<li>c</li></ol>", "1. a\n   - b\n2. c"),
        ("<blockquote><p>a</p><p>b</p></blockquote><p>c</p>", "> a\n>\n> b\n\nc"),
        (
            '<h2>Head</h2><p>See <a href="https://x.org/y">this</a>.<br>Next</p>',
            "## Head\n\nSee [this](https://x.org/y).\nNext",
        ),
        ("<p>a &lt; b &amp;&amp; c</p><script>evil()</script><hr><p>d</p>", "a < b && c\n\n---\n\nd"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "| a | b |\n| 1 | 2 |"),
        ("<p>never closed <b>bold<pre><code>x = 1", "never closed **bold\n\n```\nx = 1\n```"),
    ],
)
def test_html_becomes_markdown(html: str, markdown: str) -> None:
    assert to_markdown(html) == markdown


def test_a_tower_of_quotations_stays_small() -> None:
    assert len(to_markdown("<blockquote>" * 5_000 + "x" + "</blockquote>" * 5_000)) < 1_000
