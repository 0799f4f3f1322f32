"""Two machines, one that trains and one that joins: two network namespaces that a cable connects.

Where namespaces are forbidden the two are processes that meet on loopback; what is asserted is the same, but no address has to be found.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from debug_lesson import GOLDEN, ROUNDING, workers

ONE = Path(__file__).parent / "one_machine.py"


class Machines(NamedTuple):
    """How a command is started on each of two machines, and where they meet."""

    first: list[str]
    second: list[str]
    rendezvous: str


@pytest.fixture
def machines() -> Iterator[Machines]:
    """Two machines that see each other and nothing else, or this one twice."""
    spaces = [f"ctb{os.getpid()}{side}" for side in "ab"]
    cables = [f"c{os.getpid()}{side}" for side in "ab"]
    orders = [f"link add {cables[0]} type veth peer name {cables[1]}"]
    for number, (space, cable) in enumerate(zip(spaces, cables, strict=True), start=1):
        orders += [f"netns add {space}", f"link set {cable} netns {space}"]
        orders += [f"-n {space} addr add 10.77.0.{number}/24 dev {cable}"]
        orders += [f"-n {space} link set {cable} up", f"-n {space} link set lo up"]
    try:
        for order in orders:
            subprocess.run(["ip", *order.split()], check=True, capture_output=True)
        found = Machines(*(["ip", "netns", "exec", space] for space in spaces), "10.77.0.1:29500")
    except (OSError, subprocess.CalledProcessError):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            found = Machines([], [], f"127.0.0.1:{free.getsockname()[1]}")
    yield found
    with contextlib.suppress(OSError):
        for space in spaces:
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)


@pytest.mark.timeout(2_400)
def test_two_machines_give_the_golden_losses_even_when_a_process_is_killed(machines: Machines, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("wb") as file:
        both = [
            subprocess.Popen(
                [*where, sys.executable, str(ONE), side, str(tmp_path), machines.rendezvous],
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            for where, side in ((machines.first, "first"), (machines.second, "second"))
        ]
        try:
            ended = [both[0].wait(timeout=1_800), both[1].wait(timeout=300)]
        finally:
            for process in both:
                process.kill()
    assert ended == [0, 0], said.read_text(errors="replace")
    assert json.loads((tmp_path / "losses.json").read_text()) == pytest.approx(GOLDEN, abs=ROUNDING)
    assert workers(tmp_path) == []
