"""One thread that owns the model: requests of all clients share its batch, and each joins at the next token, not at the next batch.

What waits is bounded: a request beyond the bound is refused at once, so that nobody waits for an answer that comes too late.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codetextbook.model.batch import Batch, Row
from codetextbook.model.folder import Loaded

Listener = Callable[[str, str], None]
"""Told each new piece of a text, and why it ended (nothing while it goes on). Called in the scheduler's thread."""
CANCELLED, FAULT = "cancelled", "fault"


class Busy(Exception):
    """As many texts wait as may."""


@dataclass(eq=False)
class Job:
    """A row, and who is told of it."""

    row: Row
    listener: Listener

    def cancel(self) -> None:
        """Take it out of the batch, or of the queue."""
        self.row.stop_reason = self.row.stop_reason or CANCELLED


class Scheduler:
    """The model's thread; `rows` texts are written together and `waiting` more may wait."""

    def __init__(self, loaded: Loaded, *, rows: int, waiting: int) -> None:
        self._batch = Batch(loaded, rows, loaded.model.config.context)
        self._most = waiting + self._batch.size
        self._queue: deque[Job] = deque()
        self._running: list[Job] = []
        self._changed = threading.Condition()
        self._closing = False
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def load(self) -> dict[str, int]:
        """Texts in progress and texts that wait."""
        return {"running": len(self._running), "waiting": len(self._queue)}

    def submit(self, jobs: Sequence[Job]) -> None:
        """Queue all of them, or none.

        Raises:
            Busy: they would exceed what may wait.
        """
        with self._changed:
            if self._closing or self.fault or len(self._queue) + len(self._running) + len(jobs) > self._most:
                raise Busy
            self._queue.extend(jobs)
            self._changed.notify()

    def close(self) -> None:
        """Cancel what is left and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._running or self._closing)
                if self._closing:
                    return self._end(CANCELLED)
                live = [job for job in self._queue if not job.row.stop_reason]
                new = live[: self._batch.size - len(self._running)]
                self._queue = deque(live[len(new) :])
                self._running += new
            try:
                self._batch.admit([job.row for job in new])
                self._tell()
                self._batch.step()
                self._tell()
            except Exception as error:  # noqa: BLE001  (whatever it is, no client may wait for ever)
                self.fault = error
                return self._end(FAULT)

    def _tell(self) -> None:
        """Give out what is new; forget what has ended."""
        going_on = []
        for job in self._running:
            reason = job.row.stop_reason
            piece = job.row.transcript.settled(bool(reason))
            if (piece or reason) and reason != CANCELLED:  # who cancels has left, perhaps with its event loop
                job.listener(piece, reason)
            if not reason:
                going_on.append(job)
        self._running = going_on

    def _end(self, reason: str) -> None:
        with self._changed:
            for job in [*self._running, *self._queue]:
                if job.row.stop_reason != CANCELLED:
                    job.row.stop_reason = reason
                    job.listener("", reason)
            self._running, self._queue = [], deque()
