"""Checkpoints of a training in progress: whole or not at all, checked when read, and the one before kept until the next stands.

`step-00000120.safetensors` is written first, `step-00000120.json` (its SHA-256, the step, the metrics so far) last. A checkpoint whose
checksum does not match is passed over for the one before it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file
from torch import Tensor

from codetextbook.store import atomic, sha256, write_json

KEPT = 2


class Checkpoint(NamedTuple):
    """Where training stood after `step` steps."""

    step: int
    tensors: dict[str, Tensor]
    notes: dict[str, Any]


def write(folder: Path, step: int, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
    """Keep a checkpoint, and no more than the one before it."""
    stem = f"step-{step:08d}"
    with atomic(folder / f"{stem}.safetensors") as path:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
        digest = sha256(path)
    write_json(folder / f"{stem}.json", {"sha256": digest, "step": step, "notes": notes})
    for old in sorted(folder.glob("step-*.json"))[:-KEPT]:
        old.unlink()
        old.with_suffix(".safetensors").unlink(missing_ok=True)


def newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole."""
    for record in sorted(folder.glob("step-*.json"), reverse=True):
        weights = record.with_suffix(".safetensors")
        try:
            told = json.loads(record.read_text(encoding="utf-8"))
            if sha256(weights) == told["sha256"]:
                return Checkpoint(told["step"], load_file(weights), told["notes"])
        except (OSError, ValueError, KeyError):
            continue  # damaged: the one before it is used
    return None
