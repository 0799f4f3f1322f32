"""What a syntax tree says about a file without running it: the facts that the rule grades and the filter's baselines read.

Facts, not judgements: `codetextbook.teacher.rule` weighs them. A file that does not parse has the facts of its lines only.
"""

from __future__ import annotations

import ast
import sys
import warnings
from dataclasses import dataclass

LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.comprehension)
BRANCHES = (ast.If, ast.IfExp, ast.Match)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Facts:
    """Counts and shares of one file."""

    parses: bool
    lines: int
    """Lines that are not blank."""
    comment_share: float
    """Share of those lines that are comments or docstrings, 0 to 1."""
    functions: int
    documented: int
    """Functions and classes with a docstring."""
    definitions: int
    """Functions and classes."""
    examples: int
    """Doctest prompts in docstrings."""
    loops: int
    branches: int
    literal_share: float
    """Share of syntax nodes that are constants outside docstrings, 0 to 1."""
    stubs: int
    """Functions whose body does nothing."""
    tests: int
    """Functions and classes named as tests."""
    own_imports: int
    """Modules imported that are not in the standard library."""
    standard_imports: int
    longest_function_lines: int
    median_function_lines: float


def facts(text: str) -> Facts:
    """The facts of one file."""
    lines = [line for line in text.splitlines() if line.strip()]
    comments = sum(line.lstrip().startswith("#") for line in lines)
    tree = _parse(text)
    if tree is None:
        share = comments / max(len(lines), 1)
        return Facts(False, len(lines), share, 0, 0, 0, 0, 0, 0, 0.0, 0, 0, 0, 0, 0, 0.0)
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, DEFINITIONS)]
    named = [node for node in nodes if isinstance(node, (*DEFINITIONS, ast.ClassDef))]
    docstrings = [said for node in (tree, *named) if (said := ast.get_docstring(node, clean=False)) is not None]
    constants = sum(isinstance(node, ast.Constant) for node in nodes) - len(docstrings)
    modules = [name for node in nodes for name in _imported(node)]
    own = sum(name not in sys.stdlib_module_names for name in modules)
    sizes = sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)
    prose = comments + sum(len([line for line in said.splitlines() if line.strip()]) for said in docstrings)
    return Facts(
        parses=True,
        lines=len(lines),
        comment_share=min(1.0, prose / max(len(lines), 1)),
        functions=len(functions),
        documented=sum(ast.get_docstring(node, clean=False) is not None for node in named),
        definitions=len(named),
        examples=sum(said.count(">>>") for said in docstrings),
        loops=sum(isinstance(node, LOOPS) for node in nodes),
        branches=sum(isinstance(node, BRANCHES) for node in nodes),
        literal_share=constants / max(len(nodes), 1),
        stubs=sum(_does_nothing(node) for node in functions),
        tests=sum(node.name.lower().startswith("test") for node in named),
        own_imports=own,
        standard_imports=len(modules) - own,
        longest_function_lines=sizes[-1] if sizes else 0,
        median_function_lines=float(sizes[len(sizes) // 2]) if sizes else 0.0,
    )


def _parse(text: str) -> ast.Module | None:
    """The tree, or None for what this Python cannot read (too deep counts as unreadable)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _imported(node: ast.AST) -> list[str]:
    """First names of the modules that a statement imports; a relative import is its package's own: `.`."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." if node.level else (node.module or "").partition(".")[0]]
    return []


def _does_nothing(node: ast.AST) -> bool:
    """Whether a function's body, its docstring aside, is `pass`, `...` or a single `raise NotImplementedError`."""
    body = node.body if isinstance(node, DEFINITIONS) else []
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    if not body:
        return True
    if len(body) > 1:
        return False
    only = body[0]
    if isinstance(only, ast.Raise):
        return "NotImplementedError" in ast.dump(only)
    return isinstance(only, ast.Pass) or (isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant))
