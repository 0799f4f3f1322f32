"""Proof that each layer holds: a confined child tries what is forbidden. A layer that silently does nothing is the worst kind."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import socket
from collections.abc import Callable

from .codec import encode
from .confine import NOFILE_CAP, Bounds, Layers, confine
from .kernel import CLONE_NEWUSER, LIBC, PR_SET_DUMPABLE
from .peer import send_frame
from .seccomp import raw_call

_F_SETOWN = 8


def testify(layers: Layers, bounds: Bounds, report_fd: int, scratch: str, parent: int) -> None:
    """Confine this child like a program, try every forbidden act, send the names of those that succeeded."""
    (report_fd,) = confine(layers, bounds, [report_fd], scratch=scratch, parent=parent)
    acts: dict[str, Callable[[], bool]] = {
        "limits: more memory than allowed": lambda: _succeeds(lambda: mmap.mmap(-1, bounds.memory_bytes)),
        "limits: raising a limit": _raises_limit,
        "descriptors: one of another process": lambda: any(
            _is_open(number) for number in range(report_fd + 1, NOFILE_CAP)
        ),
    }
    if layers.become_nobody:
        acts["identity: the superuser"] = lambda: 0 in (os.geteuid(), os.getegid(), *os.getgroups())
    if layers.writing is not None:
        acts |= {
            "landlock: reading the root folder": lambda: not _refused(lambda: list(os.scandir("/")), errno.EACCES),
            "landlock: writing beside the scratch folder": lambda: (
                not _refused(_write_beside, errno.EACCES, errno.EROFS)
            ),
        }
    if layers.calls is not None:
        acts |= {
            "seccomp: a network socket": lambda: not _refused(lambda: socket.socket(), errno.EPERM),
            "seccomp: a datagram socket pair": lambda: not _refused(_datagrams, errno.EPERM),
            "seccomp: a new process": lambda: _forks(),
            "seccomp: a signal to the parent": lambda: not _refused(lambda: os.kill(os.getppid(), 0), errno.EPERM),
            "seccomp: a signal through fcntl": lambda: LIBC.fcntl(0, _F_SETOWN, os.getppid()) == 0,
            # Not a program: without the filter the kernel says EACCES, and this witness lives to tell.
            "seccomp: another program": lambda: not _refused(lambda: os.execv("/dev/null", ["null"]), errno.EPERM),
            "seccomp: a user namespace": lambda: LIBC.unshare(CLONE_NEWUSER) == 0,
            "seccomp: becoming readable": lambda: LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0,
            "seccomp: the newest call": lambda: raw_call("clone3", 0, 0) != errno.ENOSYS,
        }
    if layers.calls is not None and layers.writing is None:
        acts["seccomp: opening a file"] = lambda: not _refused(lambda: list(os.scandir("/")), errno.EPERM)
    send_frame(report_fd, encode([name for name, act in acts.items() if act()]))


def _succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except (OSError, MemoryError):
        return False
    return True


def _refused(act: Callable[[], object], *numbers: int) -> bool:
    """Whether the act fails in the way of its layer: another layer's refusal proves nothing."""
    try:
        act()
    except OSError as error:
        return error.errno in numbers
    return False


def _is_open(number: int) -> bool:
    return _succeeds(lambda: os.fstat(number))


def _raises_limit() -> bool:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    except (OSError, ValueError):
        return False
    return True


def _write_beside() -> None:
    os.close(os.open(os.path.dirname(os.__file__) + "/os.py", os.O_WRONLY))  # noqa: PTH120


def _datagrams() -> None:
    for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM):
        end.close()


def _forks() -> bool:
    pid = ctypes.CDLL(None).fork()
    if pid == 0:
        os._exit(0)
    return pid > 0
