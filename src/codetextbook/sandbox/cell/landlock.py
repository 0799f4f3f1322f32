"""Landlock: which files a confined process may open, kept by the kernel and needing no privilege.

The standard library and the shared libraries may be read; the scratch folder may be written, if given. site-packages is left out, because
installed benchmarks hold answers. TCP is refused (ABI 4), signals and abstract sockets stay inside (ABI 6).

Limits: metadata (`stat`) of other files stays readable where there is no mount namespace.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

from .kernel import LIBC, checked

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _MAKE_CHAR, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK = (
    1 << bit for bit in (1, 2, 3, 14, 6, 9, 10, 11)
)
_FILES_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many of the file rights each ABI knows
_NEWEST_FILES = 16
_NETWORK_ABI, _SCOPE_ABI = 4, 6
_BIND_CONNECT, _ABSTRACT_SIGNAL = 3, 3
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
_EXCLUDED = {"site-packages", "dist-packages"}


def abi() -> int:
    """The kernel's Landlock version; 0 where it is missing or off."""
    return max(0, int(LIBC.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def library_folders() -> list[str]:
    """Folders with the standard library and the shared libraries that it loads."""
    shared = [f"/{base}/{leaf}" for base in ("lib", "usr/lib") for leaf in _leaves(base)]
    wanted = [*(path for path in sys.path if path), *shared, "/lib64", "/usr/lib64", "/usr/share/zoneinfo"]
    return list(dict.fromkeys(path for path in wanted if Path(path).is_dir()))


def _leaves(base: str) -> list[str]:
    folder = Path("/") / base
    return (
        [entry.name for entry in folder.iterdir() if entry.name.endswith(("-linux-gnu", "-linux-musl"))]
        if folder.is_dir()
        else []
    )


def library_files() -> list[str]:
    """Single files that are needed besides: the interpreter's own shared library, devices."""
    lib = Path(sys.base_prefix) / "lib"
    own = [str(path) for path in lib.glob("libpython*.so*")] if lib.is_dir() else []
    return [path for path in [*own, "/etc/ld.so.cache", *_DEVICES] if Path(path).exists()]


class Ruleset:
    """A set of rules held open before the fork, so that a child takes it on with one call."""

    def __init__(self, version: int, scratch: str = "") -> None:
        self.files = (1 << _FILES_BY_ABI.get(version, _NEWEST_FILES)) - 1
        network = _BIND_CONNECT if version >= _NETWORK_ABI else 0
        scope = _ABSTRACT_SIGNAL if version >= _SCOPE_ABI else 0
        size = 24 if version >= _SCOPE_ABI else 16 if version >= _NETWORK_ABI else 8
        attributes = struct.pack("<QQQ", self.files, network, scope)[:size]
        self.descriptor = checked(LIBC.syscall(_CREATE, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0)))
        for folder in library_folders():
            self._library(folder)
        for file in library_files():
            self._allow(file, _READ_FILE | (_WRITE_FILE if file == "/dev/null" else 0))
        if scratch:
            special = _MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _MAKE_FIFO | 1  # the last: execute
            self._allow(scratch, self.files & ~special)

    def restrict(self) -> None:
        """Confine the calling thread, for good; needs no_new_privs."""
        checked(LIBC.syscall(_RESTRICT, ctypes.c_int(self.descriptor), ctypes.c_uint32(0)))

    def _library(self, folder: str) -> None:
        """A folder with all in it; of one that holds site-packages, its names and all else in it, entry by entry.

        As few rules as that takes: the kernel copies them for every process that takes the ruleset on.
        """
        with os.scandir(folder) as found:
            entries = [entry for entry in found if entry.is_file() or entry.is_dir()]
        if not any(entry.name in _EXCLUDED for entry in entries):
            self._allow(folder, _READ_FILE | _READ_DIR)
            return
        self._allow(folder, _READ_DIR)
        for entry in entries:
            if entry.name not in _EXCLUDED:
                self._allow(entry.path, _READ_FILE | (_READ_DIR if entry.is_dir() else 0))

    def _allow(self, path: str, rights: int) -> None:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("<Qi", rights & self.files, descriptor)
        try:
            checked(LIBC.syscall(_ADD, ctypes.c_int(self.descriptor), ctypes.c_int(1), rule, ctypes.c_uint32(0)))
        finally:
            os.close(descriptor)
