"""The shape of Python code: its functions, each as a line of syntax nodes from which names, literals, docstrings and comments are gone.

Two functions of the same shape do the same things to different things. The match rate of two shapes, 1 - edit distance / longer length, is
the paper's "AST match rate" (§5). One node is one character, so that any fast edit distance on strings serves.

Limits: operators are part of the shape (`+` and `-` differ), the order of statements too; code that does not parse has no shape.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SILENT = (ast.expr_context, ast.Module, ast.alias, ast.type_ignore)
_FIRST_CODE_POINT = 0x4E00
_NODES = sorted({cls.__name__ for cls in vars(ast).values() if isinstance(cls, type) and issubclass(cls, ast.AST)})
_LETTER = {name: chr(_FIRST_CODE_POINT + number) for number, name in enumerate(_NODES)}
_CLOSE = chr(_FIRST_CODE_POINT - 1)
_BLOCKS = (
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.If,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)


class Function(NamedTuple):
    """One function of a text, nested ones and methods included."""

    name: str
    docstring: str
    tree: str
    """Shape of the body: one character a node."""
    source: str


def parse(text: str) -> ast.Module | None:
    """The syntax tree; None for what this Python cannot read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def functions(text: str) -> list[Function]:
    """Every function of a text, in the order of its lines; none where it does not parse."""
    tree = parse(text)
    if tree is None:
        return []
    lines = text.splitlines(keepends=True)
    found = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return [
        Function(
            name=node.name,
            docstring=ast.get_docstring(node, clean=True) or "",
            tree="".join(_letters(_body(node))),
            source="".join(lines[node.lineno - 1 : node.end_lineno]),
        )
        for node in found
    ]


def shape(text: str) -> str | None:
    """Shape of a whole text; None where it does not parse."""
    tree = parse(text)
    return None if tree is None else "".join(_letters(_body(tree)))


def match_rate(first: str, second: str) -> float:
    """AST match rate of two shapes, 0 to 1 (paper §5)."""
    return float(Levenshtein.normalized_similarity(first, second))


def _body(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[ast.stmt]:
    """Statements without the docstring."""
    first = node.body[0] if node.body else None
    quoted = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return node.body[1:] if quoted else node.body


def _letters(nodes: list[ast.stmt]) -> Iterator[str]:
    """Depth first, without recursion: generated files nest deeper than the interpreter's stack."""
    stack: list[ast.AST | str] = list(reversed(nodes))
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            yield node
            continue
        if isinstance(node, _SILENT):
            continue
        yield _LETTER["Assign" if isinstance(node, ast.AnnAssign) else type(node).__name__]
        children: list[ast.AST | str] = list(_children(node))
        if isinstance(node, _BLOCKS):
            children.append(_CLOSE)
        stack.extend(reversed(children))


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        yield from _body(node)
        return
    for child in ast.iter_child_nodes(node):
        if child is not getattr(node, "annotation", None):
            yield child
