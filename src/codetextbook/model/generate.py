"""Writing with a model: completions of many prompts, of one as it comes, and bits per byte of a text that is given.

Every text begins after `<|endoftext|>`, as the files of the training array do. Greedy completions do not depend on batch-mates (up to
rounding); sampled ones depend on their own seed alone.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

from codetextbook.errors import InputError
from codetextbook.model.batch import Batch, Row
from codetextbook.model.folder import Loaded
from codetextbook.model.sampling import Sampling

ROWS = 64

LongPrompts = Literal["cut", "refuse"]
"""What becomes of a prompt that fills the context: its beginning is cut off, or it is refused."""


@dataclass(frozen=True)
class Text:
    """What was written, and why it ended: `stop`, `end_of_text`, `max_tokens` or `context`."""

    text: str
    stop_reason: str


def generate(
    loaded: Loaded,
    prompts: Sequence[str],
    sampling: Sampling,
    seeds: Sequence[int] | None = None,
    *,
    long_prompts: LongPrompts = "cut",
) -> list[Text]:
    """Complete prompts, in their order. `seeds`: one a prompt, for sampling.

    Raises:
        InputError: a prompt fills the context, and such are refused.
    """
    ids = [encode(loaded, prompt, sampling.max_tokens, long_prompts) for prompt in prompts]
    rows = [Row(some, sampling, seeds[number] if seeds else 0) for number, some in enumerate(ids)]
    waiting = deque(sorted(rows, key=lambda row: (len(row.prompt), row.prompt)))
    batch = Batch(loaded, min(ROWS, len(rows)), max(map(len, ids), default=0) + sampling.max_tokens)
    while waiting or batch.rows:
        batch.admit([waiting.popleft() for _ in range(min(batch.free, len(waiting)))])
        batch.step()
    return [Text(row.transcript.raw, row.stop_reason) for row in rows]


def stream(
    loaded: Loaded, prompt: str, sampling: Sampling, seed: int = 0, *, long_prompts: LongPrompts = "cut"
) -> Iterator[str]:
    """Complete one prompt piece by piece, up to a stop; what may yet become a stop or is half a character waits.

    Raises:
        InputError: the prompt fills the context, and such are refused.
    """
    row = Row(encode(loaded, prompt, sampling.max_tokens, long_prompts), sampling, seed)
    batch = Batch(loaded, 1, len(row.prompt) + sampling.max_tokens)
    batch.admit([row])
    while True:
        yield row.transcript.settled(bool(row.stop_reason))
        if row.stop_reason:
            return
        batch.step()


def encode(loaded: Loaded, prompt: str, max_tokens: int, long_prompts: LongPrompts) -> list[int]:
    """A prompt's ids after `<|endoftext|>`, with room to write after them.

    Raises:
        InputError: the prompt fills the context, and such are refused.
    """
    config = loaded.model.config
    ids = [loaded.end_of_text, *loaded.tokenizer.encode(prompt).ids]
    if config.document_end in ids:
        ids = ids[len(ids) - 1 - ids[::-1].index(config.document_end) :]  # nothing before it is ever attended to
    if long_prompts == "cut":
        return ids[-max(config.context // 2, config.context - max_tokens) :]
    if len(ids) >= config.context:
        raise InputError(
            f"the prompt has {len(ids):,} tokens and the context {config.context:,}",
            where="the prompt",
            hint="a shorter prompt, or let its beginning be cut off",
        )
    return ids


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
