"""The paper's Section 5 as arithmetic: problems split by how near the training set comes to them, and scores on each side of the split.

If a score came from memorised answers, a model trained without everything near the problems would lose it. So: for each tau the problems
that have a training exercise at match rate tau or more are `similar`, the others `not_similar`; scores stand on each side, for the model as
trained and for one that was finetuned again without any exercise that is near any problem.

`PAPER` is the paper's own table. Its percentages are whole numbers of solved problems, so its totals can be checked: `implied` finds the
whole number behind a printed percentage, and the tests hold every row to its total. The paper's numbers and ours never share a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field

from codetextbook.benchmarks.passk import bootstrap, wilson
from codetextbook.benchmarks.problems import HUMANEVAL, BenchmarkFile, load
from codetextbook.config import Config
from codetextbook.errors import BenchmarkError
from codetextbook.nouns import Problem
from codetextbook.text.match_rate import pairs_above
from codetextbook.text.python_ast import Code, read_code


class Nearness(Config):
    """Which problems, and how near is too near."""

    benchmark: str = HUMANEVAL
    """The benchmark: a shipped one, or the name of `file` (paper §5: HumanEval)."""
    file: BenchmarkFile | None = None
    """A benchmark of your own."""
    tau: float = Field(default=0.95, ge=0.5, le=1.0)
    """AST match rate from which an exercise is near a problem (paper §5: .95, .9, .85, .8)."""
    min_nodes: int = Field(default=1, ge=1)
    """Nodes below which a function is not compared (ours: all are, as the paper names no exception)."""


@lru_cache(maxsize=2)
def problems_of(cfg: Nearness) -> tuple[Problem, ...]:
    """The problems, read once in each process."""
    found = load((), (cfg.file,)) if cfg.file is not None else load((cfg.benchmark,))
    if cfg.benchmark not in found:
        raise BenchmarkError(
            f"no benchmark {cfg.benchmark!r}", where="[contamination] benchmark", hint=f"one of {', '.join(found)}"
        )
    return tuple(found[cfg.benchmark])


class Closest(NamedTuple):
    """How near a set of texts comes to the problems: match rates from `floor` on; what is further away has no entry."""

    of_text: dict[int, float]
    """By number of the text: the rate with the problem nearest to it."""
    of_problem: dict[int, tuple[float, int]]
    """By number of the problem: the rate with the text nearest to it, and that text's number."""


class Split(NamedTuple):
    """Problems on the two sides of a tau."""

    tau: float
    similar: tuple[str, ...]
    not_similar: tuple[str, ...]


class Cell(NamedTuple):
    """A score on some of the problems."""

    problems: int
    solved: float
    """Sum of pass@1 over the problems; a whole number where each had one sample."""
    low: float
    """Lower end of the 95 % interval, as a share."""
    high: float
    """Upper end of it."""

    @property
    def percent(self) -> float | None:
        """pass@1 in per cent; none where there are no problems."""
        return 100 * self.solved / self.problems if self.problems else None


class Scores(NamedTuple):
    """A model on the two sides of a tau, and on all problems."""

    similar: Cell
    not_similar: Cell
    total: Cell


class PaperScores(NamedTuple):
    """The same in the paper, per cent; `total` is None where the paper leaves it out."""

    similar: float
    not_similar: float
    total: float | None


class PaperRow(NamedTuple):
    """One tau of the paper's table."""

    tau: float
    similar: int
    not_similar: int
    phi1: PaperScores
    retrained: PaperScores
    starcoder_prompted: PaperScores


PAPER_PHI1_PERCENT = 50.6
PAPER = (
    PaperRow(0.95, 71, 93, PaperScores(81.7, 26.9, None), PaperScores(74.6, 32.3, 50.6), PaperScores(57.7, 29.0, 41.5)),
    PaperRow(0.90, 93, 71, PaperScores(63.4, 33.8, None), PaperScores(51.6, 36.6, 45.1), PaperScores(48.4, 32.4, 41.5)),
    PaperRow(
        0.85, 106, 58, PaperScores(62.3, 29.3, None), PaperScores(52.8, 34.5, 46.3), PaperScores(47.2, 31.0, 41.5)
    ),
    PaperRow(
        0.80, 116, 48, PaperScores(59.5, 29.2, None), PaperScores(52.6, 27.1, 45.1), PaperScores(45.7, 31.2, 41.5)
    ),
)
"""Paper, §5, Table 3: similar and non-similar problems of HumanEval, and pass@1 on each in per cent."""
PAPER_REMOVED = {0.95: 42_500, 0.80: 354_000}
"""Exercises pruned at the two ends, of 879.5K (paper §5)."""


