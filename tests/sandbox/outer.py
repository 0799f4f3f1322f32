"""An older kernel, Docker's and Ubuntu's limits, put around a process by a system-call filter of its own, and the attacks run inside.

`python outer.py LIMITS STEP` installs the filter, opens a sandbox, runs every STEP-th attack in it, and prints one line of JSON: what tier it came
to and why, which attacks passed.
The filter says what the real thing says: a kernel without a call answers ENOSYS, a container's filter EPERM, AppArmor EACCES.
"""

from __future__ import annotations

import ctypes
import errno
import json
import platform
import struct
import sys
from typing import NamedTuple

from codetextbook.sandbox.cell import kernel

_NUMBERS = {
    "x86_64": {
        "clone": 56,
        "prctl": 157,
        "pivot_root": 155,
        "mount": 165,
        "umount2": 166,
        "unshare": 272,
        "seccomp": 317,
    },
    "aarch64": {
        "clone": 220,
        "prctl": 167,
        "pivot_root": 41,
        "mount": 40,
        "umount2": 39,
        "unshare": 97,
        "seccomp": 277,
    },
}[platform.machine()] | {"clone3": 435, "mount_setattr": 442, "create": 444, "add": 445, "restrict": 446}
_NAMESPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
)
_PR_SET_SECCOMP = 22


class Denial(NamedTuple):
    """A system call that fails. `bits`: only where its first argument has one of these; `equals`: only where it is this."""

    call: str
    number: int
    bits: int = 0
    equals: int | None = None


_LANDLOCK = [Denial(call, errno.ENOSYS) for call in ("create", "add", "restrict")]
_MOUNTS = ("mount", "umount2", "pivot_root", "mount_setattr")
LIMITS = {
    "nothing": [],
    "kernel before Landlock": _LANDLOCK,
    "Landlock switched off": [Denial("create", errno.EOPNOTSUPP)],
    "Docker": [
        *(Denial(call, errno.EPERM) for call in (*_MOUNTS, "unshare")),
        Denial("clone", errno.EPERM, bits=_NAMESPACES),
        Denial("clone3", errno.ENOSYS),
    ],
    "no user namespaces": [
        Denial("clone", errno.EPERM, bits=kernel.CLONE_NEWUSER),
        Denial("unshare", errno.EPERM, bits=_NAMESPACES),
    ],
    "Ubuntu, namespaces without rights": [Denial(call, errno.EACCES) for call in _MOUNTS],
    "Docker on a kernel before Landlock": [*_LANDLOCK, *(Denial(call, errno.EPERM) for call in (*_MOUNTS, "unshare"))],
    "no filters": [*_LANDLOCK, Denial("prctl", errno.EINVAL, equals=_PR_SET_SECCOMP), Denial("seccomp", errno.ENOSYS)],
}  # fmt: skip


def put_around_this_process(denials: list[Denial]) -> None:
    """Install the filter, for good and for all children."""
    code = b"".join(_lines(denial) for denial in denials) + _line(0x06, 0x7FFF0000)
    held = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(held)))
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(program))


def _lines(denial: Denial) -> bytes:
    refuse = _line(0x06, 0x00050000 | denial.number)
    if denial.bits:  # load the argument; any of the bits: refuse
        body = _line(0x20, 16) + _line(0x45, denial.bits, 0, 1) + refuse
    elif denial.equals is not None:
        body = _line(0x20, 16) + _line(0x15, denial.equals, 0, 1) + refuse
    else:
        body = refuse
    return _line(0x20, 0) + _line(0x15, _NUMBERS[denial.call], 0, len(body) // 8) + body


def _line(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, jump_true, jump_false, value)


def main() -> None:
    from hostile import CHEATS, ESCAPES, TESTS

    from codetextbook.errors import SandboxError
    from codetextbook.sandbox import Job, Limits, Sandbox

    put_around_this_process(LIMITS[sys.argv[1]])
    attacks = ESCAPES | CHEATS
    attacks = dict(list(attacks.items())[:: int(sys.argv[2])])
    try:
        with Sandbox(workers=2, limits=Limits(cpu_seconds=60.0, wall_seconds=240.0)) as sandbox:
            honest = sandbox.check("def double(n):\n    return 2 * n\n", TESTS, "double")
            results = list(sandbox.check_many(Job(code, TESTS, "double") for code in attacks.values()))
            passed = [name for name, result in zip(attacks, results, strict=True) if result.status == "passed"]
            tiers = sorted({result.tier for result in [honest, *results]})
            told = {"tiers": tiers, "weaker_because": sandbox.weaker_because, "honest": honest.status, "passed": passed}
    except SandboxError as error:
        told = {"refused": str(error)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
