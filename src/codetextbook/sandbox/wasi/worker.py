"""A process that runs programs and their judges as guests of a WebAssembly runtime: `python -m codetextbook.sandbox.wasi.worker FILE FD`.

A guest has no folder, no socket, no thread and no other process; its memory is limited. Program and judge are two guests that share
two pipes; the verdict comes through a third that only the judge has. CPU seconds are of both together. A guest that sleeps cannot be
interrupted: then this process ends, once it has said `timed_out`, and another takes its place.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass

import wasmtime

from codetextbook.sandbox.cell.codec import decode, encode
from codetextbook.sandbox.cell.confine import Bounds
from codetextbook.sandbox.cell.judge import VERDICTS
from codetextbook.sandbox.cell.peer import Gone, receive_frame, send_frame
from codetextbook.sandbox.wasi.guest import arguments
from codetextbook.sandbox.wasi.module import engine

_TICK_SECONDS, _PARTING_SECONDS = 0.04, 1.0
_START_CPU_SECONDS = 1.0
"""CPU time that two guests may take to start, on top of the program's own; they take a fifth of that."""


@dataclass
class Ended:
    """How a job ended; `results`: what a page's blocks said."""

    status: str
    detail: str = ""
    cpu_seconds: float = 0.0
    results: bytes = b""


class Guest(threading.Thread):
    """One interpreter. `descriptors`: its 0, 1 and 2, which it takes over."""

    def __init__(self, home: Home, words: list[str], descriptors: tuple[int, int, int], memory_bytes: int) -> None:
        super().__init__(daemon=True)
        self.home, self.fault = home, ""
        config = wasmtime.WasiConfig()
        config.argv = words
        for descriptor, attribute in zip(descriptors, ("stdin_file", "stdout_file", "stderr_file"), strict=True):
            setattr(config, attribute, f"/dev/fd/{descriptor}" if descriptor >= 0 else os.devnull)
            if descriptor >= 0:
                os.close(descriptor)
        self.store = wasmtime.Store(home.engine)
        self.store.set_limits(memory_size=memory_bytes, instances=1, memories=1)
        self.store.set_epoch_deadline(1)
        self.store.set_wasi(config)

    def run(self) -> None:
        """Until it ends by itself or is interrupted; then its pipes are closed."""
        try:
            instance = self.home.linker.instantiate(self.store, self.home.module)
            start = instance.exports(self.store)["_start"]
            assert isinstance(start, wasmtime.Func)
            start(self.store)
        except wasmtime.ExitTrap as ended:
            self.fault = f"exited with status {ended.code} before it answered"
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            self.fault = f"ended by the runtime: {str(error).strip().splitlines()[-1].strip()}"
        finally:
            self.store.close()


class Home:
    """The runtime of this process."""

    def __init__(self, compiled: str) -> None:
        self.engine = engine()
        self.module = wasmtime.Module.deserialize_file(self.engine, compiled)
        self.linker = wasmtime.Linker(self.engine)
        self.linker.define_wasi()

    def check(self, code: bytes, tests: bytes, bounds: Bounds) -> Ended:
        """A program against its tests."""
        began = time.process_time()
        ask, ask_end = os.pipe()
        answer, answer_end = os.pipe()
        verdict, verdict_end = os.pipe()
        program = Guest(self, arguments("program", code, 0), (ask, answer_end, -1), bounds.memory_bytes)
        referee = Guest(self, arguments("judge", tests, 0), (answer, ask_end, verdict_end), bounds.memory_bytes)
        program.start()
        referee.start()
        reason, told = self._watch(verdict, bounds, began, 1 << 16)
        self._part([referee, program])
        cpu_seconds = time.process_time() - began
        if reason:
            return Ended("timed_out", reason, cpu_seconds)
        if not told:
            return Ended("failed", f"the tests {referee.fault or 'closed the channel of their judge'}", cpu_seconds)
        if told[0] >= len(VERDICTS):
            return Ended("failed", "the tests tampered with the judge", cpu_seconds)
        if VERDICTS[told[0]] == "gone":
            return Ended("crashed", program.fault or "exited with status 0 before it answered", cpu_seconds)
        return Ended(VERDICTS[told[0]], told[1:].decode("utf-8", "replace"), cpu_seconds)

    def run(self, code: bytes, blocks: int, bounds: Bounds) -> Ended:
        """A page's blocks in one guest."""
        began = time.process_time()
        results, results_end = os.pipe()
        words = arguments("blocks", code, bounds.output_bytes)
        guest = Guest(self, words, (-1, results_end, -1), bounds.memory_bytes)
        guest.start()
        reason, told = self._watch(results, bounds, began, blocks * (4 * bounds.output_bytes + (1 << 14)))
        self._part([guest])
        detail = reason or guest.fault or "exited with status 0 before it answered"
        return Ended("timed_out" if reason else "crashed", detail, time.process_time() - began, told)

    def _watch(self, pipe: int, bounds: Bounds, began: float, cap_bytes: int) -> tuple[str, bytes]:
        """What comes through a pipe until it ends; first the limit that was passed, if one was."""
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        deadline, told = time.monotonic() + bounds.wall_seconds, b""
        try:
            while len(told) <= cap_bytes:
                if poller.poll(_TICK_SECONDS * 1000):
                    part = os.read(pipe, 1 << 16)
                    if not part:
                        break
                    told += part
                if time.process_time() - began > bounds.cpu_seconds + _START_CPU_SECONDS:
                    return f"more than {bounds.cpu_seconds:g} CPU seconds", told
                if time.monotonic() > deadline:
                    return f"no end within {bounds.wall_seconds:g} wall seconds", told
            return "", told[:cap_bytes]
        finally:
            os.close(pipe)

    def _part(self, guests: list[Guest]) -> None:
        """Interrupt guests that still run, and wait for them."""
        self.engine.increment_epoch()
        for guest in guests:
            guest.join(_PARTING_SECONDS)


def main() -> None:
    """Jobs from a socket, one after another, until it closes."""
    control = socket.socket(fileno=int(sys.argv[2]))
    home = Home(sys.argv[1])
    descriptor = control.fileno()
    send_frame(descriptor, encode(("ready", 0)))
    while True:
        try:
            kind, bounds, blocks, inputs = decode(receive_frame(descriptor))
            given = [receive_frame(descriptor) for _ in range(inputs)]
        except (Gone, ConnectionError):
            return
        if kind == "check":
            code, tests = given
            ended = home.check(code, tests, Bounds(*bounds))
        elif kind == "run":
            (code,) = given
            ended = home.run(code, blocks, Bounds(*bounds))
        else:
            ended = Ended("unshared")  # no batches here: each program runs alone
        send_frame(descriptor, encode((ended.status, ended.detail, ended.cpu_seconds)))
        send_frame(descriptor, ended.results)
        if threading.active_count() > 1:
            os._exit(0)  # a guest sleeps, and cannot be interrupted


if __name__ == "__main__":
    main()
