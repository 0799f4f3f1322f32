"""The code in a text that is prose and code in turn: fenced blocks, and the examples that a prompt `>>>` begins.

A text that is one program is one block, and the examples in its docstrings are blocks of their own. Each block is read on its own, so that
one that does not parse spoils no other.
"""

from __future__ import annotations

import re

from codetextbook.text.python_ast import NO_CODE, Code, read_code

_FENCED = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+#.-]*)[^\n]*\n(?P<code>.*?)^[ \t]*(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_PYTHON = ("", "python", "py", "python3", "python2", "pycon")
_EXAMPLE = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)", re.MULTILINE)


def fenced_blocks(text: str) -> list[str]:
    """Code of the fenced blocks that are Python, or name no language; prompts of an interactive example are taken off."""
    blocks = []
    for found in _FENCED.finditer(text):
        if found["language"].lower() in _PYTHON:
            code = "".join(line.removeprefix(found["indent"]) for line in found["code"].splitlines(keepends=True))
            blocks.append(_without_prompts(code) if ">>>" in code else code)
    return blocks


def read_text(text: str) -> list[Code]:
    """The code of a text: of the whole, if it is a program, and of each fenced block; empty if there is none."""
    blocks = fenced_blocks(text) if "```" in text or "~~~" in text else []
    whole = read_code(text)
    if blocks and whole.basis == "tokens":  # prose around code: the blocks are read, the prose is not
        whole = NO_CODE
    return [code for code in (whole, *map(read_code, blocks)) if code.basis != "none"]


def _without_prompts(code: str) -> str:
    """Only the lines that were typed, as they were typed."""
    lines = code.splitlines(keepends=True)
    return "".join(line.lstrip()[4:] or "\n" for line in lines if _EXAMPLE.match(line))
