"""The processes that train together: who this one is, and the few words they exchange. Alone, every word is free.

Sums over processes are made in an order that depends on their number, so losses of one, two and eight processes agree to rounding and
not to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

BUCKET_NUMBERS = 1 << 25
"""Numbers that are summed at once: 128 MB in fp32."""

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """This process among `world`."""

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @classmethod
    def joined(cls, device: str) -> Group:
        """The group that torch has opened, or this process alone."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        return cls(dist.get_rank(), dist.get_world_size(), device)

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Each number summed over all processes."""
        if self.world == 1:
            return list(numbers)
        summed = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(summed)
        return summed.tolist()

    def agreed(self, value: T) -> T:
        """The first process's value."""
        if self.world == 1:
            return value
        told: list[Any] = [value]
        dist.broadcast_object_list(told, src=0, device=torch.device(self.device))
        return told[0]

    @torch.no_grad()
    def sum_(self, tensors: Sequence[Tensor]) -> None:
        """Sum tensors over all processes, in place, some hundred megabytes at a time."""
        if self.world == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            for tensor, part in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def rows(self, total: int) -> tuple[int, int]:
        """First row of this process's share of `total`, and the row after its last: equal stretches, the last ones shorter."""
        size = -(-total // self.world)
        return min(self.rank * size, total), min((self.rank + 1) * size, total)


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    buckets: list[list[Tensor]] = [[]]
    size = 0
    for tensor in tensors:
        if size and size + tensor.numel() > BUCKET_NUMBERS:
            buckets.append([])
            size = 0
        buckets[-1].append(tensor)
        size += tensor.numel()
    return buckets
