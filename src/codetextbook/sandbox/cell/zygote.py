"""The trusted process inside a cell: a warm interpreter that forks a program and its judge for every job.

It never reads a program or a test: both arrive as memory files that only the child concerned opens, after the fork. A fork server that
once held the tests would leak them to every later child through its heap.

Above it stands a shim, which makes the namespaces, outlives nothing and leaves nothing: when the evaluating process dies (even by
SIGKILL) or hangs up, the shim kills the cell and empties its scratch folder.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from . import kernel, landlock, room, seccomp
from .codec import decode, encode
from .confine import Bounds, Layers
from .job import Ended, Jobs
from .peer import receive_frame
from .program import warm_up
from .witness import testify

MESSAGE_BYTES = 1 << 16
_SETGID_SETUID = 0b11000000  # capabilities 6 and 7


class TierMissing(Exception):
    """A layer of the tier that was asked for cannot be had here."""


def main() -> None:
    """Entry of the clean interpreter: options as JSON in the second argument."""
    options = json.loads(sys.argv[2])
    os.umask(0o022)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    Path("/proc/self/oom_score_adj").write_text("1000")  # short of memory, lose programs, not the evaluation
    may_become_nobody = _capable()
    apart = options["tier"] == "A" and room.separate()
    cell = os.fork()
    if cell == 0:
        _run_cell(options, apart=apart, may_become_nobody=may_become_nobody)
        os._exit(0)
    os.close(options["control"])
    _watch(cell, options)


def _capable() -> bool:
    """Whether this superuser may change its user: some containers' may not."""
    if os.geteuid() != 0:
        return False
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff"))
    return effective & _SETGID_SETUID == _SETGID_SETUID


def _watch(cell: int, options: dict[str, Any]) -> None:
    """Wait for the end of the cell, or of those it works for; then clear everything away."""
    ended = os.pidfd_open(cell)
    poller = select.poll()
    for descriptor in (ended, options["parent"], options["leash"]):
        poller.register(descriptor, select.POLLIN)
    poller.poll()
    os.kill(cell, signal.SIGKILL)
    while True:
        try:
            os.waitpid(cell, 0)
            break
        except InterruptedError:
            continue
    room.clear_processes()
    if options["scratch"]:
        room.sweep(options["scratch"])
        shutil.rmtree(options["scratch"])


def _run_cell(options: dict[str, Any], *, apart: bool, may_become_nobody: bool) -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(
        kernel.PR_SET_CHILD_SUBREAPER, 1
    )  # a fork does not inherit it: orphans of a program must come to the cell
    os.close(options["leash"])
    control = socket.socket(fileno=options["control"])
    try:
        layers, scratch = _layers(options, apart=apart, may_become_nobody=may_become_nobody)
        warm_up(scratch, may_open=options["tier"] != "C")
        bounds = Bounds(*options["bounds"])
        failed = _witnessed(layers, bounds, scratch)
        if failed:
            raise TierMissing("these forbidden acts succeeded: " + "; ".join(failed))
    except (TierMissing, OSError) as error:
        control.send(encode(("missing", str(error))))
        return
    control.send(encode(("ready", landlock.abi() if layers.writing else 0)))
    _serve(control, Jobs(layers, scratch), options["parent"])


def _layers(options: dict[str, Any], *, apart: bool, may_become_nobody: bool) -> tuple[Layers, str]:
    """Everything that a tier promises, made ready; its scratch folder.

    Raises:
        TierMissing: a promised layer is not available.
    """
    tier, scratch = options["tier"], options["scratch"]
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    found = seccomp.architecture()
    if tier != "E" and found is None:
        raise TierMissing("no table of system calls for this architecture")
    version = landlock.abi() if tier in "AB" else 0
    if tier in "AB" and not version:
        raise TierMissing("this kernel has no Landlock")
    if tier == "A":
        if not apart:
            raise TierMissing("namespaces are not allowed here")
        scratch = room.new_root(options["bounds"][3])
        if not room.standing_apart():
            raise TierMissing("the namespaces do not separate")
    become_nobody = may_become_nobody and os.geteuid() == 0 and _anyone_reads_library()
    if become_nobody and scratch:
        os.chown(scratch, room.NOBODY, room.NOBODY)
    layers = Layers(
        tier=tier,
        apart=apart,
        become_nobody=become_nobody,
        writing=landlock.Ruleset(version, scratch) if version else None,
        reading=landlock.Ruleset(version) if version else None,
        calls=seccomp.Filter(found, may_open=tier in "AB") if tier != "E" and found else None,
        null=null,
    )
    return layers, scratch if tier != "C" else ""


def _anyone_reads_library() -> bool:
    module = Path(os.__file__)
    return bool(module.stat().st_mode & 0o004) and all(folder.stat().st_mode & 0o001 for folder in module.parents)


def _witnessed(layers: Layers, bounds: Bounds, scratch: str) -> list[str]:
    """Forbidden acts that a confined child managed to do."""
    report, report_end = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            testify(layers, bounds, report_end, scratch, parent)
        finally:
            os._exit(0)
    os.close(report_end)
    try:
        return list(decode(receive_frame(report)))
    except Exception as error:
        raise TierMissing(f"the witness could not be confined: {error}") from error
    finally:
        os.waitpid(pid, 0)
        os.close(report)


def _serve(control: socket.socket, jobs: Jobs, evaluator: int) -> None:
    """One job after another, until the evaluating process hangs up or dies."""
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(evaluator, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poller.poll()}
        if evaluator in ready:
            return
        message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 4)
        if not message:
            return
        serial, kind, bounds, blocks = decode(message)
        try:
            if kind == "check":
                code, tests = descriptors
                ended, reply = jobs.check(code, tests, Bounds(*bounds))
            elif kind == "screen":
                code, tests = descriptors
                ended, reply = jobs.screen(code, tests, blocks, Bounds(*bounds)), []
            else:
                (code,) = descriptors
                ended, reply = jobs.run(code, blocks, Bounds(*bounds))
        except OSError as error:  # no process, memory or descriptor to be had now: the job is tried again elsewhere
            ended, reply = Ended("sandbox_broke", f"the cell could not start the program: {error}", 0.0), []
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        jobs.clear()
        socket.send_fds(control, [encode((serial, *ended))], reply)
        for descriptor in reply:
            os.close(descriptor)
