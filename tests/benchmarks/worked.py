"""The worked examples of docs/decontamination.md: for each detector a text that it sees, the score, and one that it misses."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import planted

from codetextbook.benchmarks.leaks import Detector
from codetextbook.benchmarks.problems import humaneval
from codetextbook.nouns import Problem

PROBLEMS = {one.task_id: one for one in humaneval()}


class Example(NamedTuple):
    """A problem, what one detector sees of it, and what the same detector misses."""

    detector: Detector
    basis: str
    problem: Problem
    beside: str
    """The part of the problem that is shown beside the text."""
    seen: str
    seen_measure: str
    """What the two share, as the docs print it: n-grams, match rate, or distance."""
    missed: str
    missed_measure: str


BELOW, NEAR = PROBLEMS["HumanEval/52"], PROBLEMS["HumanEval/0"]
ONE_SPEED = '''def legal(speeds):
    """Return true if all numbers in the list
    l are below threshold t, the speed limit."""
    return not [v for v in speeds if v > 50]
'''
HOMEWORK = """Homework, for Friday: return True if all
numbers in the list `l` are below
threshold `t`. Do not use a loop.
"""
HOMEWORK_REWORDED = """Homework, for Friday: return True if every
number in the list `l` is below
threshold `t`. Do not use a loop.
"""
SPEED_REWORDED = '''def legal(speeds):
    """Return true if every number in the list
    l is below threshold t, the speed limit."""
    return not [v for v in speeds if v > 50]
'''
BODY = """def cheap(l, t):
    for e in l:   # no docstring, another name
        if e >= t:
            return False
    return True
"""
BODY_RENAMED = BODY.replace("e ", "price ")
IS_BELOW = '''def is_below(numbers, threshold):
    """Whether all numbers of the list are
    below the threshold.
    >>> is_below([1, 2, 4, 10], 100)
    True
    >>> is_below([1, 20, 4, 10], 5)
    False
    """
    return max(numbers) < threshold
'''
ALL_UNDER = '''def all_under(values, limit):
    """Return True if every number of the list
    is below the limit.
    >>> all_under([1, 2, 4, 10], 100)
    True
    """
    return max(values) < limit
'''
WHOLE = BELOW.prompt + BELOW.reference
EXAMPLES = (
    Example("docstring_ngram", "none", BELOW, BELOW.prompt, ONE_SPEED, "1 n-gram", SPEED_REWORDED, "0 n-grams"),
    Example("text_ngram", "none", BELOW, BELOW.prompt, HOMEWORK, "1 n-gram", HOMEWORK_REWORDED, "0 n-grams"),
    Example(
        *("ast", "tree", NEAR, NEAR.reference, planted.SOLUTION_ALONE, "match rate 1.000"),
        *(planted.STATEMENTS_REORDERED, "match rate 0.775"),
    ),
    Example("ast", "spelling", BELOW, BELOW.reference, BODY, "match rate 1.000", BODY_RENAMED, "match rate 1.000"),
    Example("embedding", "none", BELOW, WHOLE, IS_BELOW, "distance 0.41", ALL_UNDER, "distance 0.76"),
)


def side_by_side(left: str, right: str) -> str:
    """Two texts in two columns, as they stand in the docs."""
    columns = [text.strip("\n").split("\n") for text in (left, right)]
    width = max(map(len, columns[0]))
    rows = itertools.zip_longest(*columns, fillvalue="")
    return "\n".join(f"{one:{width}} | {other}".rstrip() for one, other in rows)
