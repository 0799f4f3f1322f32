"""llama.cpp in this process, for tests and benchmarks: its own server, asked for completions by ids or by text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xllamacpp


def serve(path: Path, *, context: int, threads: int = 1) -> xllamacpp.Server:
    """A server with one slot over a GGUF file."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.warmup = False
    params.cache_prompt = False
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    return xllamacpp.Server(params)


def complete(server: xllamacpp.Server, prompt: str | list[int], tokens: int) -> list[int]:
    """The ids of a greedy completion."""
    asked = {"prompt": prompt, "max_tokens": tokens, "temperature": 0.0, "logprobs": 1}
    answer: dict[str, Any] = server.handle_completions(asked)
    return [entry["id"] for entry in answer["choices"][0]["logprobs"]["content"]]
