"""How many requests are under way at once, and at which server: additive increase, halving when a server says that it is busy.

Each server is a lane. A lane begins at the number that the site allows, since that is the user's knowledge; a 429 or 503 halves
it (once for each round trip, or one burst would close it) and pauses it for as long as the server asks, or longer each time;
every round of answers opens it by one. A request goes to the open lane with the most room; a lane that cannot be reached
pauses, and the others take its share.

This is the textbook rule of TCP. Trade-off: after a halving from 512 the way back takes 256 rounds; the alternative, growing by
a share, overruns a rate limit again within seconds.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence

LONGEST_PAUSE_SECONDS = 60.0


class Lane:
    """One server, and how much it bears."""

    def __init__(self, url: str, most: int) -> None:
        self.url, self.most = url, most
        self.limit = float(most)
        self.under_way = 0
        self.paused_until = self.calm_until = 0.0
        self.troubles = 0
        self.seconds = 0.0

    @property
    def has_room(self) -> bool:
        """Whether one more may be sent."""
        return self.under_way < int(self.limit)

    def did_well(self, seconds: float) -> None:
        """An answer came."""
        self.troubles = 0
        self.seconds = seconds if not self.seconds else 0.9 * self.seconds + 0.1 * seconds
        self.limit = min(float(self.most), self.limit + 1 / self.limit)

    def is_busy(self, now: float, wait: float | None, first_wait: float) -> None:
        """The server said that it is busy, or cannot be reached; `wait` is what it asks for."""
        if now >= self.calm_until:
            self.limit = max(1.0, self.limit / 2)
            self.troubles += 1
            self.calm_until = now + self.seconds
        grown = min(LONGEST_PAUSE_SECONDS, first_wait * 2 ** min(self.troubles - 1, 16)) * random.uniform(0.75, 1.25)
        pause = min(wait, LONGEST_PAUSE_SECONDS) if wait else grown
        self.paused_until = max(self.paused_until, now + pause)
        self.calm_until = max(self.calm_until, self.paused_until)


class Lanes:
    """Every server of one model, and those who wait for one."""

    def __init__(self, urls: Sequence[str], in_flight: int) -> None:
        self._lanes = [Lane(url, in_flight) for url in urls]
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """The most that may be under way, over all servers."""
        return sum(lane.most for lane in self._lanes)

    async def take(self) -> Lane:
        """A lane with room, as soon as there is one; give it back to `give`."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            free = [lane for lane in self._lanes if lane.has_room and lane.paused_until <= now]
            if free:
                lane = min(free, key=lambda one: one.under_way / one.limit)
                lane.under_way += 1
                return lane
            self._set_alarm(loop, now)
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()
                raise

    def give(self, lane: Lane) -> None:
        """An attempt has ended."""
        lane.under_way -= 1
        self._wake()

    def _wake(self) -> None:
        """Let as many try as there is room for; who finds none waits again."""
        room = sum(int(lane.limit) - lane.under_way for lane in self._lanes if lane.has_room)
        while self._waiting and room > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Wake the waiting when the first pause ends."""
        paused = [lane.paused_until for lane in self._lanes if lane.paused_until > now]
        if not paused or (self._alarm is not None and self._alarm.when() <= min(paused)):
            return
        self.rest()
        self._alarm = loop.call_at(min(paused), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()

    def rest(self) -> None:
        """Forget the alarm of a loop that ends."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
