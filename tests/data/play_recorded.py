"""Run the recorded pages and exercises: `python play_recorded.py DATA_FOLDER` prints one JSON list of `[row, fault]`.

It is a program of its own so that the recorded code runs in a process of its own. Every statement of a page that prints is followed by what
it prints, either as a comment at the end of its last line or, for a whole block, as a ```text fence right behind the block.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import json
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def comments(code: str) -> dict[int, str]:
    """The comment on each line that has one, without its sign and without a leading `prints`."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    found = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    return {line: text.removeprefix("prints ").strip() for line, text in found.items()}


def doctest_faults(code: str, namespace: dict[str, Any]) -> Iterator[str]:
    """Examples in the docstrings of a program that do not give what they say."""
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
            said = io.StringIO()
            runner.run(parser.get_doctest(text, namespace.copy(), node.name, None, None), out=said.write)
            if said.getvalue():
                yield said.getvalue()


def block_faults(code: str, shown: str | None, namespace: dict[str, Any]) -> Iterator[str]:
    """Run one block, statement by statement, and compare what it prints with what the page says that it prints."""
    said, printed = comments(code), ""
    for statement in ast.parse(code).body:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(ast.Module([statement], []), "<page>", "exec", dont_inherit=True), namespace)
        printed += out.getvalue()
        claim = said.get(statement.end_lineno or 0)
        if shown is None and out.getvalue() and out.getvalue().rstrip("\n") != claim:
            yield f"prints {out.getvalue()!r}, said {claim!r}"
    if shown is not None and [line.rstrip() for line in printed.splitlines()] != shown.splitlines():
        yield f"prints:\n{printed}\nsaid:\n{shown}"
    yield from doctest_faults(code, namespace)


def page_faults(text: str) -> Iterator[str]:
    """What is wrong with the code of a page."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    fences = list(FENCE.finditer(text))
    for fence, following in zip(fences, [*fences[1:], None], strict=True):
        if fence.group(1) != "python":
            continue
        adjacent = following is not None and not text[fence.end() : following.start()].strip()
        shown = following.group(2) if following is not None and adjacent and following.group(1) == "text" else None
        try:
            yield from block_faults(fence.group(2), shown, namespace)
        except Exception as error:  # noqa: BLE001 - any error of the page's code is the finding
            yield f"{type(error).__name__}: {error}"


def fails(program: str) -> str:
    """The error with which a program ends, or nothing."""
    try:
        exec(compile(program, "<exercise>", "exec", dont_inherit=True), {"__name__": "__main__"})
    except Exception as error:  # noqa: BLE001 - any error of the exercise's code is the finding
        return f"{type(error).__name__}: {error}"
    return ""


def exercise_faults(row: dict[str, Any]) -> Iterator[str]:
    """What is wrong with an exercise: its solution, its examples, or tests that pass without a solution."""
    program, namespace = row["prompt"] + row["solution"], {"__name__": "__main__"}
    if fault := fails(program):
        yield fault
        return
    for line in row["tests"].splitlines():
        if fault := fails(f"{program}\n{line}\n"):
            yield f"{line}: {fault}"
    if not fails(f"{row['prompt']}    return None\n\n{row['tests']}"):
        yield "a function that returns None passes"
    exec(compile(program, "<exercise>", "exec", dont_inherit=True), namespace)
    yield from doctest_faults(program, namespace)


def main(folder: Path) -> None:
    """Print every fault of the folder's pages and exercises."""
    faults: list[list[str]] = []
    for line in (folder / "pages.jsonl").read_text(encoding="utf-8").splitlines():
        page = json.loads(line)
        faults += [[page["text"].splitlines()[0], fault] for fault in page_faults(page["text"])]
    for line in (folder / "exercises.jsonl").read_text(encoding="utf-8").splitlines():
        exercise = json.loads(line)
        faults += [[exercise["entry_point"], fault] for fault in exercise_faults(exercise)]
    print(json.dumps(faults))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
