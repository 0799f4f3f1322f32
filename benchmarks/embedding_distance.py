"""Where the embedding distance should be cut: copies in disguise on one side, texts that are none on the other.

Copies: HumanEval's own programs with every name changed, with the docstring gone, and with both. Others: recorded exercises, exercises of
the grammar, recorded pages, and documented functions of the standard library, each by its distance to the nearest problem. Not a race:
there are no ratios.

    python -m benchmarks.embedding_distance --quick
"""

from __future__ import annotations

import ast
import collections
import difflib
import heapq
import inspect
import json
import random
import statistics
import textwrap
from importlib import resources

import numpy as np

from benchmarks.frame import Outcome, arguments, tell, versions
from codetextbook.benchmarks.leaks import vectors_of
from codetextbook.benchmarks.problems import humaneval
from codetextbook.grammar import write_exercises
from codetextbook.text.embedding import Embedding
from codetextbook.text.python_ast import read_code

CUTS = (0.3, 0.4, 0.5, 0.6)
MODULES = (statistics, textwrap, heapq, random, difflib, collections)


class _Rename(ast.NodeTransformer):
    """Gives every name that a program defines another one."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self._other(node.name)
        for argument in node.args.args:
            argument.arg = self._other(argument.arg)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Store) or node.id in self.names:
            node.id = self._other(node.id)
        return node

    def _other(self, name: str) -> str:
        return self.names.setdefault(name, f"v{len(self.names)}")


def disguised(program: str, *, names: bool, docstring: bool) -> str:
    """A program with its names changed, its docstrings gone, or both."""
    tree = ast.parse(program)
    for node in ast.walk(tree):
        if docstring and isinstance(node, ast.FunctionDef) and ast.get_docstring(node) and len(node.body) > 1:
            node.body = node.body[1:]
    return ast.unparse(_Rename().visit(tree) if names else tree)


def innocents(count: int) -> dict[str, list[str]]:
    """Texts that are no copies, by kind."""
    data = resources.files("codetextbook.data")
    recorded, pages = (
        [json.loads(line) for line in data.joinpath(name).read_text(encoding="utf-8").splitlines()]
        for name in ("exercises.jsonl", "pages.jsonl")
    )
    functions = [one for module in MODULES for one in read_code(inspect.getsource(module)).functions if one.docstring]
    return {
        "recorded exercises": [row["prompt"] + row["solution"] for row in recorded][:count],
        "grammar exercises": [row["prompt"] + row["solution"] for row in write_exercises(count, seed=0)],
        "recorded pages": [row["text"] for row in pages][:count],
        "standard library": [one.source for one in functions][:count],
    }


def main() -> None:
    """Print shares within each cut."""
    options = arguments(__doc__ or "")
    programs = [one.prompt + one.reference for one in humaneval()]
    known = _vectors(programs)
    copies = {"names changed": (True, False), "docstring gone": (False, True), "both": (True, True)}
    rows = [("", "texts", "median distance", *(f"within {cut}" for cut in CUTS))]
    ours: dict[str, dict[str, float]] = {}
    some = list(range(0, len(programs), 4 if options.quick else 1))
    for name, (names, docstring) in copies.items():
        vectors = _vectors([disguised(programs[place], names=names, docstring=docstring) for place in some])
        distances = np.linalg.norm(vectors - known[some], axis=1)
        rows.append(_row(f"copy, {name}", distances, ours))
    apart = _apart(known, known)
    np.fill_diagonal(apart, 2.0)
    rows.append(_row("another problem", apart.min(axis=1), ours))
    for name, texts in innocents(50 if options.quick else 500).items():
        rows.append(_row(name, _apart(_vectors(texts), known).min(axis=1), ours))
    tell(Outcome("embedding_distance", ours, versions=versions("torch", "transformers")), rows, as_json=options.json)


def _vectors(texts: list[str]) -> np.ndarray:
    return vectors_of([text.strip() for text in texts], Embedding())


def _apart(vectors: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(0, 2 - 2 * vectors @ known.T))


def _row(name: str, distances: np.ndarray, ours: dict[str, dict[str, float]]) -> tuple[str, ...]:
    ours[name] = {f"within_{cut}": round(float((distances <= cut).mean()), 4) for cut in CUTS}
    counts = [f"{int((distances <= cut).sum())} ({(distances <= cut).mean():.1%})" for cut in CUTS]
    return (name, str(len(distances)), f"{np.median(distances):.2f}", *counts)


if __name__ == "__main__":
    main()
