"""A static cache of keys and values whose rows are independent: each row is one sequence, of its own length.

Shapes: B rows, H key-value heads, T places of a row, D width of a head, L layers. `transformers` sees a `Cache`; what differs
from its static cache is that rows advance alone, so that a finished sequence makes room for the next at once, and no step
computes what nobody reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

PLACES_STEP = 64


class Prefix(NamedTuple):
    """Tokens that many prompts begin with, and their keys and values, `[H, P, D]` for each layer."""

    tokens: tuple[int, ...]
    keys: list[torch.Tensor]
    values: list[torch.Tensor]


class Where:
    """Which rows and places the next forward pass writes; shared by all layers."""

    def __init__(self) -> None:
        self.row: int | None = None
        """One row that reads a prompt; None when the first `count` rows advance by a token each."""
        self.count = 0
        self.start = 0
        self.lengths: torch.Tensor | None = None
        self.upto = 0


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, `[B, H, T, D]`."""

    is_sliding = False

    def __init__(self, where: Where, rows: int, places: int) -> None:
        super().__init__()
        self._where, self._rows, self._places = where, rows, places

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Room for all rows, of the kind of the first keys and values."""
        shape = (self._rows, key_states.shape[1], self._places)
        self.keys = key_states.new_zeros((*shape, key_states.shape[3]))
        self.values = value_states.new_zeros((*shape, value_states.shape[3]))
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new keys and values at their places; gives all that the queries may look at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        where = self._where
        if where.row is not None:
            rows, end = slice(where.row, where.row + 1), where.start + key_states.shape[2]
            self.keys[rows, :, where.start : end] = key_states
            self.values[rows, :, where.start : end] = value_states
            return self.keys[rows, :, :end], self.values[rows, :, :end]
        every = torch.arange(where.count, device=key_states.device)
        self.keys[every, :, where.lengths] = key_states[:, :, 0]
        self.values[every, :, where.lengths] = value_states[:, :, 0]
        return self.keys[: where.count, :, : where.upto], self.values[: where.count, :, : where.upto]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset for transformers' own masks; ours are given."""
        return self._where.upto, 0

    def get_seq_length(self) -> int:
        """Places in use."""
        return self._where.upto

    def get_max_length(self) -> int:
        """Places of a row."""
        return self._places


class Slots:
    """The cache of a batch: prompts are read into a row, and all rows advance together."""

    def __init__(self, model: Any, rows: int, places: int) -> None:
        self._model, self.rows, self.places = model, rows, places
        self._where = Where()
        layers = int(model.config.get_text_config().num_hidden_layers)
        self._layers = [SlotLayer(self._where, rows, places) for _ in range(layers)]
        self._cache = Cache(layers=list(self._layers))
        self.lengths = [0] * rows

    def read(self, row: int, tokens: list[int], prefix: Prefix | None = None) -> torch.Tensor:
        """Read a prompt into a row, after a prefix that was read before; gives the logits after its last token, `[V]`."""
        start = 0
        if prefix is not None:
            start = len(prefix.tokens)
            self._paste(row, prefix)
        rest = torch.tensor([tokens[start:]], device=self._model.device)
        count = rest.shape[1]
        self._where.row, self._where.start, self._where.upto = row, start, start + count
        places = torch.arange(start, start + count, device=rest.device)
        mask = (torch.arange(start + count, device=rest.device)[None, :] <= places[:, None])[None, None]
        out = self._model(
            input_ids=rest,
            attention_mask=mask,
            position_ids=places[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.lengths[row] = start + count
        logits: torch.Tensor = out.logits[0, -1]
        return logits

    def advance(self, tokens: list[int]) -> torch.Tensor:
        """Append a token to each of the first rows; gives the logits after them, `[rows, V]`."""
        count = len(tokens)
        device = self._model.device
        lengths = torch.tensor(self.lengths[:count], device=device)
        longest = max(self.lengths[:count]) + 1
        where = self._where
        where.row, where.count, where.lengths = None, count, lengths
        where.upto = min(self.places, -(-longest // PLACES_STEP) * PLACES_STEP)
        mask = (torch.arange(where.upto, device=device)[None, :] <= lengths[:, None])[:, None, None]
        out = self._model(
            input_ids=torch.tensor(tokens, device=device)[:, None],
            attention_mask=mask,
            position_ids=lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
        )
        for row in range(count):
            self.lengths[row] += 1
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def move(self, source: int, target: int) -> None:
        """Take a row's sequence to another row."""
        end = self.lengths[source]
        for layer in self._layers:
            assert layer.keys is not None and layer.values is not None
            layer.keys[target, :, :end] = layer.keys[source, :, :end]
            layer.values[target, :, :end] = layer.values[source, :, :end]
        self.lengths[target] = end

    def prefix(self, tokens: tuple[int, ...]) -> Prefix:
        """Read what many prompts begin with, once."""
        self.read(0, list(tokens))
        keys, values = [], []
        for layer in self._layers:
            assert layer.keys is not None and layer.values is not None
            keys.append(layer.keys[0, :, : len(tokens)].clone())
            values.append(layer.values[0, :, : len(tokens)].clone())
        return Prefix(tokens, keys, values)

    def _paste(self, row: int, prefix: Prefix) -> None:
        end = len(prefix.tokens)
        for layer, key, value in zip(self._layers, prefix.keys, prefix.values, strict=True):
            if not layer.is_initialized:
                layer.lazy_initialization(key[None], value[None])
            assert layer.keys is not None and layer.values is not None
            layer.keys[row, :, :end] = key
            layer.values[row, :, :end] = value
