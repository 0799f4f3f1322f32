"""Cells as child processes of the evaluating process, and the jobs on their way to them.

A cell takes one job at a time and has the next one waiting in its socket, so that it never waits for the evaluating process. When a
cell dies or hangs, the job it was at is given to a fresh cell, three times in all; the jobs behind it are not charged. One lock, and no
threads of its own: whoever waits for a result moves everything forward.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from codetextbook.errors import SandboxError
from codetextbook.sandbox.cell.codec import CodecError, decode, decode_texts, encode
from codetextbook.sandbox.nouns import Limits

_BOOT = (  # no hooks for forks: the zygote has one thread and no lock held, and they cost every child a third of its fork
    "import os, sys, types; os.register_at_fork = lambda **_: None; "
    "cell = types.ModuleType('cell'); cell.__path__ = [sys.argv[1]]; sys.modules['cell'] = cell; "
    "from cell.zygote import main; main()"
)
START_SECONDS = 120.0
HANG_SECONDS = 30.0
_CLOSE_SECONDS = 10.0
_ATTEMPTS = 3
_JOBS_IN_CELL = 2
_REPLY_BYTES = 1 << 16


@dataclass(eq=False)
class Ticket:
    """One job on its way. `inputs`: what its processes read, each its own; `blocks`: how many, for a page or a batch."""

    kind: str
    inputs: tuple[bytes, ...]
    blocks: int = 0
    attempts: int = 0
    done: bool = False
    status: str = ""
    detail: str = ""
    cpu_seconds: float = 0.0
    results: list[bytes] = field(default_factory=list)


class TierMissing(SandboxError):
    """A tier's layers are not to be had here."""


