"""The shape of Python code: whole texts and their functions, each as a line of syntax nodes from which names, literals, docstrings and
comments are gone (paper §5, "AST match rate": `codetextbook.text.match_rate`).

Two functions of the same shape do the same things to different things. One node is one character, so that any fast edit distance on
strings serves; the shape of a function is a slice of the shape of its text, so that a text is walked once, however deep its functions nest.
Annotations, decorators and signatures are no part of a shape; `-1` is a literal; a string that stands alone is a comment.

A text that begins indented, as the body of a function cut from its `def` does, is read as that body.

Code that this Python cannot parse (Python 2, a file cut in half, prose) has no tree: `codetextbook.text.python_tokens` gives it the shape
of its tokens, and `Code.basis` says which of the two it is. The two kinds of shape are never compared with each other.

Limits: operators are part of the shape (`+` and `-` differ), the order of statements too, and so is the number of items in a literal list.
"""

from __future__ import annotations

import ast
import warnings
from typing import Literal, NamedTuple

from codetextbook.text import python_tokens

Basis = Literal["tree", "tokens", "none"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (*FUNCTIONS, ast.ClassDef)
_NODES = [cls for cls in vars(ast).values() if isinstance(cls, type) and issubclass(cls, ast.AST)]
_SILENT = {cls for cls in _NODES if issubclass(cls, (ast.expr_context, ast.alias, ast.type_ignore))}
_BLOCKS = {ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, *_DOCUMENTED}
_FIRST_CODE_POINT = 0x4E00
_NAMES = sorted({cls.__name__ for cls in _NODES})
_LETTER = {cls: chr(_FIRST_CODE_POINT + _NAMES.index(cls.__name__)) for cls in _NODES}
_LETTER[ast.AnnAssign] = _LETTER[ast.Assign]
_CLOSE = chr(_FIRST_CODE_POINT - 1)
_FIELDS: dict[type, tuple[str, ...]] = {
    cls: ("body",) if cls in _DOCUMENTED else tuple(name for name in reversed(cls._fields) if name != "annotation")
    for cls in _NODES
}
"""Fields of a node that are walked, last first. Of functions and classes only the body is."""


class Function(NamedTuple):
    """One function of a text, nested ones and methods included."""

    name: str
    docstring: str
    shape: str
    """Shape of the body: one character a node, or a token where the text does not parse."""
    source: str


class Code(NamedTuple):
    """What is known of the code of one text."""

    basis: Basis
    """What the shapes are made of: the syntax tree, tokens because it does not parse, or nothing because there is no code."""
    shape: str
    """Shape of the whole text."""
    functions: list[Function]
    """In the order of their lines."""
    docstrings: list[str]
    """Of the module and its classes; those of functions are with them."""
    source: str = ""


NO_CODE = Code("none", "", [], [])


def parse(text: str) -> ast.Module | None:
    """The syntax tree; None for what this Python cannot read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def parse_any(text: str) -> ast.Module | None:
    """The syntax tree of a text, or of the lines of a block that was cut from its head; line numbers are the text's own."""
    tree = parse(text)
    if tree is not None or not text.lstrip("\r\n")[:1].isspace():
        return tree
    under_head = parse(f"with _:\n{text}")
    if under_head is None:
        return None
    (block, *others) = under_head.body
    assert isinstance(block, ast.With)
    return ast.increment_lineno(ast.Module([*block.body, *others], []), -1)


def read_code(text: str) -> Code:
    """Shapes of a text and of its functions, from the tree if it parses, else from its tokens."""
    tree = parse_any(text)
    if tree is None:
        return read_tokens(text)
    shape, bodies = _walk(tree)
    if not shape and not bodies and not _docstring(tree):
        return NO_CODE
    lines = _lines(text) if bodies else []
    functions = [
        Function(
            name=node.name,
            docstring=_docstring(node),
            shape=shape[start:end],
            source="\n".join(lines[node.lineno - 1 : node.end_lineno]) + "\n",
        )
        for node, start, end in sorted(bodies, key=lambda body: (body[0].lineno, body[0].col_offset))
        if isinstance(node, FUNCTIONS)
    ]
    others = [_docstring(tree), *(_docstring(node) for node, _, _ in bodies if isinstance(node, ast.ClassDef))]
    return Code("tree", shape, functions, [docstring for docstring in others if docstring], text)


def read_tokens(text: str) -> Code:
    """Shapes of a text and of its functions from its tokens, whether it parses or not; no code where there is no function.

    A script without functions that does not parse is told from prose by nobody, and is left to the n-grams.
    """
    shape = python_tokens.shape(text)
    blocks = python_tokens.functions(text)
    functions = [Function(block.name, block.docstring, block.shape, block.source) for block in blocks]
    return Code("tokens", shape, functions, [], text) if functions else NO_CODE


def _lines(text: str) -> list[str]:
    """Lines as the parser counts them: a form feed or a Unicode separator ends none."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _docstring(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    return ast.get_docstring(node, clean=True) or ""


_Body = tuple["ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef", int, int]


def _walk(tree: ast.Module) -> tuple[str, list[_Body]]:
    """The shape of a module, and the places in it of the bodies of its functions and classes.

    Depth first, without recursion: generated files nest deeper than the interpreter's stack.
    """
    letters: list[str] = []
    bodies: list[_Body] = []
    stack: list[ast.AST | tuple[ast.AST, int]] = list(reversed(tree.body))
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            block, start = node
            if isinstance(block, _DOCUMENTED):
                bodies.append((block, start, len(letters)))
            letters.append(_CLOSE)
            continue
        kind = type(node)
        if kind in _SILENT or (kind is ast.Expr and is_remark(node)):
            continue
        if kind is ast.UnaryOp and _is_signed_number(node):
            letters.append(_LETTER[ast.Constant])
            continue
        letters.append(_LETTER[kind])
        if kind in _BLOCKS:
            stack.append((node, len(letters)))
        for name in _FIELDS[kind]:
            value = getattr(node, name, None)
            if isinstance(value, list):
                stack.extend(item for item in reversed(value) if isinstance(item, ast.AST))
            elif isinstance(value, ast.AST):
                stack.append(value)
    return "".join(letters), bodies


def is_remark(node: ast.AST) -> bool:
    """A string that stands alone: a docstring, or a comment in its clothes."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_signed_number(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, (ast.USub, ast.UAdd))
        and isinstance(node.operand, ast.Constant)
    )
