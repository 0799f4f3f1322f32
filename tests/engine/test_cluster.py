"""The cluster's engine on a real Ray cluster of two nodes on this machine: the same bytes, and nothing lost with a node."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codetextbook.engine import RayEngine
from codetextbook.errors import MissingDependency

WORK = """
import json, sys, time
from pathlib import Path
from codetextbook.engine import LocalEngine, RayEngine
from codetextbook.errors import InputError
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.dedup import Dedup, dedup
from codetextbook.stages.read import Read, StandardLibrary, read
from codetextbook.store import Store
from slow_task import name_the_node, refuse

root, address = Path(sys.argv[1]), sys.argv[2]
engine = RayEngine(address)
names = []
for number, (item, node) in enumerate(engine.map(name_the_node, range(60))):
    assert item == number * number
    names.append(node)
    if number == 8:
        (root / "kill_now").touch()
try:
    list(engine.map(refuse, [3]))
except InputError as error:
    refusal = str(error)
digests = {}
for name, site in {"here": Site(workers=1), "cluster": Site(cluster=address)}.items():
    store = Store(root / name)
    cfg = Read(sources=(StandardLibrary(),), max_files_per_source=200)
    corpus = run_stage(read, cfg, store=store, site=site)
    unique = run_stage(dedup, Dedup(), corpus, store=store, site=site)
    digests[name] = [corpus.digest, unique.digest]
print(json.dumps({"nodes": names, "refusal": refusal, "digests": digests}))
"""

SLOW_TASK = """
import os, time
from codetextbook.errors import InputError

def name_the_node(number):
    time.sleep(0.3)
    import ray
    return number * number, ray.get_runtime_context().get_node_id()

def refuse(number):
    raise InputError(f"{number} is refused", where="there", hint="another")
"""


_AGENTS = ("metrics-export-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "3",
    }
    order = [str(Path(sys.executable).parent / "ray"), "start", "--block", "--disable-usage-stats", "--num-cpus=1"]
    order += ["--object-store-memory=100000000", *arguments]
    order += [
        f"--{name}={free_port()}" for name in _AGENTS
    ]  # named, or the node waits 15 seconds for its agents and gives up
    with (folder / f"node{len(list(folder.glob('node*')))}.log").open("wb") as log:
        return subprocess.Popen(order, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)


def started(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A node that has registered and says so; started again where a busy machine needs longer than Ray's own 30 seconds."""
    for attempt in range(6):
        process = start(folder, *arguments)
        log = folder / f"node{len(list(folder.glob('node*'))) - 1}.log"
        while process.poll() is None:
            if b"Ray runtime started" in log.read_bytes():
                return process
            time.sleep(0.2)
        time.sleep(2 * attempt)
    raise AssertionError(log.read_text())


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a node and all its processes."""
    for pid in (process.pid, *_descendants(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=60)


def _descendants(ancestor: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: list[int] = []
    level = {ancestor}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found += sorted(level)
    return found


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Two nodes of one core each on loopback."""
    (tmp_path / "slow_task.py").write_text(SLOW_TASK)
    port = free_port()
    head = started(tmp_path, "--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false")
    nodes = [head]
    try:
        nodes.append(started(tmp_path, f"--address=127.0.0.1:{port}", "--node-ip-address=127.0.0.1"))
        yield f"127.0.0.1:{port}", nodes
    finally:
        for process in reversed(nodes):
            if process.poll() is None:
                end(process)


@pytest.mark.slow
@pytest.mark.cluster
def test_two_nodes_give_the_same_bytes_and_a_killed_one_loses_nothing(
    tmp_path: Path, nodes: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, (_, worker) = nodes
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    order = [sys.executable, "-c", WORK, str(tmp_path), address]
    driver = subprocess.Popen(order, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    for _ in range(1_200):
        if (tmp_path / "kill_now").exists() or driver.poll() is not None:
            break
        time.sleep(0.1)
    end(worker)
    try:
        output, errors = driver.communicate(timeout=300)
    finally:
        end(driver)
    assert driver.returncode == 0, errors
    found = json.loads(output.splitlines()[-1])
    assert len(found["nodes"]) == 60
    assert len(set(found["nodes"][:12])) == 2  # both worked before one died
    assert len(set(found["nodes"][30:])) == 1
    assert found["refusal"] == "3 is refused. where: there. try: another"
    assert found["digests"]["here"] == found["digests"]["cluster"]


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"codetextbook\[cluster\]"):
        list(RayEngine("127.0.0.1:1").map(abs, [1]))
