"""Sandbox: run untrusted Python programs, contained, and believe only what a separate judge says (paper §3: execution-based tests).

A program and its tests never share a process: they exchange plain data, so a program cannot forge its verdict, read expected values or end
its judge. Around both stand namespaces, Landlock, a system-call filter and limits, each proven at the start by trying what it forbids.

Tiers, the strongest available is taken: A all of that; B without namespaces; C without Landlock too, then no program can open any file; E,
only if `allow_unsafe`: limits and the split alone. D, only if `strongest` is D, is for systems without these layers: program and judge are
guests of a WebAssembly runtime. Every result records its tier.

Trade-off: two processes and a message per call cost about 15 ms of one core a program. Limits: Linux on x86-64 and AArch64; arguments are
passed by value, so tests of in-place changes cannot pass; tests that pass their own objects are `unsplittable`.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Literal, NamedTuple, Self

from codetextbook.errors import SandboxError
from codetextbook.sandbox.cell.codec import CodecError, encode
from codetextbook.sandbox.nouns import BlockResult, Job, Limits, Result, Status
from codetextbook.sandbox.pool import AnyCell, Cell, Pool, Ticket, TierMissing, result_of_block
from codetextbook.sandbox.screen import Screening, Through

Tier = Literal["A", "B", "C", "D", "E"]
_TIERS: tuple[Tier, ...] = ("A", "B", "C")
_JOBS_AHEAD_PER_WORKER = 16
_STARTS, _SECONDS_BETWEEN_STARTS = 3, 0.3
"""A busy kernel refuses a namespace now and then: a weaker tier is taken only where the stronger one is refused again and again."""


_log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """A cell of the strongest tier to be had, and why no stronger one was: empty where the first one tried was."""

    cell: AnyCell
    tier: Tier
    landlock_abi: int
    weaker_because: str


class Sandbox:
    """A pool of cells. A context manager; usable from several threads; not after a fork.

    `workers`: programs that run at once. `strongest`: the first tier that is tried; later ones are for tests of the weaker layers.
    Where a weaker one is taken, `weaker_because` says why, and so does one logged warning.

    Raises:
        SandboxError: untrusted code cannot be contained here, and why; or, with a tier of E not allowed, no layer is available.
    """

    def __init__(
        self, workers: int = 2, limits: Limits | None = None, allow_unsafe: bool = False, *, strongest: Tier = "A"
    ) -> None:
        if not sys.platform.startswith("linux") and strongest != "D":
            raise SandboxError(
                f"the sandbox needs Linux, and this is {sys.platform}",
                where="sandbox",
                hint="a Linux container or machine; or tier D, in a WebAssembly runtime",
            )
        if workers < 1:
            raise SandboxError(f"{workers} workers cannot run anything", where="sandbox", hint="workers = 1 or more")
        self.limits = limits or Limits()
        first, self.tier, self.landlock_abi, self.weaker_because = _strongest_cell(self.limits, allow_unsafe, strongest)
        if self.tier == "D":
            self.weaker_because = "it is asked for"
        if self.weaker_because:
            _log.warning("sandbox: tier %s, because %s", self.tier, self.weaker_because)
        self.kernel = platform.release()
        self._pool = Pool(first, workers, lambda: _cell(self.tier, self.limits))
        self._workers, self._owner = workers, os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the sandbox and wait for that."""
        if os.getpid() == self._owner:
            self._pool.close()

    def check(self, code: str, tests: str, entry_point: str, prompt: str = "") -> Result:
        """One program against its tests."""
        return next(self.check_many([Job(code, tests, entry_point, prompt)]))

    def check_many(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Programs against their tests: results in the order of the jobs, which are taken only as far ahead as keeps the workers busy."""
        ahead: deque[Ticket] = deque()
        source = iter(jobs)
        try:
            while True:
                while len(ahead) < _JOBS_AHEAD_PER_WORKER * self._workers and (job := next(source, None)) is not None:
                    ahead.append(self._submitted(_ticket_of(job)))
                if not ahead:
                    return
                ticket = ahead[0]
                self._pool.finish(ticket)
                ahead.popleft()
                yield self._result(ticket)
        finally:
            self._pool.withdraw(list(ahead))

    def screen(
        self, jobs: Iterable[Job], *, batch_items: int = 64, audit_share: float = 0.02, seed: int = 0
    ) -> Screening:
        """The verdicts of `check_many`, many times faster, for millions of programs: see `codetextbook.sandbox.screen`."""
        pool = self._pool
        through = Through(
            self._workers, self._submitted, pool.finish, pool.withdraw, self.check_many, self._shared_result
        )
        return Screening(through, jobs, batch_items=batch_items, audit_share=audit_share, seed=seed)

    def run(self, blocks: list[str]) -> list[BlockResult]:
        """Blocks of code in one namespace, in order, as a reader of a page would run them; the limits are for all together.

        A block that raises is `failed` and the next one runs; one that ends the process gives its status to all after it.
        """
        if not blocks:
            return []
        try:
            inputs = (encode(list(blocks)),)
        except CodecError as error:
            return [BlockResult(Status.UNPARSABLE, "", str(error), self.tier) for _ in blocks]
        ticket = self._submitted(Ticket("run", inputs, len(blocks)))
        self._pool.finish(ticket)
        return self._block_results(ticket, len(blocks))

    def _submitted(self, ticket: Ticket) -> Ticket:
        if os.getpid() != self._owner:
            raise SandboxError(
                "a sandbox cannot be used in a fork of its process", where="sandbox", hint="open one in each process"
            )
        if ticket.inputs:
            self._pool.submit(ticket)
        return ticket

    def _result(self, ticket: Ticket) -> Result:
        status = Status(ticket.status)
        return Result(status, _clean(ticket.detail), ticket.cpu_seconds, self.tier, self.kernel, self.landlock_abi)

    def _shared_result(self, cpu_seconds: float) -> Result:
        return Result(Status.PASSED, "", cpu_seconds, self.tier, self.kernel, self.landlock_abi, alone=False)

    def _block_results(self, ticket: Ticket, blocks: int) -> list[BlockResult]:
        results = []
        for frame in ticket.results[:blocks]:
            told = result_of_block(frame, self.limits.output_bytes)
            if told is None or told[0] not in set(Status):
                break
            results.append(BlockResult(Status(told[0]), _clean(told[1]), _clean(told[2]), self.tier))
        error = _clean(ticket.detail)
        while len(results) < blocks:
            results.append(BlockResult(Status(ticket.status), "", error, self.tier))
            error = f"not run: {ticket.detail}"
        return results


def _cell(tier: Tier, limits: Limits) -> AnyCell:
    if tier == "D":
        from codetextbook.sandbox.wasi.cell import WasiCell

        return WasiCell(limits)
    return Cell(tier, limits)


def _strongest_cell(limits: Limits, allow_unsafe: bool, strongest: Tier) -> Opened:
    """The first cell of the strongest tier whose layers all hold."""
    tiers: list[Tier] = [tier for tier in _TIERS if tier >= strongest]
    if strongest == "D":
        tiers.append("D")
    if allow_unsafe:
        tiers.append("E")
    reasons: list[str] = []
    for tier in tiers:
        for attempt in range(_STARTS):
            cell = _cell(tier, limits)
            try:
                return Opened(cell, tier, cell.ready(), "; ".join(reasons))
            except TierMissing as error:
                cell.close()
                reason = f"tier {tier}: {error.what}"
            except BaseException:
                cell.close()
                raise
            if attempt + 1 < _STARTS:
                time.sleep(_SECONDS_BETWEEN_STARTS)
        reasons.append(reason)
    raise SandboxError(
        "untrusted code cannot be contained here (" + "; ".join(reasons) + ")",
        where="sandbox",
        hint="a kernel with seccomp, or allow_unsafe where every program is trusted",
    )


def _clean(text: str) -> str:
    """Text that every store can hold: no lone surrogates, no null characters."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\\0")


def _ticket_of(job: Job) -> Ticket:
    """The program and the tests as two messages, each for one process only."""
    try:
        return Ticket("check", (encode(job.code), encode((job.tests, job.entry_point, job.prompt))))
    except CodecError as error:
        return Ticket("check", (), status=Status.UNPARSABLE.value, detail=str(error), done=True)
