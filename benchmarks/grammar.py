"""Exercises a second on one core: written, run, checked, told from repetitions; and how long a million take, from the stage itself.

Three measures, in seconds of processor time: `written` composes and words an exercise without running anything; `checked` also runs
it for its examples, runs its tests, and leaves out repetitions (what the stage `exercises` does); `pages` writes textbook pages with
their output. `--write FOLDER --count N` runs the stage `exercises` itself, part by part, sandbox audit included, and prints the wall
time, the share kept, and the memory that the largest process took. `--diversity` compares sets of one size: the recorded exercises, and
the grammar's with all its variety and with one idiom, one wording and one step. No other generator of verified exercises is known to us
to compare with.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.frame import Outcome, tell, versions
from codetextbook.grammar import FAMILIES, Mix, write_exercises, write_pages
from codetextbook.grammar.compose import DRAWING, compose
from codetextbook.grammar.mix import Idioms, Sections, Shown, Wording
from codetextbook.grammar.phrase import prompt
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.exercises import Exercises, exercises
from codetextbook.store import Store
from codetextbook.teacher.drills import recorded_rows
from codetextbook.text.diversity import Measured, diversity

MILLION = 1_000_000


def written(count: int) -> int:
    """Compose and word so many functions; those that cannot be written well do not count."""
    made = 0
    for index in range(count):
        rng = Random(index)
        program = compose(rng, None, int(DRAWING.depth.one(rng)), DRAWING)
        if program is not None:
            prompt(rng, program, [])
            made += 1
    return made


def per_second(made: int, start: float) -> float:
    """Things a second of processor time since `start`."""
    return made / (time.process_time() - start)


def speeds(count: int) -> dict[str, float]:
    """Each measure on one core."""
    written(200)  # warms the caches
    list(write_exercises(200, 1))
    start = time.process_time()
    composed = per_second(written(count), start)
    start = time.process_time()
    checked = per_second(sum(1 for _ in write_exercises(count, 0)), start)
    start = time.process_time()
    pages = per_second(sum(1 for _ in write_pages(count // 10, 0)), start)
    return {"written": composed, "checked": checked, "pages": pages}


def megabytes() -> float:
    """The most memory that this process or one of its children has held."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024


def run(folder: Path, count: int, workers: int) -> dict[str, float]:
    """The stage on so many exercises; a run that was cut short goes on where it was."""
    before = megabytes()
    start = time.monotonic()
    cfg = Exercises(count=count, heldout=0, recorded=False)
    made = run_stage(exercises, cfg, store=Store(folder), site=Site(workers=workers, threads=1))
    seconds = time.monotonic() - start
    return {
        "asked": count,
        "kept": made.rows("exercises"),
        "seconds": round(seconds, 1),
        "kept_per_second": round(made.rows("exercises") / seconds, 1),
        "megabytes_before": round(before),
        "megabytes_most": round(megabytes()),
    }


PLAIN = Mix(
    depths=(1.0,),
    wording=Wording(given=0, question=0, terse=0, steps=0, story=0),
    examples=Shown(none=0, prose=0),
    sections=Sections(args=0, google=0, numpy=0),
    idioms=Idioms(comprehension=0, builtin=0, early_return=0, helper=0, recursion=0),
)
"""The least variety: one step, an order, doctests, loops where there are any."""


def compared(count: int) -> dict[str, dict[str, Any]]:
    """Diversity of sets of one size."""
    sets = {
        "recorded": recorded_rows()[:count],
        "grammar": list(write_exercises(count, 0)),
        "grammar, 28 families": list(write_exercises(count, 0, families=FAMILIES[:28])),
        "grammar, plain": list(write_exercises(count, 0, mix=PLAIN)),
    }
    return {
        name: diversity([Measured(row["prompt"] + row["solution"], row["topic"]) for row in rows])
        for name, rows in sets.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smaller load, done within a minute")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    parser.add_argument("--write", type=Path, help="a folder that the stage writes to, and keeps")
    parser.add_argument("--count", type=int, default=MILLION, help="exercises that the stage writes with --write")
    parser.add_argument("--workers", type=int, default=2, help="processes of the stage")
    parser.add_argument("--diversity", action="store_true", help="compare the diversity of sets of one size")
    asked = parser.parse_args()
    outcome = Outcome(name="grammar", ours={}, versions=versions("codetextbook"))
    if asked.write is not None:
        outcome.ours = run(asked.write, asked.count, asked.workers)
        rows = [(name, f"{value:,}") for name, value in outcome.ours.items()]
        tell(outcome, [("stage exercises", ""), *rows], as_json=asked.json)
        return
    if asked.diversity:
        outcome.ours = compared(160)
        heads = list(next(iter(outcome.ours.values())))
        rows = [("", *heads)] + [(name, *(str(value) for value in one.values())) for name, one in outcome.ours.items()]
        tell(outcome, rows, as_json=asked.json)
        return
    found = speeds(600 if asked.quick else 4_000)
    with TemporaryDirectory() as folder:
        stage = run(Path(folder), 400 if asked.quick else 4_000, asked.workers)
    hours = MILLION / found["checked"] / asked.workers / 3600
    outcome.ours = {
        **{name: round(value, 1) for name, value in found.items()},
        "stage": stage,
        "hours_a_million": hours,
    }
    rows = [("one core", "a CPU second"), *((name, f"{value:,.0f}") for name, value in found.items())]
    rows += [
        ("a million, by `checked`", f"{hours:.2f} h on {asked.workers} free cores"),
        (
            f"the stage on {stage['asked']:,}, its start counted",
            f"{stage['kept_per_second']:,.0f} a second by the clock",
        ),
        ("to do it", "python -m benchmarks.grammar --write FOLDER"),
    ]
    tell(outcome, rows, as_json=asked.json)


if __name__ == "__main__":
    main()