def closest(problems: Sequence[Problem], texts: Iterable[str], *, floor: float, min_nodes: int) -> Closest:
    """The nearest neighbours of texts and problems by AST match rate, from `floor` on.

    Functions are compared with functions, and whole texts with programs of several functions, as the `ast` detector does.
    """
    known = [(number, shape) for number, one in enumerate(problems) for shape in _shapes(one, min_nodes)]
    owners: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        for shape in _comparable(read_code(text), min_nodes):
            owners.setdefault(shape, []).append(number)
    shapes = sorted(owners)
    of_text: dict[int, float] = {}
    of_problem: dict[int, tuple[float, int]] = {}
    for pair in pairs_above(shapes, [shape for _, shape in known], floor):
        problem = known[pair.known][0]
        for text_number in owners[shapes[pair.shape]]:
            of_text[text_number] = max(of_text.get(text_number, 0.0), pair.rate)
            best = of_problem.get(problem, (0.0, 0))
            of_problem[problem] = max(best, (pair.rate, text_number), key=lambda entry: (entry[0], -entry[1]))
    return Closest(of_text, of_problem)


def join(parts: Sequence[Closest], sizes: Sequence[int]) -> Closest:
    """Neighbours found batch by batch, as if the batches of these sizes had been one."""
    of_text: dict[int, float] = {}
    of_problem: dict[int, tuple[float, int]] = {}
    start = 0
    for part, size in zip(parts, sizes, strict=True):
        of_text |= {start + number: rate for number, rate in part.of_text.items()}
        for problem, (rate, number) in part.of_problem.items():
            if rate > of_problem.get(problem, (0.0, 0))[0]:
                of_problem[problem] = (rate, start + number)
        start += size
    return Closest(of_text, of_problem)


def split_problems(problems: Sequence[Problem], rates: Mapping[str, float], tau: float) -> Split:
    """Problems by whether a text is at match rate tau or more; `rates` by task id, absent where nothing is near."""
    similar = tuple(one.task_id for one in problems if rates.get(one.task_id, 0.0) >= tau)
    return Split(tau, similar, tuple(one.task_id for one in problems if one.task_id not in set(similar)))


def scores_on(split: Split, passed: Mapping[str, float], *, seed: int = 0) -> Scores:
    """A model's scores on both sides. `passed`: pass@1 of each problem, 0 to 1, by task id.

    Raises:
        BenchmarkError: the model did not sit one of the problems.
    """
    missing = [task for task in (*split.similar, *split.not_similar) if task not in passed]
    if missing:
        raise BenchmarkError(
            f"{len(missing)} problems have no score, {missing[0]} among them",
            where="contamination",
            hint="[contamination] benchmark must be one that [evaluate] asks",
        )
    similar, other = ([passed[task] for task in side] for side in (split.similar, split.not_similar))
    return Scores(_cell(similar, seed), _cell(other, seed), _cell([*similar, *other], seed))


def implied(percent: float, problems: int) -> int:
    """The whole number of solved problems that prints as this percentage to one decimal.

    Raises:
        BenchmarkError: no whole number does.
    """
    solved = round(percent * problems / 100)
    if abs(100 * solved / problems - percent) > 0.05 + 1e-9:  # a half may be printed either way: 15 of 48 is 31.25
        raise BenchmarkError(f"{percent} % is no whole number of {problems} problems", where="contamination")
    return solved


def implied_total(row: PaperRow, scores: PaperScores) -> float:
    """The percentage of all problems that the two sides of a row of the paper add up to, to one decimal."""
    solved = implied(scores.similar, row.similar) + implied(scores.not_similar, row.not_similar)
    return round(100 * solved / (row.similar + row.not_similar), 1)


def _cell(passed: Sequence[float], seed: int) -> Cell:
    whole = all(share in (0.0, 1.0) for share in passed)
    interval = wilson(round(sum(passed)), len(passed)) if whole else bootstrap(passed, seed=seed)
    return Cell(len(passed), sum(passed), interval.low, interval.high)


def _shapes(problem: Problem, min_nodes: int) -> list[str]:
    return _comparable(read_code(problem.prompt + problem.reference), min_nodes)


def _comparable(code: Code, min_nodes: int) -> list[str]:
    """Shapes of the functions; of the whole too, where it has several or none."""
    if code.basis != "tree":
        return []
    shapes = [function.shape for function in code.functions]
    if len(shapes) != 1:
        shapes.append(code.shape)
    return [shape for shape in shapes if len(shape) >= min_nodes]
