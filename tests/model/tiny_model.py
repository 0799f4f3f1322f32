"""A tiny model with random weights and a byte-level vocabulary."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from tokenizers import Tokenizer

from codetextbook.model.config import PhiConfig
from codetextbook.model.folder import Loaded
from codetextbook.model.phi import Phi
from codetextbook.nouns import END_OF_TEXT
from codetextbook.text.vocabulary import learn

TINY = PhiConfig(vocabulary=320, layers=2, hidden=32, heads=2, mlp=64, rotary_dims=8, context=64)
TEXTS = ["def add(a, b):\n    return a + b\n", "for x in range(3):\n    print('größer', x)\n"] * 20


def tokenizer() -> Tokenizer:
    """A vocabulary of at most 300 tokens."""
    return learn(TEXTS, 300)


def random_model(config: PhiConfig, seed: int = 1, noise: float = 0.05) -> Loaded:
    """A model whose weights, biases and norms are all drawn, so that each of them matters."""
    model = Phi(config).initialise(seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * noise)
    vocabulary = tokenizer()
    return Loaded(model, vocabulary, vocabulary.token_to_id(END_OF_TEXT))


def into(root: Path) -> Callable[[str], AbstractContextManager[Path]]:
    """Opens parts under a folder, as the store's writer does."""

    @contextlib.contextmanager
    def open_part(name: str) -> Iterator[Path]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        yield root / name

    return open_part
