"""The untrusted side: runs the program and answers the judge's requests, or runs a page's blocks and reports each.

Nothing here is believed: the program shares this process and may change any of it. What it can forge is its own answers, which are data.
"""

from __future__ import annotations

import ast
import builtins
import gc
import io
import os
import posix
import random
import sys
import traceback
import types
from typing import Any

from .codec import decode, encode
from .peer import Gone, Peer, describe, send_frame

MODULE = "solution"


def read_whole(descriptor: int) -> bytes:
    """The content of a memory file from its start, and close it."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def settle() -> None:
    """Make a fresh child look like a fresh interpreter, the same for every program; all else of that is done in `warm_up`."""
    gc.enable()
    sys.stdin, sys.stdout, sys.stderr = _STREAMS


def serve_program(code: int, read_fd: int, write_fd: int) -> None:
    """Run the program, say how that went, then answer the judge until it hangs up."""
    serve_text(decode(read_whole(code)), read_fd, write_fd)


def serve_text(text: str, read_fd: int, write_fd: int) -> None:
    """`serve_program`, the program given as text."""
    peer = Peer(read_fd, write_fd, trusting=True)
    told = _load(peer, text)
    send_frame(write_fd, encode(told))
    if told[0] != "loaded":
        return
    try:
        peer.serve()
    except (Gone, BrokenPipeError):
        return


def serve_programs(codes: int, read_fd: int, write_fd: int, scratch: str) -> None:
    """Run one program of many after another, each when the judge asks for it, and answer for the one that was loaded last."""
    texts = decode(read_whole(codes))
    peer = Peer(read_fd, write_fd, trusting=True)
    fresh = Freshness(scratch)

    def load(number: int) -> tuple[str, str]:
        peer.forget()
        fresh.restore()
        return _load(peer, texts[number])

    peer.own["load"] = load
    try:
        peer.serve()
    except (Gone, BrokenPipeError):
        return


class Freshness:
    """What one program may leave to the next in its process, put back where that is cheap (about 20 microseconds): builtins, the random
    numbers, standard output, the folder it stands in. Modules that it changed stay changed: hence the audit of screening."""

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        self.builtins = dict(builtins.__dict__)
        self.output = sys.stdout

    def restore(self) -> None:
        """Put everything back."""
        if builtins.__dict__ != self.builtins:
            builtins.__dict__.clear()
            builtins.__dict__.update(self.builtins)
        random.seed(0)
        sys.stdout = self.output
        if self.scratch:
            os.chdir(self.scratch)


def _load(peer: Peer, text: str) -> tuple[str, str]:
    """Run a program's text; `loaded`, or the status and reason why it cannot be called."""
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    try:
        compiled = compile(text, f"<{MODULE}>", "exec", dont_inherit=True, optimize=0)
    except BaseException as error:  # noqa: BLE001 - odd text raises more than SyntaxError
        return _loading(error, "unparsable")
    try:
        exec(compiled, module.__dict__)
    except BaseException as error:  # noqa: BLE001 - whatever the program raises is its answer
        return _loading(error, "failed")
    peer.own["names"] = lambda wanted: _named(module.__dict__, wanted)
    return "loaded", ""


def _loading(error: BaseException, status: str) -> tuple[str, str]:
    if isinstance(error, MemoryError):
        status = "out_of_memory"
    elif status == "failed" and isinstance(error, OSError) and error.errno in (27, 28, 122):  # EFBIG, ENOSPC, EDQUOT
        status = "disk_quota"
    return status, describe(error)


def _named(namespace: dict[str, Any], wanted: list[str]) -> tuple[dict[str, Any], list[str]]:
    """What the program gives these names, and which of them are modules (which the judge imports for itself)."""
    found = {name: namespace[name] for name in wanted if name in namespace}
    modules = [name for name, value in found.items() if isinstance(value, types.ModuleType)]
    return {name: value for name, value in found.items() if name not in modules}, modules


