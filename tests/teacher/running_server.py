"""The misbehaving server in a thread of its own."""

from __future__ import annotations

import asyncio
import threading

from misbehaving import Misbehaving


class Running(Misbehaving):
    """The server on an event loop of its own thread; can be stopped and started again at the same address."""

    def __init__(self, delay_seconds: float = 0.0) -> None:
        super().__init__(delay_seconds=delay_seconds)
        self.port = 0
        self.address = ""

    @property
    def url(self) -> str:
        return self.address or f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    def _run(self) -> None:
        listening = self._loop.run_until_complete(self.serve(self.port))
        self.port = listening.sockets[0].getsockname()[1]
        self._up.set()
        self._loop.run_forever()
        listening.close()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        for writer in self.connections:
            writer.close()
        self.connections.clear()
        await asyncio.sleep(0)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
