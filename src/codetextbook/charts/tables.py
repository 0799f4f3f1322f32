"""Results as tables: the same rows as Markdown for a terminal, a pull request or a card, and as one offline page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from codetextbook.charts.rendering import environment


class Table(NamedTuple):
    """A heading, a sentence on how to read it, and cells."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


class Figure(NamedTuple):
    """A picture as SVG of ours, and what it shows."""

    svg: str
    caption: str


def markdown(title: str, words: Sequence[str], shown: Sequence[Table]) -> str:
    """A heading, sentences as a list, and tables. What came from outside cannot leave its cell."""
    lines = [f"# {title}", "", *(f"- {sentence}" for sentence in words), ""]
    return "\n".join([*lines, *sections(shown)])


def sections(shown: Sequence[Table]) -> list[str]:
    """Tables as the lines of sections."""
    lines: list[str] = []
    for table in shown:
        lines += [f"## {table.title}", "", *([table.note, ""] if table.note else [])]
        lines += [_line(table.head), _line(["---"] * len(table.head)), *(_line(row) for row in table.rows), ""]
    return lines


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    """Text that ends no cell and opens no tag or link."""
    return re.sub(r"([|<>\[\]`\\])", r"\\\1", " ".join(text.split()))


def page(title: str, lead: str, words: Sequence[str], figures: Sequence[Figure], shown: Sequence[Table]) -> str:
    """One offline page."""
    return (
        environment()
        .get_template("tables.html.j2")
        .render(
            title=title,
            lead=lead,
            sentences=words,
            figures=[Figure(Markup(figure.svg), figure.caption) for figure in figures],
            tables=shown,
        )
    )