class Cell:
    """A started cell."""

    def __init__(self, tier: str, limits: Limits) -> None:
        self.limits = limits
        self.waiting: deque[Ticket] = deque()
        self.front_since = 0.0
        self.control, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        leash, self.leash = os.pipe()
        evaluator = os.pidfd_open(os.getpid())
        self.complaints = os.memfd_create("complaints", os.MFD_CLOEXEC)
        scratch = tempfile.mkdtemp(prefix="codetextbook-") if tier in "BE" else ""
        options = {"tier": tier, "control": inside.fileno(), "leash": leash, "parent": evaluator, "scratch": scratch}
        options["bounds"] = self.bounds()
        command = [
            sys.executable,
            "-s",
            "-S",
            "-P",
            "-X",
            "utf8",
            "-c",
            _BOOT,
            str(Path(__file__).with_name("cell")),
            json.dumps(options),
        ]
        try:
            self.process = subprocess.Popen(
                command,
                pass_fds=(inside.fileno(), leash, evaluator),
                env={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.complaints,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            if scratch:
                shutil.rmtree(scratch)
            raise SandboxError(f"the interpreter cannot be started: {error}", where=str(sys.executable)) from None
        finally:
            inside.close()
            os.close(leash)
            os.close(evaluator)

    def bounds(self) -> tuple[float, float, int, int, int]:
        """The limits as plain data."""
        held = self.limits
        return (held.cpu_seconds, held.wall_seconds, held.memory_bytes, held.disk_bytes, held.output_bytes)

    def ready(self) -> int:
        """Wait until the cell has witnessed its layers; the version of its Landlock.

        Raises:
            TierMissing: a layer is missing or does not hold.
            SandboxError: the cell died.
        """
        self.control.settimeout(START_SECONDS)
        try:
            message = self.control.recv(_REPLY_BYTES)
        except TimeoutError:
            message = b""
        self.control.settimeout(None)
        if not message:
            raise SandboxError(f"a cell did not start: {self.complaint()}", where="sandbox")
        word, told = decode(message)
        if word != "ready":
            raise TierMissing(told, where="sandbox")
        return int(told)

    def complaint(self) -> str:
        """The last line of what the cell's own interpreter wrote."""
        size = os.fstat(self.complaints).st_size
        lines = os.pread(self.complaints, 4096, max(0, size - 4096)).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def send(self, ticket: Ticket) -> None:
        """Hand over a job: its inputs as memory files."""
        files = []
        try:
            for content in ticket.inputs:
                files.append(os.memfd_create("input", os.MFD_CLOEXEC))
                with os.fdopen(os.dup(files[-1]), "wb") as file:
                    file.write(content)
            if not self.waiting:
                self.front_since = time.monotonic()
            self.waiting.append(ticket)
            socket.send_fds(self.control, [encode((0, ticket.kind, self.bounds(), ticket.blocks))], files)
        finally:
            for descriptor in files:
                os.close(descriptor)

    def receive(self) -> Ticket | None:
        """The next finished job; None where the cell is gone."""
        try:
            message, files, _, _ = socket.recv_fds(self.control, _REPLY_BYTES, 1)
        except ConnectionError:
            return None
        if not message:
            return None
        ticket = self.waiting.popleft()
        self.front_since = time.monotonic()
        _, ticket.status, ticket.detail, ticket.cpu_seconds = decode(message)
        for descriptor in files:
            with os.fdopen(descriptor, "rb") as file:
                if ticket.kind == "run":
                    file.seek(0)
                    ticket.results = frames(file.read())
                else:
                    words = file.read().decode("utf-8", "replace")  # all its writers are dead, so it ends
                    ticket.detail = ticket.detail or words
        return ticket

    def hangs(self) -> bool:
        """Whether the job in front is far beyond its wall limit: then the cell itself is stuck."""
        if not self.waiting:
            return False
        front = self.waiting[0]
        patience = self.limits.wall_seconds * (front.blocks if front.kind == "screen" else 1) + HANG_SECONDS
        return time.monotonic() - self.front_since > patience

    def close(self) -> None:
        """End the cell and all in it, and wait for that."""
        try:
            os.write(self.leash, b"q")
            self.process.wait(_CLOSE_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
        self.process.wait()
        self.control.close()
        os.close(self.leash)
        os.close(self.complaints)


class AnyCell(Protocol):
    """What the pool asks of a cell; `Cell` says what each does."""

    waiting: deque[Ticket]
    control: socket.socket
    process: subprocess.Popen[bytes]

    def ready(self) -> int: ...
    def send(self, ticket: Ticket) -> None: ...
    def receive(self) -> Ticket | None: ...
    def hangs(self) -> bool: ...
    def complaint(self) -> str: ...
    def close(self) -> None: ...


class Pool:
    """A fixed number of cells and a queue."""

    def __init__(self, first: AnyCell, cells: int, start: Callable[[], AnyCell]) -> None:
        self.start = start
        self.lock = threading.RLock()
        self.queue: deque[Ticket] = deque()
        self.cells = [first]
        try:
            self.cells += [start() for _ in range(cells - 1)]
            for cell in self.cells[1:]:
                cell.ready()
        except SandboxError:
            self.close()
            raise

    def submit(self, ticket: Ticket) -> None:
        """Put a job in the queue."""
        with self.lock:
            self.queue.append(ticket)
            self._hand_out()

    def withdraw(self, tickets: list[Ticket]) -> None:
        """Take back the jobs that no cell has yet."""
        with self.lock:
            self.queue = deque(ticket for ticket in self.queue if ticket not in tickets)

    def finish(self, ticket: Ticket) -> None:
        """Move everything forward until this job is done."""
        while not ticket.done:
            with self.lock:
                if not ticket.done:
                    self._step()

    def close(self) -> None:
        """End all cells."""
        with self.lock:
            while self.cells:
                self.cells.pop().close()

    def _step(self) -> None:
        if not self.cells:
            raise SandboxError("the sandbox is closed", where="sandbox")
        self._hand_out()
        poller = select.poll()
        by_descriptor = {cell.control.fileno(): cell for cell in self.cells}
        for descriptor in by_descriptor:
            poller.register(descriptor, select.POLLIN)
        for descriptor, _ in poller.poll(250):
            self._take(by_descriptor[descriptor])
        for cell in list(self.cells):
            if cell.hangs():
                self._replace(cell)

    def _take(self, cell: AnyCell) -> None:
        ticket = cell.receive()
        if ticket is None:
            self._replace(cell)
        elif ticket.status == "sandbox_broke":
            self._again(ticket)
        else:
            ticket.done = True
        self._hand_out()

    def _replace(self, cell: AnyCell) -> None:
        """A fresh cell for one that died or hangs, and its jobs back to the queue."""
        told = cell.complaint()
        cell.close()
        self.cells.remove(cell)
        lost = list(cell.waiting)
        for ticket in reversed(lost[1:]):
            self.queue.appendleft(ticket)
        if lost:
            lost[0].detail = f"the cell died: {told}"
            self._again(lost[0])
        fresh = self.start()
        self.cells.append(fresh)
        fresh.ready()

    def _again(self, ticket: Ticket) -> None:
        ticket.attempts += 1
        if ticket.attempts < _ATTEMPTS:
            self.queue.appendleft(ticket)
        else:
            ticket.status, ticket.done = "sandbox_broke", True

    def _hand_out(self) -> None:
        for depth in range(_JOBS_IN_CELL):
            for cell in self.cells:
                if self.queue and len(cell.waiting) <= depth:
                    ticket = self.queue.popleft()
                    try:
                        cell.send(ticket)
                    except (BrokenPipeError, ConnectionError):
                        return  # the cell is dead; the next step finds its socket closed and replaces it


def frames(data: bytes) -> list[bytes]:
    """Messages behind their lengths; a cut last one is left out."""
    frames, at = [], 0
    while at + 4 <= len(data):
        (num_bytes,) = struct.unpack_from("<I", data, at)
        if at + 4 + num_bytes > len(data):
            break
        frames.append(data[at + 4 : at + 4 + num_bytes])
        at += 4 + num_bytes
    return frames


def result_of_block(frame: bytes, cap_characters: int) -> tuple[str, str, str] | None:
    """A block's status, output and error, if the untrusted message has that shape."""
    try:
        status, stdout, error = decode_texts(frame, 3, max(cap_characters, 1000))
    except CodecError:
        return None
    return status, stdout[:cap_characters], error[:1000]
