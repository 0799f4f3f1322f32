"""Weights under their public names (`transformers.PhiForCausalLM`), both ways, by one readable dictionary.

A model folder on disk always has the public names, so that transformers and others load it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

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


def to_public(weights: Mapping[str, Tensor], config: PhiConfig) -> dict[str, Tensor]:
    """Our names to the public ones; `inward` is cut into its four."""
    public = {theirs: weights[ours] for ours, theirs in OUTER.items()}
    sizes = (config.hidden, config.hidden, config.hidden, config.mlp)
    for number in range(config.layers):
        for kind in ("weight", "bias"):
            ours, theirs = f"blocks.{number}", f"model.layers.{number}"
            for name, other in BLOCK.items():
                public[f"{theirs}.{other}.{kind}"] = weights[f"{ours}.{name}.{kind}"]
            parts = weights[f"{ours}.inward.{kind}"].split(sizes)
            public |= {f"{theirs}.{name}.{kind}": part for name, part in zip(INWARD, parts, strict=True)}
    return {name: tensor.contiguous() for name, tensor in public.items()}


def from_public(public: Mapping[str, Tensor], config: PhiConfig) -> dict[str, Tensor]:
    """The public names to ours.

    Raises:
        KeyError: a weight is missing.
    """
    weights = {ours: public[theirs] for ours, theirs in OUTER.items()}
    for number in range(config.layers):
        for kind in ("weight", "bias"):
            ours, theirs = f"blocks.{number}", f"model.layers.{number}"
            for name, other in BLOCK.items():
                weights[f"{ours}.{name}.{kind}"] = public[f"{theirs}.{other}.{kind}"]
            weights[f"{ours}.inward.{kind}"] = torch.cat([public[f"{theirs}.{name}.{kind}"] for name in INWARD])
    return weights


def public_config(config: PhiConfig, end_of_text: int) -> dict[str, Any]:
    """`config.json` as transformers reads it."""
    return {
        "architectures": ["PhiForCausalLM"],
        "model_type": "phi",
        "vocab_size": config.vocabulary,
        "num_hidden_layers": config.layers,
        "hidden_size": config.hidden,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads,
        "intermediate_size": config.mlp,
        "max_position_embeddings": config.context,
        "partial_rotary_factor": config.rotary_dims / config.head_dim,
        "rope_theta": ROPE_BASE,
        "layer_norm_eps": LAYER_NORM_EPS,
        "initializer_range": INIT_STD,
        "hidden_act": "gelu_new",
        "tie_word_embeddings": False,
        "qk_layernorm": False,
        "attention_dropout": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "torch_dtype": "float32",
    }
