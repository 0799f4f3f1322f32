"""The list of system calls a confined process may make; all others fail with EPERM.

An allow-list, because the kernel grows. An error rather than death, because right programs probe (glibc falls back, `tempfile` tries
folders). Calls that are safe only with some arguments have their arguments checked: threads but no processes, signals to oneself only,
`fcntl` without F_SETOWN (which makes the kernel send signals that `kill` may not), stream socket pairs but no sockets.

Limits: x86-64 and AArch64, little-endian. Other architectures have no filter, and the sandbox says so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import NamedTuple

from .kernel import LIBC, prctl

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _JUMP, _AND, _RETURN = 0x20, 0x15, 0x35, 0x05, 0x54, 0x06
_FURTHEST = 255  # what a conditional jump can reach
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_THREAD_FLAGS = 0x100 | 0x800 | 0x10000  # CLONE_VM, CLONE_SIGHAND, CLONE_THREAD
_FCNTL_COMMANDS = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    36,
    37,
    38,
    1030,
    1032,
)  # duplicate, flags, locks, pipe size; no owner, no lease
_IOCTL_COMMANDS = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)  # isatty, window size, FIONREAD, FIONBIO, close-on-exec
_PRCTL_OPTIONS = (15, 16)  # names of threads
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_NOBODYS_ID = 0x7FFFFFFF  # stands in the program for the process's own id; no process has it

# fmt: off
_X86_64 = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8,
    "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
    "rt_sigreturn": 15, "ioctl": 16, "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21,
    "pipe": 22, "select": 23, "sched_yield": 24, "mremap": 25, "msync": 26, "mincore": 27, "madvise": 28, "dup": 32,
    "dup2": 33, "pause": 34, "nanosleep": 35, "getitimer": 36, "alarm": 37, "setitimer": 38, "getpid": 39,
    "sendfile": 40, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "getsockname": 51,
    "getpeername": 52, "socketpair": 53, "getsockopt": 55, "clone": 56, "exit": 60, "wait4": 61, "kill": 62,
    "uname": 63, "fcntl": 72, "flock": 73, "fsync": 74, "fdatasync": 75, "truncate": 76, "ftruncate": 77,
    "getdents": 78, "getcwd": 79, "chdir": 80, "fchdir": 81, "rename": 82, "mkdir": 83, "rmdir": 84, "link": 86,
    "unlink": 87, "symlink": 88, "readlink": 89, "chmod": 90, "fchmod": 91, "umask": 95, "gettimeofday": 96,
    "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102, "getgid": 104, "geteuid": 107,
    "getegid": 108, "getppid": 110, "getpgrp": 111, "getgroups": 115, "getresuid": 118, "getresgid": 120,
    "getpgid": 121, "getsid": 124, "rt_sigpending": 127, "rt_sigtimedwait": 128, "rt_sigsuspend": 130,
    "sigaltstack": 131, "statfs": 137, "fstatfs": 138, "sched_getparam": 143, "sched_getscheduler": 145,
    "sched_get_priority_max": 146, "sched_get_priority_min": 147, "prctl": 157, "gettid": 186, "time": 201,
    "futex": 202, "sched_getaffinity": 204, "epoll_create": 213, "getdents64": 217, "set_tid_address": 218,
    "restart_syscall": 219, "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
    "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "tgkill": 234, "waitid": 247, "openat": 257,
    "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266,
    "readlinkat": 267, "fchmodat": 268, "faccessat": 269, "pselect6": 270, "ppoll": 271, "set_robust_list": 273,
    "get_robust_list": 274, "utimensat": 280, "epoll_pwait": 281, "fallocate": 285, "eventfd2": 290,
    "epoll_create1": 291, "dup3": 292, "pipe2": 293, "preadv": 295, "pwritev": 296, "prlimit64": 302, "getcpu": 309,
    "renameat2": 316, "getrandom": 318, "membarrier": 324, "copy_file_range": 326, "statx": 332, "rseq": 334,
    "clone3": 435, "close_range": 436, "faccessat2": 439,
}
_AARCH64 = {
    "getcwd": 17, "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "dup": 23, "dup3": 24,
    "fcntl": 25, "ioctl": 29, "flock": 32, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37,
    "renameat": 38, "statfs": 43, "fstatfs": 44, "truncate": 45, "ftruncate": 46, "fallocate": 47, "faccessat": 48,
    "chdir": 49, "fchdir": 50, "fchmod": 52, "fchmodat": 53, "openat": 56, "close": 57, "pipe2": 59,
    "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67,
    "pwrite64": 68, "preadv": 69, "pwritev": 70, "sendfile": 71, "pselect6": 72, "ppoll": 73, "readlinkat": 78,
    "newfstatat": 79, "fstat": 80, "fsync": 82, "fdatasync": 83, "utimensat": 88, "exit": 93, "exit_group": 94,
    "waitid": 95, "set_tid_address": 96, "futex": 98, "set_robust_list": 99, "get_robust_list": 100,
    "nanosleep": 101, "getitimer": 102, "setitimer": 103, "clock_gettime": 113, "clock_getres": 114,
    "clock_nanosleep": 115, "sched_getscheduler": 120, "sched_getparam": 121, "sched_getaffinity": 123,
    "sched_yield": 124, "sched_get_priority_max": 125, "sched_get_priority_min": 126, "restart_syscall": 128,
    "kill": 129, "tgkill": 131, "sigaltstack": 132, "rt_sigsuspend": 133, "rt_sigaction": 134,
    "rt_sigprocmask": 135, "rt_sigpending": 136, "rt_sigtimedwait": 137, "rt_sigreturn": 139, "getresuid": 148,
    "getresgid": 150, "times": 153, "getpgid": 155, "getsid": 156, "getgroups": 158, "uname": 160, "getrlimit": 163,
    "getrusage": 165, "umask": 166, "prctl": 167, "getcpu": 168, "gettimeofday": 169, "getpid": 172, "getppid": 173,
    "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178, "sysinfo": 179, "socketpair": 199,
    "getsockname": 204, "getpeername": 205, "sendto": 206, "recvfrom": 207, "getsockopt": 209, "shutdown": 210,
    "sendmsg": 211, "recvmsg": 212, "brk": 214, "munmap": 215, "mremap": 216, "clone": 220, "mmap": 222,
    "fadvise64": 223, "mprotect": 226, "msync": 227, "mincore": 232, "madvise": 233, "wait4": 260, "prlimit64": 261,
    "renameat2": 276, "getrandom": 278, "membarrier": 283, "copy_file_range": 285, "statx": 291, "rseq": 293,
    "clone3": 435, "close_range": 436, "faccessat2": 439,
}
# fmt: on
_OPENING = (
    "open",
    "openat",
    "truncate",
    "mkdir",
    "mkdirat",
    "symlink",
    "symlinkat",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "chmod",
    "fchmodat",
    "utimensat",
    "readlink",
    "readlinkat",
    "chdir",
)  # fmt: skip


class Architecture(NamedTuple):
    """Its audit number and its system calls by name."""

    audit: int
    numbers: dict[str, int]


def architecture() -> Architecture | None:
    """This machine's, or None where no table is known."""
    known = {"x86_64": Architecture(0xC000003E, _X86_64), "aarch64": Architecture(0xC00000B7, _AARCH64)}
    return known.get(platform.machine()) if struct.calcsize("P") == 8 else None


