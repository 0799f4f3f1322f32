"""Taking a model out, for transformers, vLLM, llama.cpp or Ollama, and bringing one of phi's form in.

`hf` writes a folder that `AutoModelForCausalLM` and `AutoTokenizer` load, with a model card that says what the model was made from; `data`
what it was trained on, with a dataset card. Both cards come from the manifests of the workspace, no number of them written by hand.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from codetextbook.errors import InputError
from codetextbook.model.config import PhiConfig
from codetextbook.nouns import END_OF_TEXT
from codetextbook.store import MANIFEST, Artifact, Store, atomic

Dtype = Literal["fp32", "fp16", "bf16"]
TABLES = ("documents", "pages", "exercises")
"""Of the texts after decontamination: what training reads."""
CARD, GENERATION, TOKENIZER, SPECIAL = (
    "README.md",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def hf(folder: Path, destination: Path, dtype: Dtype) -> None:
    """Write a model folder for transformers: weights, settings, tokenizer files, generation settings and a model card.

    Raises:
        InputError: `folder` holds no whole model; the destination is in use.
    """
    from codetextbook.model.folder import load, save

    loaded = load(folder)
    _refuse_used(destination)
    end, config = loaded.end_of_text, loaded.model.config
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    texts: dict[str, dict[str, Any]] = {
        GENERATION: {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "do_sample": False},
        TOKENIZER: {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.context,
            "clean_up_tokenization_spaces": False,
        }
        | special,
        SPECIAL: special,
    }
    save(loaded.model, loaded.tokenizer, lambda name: atomic(destination / name), ".", dtype)
    for name, values in texts.items():
        with atomic(destination / name) as path:
            path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    with atomic(destination / CARD) as path:
        path.write_text(card(folder, config, dtype), encoding="utf-8")


def gguf(folder: Path, destination: Path, dtype: Literal["fp32", "fp16"]) -> None:
    """Write a model as one GGUF file.

    Raises:
        InputError: `folder` holds no whole model; the destination is in use.
        MissingDependency: the package gguf is not installed.
    """
    from codetextbook.model.folder import load
    from codetextbook.model.gguf import write_gguf

    loaded = load(folder)
    _refuse_used(destination)
    with atomic(destination) as path:
        write_gguf(loaded, path, name=name_of(folder), half=dtype == "fp16")


def bring_in(folder: Path, destination: Path) -> None:
    """Write a folder of transformers' as a model folder of ours.

    Raises:
        InputError: it is of another architecture, or not whole; the destination is in use.
    """
    from codetextbook.model.folder import load, save

    loaded = load(folder)
    _refuse_used(destination)
    save(loaded.model, loaded.tokenizer, lambda name: atomic(destination / name), ".")


def _refuse_used(destination: Path) -> None:
    if destination.is_file() or (destination.is_dir() and any(destination.iterdir())):
        raise InputError("there is something already", where=str(destination), hint="another place, or empty this one")


def made_by(folder: Path) -> Artifact | None:
    """The artifact that a model folder is part of, if it is in a store."""
    for above in folder.resolve().parents:
        if (above / MANIFEST).is_file():
            return Artifact(above)
    return None


def name_of(folder: Path) -> str:
    """What a model is called outside: by its artifact, or by its folder."""
    artifact = made_by(folder)
    return f"codetextbook-{artifact.id}" if artifact else folder.resolve().name


def card(folder: Path, config: PhiConfig, dtype: Dtype) -> str:
    """The model card, from the manifests of the workspace that made the model."""
    from codetextbook.charts.cards import model_card

    sizes = {
        "parameters": f"{config.parameters:,}",
        "layers, width, MLP": f"{config.layers}, {config.hidden}, {config.mlp}",
        "heads": f"{config.heads} of {config.head_dim}, {config.rotary_dims} dimensions rotary",
        "context": f"{config.context} tokens",
        "vocabulary": f"{config.vocabulary:,} rows",
        "weights": dtype,
    }
    artifact = made_by(folder)
    if artifact is None:
        return model_card(name_of(folder), sizes, {}, None, END_OF_TEXT)
    store = Store(artifact.folder.parent.parent)
    return model_card(name_of(folder), sizes, descent(store, artifact), exam_of(store, artifact), END_OF_TEXT)


def exam_of(store: Store, model: Artifact) -> Artifact | None:
    """The exams of this very model."""
    exams = [one for one in store.artifacts() if one.stage == "evaluate"]
    return next((one for one in reversed(exams) if one.manifest["inputs"].get("best") == model.id), None)


def descent(store: Store, made: Artifact) -> dict[str, Artifact]:
    """What an artifact was made from, each once and itself first, by stage; where a stage comes twice, its second by stage and id."""
    from codetextbook.run import lineage

    found: dict[str, Artifact] = {}
    for _, artifact in lineage(store, made.id):
        taken = found.setdefault(artifact.stage, artifact)
        if taken.id != artifact.id:
            found[f"{artifact.stage} {artifact.id}"] = artifact
    return found


def data(work: Path, destination: Path) -> None:
    """Write what the newest run of a workspace is trained on as a folder for the hub: its tables as Parquet, and a dataset card.

    Raises:
        InputError: there is no such artifact yet; the destination is in use.
    """
    from codetextbook.charts.cards import dataset_card

    store = Store(work / "store")
    found = [one for one in store.artifacts() if one.stage == "decontaminate"]
    if not found:
        raise InputError("there is nothing to export yet", where=str(store.root), hint="codetextbook run laptop")
    _refuse_used(destination)
    clean = found[-1]
    for table in TABLES:
        for part in clean.parts(table):
            with atomic(destination / part.name) as path:
                shutil.copyfile(part, path)
    with atomic(destination / CARD) as path:
        path.write_text(dataset_card(f"codetextbook-{clean.id}", clean, descent(store, clean)), encoding="utf-8")


def destination_for(folder: Path, form: str) -> Path:
    """Where an export goes when no place is named."""
    return Path(f"{name_of(folder)}{'-hf' if form == 'hf' else '.gguf'}")
