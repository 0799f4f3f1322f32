"""Confining one process, for good: limits, identity, Landlock, capabilities, system calls. In this order, each needing the one before."""

from __future__ import annotations

import fcntl
import math
import os
import resource
import signal
from dataclasses import dataclass, replace

from . import kernel
from .landlock import Ruleset
from .room import NOBODY
from .seccomp import Filter

NOFILE_CAP, THREADS_CAP = 64, 64
_CPU_GRACE_SECONDS = 2


@dataclass(frozen=True)
class Bounds:
    """What one program may use."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    disk_bytes: int
    output_bytes: int

    def with_cpu(self, cpu_seconds: float) -> Bounds:
        """The same with another CPU limit."""
        return replace(self, cpu_seconds=cpu_seconds)


@dataclass(frozen=True)
class Layers:
    """The layers of this cell, made ready in the parent. None: not available here."""

    tier: str
    apart: bool
    become_nobody: bool
    writing: Ruleset | None
    reading: Ruleset | None
    calls: Filter | None
    null: int


def limit(bounds: Bounds, *, threads_counted: bool) -> None:
    """Resource limits. CPU time is watched from outside; the limit here is the backstop, in whole seconds."""
    seconds = math.ceil(bounds.cpu_seconds) + _CPU_GRACE_SECONDS
    values = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: bounds.memory_bytes,
        resource.RLIMIT_FSIZE: bounds.disk_bytes,
        resource.RLIMIT_NOFILE: NOFILE_CAP,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if threads_counted:  # elsewhere the count would include the user's other processes
        values[resource.RLIMIT_NPROC] = THREADS_CAP
    for name, value in values.items():
        _, hard = resource.getrlimit(name)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))


def confine(layers: Layers, bounds: Bounds, keep: list[int], *, scratch: str, parent: int) -> list[int]:
    """Confine the calling process; returns `keep` under its new numbers, from 3 on. All other descriptors are closed.

    `scratch` is the folder it may write, or nothing. `parent` is the process whose death must end this one.

    Raises:
        OSError: a layer that was there at the start is refused now.
    """
    os.setsid()
    if scratch:
        os.chdir(scratch)
    if layers.become_nobody:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # after the change of user, which clears it
    if os.getppid() != parent:
        os._exit(1)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    ruleset = layers.writing if scratch else layers.reading
    if ruleset is not None:
        ruleset.restrict()
    keep = _only(keep, layers.null)
    limit(bounds, threads_counted=layers.apart or layers.become_nobody)
    kernel.drop_capabilities()
    if layers.calls is not None:
        layers.calls.install()
    return keep


def _only(keep: list[int], null: int) -> list[int]:
    """Close every descriptor but these, numbered from 3; 0, 1 and 2 lead nowhere."""
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 3 + len(keep)) for descriptor in keep]
    spare = fcntl.fcntl(null, fcntl.F_DUPFD, 3 + len(keep))
    for place, descriptor in enumerate([spare, spare, spare, *aside]):
        os.dup2(descriptor, place)
    os.closerange(3 + len(keep), 1 << 20)
    return list(range(3, 3 + len(keep)))
