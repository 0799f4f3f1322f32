"""A random model of CodeGen's architecture in a folder, as transformers saves one: real files, in a second."""

from __future__ import annotations

from pathlib import Path

import torch


def save_tiny_codegen(folder: Path, seed: int = 0) -> Path:
    """Weights, configuration and a learnt tokenizer; a context of 64 tokens, a width of 32."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CodeGenConfig, CodeGenModel, PreTrainedTokenizerFast

    vocabulary = Tokenizer(models.BPE())
    vocabulary.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    vocabulary.train_from_iterator(["def add(a, b):\n    return a + b\n", "for item in items: print(item)\n"], trainer)
    torch.manual_seed(seed)
    config = CodeGenConfig(vocab_size=300, n_positions=64, n_ctx=64, n_embd=32, n_layer=2, n_head=4, rotary_dim=4)
    CodeGenModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=vocabulary, eos_token="<|endoftext|>").save_pretrained(folder)
    return folder
