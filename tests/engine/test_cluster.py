"""The cluster's engine on a real Ray cluster of two nodes on this machine: the same bytes, and nothing lost with a node."""

from __future__ import annotations

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
    log = (folder / f"node{len(list(folder.glob('node*')))}.log").open("wb")
    return subprocess.Popen(
        [*order, "--object-store-memory=100000000", *arguments],
        env=environment,
        stdout=log,
        stderr=log,
        cwd=folder,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """A node and all its processes, which are of one session."""
    for pid in _session(process.pid):
        os.kill(pid, how)
    process.wait(timeout=60)


def _session(leader: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            found.append(int(stat.parent.name))
    return found


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Two nodes of one core each on loopback."""
    pytest.importorskip("ray")
    (tmp_path / "slow_task.py").write_text(SLOW_TASK)
    port = free_port()
    head = start(tmp_path, "--head", f"--port={port}", "--node-ip-address=127.0.0.1", "--include-dashboard=false")
    for _ in range(600):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    time.sleep(5)
    worker = start(tmp_path, f"--address=127.0.0.1:{port}", "--node-ip-address=127.0.0.1")
    try:
        yield f"127.0.0.1:{port}", [head, worker]
    finally:
        for process in (worker, head):
            if process.poll() is None:
                end(process, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.cluster
def test_two_nodes_give_the_same_bytes_and_a_killed_one_loses_nothing(
    tmp_path: Path, nodes: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, (_, worker) = nodes
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    order = [sys.executable, "-c", WORK, str(tmp_path), address]
    driver = subprocess.Popen(order, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    while not (tmp_path / "kill_now").exists() and driver.poll() is None:
        time.sleep(0.1)
    end(worker, signal.SIGKILL)
    output, errors = driver.communicate(timeout=500)
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
