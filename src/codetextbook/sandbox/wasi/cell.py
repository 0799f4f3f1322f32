"""A cell of tier D, as the pool sees it: a worker process at the other end of a socket."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from codetextbook.errors import SandboxError
from codetextbook.sandbox.cell.codec import CodecError, decode, encode
from codetextbook.sandbox.cell.peer import Gone, receive_frame, send_frame
from codetextbook.sandbox.nouns import Limits
from codetextbook.sandbox.pool import HANG_SECONDS, START_SECONDS, Ticket, frames
from codetextbook.sandbox.wasi.module import compiled

_CLOSE_SECONDS = 1.0


class WasiCell:
    """A started worker."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.waiting: deque[Ticket] = deque()
        self.front_since = 0.0
        self.control, inside = socket.socketpair()
        self.complaints = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the worker
        package = str(Path(__file__).parents[3])
        command = [sys.executable, "-s", "-P", "-m", "codetextbook.sandbox.wasi.worker"]
        try:
            self.process = subprocess.Popen(
                [*command, str(compiled()), str(inside.fileno())],
                pass_fds=(inside.fileno(),),
                env={"PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.complaints,
                start_new_session=True,
            )
        except BaseException:
            self.control.close()
            self.complaints.close()
            raise
        finally:
            inside.close()

    def ready(self) -> int:
        """Wait for the worker; 0, since it has no Landlock.

        Raises:
            SandboxError: it died.
        """
        self.control.settimeout(START_SECONDS)
        try:
            peeked = self.control.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            peeked = b""
        self.control.settimeout(None)
        if not peeked:
            raise SandboxError(f"a cell did not start: {self.complaint()}", where="sandbox")
        receive_frame(self.control.fileno())
        return 0

    def complaint(self) -> str:
        """The last line of what the worker wrote."""
        size = os.fstat(self.complaints.fileno()).st_size
        told = os.pread(self.complaints.fileno(), 4096, max(0, size - 4096)).decode(errors="replace")
        return (told.strip().splitlines() or ["it said nothing"])[-1]

    def send(self, ticket: Ticket) -> None:
        """Hand over a job."""
        if not self.waiting:
            self.front_since = time.monotonic()
        self.waiting.append(ticket)
        held = self.limits
        bounds = (held.cpu_seconds, held.wall_seconds, held.memory_bytes, held.disk_bytes, held.output_bytes)
        for message in (encode((ticket.kind, bounds, ticket.blocks, len(ticket.inputs))), *ticket.inputs):
            send_frame(self.control.fileno(), message)

    def receive(self) -> Ticket | None:
        """The next finished job; None where the worker is gone."""
        try:
            status, detail, cpu_seconds = decode(receive_frame(self.control.fileno()))
            results = receive_frame(self.control.fileno())
        except (Gone, ConnectionError, CodecError, struct.error):
            return None
        ticket = self.waiting.popleft()
        self.front_since = time.monotonic()
        ticket.status, ticket.detail, ticket.cpu_seconds, ticket.results = status, detail, cpu_seconds, frames(results)
        return ticket

    def hangs(self) -> bool:
        """Whether the job in front is far beyond its wall limit."""
        return bool(self.waiting) and time.monotonic() - self.front_since > self.limits.wall_seconds + HANG_SECONDS

    def close(self) -> None:
        """End the worker, and wait for that."""
        self.control.close()
        try:
            self.process.wait(0 if self.waiting else _CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.wait()
        self.complaints.close()
