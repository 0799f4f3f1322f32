"""A model as a folder: `model.safetensors` under public names, `config.json`, `phi.json` and `tokenizer.json`.

`phi.json` is our settings; `config.json` is for transformers. Weights that are missing, of another shape, not finite or cut short are
refused with what, where, and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from codetextbook.errors import InputError
from codetextbook.model.config import PhiConfig
from codetextbook.model.hf import from_public, public_config, to_public
from codetextbook.model.phi import Phi
from codetextbook.nouns import END_OF_TEXT

WEIGHTS, SETTINGS, PUBLIC, VOCABULARY = "model.safetensors", "phi.json", "config.json", "tokenizer.json"

OpenPart = Callable[[str], AbstractContextManager[Path]]
"""Opens a part of an artifact for writing, as `Writer.file` does."""


class Loaded(NamedTuple):
    """A model and its vocabulary."""

    model: Phi
    tokenizer: Tokenizer
    end_of_text: int


def save(model: Phi, tokenizer: Tokenizer, open_part: OpenPart, name: str) -> None:
    """Write a model as the parts `name/...`."""
    config = model.config
    weights = to_public({key: value.detach().float().cpu() for key, value in model.state_dict().items()}, config)
    with open_part(f"{name}/{WEIGHTS}") as path:
        save_file(weights, path, metadata={"format": "pt"})
    texts = {
        PUBLIC: json.dumps(public_config(config, end_of_text(tokenizer)), indent=1),
        VOCABULARY: tokenizer.to_str(),
        SETTINGS: config.model_dump_json(indent=1),
    }
    for part, text in texts.items():
        with open_part(f"{name}/{part}") as path:
            path.write_text(text + "\n", encoding="utf-8")


def load(folder: Path, device: str = "cpu") -> Loaded:
    """Read a model folder.

    Raises:
        InputError: a file is missing or damaged; weights are of another architecture, not finite, or do not fit the vocabulary.
    """
    for part in (SETTINGS, WEIGHTS, VOCABULARY):
        if not (folder / part).is_file():
            raise InputError(
                f"a model folder has no {part}", where=str(folder), hint="a folder that `select` or `finetune` made"
            )
    config = PhiConfig.parse(json.loads((folder / SETTINGS).read_text(encoding="utf-8")), where=str(folder / SETTINGS))
    tokenizer = Tokenizer.from_file(str(folder / VOCABULARY))
    if tokenizer.get_vocab_size() > config.vocabulary:
        raise InputError(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens and the model {config.vocabulary}",
            where=str(folder),
            hint="keep a model and its tokenizer.json together",
        )
    model = Phi(config)
    model.load_state_dict(_weights(folder / WEIGHTS, config))
    return Loaded(model.to(device).eval(), tokenizer, end_of_text(tokenizer))


def end_of_text(tokenizer: Tokenizer) -> int:
    """Id of the token between two texts.

    Raises:
        InputError: the vocabulary has none.
    """
    end = tokenizer.token_to_id(END_OF_TEXT)
    if end is None:
        raise InputError(f"the tokenizer has no {END_OF_TEXT}", hint="a vocabulary that the stage `tokenizer` made")
    return end


def _weights(path: Path, config: PhiConfig) -> dict[str, torch.Tensor]:
    hint = "make the model again, or fetch the file again"
    try:
        weights = from_public(load_file(path), config)
    except SafetensorError as error:
        raise InputError(f"the weights are damaged: {error}", where=str(path), hint=hint) from None
    except KeyError as error:
        raise InputError(
            f"no weight {error}: another architecture, or other sizes than phi.json", where=str(path)
        ) from None
    with torch.device("meta"):
        expected = Phi(config).state_dict()
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
            raise InputError(f"{name} is {shapes}", where=str(path), hint="phi.json belongs to another model")
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"{name} holds values that are not finite", where=str(path), hint="choose an earlier checkpoint"
            )
    return weights
