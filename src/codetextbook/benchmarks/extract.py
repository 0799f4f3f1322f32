"""From what a model wrote to what is run: first the stops, then the extent of the code, each named.

The extraction is part of a score's protocol: sanitising alone has moved a published model from 17 to 49 % of HumanEval. `stops` only
cuts at the stop strings, as the HumanEval paper does; `stops_body` then keeps the longest run of whole lines that parses with the
prompt and belongs to the function asked for, so that a completion cut off in the middle of a line is judged by the lines that it
finished. The raw text is always kept beside it.

A prompt that is no Python at all (MBPP's 3-shot form) is only shown to the model: what follows it is the whole program.
A prompt whose last statement is the function to complete is of the form `function`; any other (MBPP's docstring) is of the form
`program`, where HumanEval's stops would cut right answers (they break 236 of MBPP's 974 references) and others are used.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

FUNCTION_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""HumanEval's stop sequences (Codex paper §2.2)."""
PROGRAM_STOPS = ("\nassert", "\nprint(", "\nif __name__", '\n"""', "\n```", "\n[DONE]")
"""Where a whole program has ended and chatter or self-tests begin (ours); [DONE] is the end that Google's 3-shot form of MBPP teaches."""

Extraction = Literal["stops", "stops_body"]

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class Cut(NamedTuple):
    """Text before the first stop, and which stop it was (empty: none)."""

    text: str
    stop: str


class Extracted(NamedTuple):
    """Code to run after the prompt; `complete` tells whether nothing after the stops had to be dropped to make it parse."""

    code: str
    stop: str
    complete: bool


def cut_at_stops(raw: str, stops: Sequence[str]) -> Cut:
    """The text before the stop that comes first."""
    positions = [(raw.find(stop), stop) for stop in stops]
    first = min(((position, stop) for position, stop in positions if position >= 0), default=None)
    return Cut(raw, "") if first is None else Cut(raw[: first[0]] + "\n", first[1])


def parse(source: str) -> ast.Module | None:
    """The syntax tree, or None where the text is not Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def is_program(prompt: str, entry_point: str) -> bool:
    """Whether a whole program is asked for, rather than the body of the function that the prompt begins."""
    return _function(parse(prompt + "\n    pass\n"), entry_point) is None


def is_prose(prompt: str) -> bool:
    """Whether the prompt is no beginning of a Python program: then the completion alone is what runs."""
    return parse(prompt) is None and parse(prompt + "\n    pass\n") is None


def program(prompt: str, code: str) -> str:
    """What is run of a prompt and the code extracted after it."""
    return code if is_prose(_newlines(prompt)) else prompt + code


def stops_for(prompt: str, entry_point: str) -> tuple[str, ...]:
    """The stop sequences of the prompt's form."""
    return PROGRAM_STOPS if is_program(prompt, entry_point) else FUNCTION_STOPS


def extract(prompt: str, raw: str, entry_point: str, extraction: Extraction = "stops_body") -> Extracted:
    """What is run of a completion. `program(prompt, code)` parses, unless the extraction is `stops`; `code` may be empty."""
    prompt, raw = _newlines(prompt), _newlines(raw)
    if is_prose(prompt):
        prompt = ""
    program_form = is_program(prompt, entry_point)
    text, stop = cut_at_stops(raw, PROGRAM_STOPS if program_form else FUNCTION_STOPS)
    complete = bool(text.strip()) and parse(prompt + text) is not None
    if extraction == "stops":
        return Extracted(text, stop, complete)
    code = _longest_valid(prompt, text)
    if not program_form:
        code = _body_only(prompt, code, entry_point)
    return Extracted(code, stop, complete)


def _newlines(text: str) -> str:
    """Only the newlines that Python's parser counts as such, spelt one way."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _longest_valid(prompt: str, text: str) -> str:
    """The longest run of leading lines that parses after the prompt.

    Each failure names a line; no run that reaches it can parse, so the search jumps to just before it.
    """
    lines = _LINE.findall(text)
    prompt_lines = prompt.count("\n")
    count = len(lines)
    while count > 0:
        candidate = "".join(lines[:count])
        failed_at = _first_bad_line(prompt + candidate)
        if failed_at is None:
            return candidate
        count = min(count - 1, max(failed_at - prompt_lines - 1, 0))
    return ""


def _first_bad_line(source: str) -> int | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except SyntaxError as error:
            return error.lineno or source.count("\n")
        except (ValueError, RecursionError, MemoryError):
            return source.count("\n")
    return None


def _body_only(prompt: str, code: str, entry_point: str) -> str:
    function = _function(parse(prompt + code), entry_point)
    if function is None or function.end_lineno is None:
        return ""
    kept = "".join(_LINE.findall(prompt + code)[: function.end_lineno])
    body = kept[len(prompt) :]
    return body if not body or body.endswith("\n") else body + "\n"


def _function(tree: ast.Module | None, entry_point: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The last top-level function of that name."""
    if tree is None:
        return None
    found = [
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == entry_point
    ]
    return found[-1] if found else None
