"""vLLM's offline engine in this process: for a machine with GPUs and no server to keep.

Written to vLLM's documented interface (`LLM.chat`, `LLM.generate`, `SamplingParams`, structured outputs) and **not run** where this was
written, which has no GPU: the tests hold it to a stand-in of that interface only. A served vLLM behind `kind = "openai"` is the way that
is tested; prefer it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from codetextbook.errors import MissingDependency
from codetextbook.teacher.in_process import InProcess
from codetextbook.teacher.protocol import Again, Failure, Reply, Request, unheard
from codetextbook.teacher.wire import TOP_LOGPROBS


class _Item(NamedTuple):
    request: Request
    done: asyncio.Future[Reply | Failure | Again]


class VllmBackend(InProcess[Any]):
    """Requests gathered and given to vLLM together; it does its own batching."""

    def __init__(self, weights: str, name: str, *, in_flight: int) -> None:
        super().__init__(name)
        self._weights, self._most = weights, in_flight
        self._waiting: list[_Item] = []

    @property
    def in_flight(self) -> int:
        """Requests that may be given to the engine at once."""
        return self._most

    def _load(self) -> Any:
        try:
            import vllm
        except ImportError:
            raise MissingDependency(
                "vLLM is not installed", where="[teacher] kind", hint="pip install 'codetextbook[vllm]'"
            ) from None
        return vllm.LLM(model=self._weights)

    async def attempt(self, request: Request, sent: Callable[[], None] = unheard) -> Reply | Failure | Again:
        """The engine's answer; comes with those of the same moment."""
        done: asyncio.Future[Reply | Failure | Again] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Item(request, done))
        self._begin()
        return await done

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            items, self._waiting = self._waiting, []
            for form in ("chat", "completion"):
                part = [item for item in items if item.request.form == form]
                if not part:
                    continue
                replies = await loop.run_in_executor(self._thread, self._run, [item.request for item in part])
                for item, reply in zip(part, replies, strict=True):
                    item.done.set_result(reply)
            await asyncio.sleep(0)

    def _run(self, requests: list[Request]) -> list[Reply]:
        """One call of the engine for requests of one form."""
        engine: Any = self._loaded
        settings = [_sampling(request) for request in requests]
        if requests[0].form == "chat":
            turns = [[{"role": one.role, "content": one.content} for one in request.messages] for request in requests]
            outputs = engine.chat(turns, sampling_params=settings, use_tqdm=False)
        else:
            texts = ["".join(one.content for one in request.messages) for request in requests]
            outputs = engine.generate(texts, sampling_params=settings, use_tqdm=False)
        return [reply_of(request, output, self._name) for request, output in zip(requests, outputs, strict=True)]


def _sampling(request: Request) -> Any:
    """A request's parameters in vLLM's words."""
    from vllm import SamplingParams

    values: dict[str, Any] = {"temperature": request.temperature, "max_tokens": request.max_tokens}
    if request.stop:
        values["stop"] = list(request.stop)
    if request.sample:
        values["seed"] = request.sample
    if request.answers:
        values["logprobs"] = TOP_LOGPROBS
    if request.schema:
        from vllm.sampling_params import StructuredOutputsParams

        values["structured_outputs"] = StructuredOutputsParams(json=dict(request.schema))
    return SamplingParams(**values)


def reply_of(request: Request, output: Any, name: str) -> Reply:
    """A reply of one of vLLM's outputs."""
    first = output.outputs[0]
    scores: dict[str, float] = {}
    if request.answers and first.logprobs:
        told = [(str(one.decoded_token), float(one.logprob)) for one in first.logprobs[0].values()]
        for answer in request.answers:
            same = [math.exp(value) for token, value in told if token.strip() == answer]
            if sum(same) > 0:
                scores[answer] = math.log(sum(same))
    sent, answered = len(output.prompt_token_ids or []), len(first.token_ids)
    return Reply(first.text, sent, answered, 0.0, str(first.finish_reason or ""), name, scores)
