"""A fixed rule that grades a file 0 to 5 from facts of its syntax tree: an explicit fallback, always labelled as a rule.

It knows nothing of meaning: it counts documentation, loops and branches, imports, tables of data and stubs. It agrees with
careful grades better than small local models do, yet agreement is not the proof, training is. Use recorded grades or a teacher
where there are any.
"""

from __future__ import annotations

from typing import NamedTuple

from codetextbook.text.syntax_counts import Counts, counts

NAME = "rule:ast-facts-1"
"""Written into every grade that the rule gives; the number rises when the rule changes."""


class Judgement(NamedTuple):
    """A score of 0 to 5, in quarters, and the facts that made it."""

    score: float
    reason: str


def judge(text: str) -> Judgement | None:
    """Grade one file; None for text that is not Python, which has no grade (and never a zero)."""
    found = counts(text)
    return weigh(found) if found.parses else None


def weigh(found: Counts) -> Judgement:
    """Add up what speaks for and against a file."""
    if found.functions == 0:
        return Judgement(0.0 if found.loops + found.branches == 0 else 1.0, "No function is defined.")
    share = found.documented / found.definitions
    logic = min(1.0, (found.loops + 0.5 * found.branches) / found.functions)
    parts = {
        "documented definitions": 1.25 * share,
        "loops and branches": 1.25 * logic,
        "examples": 0.5 if found.examples else 0.0,
        "self-contained": 1.0 - min(1.0, 0.34 * found.own_imports) + (0.25 if found.standard_imports <= 2 else 0.0),
        "small": 0.75 if found.lines <= 120 else 0.35 if found.lines <= 300 else 0.0,
        "short functions": 0.5 if found.median_function_lines <= 30 else 0.0,
        "stubs": -1.5 * found.stubs / found.functions,
        "tests": -1.0 if found.tests > 0.3 * found.definitions else 0.0,
        "tables of data": -1.5 if found.literal_share > 0.35 else 0.0,
    }
    score = min(5.0, max(0.0, round(4 * sum(parts.values())) / 4))
    counted = ", ".join(f"{name} {value:+.2f}" for name, value in parts.items() if abs(value) >= 0.005)
    return Judgement(score, f"Rule: {counted}.")
