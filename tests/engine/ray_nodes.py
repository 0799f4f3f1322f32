"""Ray nodes for tests: two hosts on one machine, nodes on them, and how a node is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_AGENTS = ("metrics-export-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "runtime-env-agent-port")
_ATTEMPTS = 6


class Host(NamedTuple):
    """Where a node runs: what its commands begin with, and its address."""

    prefix: tuple[str, ...]
    address: str


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two network namespaces with a cable between them; where the machine grants none, the loopback address twice."""
    names = [f"ctb{os.getpid()}{end}" for end in "ab"]
    try:
        if _cabled(names):
            yield (
                Host(("ip", "netns", "exec", names[0]), "198.18.0.1"),
                Host(("ip", "netns", "exec", names[1]), "198.18.0.2"),
            )
        else:
            yield Host((), "127.0.0.1"), Host((), "127.0.0.1")
    finally:
        for name in names if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _cabled(names: list[str]) -> bool:
    orders = [["netns", "add", name] for name in names]
    orders.append(["link", "add", names[0], "netns", names[0], "type", "veth", "peer", "name", names[1]])
    orders[-1] += ["netns", names[1]]
    for number, name in enumerate(names, 1):
        orders += [
            ["-n", name, "address", "add", f"198.18.0.{number}/24", "dev", name],
            ["-n", name, "link", "set", "lo", "up"],
            ["-n", name, "link", "set", name, "up"],
            ["-n", name, "route", "add", "default", "dev", name],  # Ray learns its own address from its default route
        ]
    if not shutil.which("ip"):
        return False
    return all(subprocess.run(["ip", *order], capture_output=True, check=False).returncode == 0 for order in orders)


def environment(folder: Path) -> dict[str, str]:
    """For nodes and drivers: modules of `folder` can be imported, and a node that is silent for seconds is dead."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return own | {  # each of a node's ten processes would compile Ray anew
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "5000",
        "RAY_health_check_failure_threshold": "3",
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def start(folder: Path, host: Host, *arguments: str) -> subprocess.Popen[bytes]:
    """`ray start` of a node with one core; it writes into a log of its own in `folder`."""
    order = [*host.prefix, str(Path(sys.executable).parent / "ray"), "start", "--block", "--disable-usage-stats"]
    order += ["--num-cpus=1", "--object-store-memory=100000000", "--include-log-monitor=false"]
    order += [f"--node-ip-address={host.address}", *arguments]
    order += [
        f"--{name}={free_port()}" for name in _AGENTS
    ]  # named, or the node waits 15 seconds for its agents and gives up
    with (folder / f"node{len(list(folder.glob('node*.log')))}.log").open("wb") as log:
        modules = environment(Path(__file__).parent)
        return subprocess.Popen(order, env=modules, stdout=log, stderr=log, cwd=folder, start_new_session=True)


def started(folder: Path, host: Host, *arguments: str) -> subprocess.Popen[bytes]:
    """A node that has registered and says so; started again where a busy machine needs longer than Ray's own 30 seconds."""
    for attempt in range(_ATTEMPTS):
        process = start(folder, host, *arguments)
        log = folder / f"node{len(list(folder.glob('node*.log'))) - 1}.log"
        while process.poll() is None:
            if b"Ray runtime started" in log.read_bytes():
                return process
            time.sleep(0.2)
        end(process)
        time.sleep(2 * attempt)
    raise AssertionError(log.read_text())


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process and all that it started."""
    for pid in (process.pid, *descendants(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=60)


def kill_raylet(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a node's raylet, and nothing else: its workers find themselves alone."""
    (raylet,) = [pid for pid in descendants(process.pid) if _command(pid).endswith("/raylet")]
    os.kill(raylet, signal.SIGKILL)


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    return ""


def descendants(ancestor: int) -> list[int]:
    """Every process that a process started, and those that these started."""
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
