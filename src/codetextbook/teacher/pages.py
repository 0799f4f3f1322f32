"""A textbook page taken apart into pieces of code to run, each with what the page says that it prints.

What a statement prints stands in a comment at the end of its last line (`print(2 + 3)  # 5`), or, for a whole block, in a
```text fence behind it or in the sentence behind it (This prints `6`). A literal behind a bare expression (`2 < 3  # True`) is its value.
Examples in docstrings are pieces too, run after their block. Nothing is run here. Limit: a doctest example with options, or one that
expects an error, is not compared.
"""

from __future__ import annotations

import ast
import doctest
import io
import json
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import zip_longest
from typing import Any, Literal

from codetextbook.errors import InputError
from codetextbook.nouns import document_id

_FENCE = re.compile(r"^```[ \t]*(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)

_SAID = re.compile(r"\s*(?:This|That|It|The (?:code|program|block|call|last line)) (?:also )?prints `([^`\n]+)`[.,;]")


@dataclass(frozen=True)
class Piece:
    """Code to run in the page's namespace. Pieces of one `claim` are compared together."""

    code: str
    claim: int
    says: str | None
    """What it prints, according to the page; None where the page says nothing."""
    kind: Literal["comment", "value", "fence", "example"]


class NotAPage(ValueError):
    """The page's code cannot be taken apart: a short code for the reason, and the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason, detail)


def recorded_rows() -> list[dict[str, Any]]:
    """The pages that ship with the package.

    Raises:
        InputError: they are not installed, or a line is not a page.
    """
    file = resources.files("codetextbook") / "data" / "pages.jsonl"
    if not file.is_file():
        raise InputError("the recorded pages are not part of this installation", where="data", hint="recorded = false")
    return parse_recorded(file.read_text(encoding="utf-8"))


def parse_recorded(text: str) -> list[dict[str, Any]]:
    """Rows of PAGE from JSON Lines.

    Raises:
        InputError: names the line that is not a page.
    """
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            named = {name: str(value[name]) for name in ("text", "topic", "audience")}
            words = [str(word) for word in value.get("words", [])]
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"not a page ({error})", where=f"data/pages.jsonl, line {number}") from None
        rows.append({"id": document_id(named["text"]), **named, "words": words, "writer": "recorded"})
    return rows


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
        if shown is None and (sentence := _SAID.match(text, fence.end())):
            shown = sentence.group(1)
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
    if piece.kind in ("comment", "value") and not real:
        return False
    if piece.kind == "value" and len(real) == 1:
        return real != _lines(piece.says or "") and not _same_value(real[0], piece.says or "")
    return real != _lines(piece.says or "")


def _same_value(shown: str, said: str) -> bool:
    """Whether two literals are equal, however they are quoted and spaced."""
    try:
        return bool(ast.literal_eval(shown) == ast.literal_eval(said))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return False
    return True


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
    bare = {(node.lineno, node.end_lineno) for node in tree.body if isinstance(node, ast.Expr)}
    number = first
    for start, end in _spans(tree):
        source = "\n".join(lines[start - 1 : end]) + "\n"
        claim = said.get(end)
        if shown is not None:
            yield Piece(source, first, shown, "fence")
        elif (start, end) in bare and claim and _is_literal(claim):
            yield Piece(_asking(source), number, claim, "value")
        else:
            yield Piece(source, number, claim, "comment")
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
