"""A textbook page taken apart into pieces of code to run, each with what the page says that it prints.

What a statement prints stands in a comment at the end of its last line (`print(2 + 3)  # 5`), or, for a whole block, in a
```text fence behind it. Examples in docstrings are pieces too, run after their block. Nothing is run here. Limit: a doctest
example with options, or one that expects an error, is not compared.
"""

from __future__ import annotations

import ast
import doctest
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

_FENCE = re.compile(r"^```[ \t]*(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """Code to run in the page's namespace. Pieces of one `claim` are compared together."""

    code: str
    claim: int
    says: str | None
    """What it prints, according to the page; None where the page says nothing."""
    kind: Literal["comment", "fence", "example"]


class NotAPage(ValueError):
    """The page's code cannot be taken apart: a short code for the reason, and the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason, detail)


def pieces(text: str) -> list[Piece]:
    """Every piece of a page's code, in the order in which it runs.

    Raises:
        NotAPage: there is no Python in it (`no_code`), or a block does not parse (`unparsable`).
    """
    found: list[Piece] = []
    fences = list(_FENCE.finditer(text))
    for fence, following in zip_longest(fences, fences[1:]):
        if fence.group(1).lower() not in ("python", "py"):
            continue
        shown = following.group(2) if following is not None and _shows(text, fence, following) else None
        found += _block(fence.group(2), shown, len(found))
    if not found:
        raise NotAPage("no_code", "no block fenced with ```python")
    return found


def _shows(text: str, code: re.Match[str], fence: re.Match[str]) -> bool:
    """Whether a fence holds what a block of code prints: it stands right behind it, or behind words that end in `prints`."""
    between = text[code.end() : fence.start()].strip().rstrip(":")
    return fence.group(1) == "text" and (not between or between.endswith("prints"))


def differs(piece: Piece, printed: str) -> bool:
    """Whether what a claim's pieces printed is not what the page says; a comment on a silent statement is only a comment."""
    real = _lines(printed)
    if piece.kind == "comment" and not real:
        return False
    return real != _lines(piece.says or "")


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip("\n").split("\n")] if text.strip() else []


def _block(code: str, shown: str | None, first: int) -> Iterator[Piece]:
    """The statements of a block, then the examples of its docstrings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        said = _comments(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise NotAPage("unparsable", f"{error}: {code[:200]}") from None
    lines = code.split("\n")
    number = first
    for start, end in _spans(tree):
        source = "\n".join(lines[start - 1 : end]) + "\n"
        if shown is not None:
            yield Piece(source, first, shown, "fence")
        else:
            yield Piece(source, number, said.get(end), "comment")
        number += 1
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for example in _examples(ast.get_docstring(node) or ""):
                yield Piece(_asking(example.source), number, example.want.replace("<BLANKLINE>", ""), "example")
                number += 1


def _spans(tree: ast.Module) -> list[tuple[int, int]]:
    """First and last line of each statement; those that share a line stay together."""
    spans: list[tuple[int, int]] = []
    for node in tree.body:
        decorators = getattr(node, "decorator_list", [])
        start, end = min([node.lineno, *(one.lineno for one in decorators)]), node.end_lineno or node.lineno
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _comments(code: str) -> dict[int, str]:
    """The comment on each line that has one, without its sign and without a leading `prints`."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    found = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    return {line: text.removeprefix("prints ").strip() for line, text in found.items()}


def _examples(docstring: str) -> list[doctest.Example]:
    try:
        examples = doctest.DocTestParser().get_examples(docstring)
    except ValueError as error:
        raise NotAPage("unparsable", f"an example: {error}") from None
    return [example for example in examples if not example.options and not example.exc_msg]


def _asking(source: str) -> str:
    """An example as the interactive interpreter takes it: the value of an expression is shown, unless it is None."""
    try:
        ast.parse(source.strip(), mode="eval")
    except SyntaxError:
        return source
    return f"_shown = (\n{source.strip()}\n)\nif _shown is not None:\n    print(repr(_shown))\n"
