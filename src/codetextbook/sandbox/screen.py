"""Screening: the verdict on each of millions of programs, at a tenth of the cost of running each alone.

A batch of programs runs one after another in one confined process, their tests in another. Only `passed` is taken from there. What does
not pass runs again alone, so that no program is charged for its neighbours, and its verdict and reason are those of `check`. Of those
that pass, at least one of each batch and a seeded share also run again alone: where that audit disagrees, the whole batch is run alone.

Trade-off: a program shares its process with its neighbours, and tests share theirs. A program cannot forge a verdict here either, but
tests that a model wrote could forge their neighbours', which only the audit would notice. Scores that are reported use `check_many`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from codetextbook.sandbox.cell.codec import CodecError, encode
from codetextbook.sandbox.nouns import Job, Result, Status
from codetextbook.sandbox.pool import Ticket

_BATCHES_AHEAD_PER_WORKER = 3
_MOST_ITEMS = 1_024


class Through(NamedTuple):
    """What screening needs of the sandbox that it works through."""

    workers: int
    submit: Callable[[Ticket], Ticket]
    finish: Callable[[Ticket], None]
    withdraw: Callable[[list[Ticket]], None]
    alone: Callable[[list[Job]], Iterator[Result]]
    shared: Callable[[float], Result]


@dataclass
class _Batch:
    """Jobs that share a process, from `first` of all jobs on. `passed`: the mean CPU seconds of those that passed there."""

    first: int
    jobs: list[Job]
    ticket: Ticket
    done: int = 0
    passed: dict[int, float] = field(default_factory=dict)


class Screening:
    """Results in the order of the jobs; iterate once. The counts are final when the iteration is."""

    def __init__(
        self, through: Through, jobs: Iterable[Job], *, batch_items: int, audit_share: float, seed: int
    ) -> None:
        if not 1 <= batch_items <= _MOST_ITEMS or not 0 <= audit_share <= 1:
            raise ValueError(f"a batch holds 1 to {_MOST_ITEMS} items, and a share is between 0 and 1")
        self._through, self._source = through, iter(jobs)
        self._batch_items, self._audit_share, self._seed = batch_items, audit_share, seed
        self.items = 0
        """Results given so far."""
        self.alone = 0
        """Items that were run by themselves, for whatever reason."""
        self.audited = 0
        """Items that passed in their batch and were run again alone."""
        self.disagreed = 0
        """Of those audited, the ones that did not pass alone."""

    def __iter__(self) -> Iterator[Result]:
        ahead: deque[_Batch] = deque()
        submitted = 0
        try:
            while True:
                while len(ahead) < _BATCHES_AHEAD_PER_WORKER * self._through.workers:
                    jobs = list(islice(self._source, self._batch_items))
                    if not jobs:
                        break
                    ahead.append(_Batch(submitted, jobs, self._through.submit(_ticket(jobs))))
                    submitted += len(jobs)
                if not ahead:
                    return
                self._finish(ahead[0])
                batch = ahead.popleft()
                for result in self._settled(batch):
                    self.items += 1
                    yield result
        finally:
            self._through.withdraw([batch.ticket for batch in ahead])

    def _finish(self, batch: _Batch) -> None:
        """Go through a batch: where an item ends it, the rest goes on as another."""
        while batch.done < len(batch.jobs):
            self._through.finish(batch.ticket)
            if batch.ticket.status != "screened":
                return  # it cannot be had together: each is run alone
            marks = batch.ticket.detail
            cpu_seconds = batch.ticket.cpu_seconds / max(1, len(marks))
            batch.passed |= {batch.done + at: cpu_seconds for at, mark in enumerate(marks) if mark == "1"}
            stopped = len(marks) < len(batch.jobs) - batch.done  # then the next item is what stopped it
            batch.done += len(marks) + stopped
            if batch.done < len(batch.jobs):
                batch.ticket = self._through.submit(_ticket(batch.jobs[batch.done :]))

    def _settled(self, batch: _Batch) -> list[Result]:
        """The results of a batch: those that passed unaudited as they are, all others from a run alone."""
        audited = {at for at in batch.passed if self._is_audited(batch.first + at)}
        if batch.passed and not audited:
            audited = {min(batch.passed)}
        again = [at for at in range(len(batch.jobs)) if at not in batch.passed or at in audited]
        alone = self._run_alone(batch, again)
        disagreed = [at for at in audited if alone[at].status != Status.PASSED]
        self.audited += len(audited)
        self.disagreed += len(disagreed)
        if disagreed:
            alone |= self._run_alone(batch, [at for at in range(len(batch.jobs)) if at not in alone])
        return [alone[at] if at in alone else self._through.shared(batch.passed[at]) for at in range(len(batch.jobs))]

    def _run_alone(self, batch: _Batch, places: list[int]) -> dict[int, Result]:
        self.alone += len(places)
        return dict(zip(places, self._through.alone([batch.jobs[at] for at in places]), strict=True))

    def _is_audited(self, number: int) -> bool:
        """Drawn by the item's number and the seed: the same whatever the workers did."""
        digest = hashlib.sha256(f"{self._seed}/{number}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self._audit_share * 2**64


def _ticket(jobs: list[Job]) -> Ticket:
    """Programs and tests as two messages; a batch with one that cannot be sent is not sent."""
    try:
        inputs = (
            encode([job.code for job in jobs]),
            encode([(job.tests, job.entry_point, job.prompt) for job in jobs]),
        )
    except CodecError as error:
        return Ticket("screen", (), status=Status.UNPARSABLE.value, detail=str(error), done=True)
    return Ticket("screen", inputs, blocks=len(jobs))
