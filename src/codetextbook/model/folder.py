"""A model as a folder: `model.safetensors` under public names, `config.json`, `phi.json` and `tokenizer.json`.

`phi.json` is our settings; `config.json` is for transformers, and is read where there is no `phi.json`, so that published folders of phi's
form load as they are. Weights that are missing, of another shape, not finite or cut short are refused with what, where, and what to do.
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
from codetextbook.model.hf import PUBLIC_DTYPES, from_public, from_public_config, public_config, to_public
from codetextbook.model.phi import Phi
from codetextbook.nouns import END_OF_TEXT

WEIGHTS, SETTINGS, PUBLIC, VOCABULARY = "model.safetensors", "phi.json", "config.json", "tokenizer.json"
INDEX = "model.safetensors.index.json"

OpenPart = Callable[[str], AbstractContextManager[Path]]
"""Opens a part of an artifact for writing, as `Writer.file` does."""


class Loaded(NamedTuple):
    """A model and its vocabulary."""

    model: Phi
    tokenizer: Tokenizer
    end_of_text: int


def save(model: Phi, tokenizer: Tokenizer, open_part: OpenPart, name: str, dtype: str = "fp32") -> None:
    """Write a model as the parts `name/...`, its weights in `fp32`, `fp16` or `bf16`."""
    config, kind = model.config, getattr(torch, PUBLIC_DTYPES[dtype])
    weights = to_public({key: value.detach().to("cpu", kind) for key, value in model.state_dict().items()}, config)
    with open_part(f"{name}/{WEIGHTS}") as path:
        save_file(weights, path, metadata={"format": "pt"})
    texts = {
        PUBLIC: json.dumps(public_config(config, end_of_text(tokenizer), dtype), indent=1),
        VOCABULARY: tokenizer.to_str(),
        SETTINGS: config.model_dump_json(indent=1),
    }
    for part, text in texts.items():
        with open_part(f"{name}/{part}") as path:
            path.write_text(text + "\n", encoding="utf-8")


def load(folder: Path, device: str = "cpu") -> Loaded:
    """Read a model folder: ours, or one of phi's form that transformers wrote (`config.json` without `phi.json`).

    Raises:
        InputError: a file is missing or damaged; weights are of another architecture, not finite, or do not fit the vocabulary.
    """
    config = _settings(folder)
    path = _present(
        folder, VOCABULARY, "AutoTokenizer.from_pretrained(...).save_pretrained(...) of transformers writes one"
    )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  (tokenizers raises nothing more exact)
        raise InputError(
            f"the vocabulary cannot be read: {error}", where=str(path), hint="fetch the file again"
        ) from None
    if tokenizer.get_vocab_size() > config.vocabulary:
        raise InputError(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens and the model {config.vocabulary}",
            where=str(folder),
            hint="keep a model and its tokenizer.json together",
        )
    with torch.device("meta"):
        model = Phi(config)
    model.load_state_dict(_weights(folder, model), assign=True)
    return Loaded(model.to(device).eval(), tokenizer, end_of_text(tokenizer))


def _present(folder: Path, part: str, hint: str) -> Path:
    path = folder / part
    if not path.is_file():
        raise InputError(f"a model folder has no {part}", where=str(folder), hint=hint)
    return path


def _settings(folder: Path) -> PhiConfig:
    ours = (folder / SETTINGS).is_file()
    path = _present(
        folder, SETTINGS if ours else PUBLIC, "a folder that `select` or `finetune` made, or one of transformers"
    )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"not JSON: {error}", where=str(path), hint="fetch the file again") from None
    return PhiConfig.parse(values, where=str(path)) if ours else from_public_config(values, str(path))


def end_of_text(tokenizer: Tokenizer) -> int:
    """Id of the token between two texts.

    Raises:
        InputError: the vocabulary has none.
    """
    end = tokenizer.token_to_id(END_OF_TEXT)
    if end is None:
        raise InputError(f"the tokenizer has no {END_OF_TEXT}", hint="a vocabulary that the stage `tokenizer` made")
    return end


def _weights(folder: Path, model: Phi) -> dict[str, torch.Tensor]:
    """The weights in fp32, each of the shape that `model` has."""
    public: dict[str, torch.Tensor] = {}
    for path in _weight_files(folder):
        try:
            public |= load_file(path)
        except SafetensorError as error:
            raise InputError(
                f"the weights are damaged: {error}",
                where=str(path),
                hint="make the model again, or fetch the file again",
            ) from None
    where, expected = str(folder), model.state_dict()
    try:
        weights = from_public(public, model.config)
    except KeyError as error:
        raise InputError(
            f"no weight {error}: another architecture, or other sizes than its settings",
            where=where,
            hint="all of the model's files",
        ) from None
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
            raise InputError(f"{name} is {shapes}", where=where, hint="its settings belong to another model")
        if not torch.isfinite(tensor).all():
            raise InputError(
                f"{name} holds values that are not finite", where=where, hint="choose an earlier checkpoint"
            )
    return {name: tensor.float() for name, tensor in weights.items()}


def _weight_files(folder: Path) -> list[Path]:
    """One file, or the parts that an index names."""
    if not (folder / INDEX).is_file():
        return [_present(folder, WEIGHTS, "weights as safetensors; transformers' save_pretrained writes them")]
    names = set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values())
    return [_present(folder, name, "every part that the index names") for name in sorted(names)]
