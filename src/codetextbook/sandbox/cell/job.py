"""One job in a cell: fork the processes, watch their time and space from outside, say how it ended.

CPU seconds are the limit, wall seconds a generous backstop: on a busy machine a wall limit fails right programs. Only the judge's
pipe can say `passed`; a program's exit status can only explain why it did not.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from . import room
from .confine import Bounds, Layers, confine
from .judge import VERDICTS, judge, judge_many
from .program import run_blocks, serve_program, serve_programs, settle

_TICK_SECONDS = 0.04
_JUDGE_CPU_FACTOR = 2.0
_NATURAL_DEATH_SECONDS = 0.2
_TIMED_OUT = {signal.SIGXCPU, signal.SIGALRM, signal.SIGPROF, signal.SIGVTALRM}
_OWN_FAULT = 70  # exit status of a child whose own code failed, by the convention of sysexits.h


class Ended(NamedTuple):
    """How a job ended, with the program's CPU seconds. Where `detail` is empty, the judge's words are in its pipe."""

    status: str
    detail: str
    cpu_seconds: float


class Child:
    """A forked, confined process. `settled`: its confinement was complete before any code ran."""

    def __init__(
        self, layers: Layers, bounds: Bounds, keep: list[int], scratch: str, body: Callable[..., None]
    ) -> None:
        told, tell = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                *kept, tell = confine(layers, bounds, [*keep, tell], scratch=scratch, parent=parent)
                settle()
                os.write(tell, b"1")
                os.close(tell)
                body(*kept)
                os._exit(0)
            finally:
                os._exit(_OWN_FAULT)
        os.close(tell)
        self.told = told
        self.ended = os.pidfd_open(self.pid)
        self.status = 0
        self.cpu = 0.0

    def cpu_so_far(self) -> float:
        """CPU seconds of the running process."""
        try:
            return time.clock_gettime((~self.pid << 3) | 2)  # the kernel's number for another process's CPU clock
        except OSError:
            return 0.0  # it has just ended

    def died_by_itself(self) -> bool:
        """Whether it ends now without being killed."""
        poller = select.poll()
        poller.register(self.ended, select.POLLIN)
        return bool(poller.poll(_NATURAL_DEATH_SECONDS * 1000))

    def stop(self) -> None:
        """Kill and reap."""
        signal.pidfd_send_signal(self.ended, signal.SIGKILL)
        _, self.status, usage = os.wait4(self.pid, 0)
        self.cpu = usage.ru_utime + usage.ru_stime
        self.settled = os.read(self.told, 1) == b"1"
        os.close(self.told)
        os.close(self.ended)

    def cause(self) -> tuple[str, str]:
        """What its own end says, where it ended by itself."""
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
            if number in _TIMED_OUT:
                return "timed_out", f"ended by {name}"
            if number == signal.SIGKILL:
                return "out_of_memory", "killed by the kernel"
            return "crashed", f"ended by {name}"
        return "crashed", f"exited with status {os.WEXITSTATUS(self.status)} before it answered"


class Jobs:
    """Runs jobs with the layers of one cell."""

    def __init__(self, layers: Layers, scratch: str) -> None:
        self.layers, self.scratch = layers, scratch

    def check(self, code: int, tests: int, bounds: Bounds) -> tuple[Ended, list[int]]:
        """A program against its tests, in two processes; the pipe with the judge's words, not read here."""
        ask, ask_end = os.pipe()
        answer, answer_end = os.pipe()
        verdict, verdict_end = os.pipe()
        words, words_end = os.pipe()
        patient = bounds.with_cpu(bounds.cpu_seconds * _JUDGE_CPU_FACTOR)
        program = Child(self.layers, bounds, [code, ask, answer_end], self.scratch, serve_program)
        try:
            referee = Child(self.layers, patient, [tests, answer, ask_end, verdict_end, words_end], "", judge)
        except OSError:
            program.stop()
            raise
        finally:
            for descriptor in (ask, ask_end, answer, answer_end, verdict_end, words_end):
                os.close(descriptor)
        reason = self._watch(verdict, [(program, bounds, "the program"), (referee, patient, "the tests")], bounds)
        told = ("", "") if reason else _verdict(verdict)
        gone = told[0] == "gone" and program.died_by_itself()
        silent = not reason and not told[0] and referee.died_by_itself()
        program.stop()
        referee.stop()
        os.close(verdict)
        if not program.settled or not referee.settled:
            return Ended("sandbox_broke", "a process could not be confined", program.cpu), [words]
        if told[0] == "gone":
            told = program.cause() if gone else ("crashed", "the program closed its channel")
        elif told[0] == "":
            told = reason or _without_verdict(referee, died=silent)
        return Ended(*told, program.cpu), [words]

    def screen(self, codes: int, tests: int, items: int, bounds: Bounds) -> Ended:
        """Many programs against their tests in one pair of processes, until one ends or hangs it. The limits of time are each item's own.

        The detail has a character for each item that was judged: 1 for passed, 0 for anything else.
        """
        ask, ask_end = os.pipe()
        answer, answer_end = os.pipe()
        verdicts, verdicts_end = os.pipe()
        whole = bounds.with_cpu(bounds.cpu_seconds * items)
        program = Child(
            self.layers,
            whole,
            [codes, ask, answer_end],
            self.scratch,
            lambda codes, ask, answer_end: serve_programs(codes, ask, answer_end, self.scratch),
        )
        try:
            referee = Child(self.layers, whole, [tests, answer, ask_end, verdicts_end], "", judge_many)
        except OSError:
            program.stop()
            raise
        finally:
            for descriptor in (ask, ask_end, answer, answer_end, verdicts_end):
                os.close(descriptor)
        judged = self._watch_many(verdicts, (program, referee), items, bounds)
        program.stop()
        referee.stop()
        os.close(verdicts)
        if not program.settled or not referee.settled:
            return Ended("sandbox_broke", "a process could not be confined", program.cpu)
        return Ended("screened", "".join("01"[word == 0] for word in judged[:items]), program.cpu)

    def _watch_many(self, pipe: int, children: tuple[Child, Child], items: int, bounds: Bounds) -> bytes:
        """The judge's bytes, until it has given all, ends, or an item passes a limit."""
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        judged = b""
        began, used = time.monotonic(), [0.0, 0.0]
        while len(judged) < items:
            if poller.poll(_TICK_SECONDS * 1000):
                part = os.read(pipe, items)
                if not part:
                    break
                judged += part
                began, used = time.monotonic(), [child.cpu_so_far() for child in children]
            elif (
                any(
                    child.cpu_so_far() - before > bounds.cpu_seconds
                    for child, before in zip(children, used, strict=True)
                )
                or time.monotonic() - began > bounds.wall_seconds
                or (self.scratch and not self.layers.apart and room.used_bytes(self.scratch) > bounds.disk_bytes)
            ):
                break
        return judged

    def run(self, code: int, blocks: int, bounds: Bounds) -> tuple[Ended, list[int]]:
        """A page's blocks in one process; its results as a memory file, not read here."""
        results, results_end = os.pipe()
        child = Child(
            self.layers, bounds, [code, results_end], self.scratch, lambda a, b: run_blocks(a, b, bounds.output_bytes)
        )
        os.close(results_end)
        kept = os.memfd_create("results", os.MFD_CLOEXEC)
        room_left = blocks * (4 * bounds.output_bytes + (1 << 14))
        reason = self._watch(results, [(child, bounds, "the code")], bounds, keep=(kept, room_left))
        natural = not reason and child.died_by_itself()
        child.stop()
        os.close(results)
        if not child.settled:
            os.close(kept)
            return Ended("sandbox_broke", "a process could not be confined", child.cpu), []
        told = reason or (child.cause() if natural else ("crashed", "the code closed its channel"))
        return Ended(*told, child.cpu), [kept]

    def _watch(
        self,
        pipe: int,
        children: list[tuple[Child, Bounds, str]],
        bounds: Bounds,
        keep: tuple[int, int] | None = None,
    ) -> tuple[str, str] | None:
        """Wait until the pipe speaks (or, keeping what it says, ends); the status and detail if a limit was passed first."""
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        deadline = time.monotonic() + bounds.wall_seconds
        while True:
            if poller.poll(_TICK_SECONDS * 1000):
                if keep is None:
                    return None
                kept, left = keep
                # Past this process's memory: what it read, later programs could find there.
                moved = os.splice(pipe, kept, 1 << 16)
                if not moved:
                    return None
                keep = (kept, left - moved)
                if keep[1] < 0:
                    return "crashed", "more results than blocks can give"
            for child, own, name in children:
                if child.cpu_so_far() > own.cpu_seconds:
                    return "timed_out", f"{name} used more than {own.cpu_seconds:g} CPU seconds"
            if time.monotonic() > deadline:
                return "timed_out", f"no end within {bounds.wall_seconds:g} wall seconds"
            if self.scratch and not self.layers.apart and room.used_bytes(self.scratch) > bounds.disk_bytes:
                return "disk_quota", f"more than {bounds.disk_bytes >> 20} MiB of files"

    def clear(self) -> None:
        """End whatever could be left of a job, and empty the scratch folder."""
        if self.layers.apart:
            _end_all()
        elif self.layers.tier == "E":
            room.clear_processes()
        if self.scratch:
            room.sweep(self.scratch)


def _end_all() -> None:
    """Every process of this namespace but this one."""
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def _without_verdict(referee: Child, *, died: bool) -> tuple[str, str]:
    """A judge that said nothing: tests may end their own process, and the kernel may have ended it for want of memory."""
    status, detail = referee.cause()
    if not died:
        return "failed", "the tests closed the judge's channel"
    if status == "out_of_memory" or (os.WIFEXITED(referee.status) and os.WEXITSTATUS(referee.status) == _OWN_FAULT):
        return "sandbox_broke", f"the judge {detail}"
    return ("failed" if os.WIFEXITED(referee.status) else status), f"the tests {detail}"


def _verdict(pipe: int) -> tuple[str, str]:
    """The judge's word; two empty strings where it gave none."""
    word = os.read(pipe, 1)
    if not word:
        return "", ""
    return (VERDICTS[word[0]], "") if word[0] < len(VERDICTS) else ("failed", "the tests tampered with the judge")