class Filter:
    """A filter made ready before the fork; what depends on the process (its own id) is filled in by `install`."""

    def __init__(self, found: Architecture, *, may_open: bool) -> None:
        numbers = dict(found.numbers)
        if not may_open:
            for name in _OPENING:
                numbers.pop(name, None)
        checked = {
            "kill": _one_of(0, (_NOBODYS_ID,)),
            "tgkill": _one_of(0, (_NOBODYS_ID,)),
            "clone": _flags(_THREAD_FLAGS),
            "clone3": _line(_RETURN, _ERRNO | errno.ENOSYS),  # makes glibc fall back to clone, whose flags can be read
            "fcntl": _one_of(1, _FCNTL_COMMANDS),
            "ioctl": _one_of(1, _IOCTL_COMMANDS),
            "prctl": _one_of(0, _PRCTL_OPTIONS),
            "prlimit64": _reads_limits(),
            "socketpair": _stream_pair(),
        }
        body_of = {number: checked.get(name, _line(_RETURN, _ALLOW)) for name, number in numbers.items()}
        code = (
            _line(_LOAD, _ARCHITECTURE_AT)
            + _line(_EQUAL, found.audit, 1, 0)
            + _line(_RETURN, _KILL)
            + _line(_LOAD, _NUMBER_AT)
            + _search(_stretches(body_of))
        )
        own = struct.pack("<I", _NOBODYS_ID)
        self.own_at = [at for at in range(4, len(code), 8) if code[at : at + 4] == own]
        self.code = ctypes.create_string_buffer(code, len(code))
        self.program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(self.code)))

    def install(self) -> None:
        """Confine the calling thread and all it starts. Cannot be undone; needs no_new_privs.

        Raises:
            OSError: the kernel refuses filters.
        """
        for at in self.own_at:
            struct.pack_into("<I", self.code, at, os.getpid())
        prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(self.program))


