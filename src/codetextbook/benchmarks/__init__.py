"""Benchmarks: problems, extraction of code from completions, and the statistics of scores (paper §3, §4)."""

from codetextbook.benchmarks.extract import Extracted, cut_at_stops, extract, is_program, program, stops_for
from codetextbook.benchmarks.passk import (
    Interval,
    Paired,
    bootstrap,
    mcnemar,
    minimal_detectable_difference,
    pass_at_k,
    wilson,
)
from codetextbook.benchmarks.problems import BenchmarkFile, from_exercises, load, problems_digest
from codetextbook.benchmarks.scoring import compare, score

__all__ = [
    "BenchmarkFile",
    "Extracted",
    "Interval",
    "Paired",
    "bootstrap",
    "compare",
    "cut_at_stops",
    "extract",
    "from_exercises",
    "is_program",
    "load",
    "mcnemar",
    "minimal_detectable_difference",
    "pass_at_k",
    "problems_digest",
    "program",
    "score",
    "stops_for",
    "wilson",
]
