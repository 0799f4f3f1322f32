"""What can be told of an exercise by its text alone: one documented function, imports that are allowed, enough tests of it (paper §2.2).

Nothing is run: whether the solution passes its tests is the sandbox's to say.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Rules(Protocol):
    """What an exercise must be like."""

    @property
    def imports(self) -> Sequence[str]:
        """Modules that it may import."""
        ...

    @property
    def max_characters(self) -> int:
        """Longest prompt and solution together."""
        ...

    @property
    def min_tests(self) -> int:
        """Assert lines that it must have."""
        ...


def fault(row: Mapping[str, Any], rules: Rules) -> tuple[str, str] | None:
    """Why a row cannot be an exercise, as (reason, detail), by looking at its text alone; None when it can."""
    program, name = row["prompt"] + row["solution"], row["entry_point"]
    if len(program) > rules.max_characters:
        return "too_long", f"{len(program)} characters"
    if not row["prompt"].endswith("\n") or not row["solution"].startswith("    ") or not row["solution"].endswith("\n"):
        return "bad_layout", "the prompt ends with a newline, the solution is an indented body that ends with one"
    try:
        tree, tests = ast.parse(program), ast.parse(row["tests"])
    except (SyntaxError, ValueError) as error:
        return "unparsable", str(error)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    if len(functions) != 1 or not isinstance(functions[0], ast.FunctionDef):
        return "not_one_function", f"found {', '.join(node.name for node in functions) or 'none'}, wanted {name}"
    if functions[0].name != name:
        return "wrong_name", f"found {functions[0].name}, wanted {name}"
    if not ast.get_docstring(functions[0]):
        return "no_docstring", name
    if not _parses(row["prompt"]):
        return "bad_layout", "the prompt does not end with the docstring"
    foreign = sorted(imported(tree) - set(rules.imports))
    if foreign:
        return "import_not_allowed", ", ".join(foreign)
    reached = sorted(_reaching_out(tree) | _reaching_out(tests))
    if reached:
        return "name_not_allowed", ", ".join(reached)
    asserts = [node for node in tests.body if isinstance(node, ast.Assert) and _calls(node, name)]
    if len(asserts) != len(tests.body) or len(asserts) < rules.min_tests:
        return "bad_tests", f"{len(asserts)} of {len(tests.body)} lines are asserts on {name}, {rules.min_tests} wanted"
    return None


_OUTWARD = {
    "open", "input", "exec", "eval", "compile", "__import__", "globals", "locals", "vars", "breakpoint", "exit", "quit", "print",
}  # fmt: skip
"""Builtins by which code reaches beyond its arguments; an exercise needs none of them."""


def _reaching_out(tree: ast.AST) -> set[str]:
    """Such builtins, and names with two leading underscores, that a program uses. The sandbox holds without this."""
    found = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and (node.id in _OUTWARD or node.id[:2] == "__")
    }
    return found | {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("__")
    }


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def imported(tree: ast.AST) -> set[str]:
    """Top-level names of the modules that a program imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or ".").split(".")[0] if not node.level else ".")
    return found


def _calls(node: ast.AST, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))