class _Captured(io.TextIOBase):
    """Standard output of one block, cut at the cap, so that endless printing fills no memory."""

    def __init__(self, cap_bytes: int) -> None:
        self.parts: list[str] = []
        self.left = cap_bytes

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self.left > 0:
            kept = text[: self.left].encode("utf-8", "replace")[: self.left]
            self.parts.append(kept.decode("utf-8", "ignore"))
            self.left -= len(kept)
        return len(text)

    def text(self) -> str:
        return "".join(self.parts)


def run_blocks(code: int, results: int, output_bytes: int) -> None:
    """Run blocks one after another in one namespace, like a page read from top to bottom; send a result after each."""
    run_texts(decode(read_whole(code)), results, output_bytes)


def run_texts(blocks: list[str], results: int, output_bytes: int) -> None:
    """`run_blocks`, the blocks given as texts."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    for number, text in enumerate(blocks, start=1):
        captured = _Captured(output_bytes)
        sys.stdout = captured
        status, error = _run_block(text, f"<block {number}>", main.__dict__)
        send_frame(results, encode((status, str(captured.text()), error)))


def _run_block(text: str, name: str, namespace: dict[str, Any]) -> tuple[str, str]:
    try:
        compiled = compile(text, name, "exec", flags=0, dont_inherit=True, optimize=0)
    except BaseException as error:  # noqa: BLE001 - odd text raises more than SyntaxError
        return _loading(error, "unparsable")
    try:
        exec(compiled, namespace)
    except SystemExit as error:
        if error.code in (None, 0):
            return "passed", ""
        return "failed", describe(error)
    except BaseException as error:  # noqa: BLE001 - whatever the block raises is its result
        status, told = _loading(error, "failed")
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
        return status, f"{told} (line {lines[-1]})" if lines else told
    return "passed", ""


# Imported once, shared by all children through copy-on-write. What is imported makes every fork slower, so the second list is for programs
# that can open no file; others import these from the library when they need them.
_OFTEN_TEXT = (
    "abc array ast bisect builtins calendar cmath collections collections.abc contextlib copy ctypes dataclasses datetime decimal enum "
    "errno fractions functools gc heapq inspect io itertools json keyword linecache math numbers operator os os.path random re reprlib "
    "signal statistics string struct textwrap threading time token tokenize traceback types typing unicodedata warnings weakref "
    "encodings.ascii encodings.latin_1"
)
_SELDOM_TEXT = (
    "argparse base64 binascii cmd colorsys configparser csv difflib dis fnmatch getpass glob gzip hashlib hmac html html.parser locale "
    "logging pathlib pickle pprint queue secrets shlex shutil socket sqlite3 stat subprocess tempfile timeit unittest unittest.mock "
    "urllib.parse uuid xml.etree.ElementTree zipfile zlib zoneinfo encodings.idna encodings.utf_16 _strptime asyncio doctest"
)
_STREAMS: tuple[Any, Any, Any]


def warm_up(scratch: str, *, may_open: bool) -> None:
    """Import what programs use, and do once what the first use would do inside the confinement. Children get all of it by the fork."""
    global _STREAMS
    for name in (_OFTEN_TEXT if may_open else f"{_OFTEN_TEXT} {_SELDOM_TEXT}").split():
        try:
            __import__(name)
        except ImportError:  # an interpreter built without it, as some are without sqlite3
            continue
    os.register_at_fork = posix.register_at_fork  # see the zygote
    ast.parse("def f(x):\n    return [x]\n")
    if not may_open:
        "é".encode("idna")
    decimal = sys.modules["decimal"]
    str(decimal.Decimal("1.1") + 1)
    home = scratch or "/"
    os.environ.clear()
    os.environ.update({"HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "PATH": ""})
    sys.argv[:] = ["program"]
    random.seed(0)
    out, error = (io.BufferedWriter(io.FileIO(number, "w", closefd=False)) for number in (1, 2))
    _STREAMS = (
        io.TextIOWrapper(io.FileIO(0, "r", closefd=False), encoding="utf-8"),
        io.TextIOWrapper(out, encoding="utf-8", errors="backslashreplace"),
        io.TextIOWrapper(error, encoding="utf-8", errors="backslashreplace"),
    )
    gc.collect()
    gc.freeze()
    gc.disable()
