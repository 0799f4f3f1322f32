"""A language model on this machine, through transformers: many sequences at once, and what they share is read once.

Writing: a batch of rows over a static cache (`slots`); when a sequence ends, the next prompt takes its row. Judging
(`answers`): the log-probability of each answer after one pass over the prompt, nothing is written. What all prompts of a moment
begin with (rubric, examples) is read once.

bf16 where the processor computes in it, else float32: without AVX512-BF16 or AMX, bf16 is emulated and slower. Sampling has a
generator of its own for each request, seeded by the request's key; still, the last bits of a sum depend on the batch, so that
another batch may give another text. The journal keeps what was given. Limit: plain decoders with full attention; no sliding
windows.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

import torch

from codetextbook.errors import InputError
from codetextbook.teacher.in_process import InProcess
from codetextbook.teacher.protocol import Again, Failure, Reply, Request, unheard
from codetextbook.teacher.slots import Prefix, Slots
from codetextbook.teacher.weights import Weights, load_transformers

DRAW_BLOCK = 512
SHORTEST_PREFIX = 32
STOP_WINDOW_TOKENS = 24
QUEUE_FACTOR = 4
"""Requests taken in for each row, so that rows that end find the next one waiting."""


class Ready(NamedTuple):
    """A request as the model reads it."""

    request: Request
    tokens: list[int]


@dataclass
class Row:
    """A sequence being written."""

    ready: Ready
    tell: Callable[[Reply | Failure], None]
    generator: torch.Generator | None
    written: list[int] = field(default_factory=list)


class LocalModel:
    """Loaded weights with their tokenizer."""

    def __init__(self, weights: Weights, name: str, *, device: str = "auto", dtype: torch.dtype | None = None) -> None:
        transformers = load_transformers()
        self.name = name
        self.device = torch.device(
            "cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu")
        )
        where = {"local_files_only": weights.is_local}
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(weights.source, **where)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                weights.source, dtype=dtype or pick_dtype(self.device), **where
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"the weights cannot be loaded ({str(error).splitlines()[0]})",
                where=f"[teacher] weights {weights.source}",
            ) from None
        self.model = model.eval().to(self.device)
        config = model.config.get_text_config()
        self.context = int(getattr(config, "max_position_embeddings", 2_048))
        ends = getattr(model.generation_config, "eos_token_id", None)
        named = [ends] if isinstance(ends, int) else list(ends or [])
        self.ends = {*named, self.tokenizer.eos_token_id} - {None}
        self.broken_off = threading.Event()
        """Set by another thread when nobody waits for answers any more: what is under way is dropped at the next step."""
        self._prefix: Prefix | None = None
        self._answer_tokens: dict[str, list[int]] = {}

    def ready(self, request: Request) -> Ready | Failure:
        """The tokens of a request; a failure where they do not fit."""
        if request.form == "completion" or not self.tokenizer.chat_template:
            text = "".join(one.content for one in request.messages)
            tokens = self.tokenizer(text, verbose=False)["input_ids"]
        else:
            turns = [{"role": one.role, "content": one.content} for one in request.messages]
            text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            tokens = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        more = 1 if request.answers else request.max_tokens
        if not tokens or len(tokens) + more > self.context:
            return Failure(
                "too_long", f"{len(tokens):,} tokens and {more:,} to write; the model holds {self.context:,}"
            )
        missing = [answer for answer in request.answers if not self.answer_tokens(answer)]
        if missing:
            return Failure("answer_is_no_token", f"{missing[0]!r} is not one token of this model")
        return Ready(request, list(tokens))

    def answer_tokens(self, answer: str) -> list[int]:
        """Every single token that says an answer, whatever white space stands before it."""
        if answer not in self._answer_tokens:
            ways = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (answer, " " + answer)]
            self._answer_tokens[answer] = sorted({way[0] for way in ways if len(way) == 1})
        return self._answer_tokens[answer]

    def judge(self, prompts: Sequence[Ready], tell: Callable[[int, Reply], None]) -> None:
        """Log-probabilities of each prompt's answers, told as they come: one pass over each, what they share read once."""
        with torch.inference_mode():
            slots = Slots(self.model, 1, max(len(one.tokens) for one in prompts))
            prefix = self._shared(slots, prompts)
            for place, one in enumerate(prompts):
                if self.broken_off.is_set():
                    return
                logits = slots.read(0, one.tokens, prefix if starts(one.tokens, prefix) else None)
                told = torch.log_softmax(logits.float(), -1)
                scores = {
                    answer: float(torch.logsumexp(told[self.answer_tokens(answer)], 0))
                    for answer in one.request.answers
                }
                best = max(scores, key=lambda answer: (scores[answer], answer))
                tell(place, Reply(best, len(one.tokens), 1, 0.0, "stop", self.name, scores))

    def _shared(self, slots: Slots, prompts: Sequence[Ready]) -> Prefix | None:
        """What these prompts begin with; read once and remembered."""
        common = common_start([one.tokens for one in prompts])
        if len(prompts) < 2 and (self._prefix is None or not starts(list(common), self._prefix)):
            return None
        if self._prefix is not None and starts(list(common), self._prefix):
            return self._prefix
        common = common[: min(len(one.tokens) for one in prompts) - 1]
        if len(common) < SHORTEST_PREFIX:
            return None
        self._prefix = slots.prefix(common)
        return self._prefix

    def write(self, queue: deque[tuple[Ready, Callable[[Reply | Failure], None]]], rows: int) -> None:
        """Write the answers of a queue, which may grow meanwhile, in a batch of rows that are filled again as they end.

        Comes back when the queue is empty, its next prompt needs more places than the first ones did, or the work is broken off.
        """
        waiting = [ready for ready, _ in queue]
        places = max(len(one.tokens) + one.request.max_tokens for one in waiting)
        with torch.inference_mode():
            slots = Slots(self.model, min(rows, len(waiting)), places)
            prefix = self._shared(slots, waiting)
            live: list[Row] = []
            while not self.broken_off.is_set():
                while queue and len(live) < slots.rows and fits(queue[0][0], places):
                    self._begin(slots, live, queue.popleft(), prefix)
                if not live:
                    return
                logits = slots.advance([row.written[-1] for row in live])
                chosen = self._choose(live, logits)
                for row, token in zip(live, chosen, strict=True):
                    row.written.append(token)
                self._retire(slots, live)

    def _begin(
        self,
        slots: Slots,
        live: list[Row],
        item: tuple[Ready, Callable[[Reply | Failure], None]],
        prefix: Prefix | None,
    ) -> None:
        """Read a prompt into the next free row, and choose its first token."""
        ready, tell = item
        seeded = ready.request.temperature > 0
        generator = torch.Generator(self.device) if seeded else None
        if generator is not None:
            generator.manual_seed(int(ready.request.key(self.name)[:15], 16))
        row = Row(ready, tell, generator)
        logits = slots.read(len(live), ready.tokens, prefix if starts(ready.tokens, prefix) else None)
        row.written = self._choose([row], logits[None])
        ended = self._ended(row)
        if ended is None:
            live.append(row)
        else:
            tell(ended)

    def _retire(self, slots: Slots, live: list[Row]) -> None:
        """Tell what has ended; the last row takes the place of each, so that the live rows are always the first."""
        for place in reversed(range(len(live))):
            ended = self._ended(live[place])
            if ended is None:
                continue
            live[place].tell(ended)
            last = len(live) - 1
            if place != last:
                slots.move(last, place)
                live[place] = live[last]
            live.pop()

    def _choose(self, rows: Sequence[Row], logits: torch.Tensor) -> list[int]:
        """The next token of each row: the likeliest, or drawn at the row's temperature."""
        chosen = logits.argmax(-1)
        drawn = [(place, row) for place, row in enumerate(rows) if row.generator is not None]
        if drawn:
            places = [place for place, _ in drawn]
            heats = torch.tensor([row.ready.request.temperature for _, row in drawn], device=self.device)
            points = [torch.rand(1, generator=row.generator, device=self.device) for _, row in drawn]
            chosen[places] = draw(logits[places], heats, torch.cat(points))
        return list(chosen.tolist())

    def _ended(self, row: Row) -> Reply | None:
        """The reply of a row that has ended; None where it goes on."""
        request = row.ready.request
        if row.written[-1] in self.ends:
            return self._reply(row, row.written[:-1], "stop", request.stop)
        if request.stop:
            tail = self.tokenizer.decode(row.written[-STOP_WINDOW_TOKENS:])
            if any(stop in tail for stop in request.stop):
                return self._reply(row, row.written, "stop", request.stop)
        if len(row.written) >= request.max_tokens:
            return self._reply(row, row.written, "length", request.stop)
        return None

    def _reply(self, row: Row, tokens: list[int], reason: str, stops: tuple[str, ...]) -> Reply:
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        cuts = [text.find(stop) for stop in stops if stop in text]
        text = text[: min(cuts)] if cuts else text
        return Reply(text, len(row.ready.tokens), len(row.written), 0.0, reason, self.name)


