"""How much of what a machine can multiply a training uses: model-FLOPs utilisation.

The work is what the model asks for, `footprint.flop_per_token`, as PaLM's authors count it (arXiv 2204.02311, appendix B): arithmetic that
recomputing repeats does not count. The peak is the maker's dense 16-bit figure where the GPU is one of `footprint.CARDS` and the passes
compute in 16 bits. For anything else it is measured once in a process, in a fraction of a second, as the best of some square matrix
products: on a processor in one thread, times the threads, which threads that share a core do not reach together. Limit: where other work
takes a core through the whole measurement, the peak comes out low and the share high.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any, NamedTuple

import torch

from codetextbook.model.config import PhiConfig
from codetextbook.train.footprint import CARDS, flop_per_token
from codetextbook.train.precision import choose, resolve_device
from codetextbook.train.settings import Placement, Precision

MACHINE = "machine.json"
"""Volatile part of a training's artifact: what it ran on."""
PRODUCTS = 24
"""Products of which the fastest counts."""
SIDE = {"cpu": 512, "cuda": 8_192}
"""Rows and columns of the matrices: large enough that a product is bound by arithmetic."""


class Machine(NamedTuple):
    """What a training runs on."""

    name: str
    """The GPU's, or the number of the processor's threads."""
    precision: str
    """Number format of the passes."""
    flop_per_token: float
    peak_flop_per_second: float
    """Of all the devices that train together."""
    peak_is: str
    """"published" by the maker, or "measured"."""

    def shares(self, tokens_per_second: float) -> dict[str, float]:
        """The model's floating-point operations a second, and their share of the peak, as facts of a running step."""
        rate = tokens_per_second * self.flop_per_token
        return {"FLOP/s": rate, "of peak": rate / self.peak_flop_per_second}

    def told(self) -> dict[str, Any]:
        """For the artifact."""
        return self._asdict()


def machine(model: PhiConfig, precision: Precision, device: str, threads: int, placement: Placement) -> Machine:
    """This machine, and those that are said to be like it.

    Raises:
        TrainingError: the device is not there.
    """
    place = resolve_device(device)
    dtype = choose(precision, place)
    name = (
        torch.cuda.get_device_name()
        if place == "cuda"
        else f"processor, {threads} {'thread' if threads == 1 else 'threads'}"
    )
    published = published_peak(name) if dtype in (torch.bfloat16, torch.float16) and place == "cuda" else None
    one = published or measured_peak(place, dtype) * (1 if place == "cuda" else threads)
    devices = placement.machines * (placement.processes if place == "cuda" else 1)
    kind = "measured" if published is None else "published"
    return Machine(
        f"{devices} x {name}" if devices > 1 else name,
        str(dtype).removeprefix("torch."),
        flop_per_token(model),
        devices * one,
        kind,
    )


def published_peak(name: str) -> float | None:
    """FLOP/s of a GPU in dense 16-bit products, as its maker says; None where the name is not known, or is a slice of a GPU or a form of
    it that is slower than the one that is known."""
    if any(word in name for word in ("MIG", "PCIe", "NVL")):
        return None
    return next((1e12 * card.peak_tflops for card in CARDS if card.name in name), None)


@cache
def measured_peak(place: str, dtype: torch.dtype) -> float:
    """FLOP/s of the fastest of some square products, on a processor in one thread."""
    side = SIDE[place]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        square = torch.full((side, side), 0.5, dtype=dtype, device=place)
        seconds = min(_product(square) for _ in range(PRODUCTS))
    finally:
        torch.set_num_threads(before)
    return 2.0 * side**3 / seconds


def _product(square: torch.Tensor) -> float:
    """Seconds of one product."""
    began = time.perf_counter()
    torch.mm(square, square)
    if square.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - began
