"""Trying a model by hand: the newest selected model of a workspace, streaming its completion of a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codetextbook.benchmarks.extract import stops_for
from codetextbook.errors import InputError
from codetextbook.store import Store

if TYPE_CHECKING:
    from codetextbook.model.generate import LongPrompts


def model_folder(work: Path) -> Path:
    """The model of the newest `select` in a workspace.

    Raises:
        InputError: the workspace has none yet.
    """
    found = [artifact for artifact in Store(work / "store").artifacts() if artifact.stage == "select"]
    if not found:
        raise InputError(
            "there is no selected model yet", where=str(work), hint="codetextbook run laptop, or name one with --model"
        )
    return found[-1].file("model")


def stream(folder: Path, prompt: str, *, seed: int, long_prompts: LongPrompts, **sampling: Any) -> Iterator[str]:
    """What follows the prompt, piece by piece, until the function ends. `sampling`: see `Sampling`.

    Raises:
        InputError: the folder holds no whole model; the prompt is too long; a setting cannot be.
    """
    from codetextbook.model.folder import load
    from codetextbook.model.generate import Sampling
    from codetextbook.model.generate import stream as pieces

    entry_point = prompt.rpartition("def ")[2].partition("(")[0].strip()
    chosen = Sampling(**sampling, stops=stops_for(prompt, entry_point))
    yield from pieces(load(folder), prompt, chosen, seed, long_prompts=long_prompts)
