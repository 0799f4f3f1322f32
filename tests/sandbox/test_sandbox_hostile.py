"""Hostile programs: none passes, each is told apart, and the next program finds everything as it was."""

from __future__ import annotations

import platform

import pytest
from hostile import BREAKERS, CALLS_PROGRAM, CHEATS, ESCAPES, FORBIDDEN_CALLS, TESTS

from codetextbook.sandbox import Job, Limits, Result, Sandbox, Status

HONEST = "def double(n):\n    return 2 * n\n"
# The clock ends the first kind at once; the others must reach another limit first, however slow the machine.
TIGHT, PATIENT = Limits(cpu_seconds=1.0, wall_seconds=4.0), Limits(cpu_seconds=60.0, wall_seconds=240.0)
WEAKER = pytest.mark.parametrize("tier", ["A", "B", "C"])


def _results(sandbox: Sandbox, programs: dict[str, str]) -> dict[str, Result]:
    jobs = [Job(code, TESTS, "double") for code in programs.values()]
    return dict(zip(programs, sandbox.check_many(jobs), strict=True))


@WEAKER
def test_no_escape_in_any_tier(tier: str) -> None:
    with Sandbox(workers=2, limits=PATIENT, strongest=tier) as sandbox:
        assert sandbox.tier >= tier
        results = _results(sandbox, ESCAPES)
        assert {name: result for name, result in results.items() if result.status != Status.FAILED} == {}
        honest = sandbox.check(HONEST, TESTS, "double")
    assert (honest.status, honest.tier) == (Status.PASSED, sandbox.tier)


def test_the_proof_of_escapes_can_fail(sandbox: Sandbox) -> None:
    """Control: an attempt that needs nothing forbidden passes, so a failed one is the sandbox's doing."""
    allowed = next(iter(ESCAPES.values())).replace("open('/etc/passwd').read()", "open('own.txt', 'w').write('x')")
    assert sandbox.check(allowed, TESTS, "double").status == Status.PASSED


def test_no_cheat_passes(sandbox: Sandbox) -> None:
    results = _results(sandbox, CHEATS)
    assert {name: result for name, result in results.items() if result.status not in ("failed", "crashed")} == {}


WEAKLY = ("memory", "null_pointer", *(name for name, (_, ends) in BREAKERS.items() if "disk_quota" in ends))


@pytest.mark.parametrize(
    ("tier", "limits"), [("A", TIGHT), ("A", PATIENT), ("B", PATIENT), ("C", PATIENT)], ids=["A-clock", "A", "B", "C"]
)
def test_breakers_are_told_apart(tier: str, limits: Limits) -> None:
    names = BREAKERS if tier == "A" else WEAKLY
    chosen = {name: BREAKERS[name] for name in names if ("timed_out" in BREAKERS[name][1]) == (limits == TIGHT)}
    with Sandbox(workers=2, limits=limits, strongest=tier) as sandbox:
        results = _results(sandbox, {name: code for name, (code, _) in chosen.items()})
        told = {name: result for name, result in results.items() if result.status not in chosen[name][1]}
        if tier == "C":  # where no file can be opened, nothing fills the disk
            told = {name: result for name, result in told.items() if "PermissionError" not in result.detail}
        assert told == {}
        assert sandbox.check("def f():\n    return 1\n", "assert f() == 1\n", "f").status == Status.PASSED


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
def test_system_calls_are_refused_before_the_kernel_looks_at_them(sandbox: Sandbox) -> None:
    tests = "".join(f"assert outcome({number}) == 1, '{name}'\n" for name, number in FORBIDDEN_CALLS.items())
    result = sandbox.check(CALLS_PROGRAM, tests + "assert outcome(39) == 0\n", "outcome")
    assert (result.status, result.detail) == (Status.PASSED, "")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code of x86-64")
def test_the_other_architecture_of_the_machine_is_no_way_out(sandbox: Sandbox) -> None:
    """`int 0x80` makes a 32-bit system call, whose numbers mean others: here fork."""
    code = (
        "import ctypes, mmap\npage = mmap.mmap(-1, 4096, prot=7)\npage.write(bytes.fromhex('b802000000cd80c3'))\n"
        "call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n"
        "def double(n):\n    return 2 * n if call() >= 0 else None\n"
    )
    assert sandbox.check(code, TESTS, "double").status in (Status.CRASHED, Status.FAILED)


