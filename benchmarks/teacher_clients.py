"""One client of `benchmarks.teacher`, alone in its process: `python teacher_clients.py NAME URL REQUESTS IN_FLIGHT`.

Prints seconds, processor seconds, and memory after a tenth of the requests and at the end. Runs in whichever environment has the client.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

DOCUMENT = "def mean(numbers):\n    total = 0\n    for number in numbers:\n        total += number\n    return total / len(numbers)\n\n\n"
MEMORY_EVERY = 10_000
"""Answers between two words on the memory."""


def prompt(number: int) -> str:
    """About 2,500 characters, no two the same."""
    return f"Judge file {number}.\n" + DOCUMENT * 20


def memory_mb() -> float:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


class Tally:
    """Counts answers, and looks at the memory after a tenth of them."""

    def __init__(self, requests: int) -> None:
        self.requests, self.answers, self.early_mb = requests, 0, 0.0
        self.third = self.begin = 0.0
        self.start()

    def start(self) -> None:
        """Forget the time so far: a client's import is nobody's request."""
        self.begin, self.used = time.monotonic(), time.process_time()

    def count(self, text: str | None) -> None:
        assert text
        self.answers += 1
        if self.answers == self.requests // 10:
            self.early_mb = memory_mb()
        if self.answers == self.requests // 3:
            self.third = time.monotonic()
        if self.answers % MEMORY_EVERY == 0:
            print(f"{self.answers:,} answers: {memory_mb():.0f} MB", file=sys.stderr, flush=True)


async def in_flight(tally: Tally, flight: int, ask: Callable[[str], Awaitable[str | None]]) -> None:
    """The plain way to keep a number of requests under way."""
    numbers = iter(range(tally.requests))

    async def work() -> None:
        for number in numbers:
            tally.count(await ask(prompt(number)))

    await asyncio.gather(*(work() for _ in range(flight)))


def ours(url: str, tally: Tally, flight: int) -> None:
    from codetextbook.site import TeacherSite
    from codetextbook.teacher import Message, Request, ask_ahead, connect

    tally.start()
    free = {"dollars_per_million_input_tokens": 1.0, "dollars_per_million_output_tokens": 2.0, "dollars_limit": 1e6}
    with tempfile.TemporaryDirectory() as folder:
        teacher = connect(
            TeacherSite(base_url=url, model="m", requests_in_flight=flight, **free), Path(folder) / "j.sqlite3"
        )
        asked = (Request((Message("user", prompt(k)),), max_tokens=200) for k in range(tally.requests))
        ask_ahead(teacher, asked, watch=lambda _: tally.count("kept"))
        teacher.close()


def openai_sdk(url: str, tally: Tally, flight: int, **options: Any) -> None:
    from openai import AsyncOpenAI

    tally.start()

    async def main() -> None:
        client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=120, **options)

        async def ask(text: str) -> str | None:
            said = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": text}], max_tokens=200
            )
            return said.choices[0].message.content

        await in_flight(tally, flight, ask)
        await client.close()

    asyncio.run(main())


def litellm(url: str, tally: Tally, flight: int) -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    from litellm import acompletion

    tally.start()

    async def ask(text: str) -> str | None:
        turn = [{"role": "user", "content": text}]
        said = await acompletion(
            model="openai/m", messages=turn, max_tokens=200, api_base=url, api_key="none", num_retries=0
        )
        return str(said.choices[0].message.content)

    asyncio.run(in_flight(tally, flight, ask))


def distilabel(url: str, tally: Tally, flight: int) -> None:
    """Its LLM alone, in batches as large as what may be in flight; its pipeline adds processes round it."""
    from distilabel.models import OpenAILLM

    llm = OpenAILLM(model="m", base_url=url, api_key="none", generation_kwargs={"max_new_tokens": 200})  # type: ignore[arg-type]
    llm.load()
    tally.start()
    for start in range(0, tally.requests, flight):
        numbers = range(start, min(start + flight, tally.requests))
        for said in llm.generate(inputs=[[{"role": "user", "content": prompt(number)}] for number in numbers]):
            tally.count(said["generations"][0])


CLIENTS: dict[str, Callable[[str, Tally, int], None]] = {
    "ours": ours,
    "openai": openai_sdk,
    "litellm": litellm,
    "distilabel": distilabel,
}


def main() -> None:
    name, url, requests, flight = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    tally = Tally(requests)
    CLIENTS[name](url, tally, flight)
    found = {
        "seconds": time.monotonic() - tally.begin,
        "steady_rate": (tally.answers - tally.requests // 3) / (time.monotonic() - tally.third),
        "cpu_seconds": time.process_time() - tally.used,
        "answers": tally.answers,
    }
    print(json.dumps(found | {"early_mb": tally.early_mb, "end_mb": memory_mb()}))


if __name__ == "__main__":
    main()
