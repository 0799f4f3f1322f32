"""From judged completions to scores: each with its interval, its parts told apart, and models compared in pairs.

Bits per byte of the reference solutions stand beside pass@1, because pass@1 of a small model sits at its floor: at 0 of 164 the
interval still reaches 2.3 %, while bits per byte tell two such models apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codetextbook.benchmarks.extract import extract
from codetextbook.benchmarks.passk import Paired, bootstrap, mcnemar, minimal_detectable_difference, pass_at_k, wilson
from codetextbook.benchmarks.seeds import Scores, mean_interval
from codetextbook.nouns import Problem, Verdict


def score(
    problems: Sequence[Problem],
    completions: Sequence[Mapping[str, Any]],
    references: Sequence[Mapping[str, Any]],
    *,
    ks: Sequence[int],
    seed: int,
) -> dict[str, Any]:
    """One model on one benchmark. `completions` are rows of COMPLETION; `references` hold `num_bytes` and `bits` (None: not told).

    pass@1's interval is Wilson's for one sample a problem; with more, a bootstrap over problems. Other k have none.
    """
    samples, passed = passed_by_task(completions)
    tasks = [problem.task_id for problem in problems]
    fewest = min((samples[task] for task in tasks), default=0)
    at_k = {
        str(k): sum(pass_at_k(samples[task], passed[task], k) for task in tasks) / len(tasks)
        for k in ks
        if tasks and k <= fewest
    }
    shares = [passed[task] / samples[task] for task in tasks]
    single = all(samples[task] == 1 for task in tasks)
    interval = wilson(round(sum(shares)), len(tasks)) if single else bootstrap(shares, seed=seed)
    entry_points = {problem.task_id: problem.entry_point for problem in problems}
    valid = [extract(row["prompt"], row["raw"], entry_points[row["task_id"]]).complete for row in completions]
    num_bytes = sum(row["num_bytes"] for row in references)
    known = num_bytes > 0 and all(row["bits"] is not None for row in references)
    verdicts = Counter(row["verdict"] for row in completions)
    return {
        "problems": len(tasks),
        "samples": len(completions),
        "passed": sum(passed.values()),
        "pass_at_k": at_k,
        "low": interval.low,
        "high": interval.high,
        "interval": "wilson" if single else "bootstrap over problems",
        "syntax_valid": sum(valid) / len(valid) if valid else 0.0,
        "bits_per_byte": sum(row["bits"] for row in references) / num_bytes if known else None,
        "verdicts": {verdict.value: verdicts.get(verdict.value, 0) for verdict in Verdict},
        "families": families(problems, samples, passed),
    }


def passed_by_task(completions: Sequence[Mapping[str, Any]]) -> tuple[Counter[str], Counter[str]]:
    """Samples of each task, and those of them that passed."""
    samples = Counter(row["task_id"] for row in completions)
    passed = Counter(row["task_id"] for row in completions if row["verdict"] == Verdict.PASSED.value)
    return samples, passed


def families(problems: Sequence[Problem], samples: Counter[str], passed: Counter[str]) -> dict[str, dict[str, float]]:
    """pass@1 by family of problems, where problems have families."""
    groups: dict[str, list[str]] = {}
    for problem in problems:
        if problem.family:
            groups.setdefault(problem.family, []).append(problem.task_id)
    return {
        family: {"problems": len(tasks), "pass_at_1": sum(passed[task] / samples[task] for task in tasks) / len(tasks)}
        for family, tasks in sorted(groups.items())
    }


def compare(
    tasks: Sequence[str],
    first: Sequence[Mapping[str, Any]],
    second: Sequence[Mapping[str, Any]],
    *,
    names: tuple[str, str] = ("the first", "the second"),
    seed: int = 0,
) -> dict[str, Any]:
    """Two models, task by task: McNemar on their first samples, a bootstrap over problems on all samples, and what both say."""

    def solved(completions: Sequence[Mapping[str, Any]]) -> list[bool]:
        by_task = {row["task_id"]: row["verdict"] == Verdict.PASSED.value for row in completions if row["sample"] == 0}
        return [by_task[task] for task in tasks]

    def shares(completions: Sequence[Mapping[str, Any]]) -> list[float]:
        samples, passed = passed_by_task(completions)
        return [passed[task] / samples[task] for task in tasks]

    paired = mcnemar(solved(first), solved(second))
    differing = (paired.only_first + paired.only_second) / paired.problems if paired.problems else 0.0
    detectable = minimal_detectable_difference(paired.problems, differing)
    resampled = bootstrap([a - b for a, b in zip(shares(first), shares(second), strict=True)], seed=seed)
    return paired._asdict() | {
        "test": "McNemar, exact, two-sided",
        "bootstrap_low": resampled.low,
        "bootstrap_high": resampled.high,
        "detectable_difference": detectable,
        "words": in_words(paired, detectable, names),
    }


def compare_bits(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]], *, seed: int = 0
) -> dict[str, float] | None:
    """Bits per byte of two models on the same reference solutions: the difference, first minus second, and its 95 % interval by a bootstrap
    over problems. None where a model does not tell. Rows of REFERENCE."""
    by_task = [{row["task_id"]: row for row in rows} for rows in (first, second)]
    tasks = sorted(by_task[0])
    if not tasks or by_task[0].keys() != by_task[1].keys():
        return None
    if any(rows[task]["bits"] is None for rows in by_task for task in tasks):
        return None
    bits = [np.array([[rows[task]["bits"] for task in tasks]], dtype=np.float64) for rows in by_task]
    num_bytes = np.array([by_task[0][task]["num_bytes"] for task in tasks], dtype=np.float64)
    interval = mean_interval(Scores(bits[0] - bits[1], num_bytes), seed=seed)
    means = [float(one.sum() / num_bytes.sum()) for one in bits]
    return {
        "first": means[0],
        "second": means[1],
        "difference": means[0] - means[1],
        "low": interval.low,
        "high": interval.high,
    }


def in_words(paired: Paired, detectable: float, names: tuple[str, str], significance: float = 0.05) -> str:
    """What a paired test says, and what it cannot say."""
    first, second = names
    alone = (
        f"{paired.only_first} of {paired.problems} problems are solved by {first} alone and {paired.only_second} by {second} alone "
        f"(p = {paired.p_value:.2g})"
    )
    if paired.p_value < significance:
        better, worse = (first, second) if paired.difference > 0 else (second, first)
        told = f"{better} is better than {worse} by {100 * abs(paired.difference):.1f} points: {alone}."
    else:
        told = (
            f"This cannot tell {first} and {second} apart: {alone}. So many problems show a true difference of "
            f"{100 * detectable:.1f} points four times in five, a smaller one less often."
        )
    return f"{told} It speaks of these two trained models; training again with another seed may differ."
