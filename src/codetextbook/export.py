"""Taking a model out, for transformers, vLLM, llama.cpp or Ollama, and bringing one of phi's form in.

`hf` writes a folder that `AutoModelForCausalLM` and `AutoTokenizer` load, with a model card that says what the model was made from: the
manifests of its workspace, no word of it written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from codetextbook.errors import InputError
from codetextbook.model.config import PhiConfig
from codetextbook.nouns import END_OF_TEXT
from codetextbook.store import MANIFEST, Artifact, Store, atomic

Dtype = Literal["fp32", "fp16", "bf16"]
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
    sizes = {
        "parameters": f"{config.parameters:,}",
        "layers, width, MLP": f"{config.layers}, {config.hidden}, {config.mlp}",
        "heads": f"{config.heads} of {config.head_dim}, {config.rotary_dims} dimensions rotary",
        "context": f"{config.context} tokens",
        "vocabulary": f"{config.vocabulary:,} rows",
        "weights": dtype,
    }
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        "tags: [code, python, phi]",
        "---",
        "",
        f"# {name_of(folder)}",
        "",
        'A small code model of phi\'s architecture, made with codetextbook by the recipe of "Textbooks Are All You Need".',
        "It completes Python; it was not taught to chat, and what it writes is to be checked before it is run.",
        f"Every text it was trained on begins after `{END_OF_TEXT}`: put that token before a prompt.",
        "",
        *_table("size", sizes),
    ]
    artifact = made_by(folder)
    if artifact is None:
        return "\n".join(
            [
                *lines,
                "",
                "It was not made in a workspace of codetextbook: what it was trained on is not known here.",
                "",
            ]
        )
    store = Store(artifact.folder.parent.parent)
    return "\n".join([*lines, "", *_scores(store, artifact), *_origin(store, artifact), ""])


def _scores(store: Store, model: Artifact) -> list[str]:
    """What the exams of this very model gave."""
    for exam in store.artifacts():
        if exam.stage == "evaluate" and exam.manifest["inputs"].get("best") == model.id:
            facts = {key.replace("_", " "): _shown(value) for key, value in exam.manifest["facts"].items()}
            return ["## Scores", "", *_table(f"evaluate {exam.id}", facts), ""]
    return ["## Scores", "", "None: this model has not sat the exams.", ""]


def _origin(store: Store, model: Artifact) -> list[str]:
    """What it was made from, each artifact once, the model first."""
    from codetextbook.panel import summary
    from codetextbook.run import lineage

    seen: dict[str, str] = {}
    for _, artifact in lineage(store, model.id):
        seen.setdefault(f"{artifact.stage} {artifact.id}", summary(artifact))
    return ["## Made from", "", *_table("artifact", seen)]


def _table(title: str, rows: dict[str, str]) -> list[str]:
    return [f"| {title} | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def destination_for(folder: Path, form: str) -> Path:
    """Where an export goes when no place is named."""
    return Path(f"{name_of(folder)}{'-hf' if form == 'hf' else '.gguf'}")
