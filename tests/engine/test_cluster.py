"""The cluster's engine on a real Ray cluster of two nodes on this machine: the same bytes, and nothing lost with a node."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from ray_nodes import Host, end, environment, free_port, kill_raylet, started, two_hosts

from codetextbook.engine import RayEngine
from codetextbook.errors import MissingDependency
from codetextbook.store import MANIFEST


class Cluster(NamedTuple):
    """A head and a worker, of one core each."""

    address: str
    head: Host
    worker: subprocess.Popen[bytes]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Two nodes that have registered; killed afterwards, with all that they started."""
    port, nodes = free_port(), []
    with two_hosts() as (here, there):
        address = f"{here.address}:{port}"
        try:
            nodes.append(
                started(tmp_path, here, "--head", f"--port={port}", "--include-dashboard=false", "--no-monitor")
            )
            nodes.append(started(tmp_path, there, f"--address={address}"))
            yield Cluster(address, here, nodes[-1])
        finally:
            for process in reversed(nodes):
                end(process)


def contents(store: Path) -> dict[str, bytes]:
    """Every file of a store's artifacts but the manifests, which tell times, by its name."""
    files = [path for path in store.glob("*/*/*") if path.is_file() and path.name != MANIFEST]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.cluster
def test_two_nodes_give_the_same_bytes_and_a_killed_one_loses_nothing(tmp_path: Path, cluster: Cluster) -> None:
    order = [*cluster.head.prefix, sys.executable, str(Path(__file__).with_name("watched.py"))]
    modules = environment(Path(__file__).parent)
    driver = subprocess.Popen([*order, str(tmp_path), cluster.address], stderr=subprocess.PIPE, text=True, env=modules)
    try:
        while not (tmp_path / "dying.notes" / "stuck").exists() and driver.poll() is None:
            time.sleep(0.1)
        if driver.poll() is None:
            kill_raylet(cluster.worker)
        _, errors = driver.communicate(timeout=300)
    finally:
        end(driver)
    assert driver.returncode == 0, errors
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["square"] == [number * number for number in range(20)]
    assert found["refusal"] == "3 is refused. where: there. try: another"
    assert {stage: len(nodes) for stage, nodes in found["two"].items()} == {"read": 2, "dedup": 2, "annotate": 2}
    assert {stage: len(nodes) for stage, nodes in found["dying"].items()} == {"read": 2, "dedup": 2, "annotate": 1}
    begun_again = sum(found["dying"]["dedup"].values()) - sum(found["two"]["dedup"].values())
    assert begun_again >= 1
    assert found["digests"]["here"] == found["digests"]["two"] == found["digests"]["dying"]
    assert len(contents(tmp_path / "here")) > 5
    assert contents(tmp_path / "here") == contents(tmp_path / "two") == contents(tmp_path / "dying")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"codetextbook\[cluster\]"):
        list(RayEngine("127.0.0.1:1").map(abs, [1]))