def test_nothing_passes_from_one_program_to_the_next() -> None:
    first = "import builtins, math, os\nmath.pi = 3\nbuiltins.left = 1\nopen('left', 'w').close()\nos.mkdir('deep')\nos.chmod('deep', 0)\n"
    second = "import builtins, math, os\ndef seen():\n    return math.pi > 3, hasattr(builtins, 'left'), sorted(os.listdir('.'))\n"
    tests = "assert seen() == (True, False, [])\n"
    for tier in ("A", "B"):
        with Sandbox(workers=1, strongest=tier) as sandbox:
            assert (
                sandbox.check(first + "def seen():\n    return 1\n", "assert seen() == 1", "seen").status
                == Status.PASSED
            )
            assert sandbox.check(second, tests, "seen").detail == ""


def test_a_tree_of_folders_too_deep_to_recurse_into_is_removed() -> None:
    code = (
        "import os\nfor name in range(600):\n    os.mkdir('d')\n    os.symlink('/', 'link')\n    os.chmod('d', 0o700)\n    os.chdir('d')\n"
        "os.chmod('.', 0)\ndef double(n):\n    return 2 * n\n"
    )
    for tier in ("A", "B"):
        with Sandbox(workers=1, strongest=tier, limits=PATIENT) as sandbox:
            assert sandbox.check(code.replace("600", "450"), TESTS, "double").status == Status.PASSED
            empty = "import os\ndef count(x):\n    return len(os.listdir('.'))\n"
            assert sandbox.check(empty, "assert count(0) == 0", "count").detail == ""


def test_tests_may_be_hostile_too(sandbox: Sandbox) -> None:
    """Tests are written by models as well: they can forge their own verdict at most, not end the cell."""
    hostile = {
        "import os\nos._exit(0)\n": Status.FAILED,
        "import os\nos.closerange(3, 64)\n": Status.FAILED,
        "import sys\nsys.exit(0)\n": Status.FAILED,
        "while True:\n    pass\n": Status.TIMED_OUT,
        "import ctypes\nctypes.string_at(8)\n": Status.CRASHED,
        "this is no Python\n": Status.FAILED,
        "double(1)\nopen('/etc/passwd')\n": Status.FAILED,
        "double(1)\nopen('file', 'w')\n": Status.FAILED,
        "import os\nwhile True:\n    for fd in range(3, 64):\n        try:\n            os.write(fd, b'\\xff' * 8)\n        except OSError:\n"
        "            pass\n": Status.FAILED,
    }
    results = list(sandbox.check_many(Job(HONEST, tests, "double") for tests in hostile))
    assert [result.status for result in results] == list(hostile.values())


SCAN = """
import ctypes, os, re
C = ctypes.CDLL(None, use_errno=True)
planted = PLANT
def scan():
    out, into = os.pipe()  # writing a page that cannot be read is an error; reading it here would be a crash
    centre = id(object()) & ~4095
    for page in range(centre - (96 << 20), centre + (96 << 20), 4096):
        if C.write(into, ctypes.c_void_p(page), ctypes.c_size_t(4096)) == 4096:
            if re.search(rb"ZEBRA-\\d{4}", os.read(out, 4096)):
                return True
    return False
"""


@pytest.mark.parametrize("tier", ["A", "B"])
def test_no_word_of_the_tests_is_left_in_the_memory_of_the_next_program(tier: str) -> None:
    """Neither tests that passed nor ones that failed, whose words are in the verdict's detail, nor a page's code or output."""
    right, wrong = "assert double(2) == 4, 'ZEBRA-9417'\n", "assert double(2) == 5, 'ZEBRA-9417'\n"
    with Sandbox(workers=1, limits=PATIENT, strongest=tier) as sandbox:
        planted = sandbox.check(SCAN.replace("PLANT", "b'ZEBRA-%d' % 9417"), "assert scan()", "scan")
        for tests in [right, wrong] * 5:
            assert sandbox.check(HONEST, tests, "double").status in (Status.PASSED, Status.FAILED)
        sandbox.run(["print('ZEBRA-9417')", "raise ValueError('ZEBRA-9417')"])
        later = sandbox.check(SCAN.replace("PLANT", "None"), "assert not scan()", "scan")
    assert (planted.status, planted.detail) == (Status.PASSED, "")  # the scan finds what is there
    assert (later.status, later.detail) == (Status.PASSED, "")
