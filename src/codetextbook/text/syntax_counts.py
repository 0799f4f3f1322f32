"""What a syntax tree says about a file without running it: the counts that the rule weighs and the filter's baselines read.

Counts, not judgements: `codetextbook.teacher.rule` weighs them. A file that does not parse has the counts of its lines only.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOOPS = (ast.For, ast.While, ast.AsyncFor, ast.comprehension)
BRANCHES = (ast.If, ast.IfExp, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = {ast.Import, ast.ImportFrom}


@dataclass(frozen=True)
class Counts:
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


def counts(text: str) -> Counts:
    """The counts of one file; what this Python cannot read (too deep counts as unreadable) has those of its lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return counts_of_lines(text)
    return counts_of_nodes(text, nodes_of(tree))


def nodes_of(tree: ast.Module) -> list[ast.AST]:
    """All nodes, in the order of `ast.walk`, in half of its time."""
    found: list[ast.AST] = [tree]
    for node in found:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [one for one in value if isinstance(one, ast.AST)]
    return found


def counts_of_lines(text: str) -> Counts:
    """The counts of a file that does not parse."""
    lines, comments = _lines(text)
    return Counts(False, lines, comments / max(lines, 1), 0, 0, 0, 0, 0, 0, 0.0, 0, 0, 0, 0, 0, 0.0)


def counts_of_nodes(text: str, nodes: Sequence[ast.AST]) -> Counts:
    """The counts of a file and all nodes of its tree, of which the first is the module."""
    lines, comments = _lines(text)
    of_kind = Counter(map(type, nodes))
    named = [node for node in nodes if isinstance(node, NAMED)]
    functions = [node for node in named if isinstance(node, FUNCTIONS)]
    docstrings = [docstring_of(node) for node in (nodes[0], *named)]
    said = [one for one in docstrings if one is not None]
    modules = imported(nodes)
    own = sum(name not in sys.stdlib_module_names for name in modules)
    sizes = sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)
    prose = comments + sum(len([line for line in one.splitlines() if line.strip()]) for one in said)
    return Counts(
        parses=True,
        lines=lines,
        comment_share=min(1.0, prose / max(lines, 1)),
        functions=len(functions),
        documented=sum(one is not None for one in docstrings[1:]),
        definitions=len(named),
        examples=sum(one.count(">>>") for one in said),
        loops=sum(of_kind[kind] for kind in LOOPS),
        branches=sum(of_kind[kind] for kind in BRANCHES),
        literal_share=(of_kind[ast.Constant] - len(said)) / max(len(nodes), 1),
        stubs=sum(_does_nothing(node) for node in functions),
        tests=sum(node.name.lower().startswith("test") for node in named),
        own_imports=own,
        standard_imports=len(modules) - own,
        longest_function_lines=sizes[-1] if sizes else 0,
        median_function_lines=float(sizes[len(sizes) // 2]) if sizes else 0.0,
    )


def docstring_of(node: ast.AST) -> str | None:
    """The docstring of a module, class or function; None where there is none."""
    body = getattr(node, "body", None)
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        value = body[0].value.value
        return value if isinstance(value, str) else None
    return None


def imported(nodes: Iterable[ast.AST]) -> list[str]:
    """First names of the modules that statements import; a relative import is its package's own: `.`."""
    names = []
    for node in nodes:
        if type(node) not in _IMPORTS:
            continue
        if isinstance(node, ast.Import):
            names += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append("." if node.level else (node.module or "").partition(".")[0])
    return names


def _lines(text: str) -> tuple[int, int]:
    """How many lines are not blank, and how many of these are comments."""
    lines = [line for line in text.splitlines() if line.strip()]
    return len(lines), sum(line.lstrip().startswith("#") for line in lines)


def _does_nothing(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function's body, its docstring aside, is `pass`, `...` or a single `raise NotImplementedError`."""
    body = node.body
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
