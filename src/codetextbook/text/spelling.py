"""What a short piece of code says word for word: its syntax with every name and literal in it, without docstrings, comments and layout.

`return x + y` has the shape of ten thousand functions, so below some size two pieces count as the same only if they are also spelt the
same (`codetextbook.benchmarks.leaks`). A function's own name and its parameters' are no part of it: a body that was lifted out is spelt as
it was inside. Limit: nothing is renamed, so that `return a + b` is another spelling.
"""

from __future__ import annotations

import ast

from codetextbook.text.python_ast import FUNCTIONS, is_remark, parse_any


def spelling(source: str) -> str:
    """The body of a function, or of a text that is more than one function, as text; empty where it does not parse or says nothing."""
    tree = parse_any(source)
    if tree is None:
        return ""
    inside = tree.body[0].body if len(tree.body) == 1 and isinstance(tree.body[0], FUNCTIONS) else tree.body
    return "\n".join(ast.dump(_without_remarks(statement)) for statement in inside if not is_remark(statement))


def _without_remarks(statement: ast.stmt) -> ast.stmt:
    for node in ast.walk(statement):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not is_remark(one)]  # type: ignore[attr-defined]
    return statement
