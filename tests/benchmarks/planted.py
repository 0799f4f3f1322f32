"""Leaks planted on purpose, in every disguise that the detectors promise to see or admit to miss; and what only looks like a leak."""

from __future__ import annotations

from codetextbook.benchmarks.problems import humaneval

PROBLEM = humaneval()[0]
"""HumanEval/0: has_close_elements."""
VERBATIM = PROBLEM.prompt + PROBLEM.reference
NAMES_CHANGED = (
    VERBATIM.replace("numbers", "values")
    .replace("threshold", "limit")
    .replace("has_close_elements", "near")
    .replace("distance", "gap")
    .replace("elem", "item")
)
SOLUTION_ALONE = '''
def near(values, limit):
    """Another docstring altogether."""
    # and a comment
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            if i != j:
                gap = abs(a - b)
                if gap < limit:
                    return True

    return False
'''
DOCSTRING_REWORDED = '''
from typing import List


def has_close_elements(numbers: List[float], threshold: float) -> bool:
    """Tell whether some pair of the numbers lies nearer together than the threshold.
    >>> has_close_elements([1.0, 2.0, 3.0], 0.5)
    False
    >>> has_close_elements([1.0, 2.8, 3.0, 4.0, 5.0, 2.0], 0.3)
    True
    """
    for idx, elem in enumerate(numbers):
        for idx2, elem2 in enumerate(numbers):
            if idx != idx2:
                distance = abs(elem - elem2)
                if distance < threshold:
                    return True

    return False
'''
STATEMENTS_REORDERED = '''
from typing import List


def has_close_elements(numbers: List[float], threshold: float) -> bool:
    """Tell whether some pair of the numbers lies nearer together than the threshold."""
    for idx, elem in enumerate(numbers):
        for idx2, elem2 in enumerate(numbers):
            distance = abs(elem - elem2)
            if distance < threshold:
                if idx != idx2:
                    return True

    return False
'''
LOOP_TO_COMPREHENSION = '''
from typing import List


def has_close_elements(numbers: List[float], threshold: float) -> bool:
    """Tell whether some pair of the numbers lies nearer together than the threshold.
    >>> has_close_elements([1.0, 2.0, 3.0], 0.5)
    False
    >>> has_close_elements([1.0, 2.8, 3.0, 4.0, 5.0, 2.0], 0.3)
    True
    """
    return any(abs(a - b) < threshold for i, a in enumerate(numbers) for b in numbers[:i])
'''
PROMPT_IN_PROSE = """
# Interview questions

A classic that I was asked twice. You get a list and a threshold, and have to

> check if in given list of numbers, are any two numbers closer to each other
> than given threshold.

Think of sorting first.
"""
PYTHON_2 = SOLUTION_ALONE + "\n\ndef main():\n    print 'found' if near([1.0, 2.0], 0.5) else 'none'\n"
STATEMENTS_ALONE = """
for i, a in enumerate(values):
    for j, b in enumerate(values):
        if i != j:
            gap = abs(a - b)
            if gap < limit:
                return True

return False
"""
"""The statements of the solution, outside any function."""


def embedded(code: str, lines: int = 300) -> str:
    """The code in the middle of a file of other functions."""
    filler = 'def step_{0}(state):\n    """Advance by {0}."""\n    state["place"] += {0}\n    return state\n\n'
    half = "".join(filler.format(number) for number in range(lines // 10))
    return f"{half}\n{code.strip()}\n\n\n{half}"


SAME_WORDS_OTHER_TASK = '''
def mostly_even(values):
    """
    mostly_even takes a list of integers as an input.
    It returns True if there are more even than odd ones among them.

    >>> mostly_even([2, 4, 5])
    True
    """
    even = odd = 0
    for value in values:
        if value % 2 == 0:
            even += 1
        else:
            odd += 1
    return even > odd
'''
"""Shares a run of 13 words with HumanEval/40 and /43, and nothing else: the paper's kind of false alarm."""
INNOCENT = '''
def moving_average(readings, width):
    """Average of each window of readings."""
    total = sum(readings[:width])
    averages = [total / width]
    for place in range(width, len(readings)):
        total += readings[place] - readings[place - width]
        averages.append(total / width)
    return averages
'''
