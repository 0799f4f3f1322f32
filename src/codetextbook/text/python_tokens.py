"""The shape of code that does not parse: Python 2, a file cut in half, a snippet with an ellipsis in the wrong place.

Tokens instead of syntax nodes, one character each: keywords and operators as they are, every name alike, every literal alike, comments,
docstrings and indentation gone. Functions are found by their `def` lines and end where the indentation falls back.

Limits: coarser than a tree (`a.b` and `a, b` are three tokens each), and a `def` inside a string counts as one. Python's own tokenizer is
not used because it stops at the first fault, which is just where this is needed.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<string>(?i:[rbuf]{0,2})(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|\"(?:[^\\\n\"]|\\.)*\"|'(?:[^\\\n']|\\.)*'))
    | (?P<comment>\#[^\n]*)
    | (?P<number>\d[\w.]*)
    | (?P<word>\w+)
    | (?P<newline>\n)
    | (?P<operator>\*\*=|//=|>>=|<<=|->|:=|\*\*|//|>>|<<|<>|[-+*/%&|^@<>=!]=|[^\s\w])
    """,
    re.VERBOSE | re.DOTALL,
)
_DEFINITION = re.compile(r"^(?P<indent>[ \t]*)(?:async[ \t]+)?def[ \t]+(?P<name>\w+)(?=[ \t]*[(\[])", re.MULTILINE)
_WORDS = sorted({*keyword.kwlist, "print", "exec"})
_FIRST_CODE_POINT = 0x3400
_LETTER = {word: chr(_FIRST_CODE_POINT + number) for number, word in enumerate(_WORDS)}
_NAME, _LITERAL = chr(_FIRST_CODE_POINT + len(_WORDS)), chr(_FIRST_CODE_POINT + len(_WORDS) + 1)
_OPERATOR_CODE_POINT = _FIRST_CODE_POINT + len(_WORDS) + 2
_OPERATORS = ["**=", "//=", ">>=", "<<=", "->", ":=", "**", "//", ">>", "<<", "<>"]
_OPERATORS += [f"{sign}=" for sign in "-+*/%&|^@<>=!"] + list("-+*/%&|^@<>=!~()[]{},.:;`?$\\")
_LETTER |= {operator: chr(_OPERATOR_CODE_POINT + number) for number, operator in enumerate(_OPERATORS)}
_OTHER = chr(_OPERATOR_CODE_POINT + len(_OPERATORS))
_OPENING, _CLOSING = "([{", ")]}"


class Block(NamedTuple):
    """A `def` and the lines that belong to it."""

    name: str
    docstring: str
    shape: str
    """Shape of the body, without the signature."""
    source: str


class Token(NamedTuple):
    """A piece of code: its kind (a group of the pattern), its text, and where it ends."""

    kind: str
    text: str
    end: int


def tokens(text: str) -> Iterator[Token]:
    """The tokens of any text; what belongs to no kind, as a quote that is never closed, is an operator."""
    for found in _TOKEN.finditer(text):
        yield Token(str(found.lastgroup), found.group(), found.end())


def shape(text: str) -> str:
    """One character a token."""
    letters, _ = _letters(text)
    return letters


def functions(text: str) -> list[Block]:
    """Every `def` of a text, nested ones included, in the order of their lines."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    line_of = {start: number for number, start in enumerate(starts)}
    found = []
    for definition in _DEFINITION.finditer(text):
        number = line_of[definition.start()]
        body_at = _end_of_signature(text, definition.end())
        end = _end_of_block(lines, number, starts, body_at, len(definition["indent"].expandtabs()))
        body = text[body_at : starts[end]]
        letters, docstring = _letters(body)
        found.append(Block(definition["name"], docstring, letters, text[definition.start() : starts[end]]))
    return found


def _letters(text: str) -> tuple[str, str]:
    """Shape of a text, and the string that it begins with, if it begins with one."""
    letters: list[str] = []
    docstring, line_is_empty, depth = "", True, 0
    for token in tokens(text):
        if token.kind == "newline":
            line_is_empty = depth == 0
        elif token.kind == "comment":
            continue
        elif token.kind == "string" and line_is_empty and depth == 0:
            docstring = docstring or ("" if letters else _inside(token.text))
        else:
            depth = max(0, depth + (token.text in _OPENING) - (token.text in _CLOSING))
            line_is_empty = False
            literal = token.kind in ("string", "number")
            name = token.kind == "word" and token.text not in _LETTER
            letters.append(_LITERAL if literal else _NAME if name else _LETTER.get(token.text, _OTHER))
    return "".join(letters), docstring


def _inside(literal: str) -> str:
    """The words of a string literal."""
    return textwrap.dedent(literal.lstrip("rRbBuUfF").strip("\"'")).strip()


def _end_of_signature(text: str, start: int) -> int:
    """Just behind the colon that opens the body; the end of the line where there is none."""
    depth = 0
    for token in tokens(text[start : start + 4_000]):
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if token.text == ":" and depth <= 0:
            return start + token.end
        if token.kind == "newline" and depth <= 0:
            break
    line_end = text.find("\n", start)
    return len(text) if line_end < 0 else line_end


def _end_of_block(lines: list[str], number: int, starts: list[int], body_at: int, indent: int) -> int:
    """The first line behind a block: the next one with words that stands no deeper than its `def`."""
    for place in range(number + 1, len(lines)):
        line = lines[place].expandtabs()
        if starts[place] >= body_at and line.strip() and len(line) - len(line.lstrip()) <= indent:
            return place
    return len(lines)