class _Stretch(NamedTuple):
    """Numbers from `first` to the next stretch that are treated alike; `body` always returns."""

    first: int
    body: bytes


def _stretches(body_of: dict[int, bytes]) -> list[_Stretch]:
    """All numbers there are, from 0 on: those of no system call that is listed are refused."""
    refuse = _line(_RETURN, _ERRNO | errno.EPERM)
    found = [_Stretch(0, body_of.get(0, refuse))]
    for number in sorted({*body_of, *(number + 1 for number in body_of)}):
        body = body_of.get(number, refuse)
        if body != found[-1].body:
            found.append(_Stretch(number, body))
    return found


def _search(stretches: list[_Stretch]) -> bytes:
    """A binary search: the kernel tries a filter with every number there is when it is installed, and then at every call."""
    if len(stretches) == 1:
        return stretches[0].body
    middle = len(stretches) // 2
    below, above = _search(stretches[:middle]), _search(stretches[middle:])
    first, skipped = stretches[middle].first, len(below) // 8
    if skipped <= _FURTHEST:
        return _line(_AT_LEAST, first, skipped, 0) + below + above
    return _line(_AT_LEAST, first, 0, 1) + _line(_JUMP, skipped) + below + above


def _line(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, jump_true, jump_false, value)


def _low_half(argument: int) -> bytes:
    return _line(_LOAD, _ARGUMENTS_AT + 8 * argument)


def _one_of(argument: int, values: tuple[int, ...]) -> bytes:
    tests = b"".join(_line(_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values))
    return _low_half(argument) + tests + _line(_RETURN, _ERRNO | errno.EPERM) + _line(_RETURN, _ALLOW)


def _flags(needed: int) -> bytes:
    test = _line(_AND, needed) + _line(_EQUAL, needed, 1, 0)
    return _low_half(0) + test + _line(_RETURN, _ERRNO | errno.EPERM) + _line(_RETURN, _ALLOW)


def _reads_limits() -> bytes:
    """prlimit64 that only reads: the pointer to new limits is null in both halves."""
    refuse = _line(_RETURN, _ERRNO | errno.EPERM)
    low = _low_half(2) + _line(_EQUAL, 0, 0, 2)
    high = _line(_LOAD, _ARGUMENTS_AT + 8 * 2 + 4) + _line(_EQUAL, 0, 1, 0)
    return low + high + refuse + _line(_RETURN, _ALLOW)


def _stream_pair() -> bytes:
    """socketpair(AF_UNIX, SOCK_STREAM): datagram sockets could reach any other of this machine."""
    family = _low_half(0) + _line(_EQUAL, 1, 0, 3)
    kind = _low_half(1) + _line(_AND, 0xF) + _line(_EQUAL, 1, 1, 0)
    return family + kind + _line(_RETURN, _ERRNO | errno.EPERM) + _line(_RETURN, _ALLOW)


def raw_call(name: str, *arguments: int) -> int:
    """Make a system call by name, for the witness; returns the error number, 0 on success."""
    found = architecture()
    if found is None:
        raise OSError(errno.ENOSYS, "an unknown architecture")
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(found.numbers[name]), *(ctypes.c_long(argument) for argument in arguments))
    return ctypes.get_errno() if result < 0 else 0
