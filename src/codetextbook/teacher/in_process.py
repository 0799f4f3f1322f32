"""What backends with a model in this process share: its one thread, loading it when first entered, and working while anything waits."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

Model = TypeVar("Model")

GATHER_SECONDS = 0.05
"""Time in which requests of one moment come together."""


class InProcess(ABC, Generic[Model]):
    """A model of this process and its thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loaded: Model | None = None
        self._working: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, name)
        self._broken_off = threading.Event()
        """Nobody waits for answers any more: the model stops at its next step."""

    @property
    def model(self) -> str:
        """The name that the site gives the weights."""
        return self._name

    async def __aenter__(self) -> Self:
        self._broken_off.clear()
        if self._loaded is None:
            self._loaded = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._broken_off.set()
        if self._working is not None:
            await self._working

    def _begin(self) -> None:
        """Have the model work, if it does not already."""
        if self._working is None:
            self._working = asyncio.create_task(self._gather())

    async def _gather(self) -> None:
        try:
            await asyncio.sleep(GATHER_SECONDS)
            await self._work()
        finally:
            self._working = None

    @abstractmethod
    def _load(self) -> Model:
        """Load the model, in its thread."""

    @abstractmethod
    async def _work(self) -> None:
        """Let the model work while anything waits."""
