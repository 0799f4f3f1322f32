"""Real code as the start of an exercise: fragments that inspire one, and functions to which one can be written (after the paper).

A fragment (OSS-Instruct) is some lines from the middle of a file. A function for instruction reversal stands alone: what it uses are its
parameters, builtins, and modules of the allow-list. Both are chosen by digests, the same whatever the order of the documents.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import heapq
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from codetextbook.errors import StageFailed
from codetextbook.nouns import document_id
from codetextbook.text.python_ast import parse

FRAGMENT_LINES = 12
LEAST_LINES, MOST_LINES = 3, 25
_UNFIT = (ast.AsyncFunctionDef, ast.Yield, ast.YieldFrom, ast.Await, ast.Global, ast.Nonlocal, ast.ClassDef)


class RealFunction(NamedTuple):
    """A function that stands alone."""

    name: str
    imports: str
    """Import lines that it needs, each with a newline."""
    code: str
    """The imports and the function without its docstring."""
    body: str
    """The body, indented by four."""

    def as_row(self, prompt: str, writer: str) -> dict[str, Any]:
        """A row of EXERCISE without tests, with a docstring that somebody wrote for it."""
        same = document_id(prompt + self.body)
        topic = "instruction_reversal"
        row = {"id": same, "prompt": prompt, "solution": self.body, "tests": "", "entry_point": self.name}
        return row | {"topic": topic, "family": topic, "writer": writer, "split": "", "verified": False}


class Real(NamedTuple):
    """What real code gives to the teacher."""

    fragments: Sequence[str] = ()
    functions: Sequence[RealFunction] = ()

    @classmethod
    def of(cls, texts: Sequence[str], *, seeds: int, reversals: int, seed: int, allowed: Collection[str]) -> Real:
        """So many fragments at most, and so many functions.

        Raises:
            StageFailed: the texts hold too little.
        """
        found = functions(texts, reversals, seed, allowed) if reversals else []
        parts = fragments(texts, seeds, seed) if seeds else []
        if len(found) < reversals or (seeds and not parts):
            what = f"the curated files hold {len(found)} functions that stand alone and {len(parts)} fragments"
            raise StageFailed(what, where="[exercises] reversed_functions", hint="fewer, or a larger corpus")
        return cls(parts, found)


def fragments(texts: Iterable[str], count: int, seed: int) -> list[str]:
    """Lines from so many texts, at most one fragment each."""
    long_enough = (text for text in texts if text.count("\n") >= FRAGMENT_LINES)
    chosen = heapq.nsmallest(count, ((_digest(seed, text), text) for text in long_enough))
    made = []
    for digest, text in chosen:
        lines = text.splitlines()
        start = int(digest[:8], 16) % (len(lines) - FRAGMENT_LINES + 1)
        made.append(textwrap.dedent("\n".join(lines[start : start + FRAGMENT_LINES])) + "\n")
    return made


def functions(texts: Iterable[str], count: int, seed: int, allowed: Collection[str]) -> list[RealFunction]:
    """So many functions that stand alone."""
    found = {one.code: one for text in texts for one in functions_in(text, allowed)}
    chosen = heapq.nsmallest(count, ((_digest(seed, code), code) for code in found))
    return [found[code] for _, code in chosen]


def functions_in(text: str, allowed: Collection[str]) -> list[RealFunction]:
    """The functions of a file that stand alone."""
    tree = parse(text)
    if tree is None:
        return []
    known: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            known |= {
                one.asname or one.name: f"import {one.name}\n"
                for one in node.names
                if _may(one.name, allowed) and not one.asname
            }
        elif isinstance(node, ast.ImportFrom) and not node.level and _may(node.module or "", allowed):
            known |= {one.name: f"from {node.module} import {one.name}\n" for one in node.names if not one.asname}
    made = (_alone(node, known) for node in tree.body if isinstance(node, ast.FunctionDef))
    return [one for one in made if one is not None]


def _may(module: str, allowed: Collection[str]) -> bool:
    return module.partition(".")[0] in allowed


def _alone(node: ast.FunctionDef, known: dict[str, str]) -> RealFunction | None:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    lines = (node.end_lineno or 0) - (body[0].lineno if body else 0) + 1
    inner = list(ast.walk(node))
    if not body or node.decorator_list or not LEAST_LINES <= lines <= MOST_LINES:
        return None
    if any(isinstance(part, _UNFIT) for part in inner) or not any(isinstance(part, ast.Return) for part in inner):
        return None
    if not node.args.args or node.args.vararg or node.args.kwarg:
        return None
    own = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    own |= {part.arg for part in inner if isinstance(part, ast.arg)} | {node.name}
    own |= {part.name for part in inner if isinstance(part, ast.FunctionDef)}
    used = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)} - own
    needed = used - set(dir(builtins))
    if not needed <= known.keys() or any(isinstance(part, (ast.Import, ast.ImportFrom)) for part in inner):
        return None
    imports = "".join(sorted({known[name] for name in needed}))
    written = "".join(textwrap.indent(ast.unparse(part), "    ") + "\n" for part in body)
    head = f"def {node.name}({ast.unparse(node.args)}){f' -> {ast.unparse(node.returns)}' if node.returns else ''}:\n"
    return RealFunction(node.name, imports, imports + head + written, written)


def _digest(seed: int, text: str) -> str:
    return hashlib.sha256(f"{seed}/{text}".encode("utf-8", "surrogatepass")).hexdigest()