class LocalBackend(InProcess[LocalModel]):
    """Requests gathered for a model on this machine."""

    def __init__(
        self, weights: Weights, name: str, *, rows: int = 32, device: str = "auto", threads: int | None = None
    ) -> None:
        super().__init__(name)
        self._weights, self._rows, self._device, self._threads = weights, rows, device, threads
        self._waiting: deque[tuple[Ready, Callable[[Reply | Failure], None]]] = deque()

    @property
    def in_flight(self) -> int:
        """Rows of the batch, and those who wait for one."""
        return self._rows * QUEUE_FACTOR

    def _load(self) -> LocalModel:
        if self._threads:
            torch.set_num_threads(self._threads)
        model = LocalModel(self._weights, self._name, device=self._device)
        model.broken_off = self._broken_off
        return model

    async def attempt(self, request: Request, sent: Callable[[], None] = unheard) -> Reply | Failure | Again:
        """The model's answer; comes with those of the same moment."""
        assert self._loaded is not None, "use `async with`"
        ready = self._loaded.ready(request)
        if isinstance(ready, Failure):
            return ready
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Reply | Failure] = loop.create_future()

        def tell(reply: Reply | Failure) -> None:
            loop.call_soon_threadsafe(give, done, reply)

        self._waiting.append((ready, tell))
        self._begin()
        return await done

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and not self._broken_off.is_set():
            await loop.run_in_executor(self._thread, self._turn)
            await asyncio.sleep(0.01)
        self._waiting.clear()

    def _turn(self) -> None:
        """One turn in the model's thread: all that is to be judged, or all that is to be written."""
        assert self._loaded is not None
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        judged = [item for item in taken if item[0].request.answers]
        written = deque(
            sorted((item for item in taken if not item[0].request.answers), key=lambda item: -len(item[0].tokens))
        )
        if judged:
            self._loaded.judge([ready for ready, _ in judged], lambda place, reply: judged[place][1](reply))
        if written:
            self._loaded.write(written, self._rows)
        self._waiting.extendleft(reversed(written))


