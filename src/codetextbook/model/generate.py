"""Writing with a model: batched sampling with cached keys and values, and bits per byte of a text that is given.

Prompts of like length share a batch, padded on the left; finished rows leave it. Greedy completions do not depend on batch-mates (up to
rounding); sampled ones depend on their own seed alone. Every text begins after `<|endoftext|>`, as the files of the training array do.
A prompt longer than the context loses its beginning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from codetextbook.model.folder import Loaded
from codetextbook.model.phi import Cache

PROMPTS_PER_BATCH = 32


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen, and when to stop."""

    max_tokens: int = 256
    """Tokens after which a text is cut."""
    temperature: float = 0.0
    """0 takes the likeliest token."""
    top_p: float = 1.0
    """Share of probability from which tokens are drawn, the likeliest first."""
    stops: tuple[str, ...] = ()
    """Texts at whose appearance writing ends; they stay in the raw text."""


@dataclass(frozen=True)
class Text:
    """What was written, and why it ended: `stop`, `end_of_text`, `max_tokens` or `context`."""

    text: str
    stop_reason: str


@dataclass
class _Row:
    number: int
    ids: list[int]
    generator: torch.Generator | None


def generate(
    loaded: Loaded, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int] | None = None
) -> list[Text]:
    """Complete prompts, in their order. `seeds`: one a prompt, for sampling."""
    encoded = [_encode(loaded, prompt, sampling.max_tokens) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda number: (len(encoded[number]), number))
    texts: dict[int, Text] = {}
    for start in range(0, len(order), PROMPTS_PER_BATCH):
        numbers = order[start : start + PROMPTS_PER_BATCH]
        texts |= _batch(loaded, numbers, encoded, sampling, seeds)
    return [texts[number] for number in range(len(prompts))]


def stream(loaded: Loaded, prompt: str, sampling: Sampling, seed: int = 0) -> Iterator[str]:
    """Complete one prompt piece by piece; a character that needs more tokens waits for them."""
    ids = _encode(loaded, prompt, sampling.max_tokens)
    row = _Row(0, [], _generator(sampling, seed, loaded))
    shown = ""
    with torch.inference_mode():
        cache = Cache(loaded.model.config, 1, loaded.model.config.context, loaded.model.embed.weight)
        logits = _next(loaded, torch.tensor([ids]), cache, None)
        while True:
            reason = _advance(loaded, row, logits[0], sampling)
            text = loaded.tokenizer.decode(row.ids)
            complete = text.removesuffix("\ufffd")
            if reason == "stop":
                cut = min(text.find(stop) for stop in sampling.stops if stop in text)
                complete = text[:cut]
            yield complete[len(shown) :]
            shown = max(shown, complete, key=len)
            if reason or cache.length >= loaded.model.config.context:
                return
            logits = _next(loaded, torch.tensor([row.ids[-1:]]), cache, None)


@torch.inference_mode()
def bits(loaded: Loaded, prompt: str, continuation: str) -> float:
    """Bits that a continuation costs the model, given the prompt; divide by its UTF-8 bytes for bits per byte.

    What exceeds the context is taken off the prompt's beginning, then scored window by window.
    """
    context = loaded.model.config.context
    device = loaded.model.embed.weight.device
    before = [loaded.end_of_text, *loaded.tokenizer.encode(prompt).ids]
    after = loaded.tokenizer.encode(continuation).ids
    total, done = 0.0, 0
    while done < len(after):
        some = after[done : done + max(1, context // 2)]
        seen = (before + after[:done])[-(context - len(some)) :]
        ids = torch.tensor([(seen + some)], device=device)
        states = loaded.model.hidden_states(ids[:, :-1])[0, -len(some) :]
        logits = loaded.model.head(states).float()
        total += F.cross_entropy(logits, ids[0, -len(some) :], reduction="sum").item() / math.log(2)
        done += len(some)
    return total


def _encode(loaded: Loaded, prompt: str, max_tokens: int) -> list[int]:
    """Ids after `<|endoftext|>`, cut on the left so that there is room to write."""
    context = loaded.model.config.context
    room = max(context // 2, context - max_tokens)
    return [loaded.end_of_text, *loaded.tokenizer.encode(prompt).ids][-room:]


def _generator(sampling: Sampling, seed: int, loaded: Loaded) -> torch.Generator | None:
    return torch.Generator().manual_seed(seed) if sampling.temperature > 0 else None


@torch.inference_mode()
def _batch(
    loaded: Loaded, numbers: list[int], encoded: list[list[int]], sampling: Sampling, seeds: Sequence[int] | None
) -> dict[int, Text]:
    model, longest = loaded.model, max(len(encoded[number]) for number in numbers)
    device = model.embed.weight.device
    padded = [[loaded.end_of_text] * (longest - len(encoded[n])) + encoded[n] for n in numbers]
    first = torch.tensor([longest - len(encoded[n]) for n in numbers], device=device)
    rows = [_Row(n, [], _generator(sampling, seeds[n] if seeds else 0, loaded)) for n in numbers]
    cache = Cache(model.config, len(rows), min(model.config.context, longest + sampling.max_tokens), model.embed.weight)
    logits = _next(loaded, torch.tensor(padded, device=device), cache, first)
    done: dict[int, Text] = {}
    while True:
        staying = []
        for place, row in enumerate(rows):
            reason = _advance(loaded, row, logits[place], sampling)
            if not reason and cache.length >= cache.kv.shape[4]:
                reason = "context"
            if reason:
                done[row.number] = Text(loaded.tokenizer.decode(row.ids), reason)
            else:
                staying.append(place)
        if not staying:
            return done
        if len(staying) < len(rows):
            kept = torch.tensor(staying, device=device)
            cache.keep_rows(kept)
            first, rows = first[kept], [rows[place] for place in staying]
        logits = _next(loaded, torch.tensor([row.ids[-1:] for row in rows], device=device), cache, first)


def _next(loaded: Loaded, ids: Tensor, cache: Cache, first: Tensor | None) -> Tensor:
    states = loaded.model.hidden_states(ids.to(loaded.model.embed.weight.device), cache=cache, first_bt=first)
    return loaded.model.head(states[:, -1]).float()


def _advance(loaded: Loaded, row: _Row, logits: Tensor, sampling: Sampling) -> str:
    """Choose a row's next token; returns why the row ends, or nothing."""
    chosen = _choose(logits[: loaded.tokenizer.get_vocab_size()], sampling, row.generator)
    if chosen == loaded.end_of_text:
        return "end_of_text"
    row.ids.append(chosen)
    if sampling.stops:
        tail = loaded.tokenizer.decode(row.ids[-24:])
        if any(stop in tail for stop in sampling.stops) and any(
            stop in loaded.tokenizer.decode(row.ids) for stop in sampling.stops
        ):
            return "stop"
    return "max_tokens" if len(row.ids) >= sampling.max_tokens else ""


def _choose(logits: Tensor, sampling: Sampling, generator: torch.Generator | None) -> int:
    if generator is None:
        return int(logits.argmax())
    shares = (logits.cpu() / sampling.temperature).softmax(-1)
    if sampling.top_p < 1:
        ordered, places = shares.sort(descending=True)
        ordered[ordered.cumsum(-1) - ordered > sampling.top_p] = 0
        shares = torch.zeros_like(shares).scatter_(0, places, ordered)
    return int(torch.multinomial(shares, 1, generator=generator))
