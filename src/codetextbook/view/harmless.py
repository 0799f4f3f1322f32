"""Text of unknown origin, made safe to look at: it can neither run, nor hide, nor reorder, nor flood the page.

HTML is escaped by the templates, and what cannot be seen is replaced by signs (`text/unseen.py`); this module does the rest. Lines and
texts that are too long are cut, and the page says by how much. Python is coloured by Pygments, whose own HTML is not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from codetextbook.text.unseen import harmless

LINES_SHOWN = 1_000
LINE_CHARACTERS = 1_000
COLOURED_CHARACTERS = 200_000
CELL_CHARACTERS = 140

_SIGN = re.compile("⟦U\\+[0-9A-F]+⟧|[\u2400-\u2421]")


def finish(value: Any) -> Any:
    """What the templates do with every value that they print, before they escape it."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def cell(value: Any) -> str:
    """A text on one line, cut to what a table has room for."""
    text = " ".join(str(value)[: 4 * CELL_CHARACTERS].split())
    return harmless(text[:CELL_CHARACTERS] + "…" if len(text) > CELL_CHARACTERS else text)


class Lines(NamedTuple):
    """Some lines of a text, each as markup, and what is left out."""

    first: int
    """Number of the first one, from 1."""
    shown: list[Markup]
    total: int


def lines(text: str, *, prose: bool = False, start: int = 1) -> Lines:
    """Up to `LINES_SHOWN` lines from line `start` on, coloured as Python; of prose, only the blocks of code in it are."""
    every = text.replace("\r\n", "\n").split("\n")
    if len(every) > 1 and not every[-1]:
        every.pop()
    start = min(max(start, 1), len(every))
    some = every[start - 1 : start - 1 + LINES_SHOWN]
    cut = [line[:LINE_CHARACTERS] for line in some]
    if sum(map(len, cut)) > COLOURED_CHARACTERS:
        marked = [signed(line) for line in cut]
    else:
        marked = _coloured_blocks(cut) if prose else _coloured(cut)
    return Lines(start, [_ended(mark, line) for mark, line in zip(marked, some, strict=True)], len(every))


def signed(text: str) -> Markup:
    """Escaped text whose signs stand out."""
    escaped = str(escape(harmless(text)))
    return Markup(_SIGN.sub(lambda found: f'<b class="sign">{found.group()}</b>', escaped))


def _ended(mark: Markup, line: str) -> Markup:
    left = len(line) - LINE_CHARACTERS
    return mark if left <= 0 else mark + Markup('<b class="sign">… {} more characters</b>').format(f"{left:,}")


def _coloured_blocks(some: list[str]) -> list[Markup]:
    """Prose as it is, and what stands between two fences as Python."""
    found: list[Markup] = []
    block: list[str] | None = None
    for line in some:
        if line.startswith("```"):
            found += _coloured(block) if block else []
            block = [] if block is None else None
            found.append(Markup('<i class="c">{}</i>').format(signed(line)))
        elif block is None:
            found.append(Markup('<i class="f">{}</i>').format(signed(line)) if line.startswith("#") else signed(line))
        else:
            block.append(line)
    return found + (_coloured(block) if block else [])


def _coloured(some: list[str]) -> list[Markup]:
    """Each line with its comments, strings, keywords and numbers in spans."""
    pieces: list[list[Markup]] = [[]]
    for kind, text in _tokens("\n".join(some)):
        for number, part in enumerate(text.split("\n")):
            if number:
                pieces.append([])
            if part:
                mark = signed(part)
                pieces[-1].append(Markup('<i class="{}">{}</i>').format(kind, mark) if kind else mark)
    return [Markup("").join(piece) for piece in pieces]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    from pygments.lexers import PythonLexer
    from pygments.token import Comment, Keyword, Name, Number, Operator, String

    kinds = (
        (String, "s"),
        (Comment, "c"),
        (Keyword, "k"),
        (Operator.Word, "k"),
        (Number, "n"),
        (Name.Function, "f"),
        (Name.Class, "f"),
    )
    for token, value in PythonLexer(stripnl=False, stripall=False, ensurenl=False).get_tokens(text):
        yield next((short for kind, short in kinds if token in kind), ""), value
