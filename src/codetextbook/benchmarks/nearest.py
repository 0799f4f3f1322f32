"""How new a problem is: the nearest known problem by the shape of its reference, and the runs of 13 words that it shares (paper §5).

`python -m codetextbook.benchmarks.nearest` prints both for the unconventional problems against HumanEval, and MBPP where it is found.
Limit: a high rate between two short functions says little; most bodies of two lines are alike.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

from codetextbook.benchmarks import published
from codetextbook.benchmarks.problems import humaneval, unconventional
from codetextbook.errors import BenchmarkError
from codetextbook.nouns import Problem
from codetextbook.text.match_rate import match_rate
from codetextbook.text.ngrams import NgramIndex
from codetextbook.text.python_ast import read_code

NGRAM_WORDS = 13
"""Words of a shared run (paper §5)."""


class Neighbour(NamedTuple):
    """A problem and the known one that its reference resembles most."""

    task_id: str
    nearest: str
    ast_rate: float
    shared_ngrams: int
    """Distinct runs of words shared with any known problem."""


def nearest(problems: Sequence[Problem], known: Sequence[Problem]) -> list[Neighbour]:
    """For each problem its neighbour; of equally near ones the first.

    Raises:
        BenchmarkError: nothing to compare with.
    """
    if not known:
        raise BenchmarkError("no known problems to compare with")
    shapes = [(f"{one.benchmark}:{one.task_id}", _shape(one)) for one in known]
    known_grams = NgramIndex(NGRAM_WORDS)
    for one in known:
        known_grams.add(0, one.prompt + one.reference)
    found = []
    for problem in problems:
        own = _shape(problem)
        rate, name = max(((match_rate(own, shape), name) for name, shape in shapes), key=lambda pair: pair[0])
        shared = known_grams.shared(problem.prompt + problem.reference).get(0)
        found.append(Neighbour(problem.task_id, name, rate, shared.ngrams if shared else 0))
    return found


def _shape(problem: Problem) -> str:
    """Shape of the function asked for; of the whole program where it is not found."""
    code = read_code(problem.prompt + problem.reference)
    return next((part.shape for part in code.functions if part.name == problem.entry_point), code.shape)


def main() -> None:
    """Print the table, nearest first, and a line of summary."""
    known = humaneval()
    try:
        known += published.load("mbpp")
    except BenchmarkError as error:
        sys.stderr.write(f"without MBPP: {error}\n")
    found = sorted(nearest(unconventional(), known), key=lambda one: (-one.ast_rate, one.task_id))
    for one in found:
        sys.stdout.write(f"{one.task_id:20} {one.ast_rate:5.2f}  {one.shared_ngrams:3d}  {one.nearest}\n")
    sharing = sum(one.shared_ngrams > 0 for one in found)
    sys.stdout.write(
        f"{len(found)} problems against {len(known)}: highest AST rate {found[0].ast_rate:.2f}, "
        f"median {found[len(found) // 2].ast_rate:.2f}; {sharing} share a run of {NGRAM_WORDS} words\n"
    )


if __name__ == "__main__":
    main()
