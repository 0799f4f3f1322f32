"""System calls that Python's library does not offer, through ctypes, with errors raised as OSError."""

from __future__ import annotations

import ctypes
import errno
import os

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 4, 38, 36
PR_GET_NO_NEW_PRIVS = 39
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_REC, MS_BIND, MS_PRIVATE, MS_NOSUID, MS_NODEV, MS_NOEXEC, MNT_DETACH = 0x4000, 0x1000, 1 << 18, 2, 4, 8, 2
_MOUNT_SETATTR = 442  # the same number on every architecture
_AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 0x8000, 1
_CAPABILITIES_OF_MYSELF = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3
_NO_CAPABILITIES, _CAPABILITIES_LEFT = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()


def checked(result: int) -> int:
    """The result of a C call, or its error."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, *arguments: int) -> int:
    """prctl(2)."""
    return checked(LIBC.prctl(option, *(*arguments, 0, 0, 0, 0)[:4]))


def unshare(flags: int) -> None:
    """unshare(2)."""
    checked(LIBC.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    words = (source.encode(), target.encode(), kind.encode() or None)
    checked(LIBC.mount(*words, ctypes.c_ulong(flags), options.encode() or None))


def make_read_only(path: str, *, recursive: bool) -> None:
    """Set a mount read-only, leaving its other flags (which a user namespace may not change) alone."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    checked(LIBC.syscall(_MOUNT_SETATTR, -100, path.encode(), flags, ctypes.byref(attributes), ctypes.c_size_t(32)))


def unmount(path: str) -> None:
    """Detach a mount."""
    checked(LIBC.umount2(path.encode(), MNT_DETACH))


def drop_capabilities() -> None:
    """Give up every capability of this process, for good (no_new_privs keeps them from coming back), and see that it is so.

    Raises:
        OSError: one is left.
    """
    checked(LIBC.capset(_CAPABILITIES_OF_MYSELF, _NO_CAPABILITIES))
    checked(LIBC.capget(_CAPABILITIES_OF_MYSELF, _CAPABILITIES_LEFT))
    if any(_CAPABILITIES_LEFT) or prctl(PR_GET_NO_NEW_PRIVS) != 1:
        raise OSError(errno.EPERM, "capabilities are left, or may come back")