def pick_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the device computes in it, else float32."""
    if device.type != "cpu":
        return torch.bfloat16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def draw(logits: torch.Tensor, heats: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """A token of each row, `[R]`, drawn by its point from 0 to 1 out of the softmax of `logits / heats`, `[R, V]` and `[R]`.

    All rows at once and by sums of blocks: `torch.multinomial` with a generator for each row took longer than the model.
    """
    chances = torch.softmax(logits.float() / heats[:, None], -1)
    blocks = torch.nn.functional.pad(chances, (0, -chances.shape[1] % DRAW_BLOCK)).unflatten(1, (-1, DRAW_BLOCK))
    sums = blocks.sum(-1)
    goals = points * sums.sum(-1)
    block = _reached(sums, goals)[:, None]
    inside = blocks.take_along_dim(block[..., None], 1)[:, 0]
    before = (sums.cumsum(-1) - sums).take_along_dim(block, 1)[:, 0]
    return block[:, 0] * DRAW_BLOCK + _reached(inside, goals - before)


def _reached(shares: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    """The first place of each row at which its sum so far is over its goal; the largest share where rounding leaves none."""
    over = shares.cumsum(-1) > goals[:, None]
    return torch.where(over.any(-1), over.int().argmax(-1), shares.argmax(-1))


def give(done: asyncio.Future[Reply | Failure], reply: Reply | Failure) -> None:
    """Hand a reply to who waits for it, if anybody still does."""
    if not done.done():
        done.set_result(reply)


def common_start(sequences: Sequence[list[int]]) -> tuple[int, ...]:
    """What all sequences begin with: what the first and the last of them, in order, have in common."""
    first, last = min(sequences), max(sequences)
    return tuple(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))


def starts(tokens: Sequence[int], prefix: Prefix | None) -> bool:
    """Whether a prefix is a proper start of some tokens."""
    return (
        prefix is not None and len(prefix.tokens) < len(tokens) and tuple(tokens[: len(prefix.tokens)]) == prefix.tokens
    )


def fits(ready: Ready, places: int) -> bool:
    """Whether a prompt and its answer fit into a row."""
    return len(ready.tokens) + ready.request.max_tokens <= places
