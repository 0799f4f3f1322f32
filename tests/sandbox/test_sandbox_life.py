"""The sandbox's own life: what it leaves behind (nothing), what it survives, and what it refuses."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import codetextbook
from codetextbook.errors import SandboxError
from codetextbook.sandbox import Job, Limits, Sandbox, Status, box
from codetextbook.sandbox.cell import confine, landlock, room, seccomp, witness
from codetextbook.sandbox.cell.codec import decode
from codetextbook.sandbox.cell.confine import Bounds, Layers
from codetextbook.sandbox.cell.peer import receive_frame

CODE, TESTS = "def f(x):\n    return x + 1\n", "assert f(1) == 2\n"
SOURCE = str(Path(codetextbook.__file__).parents[1])


def _descendants(pid: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = set(), [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def _alive(pids: set[int]) -> set[int]:
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            alive.add(pid)
    return alive


def _wait_for(condition, seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def own_temp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder that no other test process uses; programs that run as nobody must be able to pass through it."""
    folder = Path(tempfile.mkdtemp(prefix="own-"))
    folder.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    folder.rmdir()  # fails where anything was left


@pytest.mark.parametrize("tier", ["A", "B", "C", "E"])
def test_closing_leaves_no_process_no_file_no_descriptor(tier: str, own_temp: Path) -> None:
    before, descriptors = _descendants(os.getpid()), len(list(Path("/proc/self/fd").iterdir()))
    limits = Limits(cpu_seconds=1.0, wall_seconds=60.0)
    with Sandbox(workers=2, limits=limits, strongest=tier, allow_unsafe=tier == "E") as sandbox:
        assert sandbox.tier == tier
        made = _descendants(os.getpid()) - before
        assert len(made) >= 4
        assert sandbox.check(CODE, TESTS, "f").tier == tier
        assert len(list(own_temp.iterdir())) == (2 if tier in "BE" else 0)
        busy = threading.Thread(target=lambda: next(sandbox.check_many([Job("while True: pass", TESTS, "f")])))
        busy.start()
        busy.join()
    assert _alive(made) == set()
    assert list(own_temp.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@pytest.mark.parametrize("tier", ["A", "B"])
def test_killing_the_evaluating_process_ends_everything(tier: str, own_temp: Path) -> None:
    script = f"""
        from codetextbook.sandbox import Sandbox, Limits
        with Sandbox(workers=2, strongest={tier!r}, limits=Limits(wall_seconds=60)) as sandbox:
            print("ready", flush=True)
            sandbox.check("import time\\nopen('left', 'w').write('x')\\ntime.sleep(50)", "assert f()", "f")
    """
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    assert _wait_for(lambda: len(_descendants(parent.pid)) >= 6)  # two shims, two cells, program and judge
    made = _descendants(parent.pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert _wait_for(lambda: not _alive(made)), _alive(made)
    assert _wait_for(lambda: not list(own_temp.iterdir()))


def _cells_under(sandbox: Sandbox) -> set[int]:
    shims = {cell.process.pid for cell in sandbox._pool.cells}
    return {child for shim in shims for child in _descendants(shim)}


def _kill_cells(sandbox: Sandbox) -> None:
    for pid in sorted(_cells_under(sandbox)):  # a cell before its programs: else it says what became of them
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it died with another of them


def test_a_dead_cell_is_replaced_and_its_job_tried_again() -> None:
    with Sandbox(workers=1) as sandbox:
        results = sandbox.check_many(Job("import time\ntime.sleep(0.4)\n" + CODE, TESTS, "f") for _ in range(3))
        killer = threading.Timer(0.2, _kill_cells, [sandbox])
        killer.start()
        assert [result.status for result in results] == [Status.PASSED] * 3
        killer.join()
        shim = sandbox._pool.cells[0].process
        shim.kill()
        assert sandbox.check(CODE, TESTS, "f").status == Status.PASSED


def test_a_job_whose_cell_dies_each_time_is_the_sandboxs_fault_not_the_programs() -> None:
    with Sandbox(workers=1) as sandbox:
        ended = threading.Event()

        def killer() -> None:
            while not ended.wait(0.05):
                _kill_cells(sandbox)

        thread = threading.Thread(target=killer)
        starter = Job("import time\ntime.sleep(5)\n" + CODE, TESTS, "f")
        thread.start()
        try:
            with pytest.raises(SandboxError, match="did not start|could not be confined"):
                for _ in range(20):
                    assert sandbox.check(starter.code, TESTS, "f").status == Status.SANDBOX_BROKE
        finally:
            ended.set()
            thread.join()


def test_several_threads_and_an_abandoned_iterator_share_one_sandbox() -> None:
    with Sandbox(workers=2) as sandbox:
        abandoned = sandbox.check_many(Job(CODE, TESTS, "f") for _ in range(50))
        assert next(abandoned).status == Status.PASSED
        statuses: list[Status] = []
        ask = lambda: statuses.extend(r.status for r in sandbox.check_many([Job(CODE, TESTS, "f")] * 5))  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [Status.PASSED] * 20
        assert next(abandoned).status == Status.PASSED
        abandoned.close()


def test_slow_programs_at_once_are_not_failed_by_the_clock() -> None:
    """Eight right programs of a third of a CPU second, four at a time on however few cores: CPU time decides."""
    code = "import time\ndef f(x):\n    while time.process_time() < 0.3:\n        pass\n    return x + 1\n"
    with Sandbox(workers=4, limits=Limits(cpu_seconds=2.0, wall_seconds=120.0)) as sandbox:
        assert [r.status for r in sandbox.check_many([Job(code, TESTS, "f")] * 8)] == [Status.PASSED] * 8


def test_no_unsafe_tier_without_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxError, match="cannot be contained"):
        Sandbox(workers=1, strongest="E")
    with Sandbox(workers=1, strongest="E", allow_unsafe=True) as sandbox:
        result = sandbox.check(CODE, TESTS, "f")
        assert (result.status, result.tier, result.landlock_abi) == (Status.PASSED, "E", 0)
        orphan = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(300)\n    os._exit(0)\n"
        made = _descendants(os.getpid())
        assert sandbox.check(orphan + CODE, TESTS, "f").status == Status.PASSED
        assert _descendants(os.getpid()) == made
    monkeypatch.setattr(box.sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="needs Linux, and this is darwin"):
        Sandbox(workers=1, allow_unsafe=True)


def test_misuse_is_told() -> None:
    with pytest.raises(SandboxError, match="0 workers"):
        Sandbox(workers=0)
    sandbox = Sandbox(workers=1)
    sandbox.close()
    with pytest.raises(SandboxError, match="closed"):
        sandbox.check(CODE, TESTS, "f")


class _Silent:
    """A layer that is there and does nothing: the worst kind."""

    def restrict(self) -> None: ...

    def install(self) -> None: ...


def _named_by_the_witness(take_out: Callable[[Layers], Layers]) -> list[str]:
    """What a child with every layer but one says of the acts that succeeded."""
    found = seccomp.architecture()
    assert found is not None
    report, report_end = os.pipe()
    parent, null, folder = os.getpid(), os.open(os.devnull, os.O_RDWR), tempfile.mkdtemp()
    Path(folder).chmod(0o777)
    abi = landlock.abi()
    rules = [landlock.Ruleset(abi, folder), landlock.Ruleset(abi)]
    layers = Layers("B", False, os.geteuid() == 0, rules[0], rules[1], seccomp.Filter(found, may_open=True), null)
    pid = os.fork()
    if pid == 0:
        try:
            layers = take_out(layers)
            witness.testify(layers, Bounds(5.0, 30.0, 1 << 31, 1 << 24, 1 << 16), report_end, folder, parent)
        finally:
            os._exit(0)
    os.close(report_end)
    os.waitpid(pid, 0)
    try:
        return decode(receive_frame(report))
    finally:
        for descriptor in (report, null, *(rule.descriptor for rule in rules)):
            os.close(descriptor)
        shutil.rmtree(folder)


def _without_limits(layers: Layers) -> Layers:
    confine.limit = lambda *_, **__: None  # in the child only
    return layers


def _without_closing(layers: Layers) -> Layers:
    confine.os.closerange = lambda *_: None
    return layers


def _as_superuser(layers: Layers) -> Layers:
    confine.os.setresuid = confine.os.setresgid = lambda *_: None
    return layers


@pytest.mark.parametrize(
    ("layer", "take_out", "acts"),
    [
        ("nothing", lambda layers: layers, 0),
        ("landlock", lambda layers: replace(layers, writing=_Silent(), reading=_Silent()), 1),
        ("seccomp", lambda layers: replace(layers, calls=_Silent()), 8),
        ("limits", _without_limits, 1),
        ("descriptors", _without_closing, 1),
        pytest.param("identity", _as_superuser, 1, marks=pytest.mark.skipif(os.geteuid() != 0, reason="no superuser")),
    ],
)
def test_the_witness_names_the_layer_that_is_not_there(
    layer: str, take_out: Callable[[Layers], Layers], acts: int
) -> None:
    named = _named_by_the_witness(take_out)
    assert {name.partition(":")[0] for name in named} == ({layer} if acts else set())
    assert len(named) >= acts, named


def test_namespaces_that_do_not_separate_are_noticed() -> None:
    """This process stands in none of its own; a cell of tier A asks the same before it says that it is ready."""
    assert not room.standing_apart()


def _other_interpreter() -> str | None:
    """A Python that an ordinary user may run: this one, or the system's."""
    for candidate in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin") or ""):
        probe = "import sys; raise SystemExit(sys.version_info < (3, 11))"
        try:
            if candidate and subprocess.run([candidate, "-c", probe], user=65534, capture_output=True).returncode == 0:
                return candidate
        except OSError:
            continue
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_as_an_ordinary_user_too() -> None:
    python = _other_interpreter()
    if python is None:
        pytest.skip("no interpreter that an ordinary user may run")
    script = f"""
        import json, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from hostile import BREAKERS, ESCAPES, TESTS
        fillers = [code for code, ends in BREAKERS.values() if ends == {{"disk_quota"}}]
        from codetextbook.sandbox import Job, Limits, Sandbox
        told = {{}}
        for tier in "AB":
            with Sandbox(workers=2, limits=Limits(60.0, 240.0), strongest=tier) as sandbox:
                results = list(sandbox.check_many(Job(code, TESTS, "double") for code in ESCAPES.values()))
                passed = [name for name, result in zip(ESCAPES, results) if result.status != "failed"]
                honest = sandbox.check("def double(n): return 2 * n", TESTS, "double")
                filled = list(sandbox.check_many(Job(code, TESTS, "double") for code in fillers))
                passed += [result.detail for result in filled if result.status != "disk_quota"]
                told[tier] = [sandbox.tier, honest.status, passed]
        print(json.dumps(told))
    """
    environment = {"PYTHONPATH": SOURCE, "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    command = [python, "-c", textwrap.dedent(script)]
    done = subprocess.run(
        command, user=65534, group=65534, extra_groups=[], env=environment, capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["B"] == ["B", "passed", []]
    assert told["A"][1:] == ["passed", []]  # where an ordinary user may have no namespaces, this was tier B again


def test_results_travel_between_processes() -> None:
    with Sandbox(workers=1) as sandbox:
        result = sandbox.check(CODE, TESTS, "f")
    assert pickle.loads(pickle.dumps(result)) == result
