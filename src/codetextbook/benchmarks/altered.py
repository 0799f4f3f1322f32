"""The same problem, asked in other words: what phi-1 is said to be fragile to, as four alterations (paper, appendix B and limitations).

The paper names errors of grammar, changes of style and long prompts, and shows single examples. Each alteration here leaves task,
reference and tests as they are in all but a name, so that a score before and after can be compared problem by problem:

- `typos`: one word in eight of the docstring's prose is misspelt.
- `reworded`: common words of docstrings stand for others of the same meaning.
- `lengthened`: the docstring begins with three sentences that say nothing of the task.
- `renamed`: the function has a name that says nothing, in prompt, reference and tests.

Examples, code and parameter names stay as they are. Limits: English alone; a rewording by a fixed table is milder than a person's; a prompt
without a docstring can only be renamed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Literal, get_args

from codetextbook.nouns import Problem

Way = Literal["typos", "reworded", "lengthened", "renamed"]
WAYS: tuple[Way, ...] = get_args(Way)

WORDS_PER_TYPO = 8
LEAST_LETTERS = 4
NAMELESS = "perform"
"""What a renamed function is called; `perform_it` where that name is taken."""

_OTHER_WORDS = {
    "return": "give back", "returns": "gives back", "given": "supplied", "find": "determine",
    "compute": "work out", "calculate": "work out", "check": "test", "create": "build", "write": "produce",
    "remove": "drop", "count": "tally", "number": "amount", "numbers": "values", "list": "sequence", "string": "text",
    "element": "item", "elements": "items", "item": "element", "items": "elements", "array": "row of values",
    "whether": "if", "contains": "holds", "largest": "greatest", "smallest": "least", "first": "earliest",
    "every": "each", "each": "every", "all": "all the", "function": "routine", "input": "argument",
    "sorted": "ordered", "order": "sequence", "should": "ought to", "must": "has to", "between": "among",
    "only": "just", "letters": "characters", "words": "terms", "word": "term", "equal": "the same",
    "otherwise": "if not", "total": "overall sum",
}  # fmt: skip
_FILLING = (
    "This function belongs to a small collection that several people look after.",
    "It was asked for some time ago, and it is called from more than one place.",
    "Please keep it simple, since others will read it after you.",
    "There is nothing unusual about the machine that it runs on.",
    "The colleague who wrote this text is glad to answer questions.",
    "No file is read here and none is written.",
)
_WORD = re.compile(r"(?:(?<=\"{3})|(?<='{3})|(?<![\w`'\".(\[]))[A-Za-z]+(?![\w`'\"(\[=])")


def altered(problem: Problem, way: Way, seed: int = 0) -> Problem:
    """The problem altered in one way; the same where there is nothing to alter. Its benchmark is called `NAME WAY`."""
    draw = Random(f"{seed}/{way}/{problem.task_id}")
    made = _renamed(problem) if way == "renamed" else replace(problem, prompt=_retold(problem, way, draw))
    return replace(made, benchmark=f"{problem.benchmark} {way}")


def _retold(problem: Problem, way: Way, draw: Random) -> str:
    place = _docstring(problem)
    if place is None:
        return problem.prompt
    lines = problem.prompt.splitlines(keepends=True)
    first, last, names = place
    if way == "lengthened":
        return _lengthened(lines, first, draw)
    prose = list(_prose(lines, first, last))
    words = [found[0] for number in prose for found in _WORD.finditer(lines[number]) if found[0] not in names]
    told = iter([_reword(word) for word in words] if way == "reworded" else _misspelt(words, draw))
    for number in prose:
        lines[number] = _WORD.sub(lambda found: found[0] if found[0] in names else next(told), lines[number])
    return "".join(lines)


def _docstring(problem: Problem) -> tuple[int, int, frozenset[str]] | None:
    """The first and last line of the docstring that tells the task, from 0, and names that its prose may speak of."""
    try:
        tree = ast.parse(problem.prompt + "    pass\n")
    except SyntaxError:
        try:
            tree = ast.parse(problem.prompt)
        except SyntaxError:
            return None
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    owner: ast.AST = next((node for node in functions if node.name == problem.entry_point), tree)
    body = getattr(owner, "body", [])
    if not body or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Constant):
        return None
    if not isinstance(body[0].value.value, str):
        return None
    names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)} | {node.name for node in functions}
    return body[0].lineno - 1, (body[0].end_lineno or body[0].lineno) - 1, frozenset(names)


def _prose(lines: list[str], first: int, last: int) -> Iterator[int]:
    """Lines of a docstring that are neither an example nor its output."""
    example = False
    for number in range(first, last + 1):
        bare = lines[number].strip()
        example = ">>>" in bare or bool(example and bare)
        if not example and not re.search(r"==|->|=>|\w\(", bare):
            yield number


def _reword(word: str) -> str:
    other = _OTHER_WORDS.get(word.lower())
    if other is None:
        return word
    return other[0].upper() + other[1:] if word[0].isupper() else other


def _misspelt(words: Sequence[str], draw: Random) -> list[str]:
    """The words, one in eight of the longer ones misspelt, and at least one."""
    longer = [place for place, word in enumerate(words) if len(word) >= LEAST_LETTERS]
    number = min(len(longer), max(1, round(len(longer) / WORDS_PER_TYPO)))
    chosen = set(draw.sample(longer, number))
    return [_misspell(word, draw) if place in chosen else word for place, word in enumerate(words)]


def _misspell(word: str, draw: Random) -> str:
    """The word with two letters swapped, one dropped or one doubled; its first letter stays."""
    place = draw.randrange(1, len(word) - 1)
    kind = draw.randrange(3)
    if kind == 0 and word[place] != word[place + 1]:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + (word[place] * 2 if kind == 1 else "") + word[place + 1 :]


def _lengthened(lines: list[str], first: int, draw: Random) -> str:
    opened = re.match(r"(\s*)[rRuU]?(\"\"\"|'''|\"|')", lines[first])
    if opened is None:
        return "".join(lines)
    wide = len(opened[2]) == 3
    filling = (f"\n{opened[1]}" if wide else " ").join(draw.sample(_FILLING, 3))
    rest = lines[first][opened.end() :].lstrip(" ")
    gap = "" if not rest.strip() else f"\n{opened[1]}" if wide else " "
    lines[first] = f"{opened[0]}{filling}{gap}{rest}"
    return "".join(lines)


def _renamed(problem: Problem) -> Problem:
    old = problem.entry_point
    everything = problem.prompt + problem.reference + problem.tests
    new = f"{NAMELESS}_it" if re.search(rf"\b{NAMELESS}\b", everything) else NAMELESS
    called, named = re.compile(rf"\b{re.escape(old)}(?=\s*\()"), re.compile(rf"\b{re.escape(old)}\b")
    return replace(
        problem,
        entry_point=new,
        prompt=called.sub(new, problem.prompt),
        reference=called.sub(new, problem.reference),
        tests=named.sub(new, problem.tests),
    )
