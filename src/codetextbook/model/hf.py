"""Weights and settings under their public names (`transformers.PhiForCausalLM`), both ways, by one readable dictionary.

A model folder on disk always has the public names, so that transformers and others load it as it is. What only we know (documents kept
apart) has no public name: it changes training, not the completion of one text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from codetextbook.errors import InputError
from codetextbook.model.config import INIT_STD, LAYER_NORM_EPS, ROPE_BASE, PhiConfig

OUTER = {
    "embed.weight": "model.embed_tokens.weight",
    "final_norm.weight": "model.final_layernorm.weight",
    "final_norm.bias": "model.final_layernorm.bias",
    "head.weight": "lm_head.weight",
    "head.bias": "lm_head.bias",
}
BLOCK = {
    "norm": "input_layernorm",
    "dense": "self_attn.dense",
    "fc2": "mlp.fc2",
}
INWARD = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.fc1")
"""What `inward` is made of, from its first row to its last."""


PUBLIC_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""Number formats, and what the public `config.json` calls them."""

_FIXED = {
    "hidden_act": "gelu_new",
    "layer_norm_eps": LAYER_NORM_EPS,
    "qk_layernorm": False,
    "rope_theta": ROPE_BASE,
}
"""Public settings that have one value here."""


def to_public(weights: Mapping[str, Tensor], config: PhiConfig) -> dict[str, Tensor]:
    """Our names to the public ones; `inward` is cut into its four."""
    public = {theirs: weights[ours] for ours, theirs in _outer(config).items()}
    for number in range(config.layers):
        for kind in ("weight", "bias"):
            ours, theirs = f"blocks.{number}", f"model.layers.{number}"
            for name, other in BLOCK.items():
                public[f"{theirs}.{other}.{kind}"] = weights[f"{ours}.{name}.{kind}"]
            parts = weights[f"{ours}.inward.{kind}"].split(config.inward_sizes)
            public |= {f"{theirs}.{name}.{kind}": part for name, part in zip(INWARD, parts, strict=True)}
    return {name: tensor.contiguous() for name, tensor in public.items()}


def from_public(public: Mapping[str, Tensor], config: PhiConfig) -> dict[str, Tensor]:
    """The public names to ours.

    Raises:
        KeyError: a weight is missing.
    """
    weights = {ours: public[theirs] for ours, theirs in _outer(config).items()}
    for number in range(config.layers):
        for kind in ("weight", "bias"):
            ours, theirs = f"blocks.{number}", f"model.layers.{number}"
            for name, other in BLOCK.items():
                weights[f"{ours}.{name}.{kind}"] = public[f"{theirs}.{other}.{kind}"]
            weights[f"{ours}.inward.{kind}"] = torch.cat([public[f"{theirs}.{name}.{kind}"] for name in INWARD])
    return weights


def _outer(config: PhiConfig) -> dict[str, str]:
    return {ours: theirs for ours, theirs in OUTER.items() if not (config.tied and ours == "head.weight")}


def public_config(config: PhiConfig, end_of_text: int, dtype: str = "fp32") -> dict[str, Any]:
    """`config.json` as transformers reads it."""
    made = {
        "architectures": ["PhiForCausalLM"],
        "model_type": "phi",
        "vocab_size": config.vocabulary,
        "num_hidden_layers": config.layers,
        "hidden_size": config.hidden,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.shared_heads,
        "intermediate_size": config.mlp,
        "max_position_embeddings": config.context,
        "partial_rotary_factor": config.rotary_dims / config.head_dim,
        "rope_theta": ROPE_BASE,
        "layer_norm_eps": LAYER_NORM_EPS,
        "initializer_range": INIT_STD,
        "hidden_act": "gelu_new",
        "tie_word_embeddings": config.tied,
        "qk_layernorm": False,
        "attention_dropout": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "torch_dtype": PUBLIC_DTYPES[dtype],
    }
    if config.rope_factor != 1.0:
        made["rope_scaling"] = {"rope_type": "linear", "factor": config.rope_factor}
    return made


def from_public_config(public: Mapping[str, Any], where: str) -> PhiConfig:
    """Our settings from a public `config.json`, as transformers 4 or 5 writes it.

    Raises:
        InputError: another architecture, or a setting that phi does not have.
        ConfigError: the sizes contradict each other.
    """
    if public.get("model_type") != "phi":
        raise InputError(
            f"a model of type {public.get('model_type')!r}, not 'phi'",
            where=where,
            hint="phi-1, phi-1_5, phi-2 or one made here",
        )
    rope = public.get("rope_parameters") or public.get("rope_scaling") or {}
    known = dict(public) | {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
    for name, value in _FIXED.items():
        if known.get(name, value) != value:
            raise InputError(
                f"{name} is {known[name]!r}; here it is {value!r}", where=where, hint="a model of phi-1's form"
            )
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "linear"):
        raise InputError(f"RoPE scaling of type {kind!r}", where=where, hint="linear, or none")
    try:
        heads, hidden = known["num_attention_heads"], known["hidden_size"]
        kv_heads = known.get("num_key_value_heads") or heads
        sizes = {
            "vocabulary": known["vocab_size"],
            "layers": known["num_hidden_layers"],
            "hidden": hidden,
            "heads": heads,
            "mlp": known["intermediate_size"],
            "rotary_dims": int(hidden // heads * known.get("partial_rotary_factor", 0.5)),
            "context": known["max_position_embeddings"],
            "kv_heads": None if kv_heads == heads else kv_heads,
            "tied": bool(known.get("tie_word_embeddings", False)),
            "rope_factor": float(rope.get("factor", 1.0)) if kind == "linear" else 1.0,
        }
    except KeyError as error:
        raise InputError(f"no {error}", where=where, hint="the config.json that belongs to the weights") from None
    return PhiConfig.parse(sizes, where=where)
