"""What a syntax tree says of a file: functions, docstrings, imports, or where it does not parse and whether it is Python 2.

Facts are for filters, slices and reports: columns beside the text, not filters of their own, and read from one tree, once. Limits: the
running Python judges what parses; Python 2 is told by its statements, so that a file which happens to hold none is merely one that does
not parse; comments are told from strings by a pattern, which takes a quote inside an f-string's braces for the string's end.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from codetextbook.text.syntax_counts import Counts, counts_of_lines, counts_of_nodes, imported, nodes_of

_PYTHON_2 = re.compile(
    r"""^\s*print\s+["'%\w]|^\s*print\s*>>|except\s+[\w.,() ]+?,\s*\w+\s*:|^\s*raise\s+\w+\s*,|^\s*exec\s+["'\w]|[\w)]\s*<>\s*[\w(]"""
    r"""|\bur["']|(?<![\w.])0[0-7]+(?![\w.])""",
    re.MULTILINE,
)
_STRING_OR_COMMENT = re.compile(
    r'''"""(?:[^\\"]|\\.|"(?!""))*"""|\'\'\'(?:[^\\\']|\\.|\'(?!\'\'))*\'\'\'|"(?:[^\\"]|\\.)*"|\'(?:[^\\\']|\\.)*\'|(\#[^\n]*)''',
    re.DOTALL,
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
    lines: int | None = None
    """This and what follows: `syntax_counts.Counts`."""
    comment_line_share: float | None = None
    """Lines of comments or docstrings, of all that are not blank."""
    documented: int | None = None
    examples: int | None = None
    loops: int | None = None
    branches: int | None = None
    literal_share: float | None = None
    stubs: int | None = None
    tests: int | None = None
    own_imports: int | None = None
    standard_imports: int | None = None
    longest_function_lines: int | None = None
    median_function_lines: float | None = None


_COUNTED = CodeFacts._fields[CodeFacts._fields.index("lines") :]
_RENAMED = {"comment_line_share": "comment_share"}
"""Columns whose name among the counts is another fact's."""


def facts_of(text: str) -> CodeFacts:
    """The facts of one file of Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            python2 = _PYTHON_2.search(text) is not None
            failed = CodeFacts(False, str(error.msg), error.lineno, error.offset, python2)
        except (ValueError, RecursionError, MemoryError) as error:
            failed = CodeFacts(False, f"{type(error).__name__}: {error}"[:200])
        else:
            return _of_tree(text, tree)
    counted = counts_of_lines(text)
    return failed._replace(lines=counted.lines, comment_line_share=counted.comment_share)


def _of_tree(text: str, tree: ast.Module) -> CodeFacts:
    nodes = nodes_of(tree)
    counted = counts_of_nodes(text, nodes)
    named = asdict(counted)
    return CodeFacts(
        True,
        functions=counted.functions,
        classes=counted.definitions - counted.functions,
        docstring_share=round(counted.documented / counted.definitions, 4) if counted.definitions else 0.0,
        comment_share=comment_share(text),
        imports=tuple(sorted(set(imported(nodes)))),
        **{name: named[_RENAMED.get(name, name)] for name in _COUNTED},
    )


def counts_from(row: Mapping[str, Any]) -> Counts | None:
    """The counts of a file whose facts were kept as a row; None where the row does not have them (no code, or an older artifact)."""
    if row.get("parses") is None or row.get("lines") is None:
        return None
    column_of = {count: column for column, count in _RENAMED.items()}
    known: dict[str, Any] = {one.name: row.get(column_of.get(one.name, one.name)) or 0 for one in fields(Counts)}
    for name in ("comment_share", "literal_share", "median_function_lines"):
        known[name] = float(known[name])
    known |= {"definitions": known["functions"] + (row["classes"] or 0), "parses": bool(row["parses"])}
    return Counts(**known)


def comment_share(text: str) -> float:
    """Characters in comments, of all that are no white space; of a text that parses."""
    size = len("".join(text.split()))
    comments = _STRING_OR_COMMENT.findall(text) if "#" in text else []
    return round(sum(len("".join(one.split())) for one in comments) / size, 4) if size else 0.0
