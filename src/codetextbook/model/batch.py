"""A batch that never waits: texts of any length side by side, each finished one replaced at once by the next.

Every row of the cache belongs to one text and is filled from its first place on, so no text is padded on the left, positions are the text's
own, and rows can come and go. The rows in use are always the first ones: the last one moves into a gap. New prompts are read together,
padded on the right, where causality hides the padding; a prompt that several rows share, as samples of one problem do, is read once. Greedy
texts do not depend on their batch-mates (up to rounding).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from codetextbook.model.folder import Loaded
from codetextbook.model.phi import Cache
from codetextbook.model.sampling import Sampling, choose
from codetextbook.model.transcript import Transcript, spell

PROMPT_TOKENS_AT_ONCE = 4_096
"""Tokens of new prompts, padding included, that are read in one pass."""
CACHE_BYTES = 4 << 30
"""Memory that keys and values may take; fewer rows where a model's are large."""


@dataclass(eq=False)
class Row:
    """A text in progress. Setting `stop_reason` from outside takes it out of the batch."""

    prompt: Sequence[int]
    """Ids that the text begins with, the token between documents first."""
    sampling: Sampling
    seed: int = 0
    stop_reason: str = ""
    """Why the text has ended: `stop`, `end_of_text`, `max_tokens` or `context`; empty while it has not."""
    written: list[int] = field(default_factory=list)
    transcript: Transcript = field(init=False)
    after_prompt_d: Tensor = field(init=False)
    """What the head reads at the prompt's last place."""


class Batch:
    """Rows that are written together."""

    def __init__(self, loaded: Loaded, rows: int, tokens: int) -> None:
        config, weight = loaded.model.config, loaded.model.embed.weight
        self.loaded = loaded
        self.context = min(tokens, config.context)
        row_bytes = config.layers * 2 * config.shared_heads * config.head_dim * self.context * weight.element_size()
        self.size = max(1, min(rows, CACHE_BYTES // row_bytes))
        self.rows: list[Row] = []
        self._cache = Cache(config, self.size, self.context, weight)
        self._spelt = spell(loaded.tokenizer)
        self._uniforms: list[random.Random] = []

    @property
    def free(self) -> int:
        """Rows that can be admitted now."""
        return self.size - len(self.rows)

    @torch.inference_mode()
    def admit(self, rows: Sequence[Row]) -> None:
        """Read the prompts of new rows, `free` of them at most, and write the first token of each."""
        first = len(self.rows)
        again: list[Row] = []
        unread: list[Row] = []
        for row in rows:
            known = any(other.prompt == row.prompt for other in (*self.rows, *unread))
            (again if known else unread).append(row)
        while unread:
            count = longest = 0
            for row in unread:
                longest = max(longest, len(row.prompt))
                if count and longest * (count + 1) > PROMPT_TOKENS_AT_ONCE:
                    break
                count += 1
            self._read(unread[:count])
            del unread[:count]
        for row in again:
            self._read_again(row)
        if rows:
            self._write(first, torch.stack([row.after_prompt_d for row in self.rows[first:]]))
            self._leave()

    def _read(self, rows: Sequence[Row]) -> None:
        first = len(self.rows)
        places = slice(first, first + len(rows))
        longest = max(len(row.prompt) for row in rows)
        padded = [[*row.prompt, *[self.loaded.end_of_text] * (longest - len(row.prompt))] for row in rows]
        self._cache.lengths[places] = [0] * len(rows)
        states_btd = self.loaded.model.hidden_states(self._tensor(padded), cache=self._cache, rows=places)
        self._cache.lengths[places] = [len(row.prompt) for row in rows]
        for row, states_td in zip(rows, states_btd, strict=True):
            self._enter(row, states_td[len(row.prompt) - 1].clone())

    def _read_again(self, row: Row) -> None:
        """Take over what a row of the batch has read of the same prompt."""
        source = next(place for place, other in enumerate(self.rows) if other.prompt == row.prompt)
        self._cache.copy(source, len(self.rows), len(row.prompt))
        self._enter(row, self.rows[source].after_prompt_d)

    def _enter(self, row: Row, after_prompt_d: Tensor) -> None:
        row.transcript, row.after_prompt_d = Transcript(self._spelt, row.sampling.stops), after_prompt_d
        self.rows.append(row)
        self._uniforms.append(random.Random(row.seed))

    @torch.inference_mode()
    def step(self) -> None:
        """One more token for every row."""
        self._leave()
        if not self.rows:
            return
        rows = slice(0, len(self.rows))
        ids = self._tensor([[row.written[-1]] for row in self.rows])
        states_btd = self.loaded.model.hidden_states(ids, cache=self._cache, rows=rows)
        self._cache.lengths[rows] = [length + 1 for length in self._cache.lengths[rows]]
        self._write(0, states_btd[:, -1])
        self._leave()

    def _write(self, first: int, states_bd: Tensor) -> None:
        """Choose the next token of the rows from `first` on, and see which of them end."""
        rows = self.rows[first:]
        logits_bv = self.loaded.model.head(states_bd).float()[:, : len(self._spelt)]
        uniforms = [uniform.random() for uniform in self._uniforms[first:]]
        chosen = choose(logits_bv, [row.sampling for row in rows], uniforms)
        for place, (row, token) in enumerate(zip(rows, chosen, strict=True), first):
            if token == self.loaded.end_of_text:
                row.stop_reason = "end_of_text"
                continue
            row.written.append(token)
            if row.transcript.add(token):
                row.stop_reason = "stop"
            elif len(row.written) >= row.sampling.max_tokens:
                row.stop_reason = "max_tokens"
            elif self._cache.lengths[place] >= self.context:
                row.stop_reason = "context"

    def _leave(self) -> None:
        """Take out the rows that have ended; the last row moves into each gap."""
        place = 0
        while place < len(self.rows):
            if not self.rows[place].stop_reason:
                place += 1
                continue
            row, uniform = self.rows.pop(), self._uniforms.pop()
            if place < len(self.rows):
                self.rows[place], self._uniforms[place] = row, uniform
                last = len(self.rows)
                self._cache.copy(last, place, self._cache.lengths[last])

    def _tensor(self, values: Sequence[int] | Sequence[Sequence[int]]) -> Tensor:
        return torch.tensor(values, device=self.loaded.model.embed.weight.device)
