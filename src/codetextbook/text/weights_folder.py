"""A folder of a pretrained model, as transformers saves it: what it lacks, and the digest that tells its content apart.

The digest covers the files that change what the model says (configuration, tokenizer, weights) and no others, so that a README may
differ. A file is hashed once as long as its size and its time of change stay the same.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from codetextbook.store import sha256

TELLING = (".json", ".txt", ".model", ".safetensors", ".bin", ".jinja")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
ASIDE = ("config_sentence_transformers.json", "data_config.json", "modules.json", "sentence_bert_config.json")
"""Files of sentence-transformers, which transformers does not read."""


def lacking(folder: Path) -> list[str]:
    """What a folder needs and does not have, in words; empty for a whole one."""
    wanted = {"config.json": ("config.json",), "weights (model.safetensors)": WEIGHTS, "a tokenizer": TOKENIZERS}
    return [name for name, files in wanted.items() if not any((folder / file).is_file() for file in files)]


def digest_of(folder: Path) -> str:
    """SHA-256 over the names and contents of the files that matter."""
    whole = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in TELLING and path.name not in ASIDE:
            stat = path.stat()
            whole.update(f"{path.name}:{_hashed(path, stat.st_size, stat.st_mtime_ns)}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=256)
def _hashed(path: Path, num_bytes: int, changed_ns: int) -> str:
    return sha256(path)
