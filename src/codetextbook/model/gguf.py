"""A model as one GGUF file for llama.cpp and what is built on it (Ollama, LM Studio): architecture `phi2`, which is phi's.

Matrices are fp32 or fp16; norms and biases stay fp32, as llama.cpp wants them. Limit: llama.cpp knows a fixed list of ways to cut text
before merges. CodeGen's is among them (GPT-2's), so text gives equal ids; a vocabulary that was learnt here is cut in a way of its own, so
llama.cpp may cut text otherwise: ids that are sent to it give equal completions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from codetextbook.errors import MissingDependency
from codetextbook.model.config import LAYER_NORM_EPS, ROPE_BASE
from codetextbook.model.folder import Loaded

ARCHITECTURE = "phi2"
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
_FP32, _MOSTLY_FP16 = 0, 1
_NEVER = np.float32(-1e4)
"""Logit of rows without a token, which we never choose either."""


def write_gguf(loaded: Loaded, path: Path, *, name: str, half: bool) -> None:
    """Write the model; `half` stores matrices in fp16.

    Raises:
        MissingDependency: the package gguf is not installed.
    """
    try:
        from gguf import GGUFWriter
    except ImportError:
        raise MissingDependency("gguf is not installed", hint="pip install 'codetextbook[gguf]'") from None
    config = loaded.model.config
    writer = GGUFWriter(path, ARCHITECTURE)
    writer.add_name(name)
    writer.add_file_type(_MOSTLY_FP16 if half else _FP32)
    writer.add_vocab_size(config.vocabulary)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.hidden)
    writer.add_feed_forward_length(config.mlp)
    writer.add_block_count(config.layers)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.shared_heads)
    writer.add_layer_norm_eps(LAYER_NORM_EPS)
    writer.add_rope_dimension_count(config.rotary_dims)
    writer.add_rope_freq_base(ROPE_BASE)
    if config.rope_factor != 1.0:
        from gguf import RopeScalingType

        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_factor)
    _add_vocabulary(writer, loaded)
    for tensor_name, tensor in _tensors(loaded):
        values = tensor.detach().float().cpu().numpy()
        if tensor_name == "output.bias":
            values = np.where(np.arange(len(values)) < loaded.tokenizer.get_vocab_size(), values, _NEVER)
        writer.add_tensor(tensor_name, values.astype(np.float16) if half and values.ndim > 1 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: Any, loaded: Loaded) -> None:
    made = json.loads(loaded.tokenizer.to_str())
    rows = loaded.model.config.vocabulary
    tokens, kinds = [f"<|unused_{number}|>" for number in range(rows)], [_UNUSED] * rows
    for token, number in made["model"]["vocab"].items():
        tokens[number], kinds[number] = token, _NORMAL
    for added in made["added_tokens"]:
        tokens[added["id"]] = added["content"]
        kinds[added["id"]] = _CONTROL if added["special"] else _USER_DEFINED
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in made["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(loaded.end_of_text)
    writer.add_eos_token_id(loaded.end_of_text)
    writer.add_add_bos_token(True)  # every text here begins after the token between documents


def _tensors(loaded: Loaded) -> Iterator[tuple[str, Tensor]]:
    """Every weight by llama.cpp's name for it; q, k and v are one matrix there too."""
    model = loaded.model
    yield "token_embd.weight", model.embed.weight
    for kind in ("weight", "bias"):
        yield f"output_norm.{kind}", getattr(model.final_norm, kind)
        yield f"output.{kind}", getattr(model.head, kind)
        for number in range(model.config.layers):
            block: Any = model.blocks[number]
            q, k, v, m = model.config.inward_sizes
            qkv, up = getattr(block.inward, kind).split((q + k + v, m))
            parts = {
                "attn_norm": getattr(block.norm, kind),
                "attn_qkv": qkv,
                "attn_output": getattr(block.dense, kind),
                "ffn_up": up,
                "ffn_down": getattr(block.fc2, kind),
            }
            for name, tensor in parts.items():
                yield f"blk.{number}.{name}.{kind}", tensor
