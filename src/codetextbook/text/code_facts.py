"""What a syntax tree says of a file: functions, docstrings, imports, or where it does not parse and whether it is Python 2.

Facts are for filters, slices and reports: columns beside the text, not filters of their own. Limits: the running Python judges what parses;
Python 2 is told by its statements, so that a file which happens to hold none is merely one that does not parse.
"""

from __future__ import annotations

import ast
import re
import tokenize
import warnings
from io import StringIO
from typing import NamedTuple

_PYTHON_2 = re.compile(
    r"""^\s*print\s+["'%\w]|^\s*print\s*>>|except\s+[\w.,() ]+?,\s*\w+\s*:|^\s*raise\s+\w+\s*,|^\s*exec\s+["'\w]|[\w)]\s*<>\s*[\w(]"""
    r"""|\bur["']|(?<![\w.])0[0-7]+(?![\w.])""",
    re.MULTILINE,
)


class CodeFacts(NamedTuple):
    """Of one file of code; what a tree would say is empty where there is none."""

    parses: bool
    error: str = ""
    error_line: int | None = None
    error_column: int | None = None
    python2: bool = False
    functions: int | None = None
    """Functions and methods, nested ones too."""
    classes: int | None = None
    docstring_share: float | None = None
    """Of functions and classes, those with a docstring; of none, none."""
    comment_share: float | None = None
    """Characters in comments, of all that are no white space."""
    imports: tuple[str, ...] = ()
    """Top-level packages, sorted."""


def facts_of(text: str) -> CodeFacts:
    """The facts of one file of Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            python2 = _PYTHON_2.search(text) is not None
            return CodeFacts(False, str(error.msg), error.lineno, error.offset, python2)
        except (ValueError, RecursionError, MemoryError) as error:
            return CodeFacts(False, f"{type(error).__name__}: {error}"[:200])
    functions = classes = documented = 0
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            classes += isinstance(node, ast.ClassDef)
            functions += not isinstance(node, ast.ClassDef)
            documented += ast.get_docstring(node, clean=False) is not None
        elif isinstance(node, ast.Import):
            imports.update(one.name.split(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            imports.add("." if node.level else str(node.module).split(".")[0])
    total = functions + classes
    return CodeFacts(
        True,
        functions=functions,
        classes=classes,
        docstring_share=round(documented / total, 4) if total else 0.0,
        comment_share=_comment_share(text),
        imports=tuple(sorted(imports)),
    )


def _comment_share(text: str) -> float | None:
    size = len("".join(text.split()))
    try:
        comments = [
            one.string for one in tokenize.generate_tokens(StringIO(text).readline) if one.type == tokenize.COMMENT
        ]
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return None
    return round(sum(len("".join(one.split())) for one in comments) / size, 4) if size else 0.0
