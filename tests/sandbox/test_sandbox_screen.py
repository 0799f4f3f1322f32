"""Screening gives the verdicts of running each alone, whatever the neighbours do."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from hostile import BREAKERS, CHEATS, ESCAPES, TESTS

from codetextbook.sandbox import Job, Limits, Sandbox, Status

LIMITS = Limits(cpu_seconds=1.0, wall_seconds=20.0)
RIGHT = "def double(n):\n    return 2 * n\n"


def _among_honest(programs: dict[str, str]) -> tuple[list[Job], list[str]]:
    """Each hostile program between two honest ones, and the names in that order."""
    jobs, names = [], []
    for name, code in programs.items():
        jobs += [Job(RIGHT, TESTS, "double"), Job(code, TESTS, "double")]
        names += ["honest", name]
    return jobs, names


def test_hostile_neighbours_change_no_verdict() -> None:
    breakers = {
        name: code
        for name, (code, _) in BREAKERS.items()
        if name not in ("deadlock", "stop_itself", "sleep", "threads")
    }
    jobs, names = _among_honest(ESCAPES | CHEATS | breakers)
    with Sandbox(workers=2, limits=LIMITS) as sandbox:
        screening = sandbox.screen(jobs, batch_items=32)
        results = list(screening)
    wrong = [
        (name, result)
        for name, result in zip(names, results, strict=True)
        if (result.status == Status.PASSED) != (name == "honest")
    ]
    assert wrong == []
    silent = [name for name, r in zip(names, results, strict=True) if r.status != Status.PASSED and not r.detail]
    assert silent == []
    assert (screening.items, screening.disagreed) == (len(jobs), 0)
    assert screening.audited >= len(jobs) // 32


def test_what_passes_is_not_run_again_except_for_the_audit(sandbox: Sandbox) -> None:
    jobs = [Job(RIGHT if n % 10 else "def double(n):\n    return n\n", TESTS, "double") for n in range(200)]
    screening = sandbox.screen(jobs, batch_items=50, audit_share=0.0)
    results = list(screening)
    assert [n for n, result in enumerate(results) if result.status == Status.FAILED] == list(range(0, 200, 10))
    assert screening.alone == 20 + 4 and screening.audited == 4
    assert sum(result.alone for result in results) == 24
    everything = sandbox.screen(jobs[:30], audit_share=1.0)
    assert all(result.alone for result in everything) and everything.audited == 27


def test_the_audit_is_the_same_whatever_the_workers(sandbox: Sandbox) -> None:
    jobs = [Job(RIGHT, TESTS, "double")] * 150
    drawn = [[r.alone for r in sandbox.screen(jobs, batch_items=50, audit_share=0.1, seed=seed)] for seed in (1, 1, 2)]
    with Sandbox(workers=1) as single:
        drawn.append([r.alone for r in single.screen(jobs, batch_items=50, audit_share=0.1, seed=1)])
    assert drawn[0] == drawn[1] == drawn[3] != drawn[2]


def test_a_batch_whose_audit_disagrees_is_run_alone(sandbox: Sandbox) -> None:
    """A program that leans on what its neighbour left in a module passes only beside it; the audit finds one, and believes none."""
    first = "import math\nmath.twice = lambda n: 2 * n\ndef double(n):\n    return 2 * n\n"
    leaning = "import math\ndef double(n):\n    return math.twice(n)\n"
    jobs = [Job(first, TESTS, "double")] + [Job(leaning, TESTS, "double")] * 20
    unseen = sandbox.screen(jobs, audit_share=0.0)
    assert [result.status for result in unseen] == [Status.PASSED] * 21  # what an audit of one item a batch can miss
    screening = sandbox.screen(jobs, audit_share=0.5)
    assert [result.status for result in screening] == [Status.PASSED] + [Status.FAILED] * 20
    assert screening.disagreed > 0 and screening.alone >= 21


def test_builtins_of_one_program_are_not_the_nexts(sandbox: Sandbox) -> None:
    spoiler = "import builtins\nbuiltins.twice = lambda n: 2 * n\nbuiltins.sorted = lambda x: []\ndef double(n):\n    return 2 * n\n"
    jobs = [
        Job(spoiler, TESTS, "double"),
        Job("def double(n):\n    return twice(n)\n", TESTS, "double"),
        Job("def double(n):\n    return 2 * n if sorted('ab') else 0\n", TESTS, "double"),
    ]
    results = list(sandbox.screen(jobs, audit_share=0.0))
    assert [result.status for result in results] == ["passed", "failed", "passed"]
    assert [result.alone for result in results] == [True, True, False]


def test_pages_of_odd_sizes(sandbox: Sandbox) -> None:
    assert list(sandbox.screen([])) == []
    assert [r.status for r in sandbox.screen([Job(RIGHT, TESTS, "double")], batch_items=1)] == [Status.PASSED]
    too_large = [Job("#" * (9 << 20) + "\n" + RIGHT, TESTS, "double")] * 2
    assert [r.status for r in sandbox.screen(too_large)] == [Status.PASSED] * 2
    assert [r.status for r in sandbox.screen([Job("#" * (17 << 20), TESTS, "double")])] == [Status.UNPARSABLE]
    with pytest.raises(ValueError, match="a batch holds"):
        sandbox.screen([], batch_items=0)


def test_cells_killed_at_random_lose_nothing() -> None:
    slow = "import time\ntime.sleep(0.01)\n" + RIGHT
    jobs = [Job(slow if n % 7 else "def double(n):\n    return 0\n", TESTS, "double") for n in range(210)]
    with Sandbox(workers=2, limits=LIMITS) as sandbox:
        ended = threading.Event()

        def killer() -> None:
            while not ended.wait(0.7):
                try:
                    os.kill(sandbox._pool.cells[0].process.pid, signal.SIGKILL)
                except (ProcessLookupError, IndexError):
                    continue

        thread = threading.Thread(target=killer)
        thread.start()
        try:
            results = list(sandbox.screen(jobs, batch_items=16))
        finally:
            ended.set()
            thread.join()
    assert [n for n, result in enumerate(results) if result.status != Status.PASSED] == list(range(0, 210, 7))
    assert {result.status for result in results} == {Status.PASSED, Status.FAILED}
