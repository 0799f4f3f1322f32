"""How far two judges agree beyond chance: Cohen's kappa with its 95 % interval.

Kappa after Cohen (1960), the standard error after Fleiss, Cohen and Everitt (1969), for two answers. Limit: the error is one of large
samples; below some 30 documents the interval is a rough one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_Z_95 = 1.959964


class Agreement(NamedTuple):
    """Two judges on the same documents."""

    documents: int
    both_yes: int
    only_first: int
    only_second: int
    both_no: int
    kappa: float | None = None
    """None where it is not defined: no documents, or both judges gave one and the same answer throughout."""
    low: float | None = None
    high: float | None = None

    @property
    def share(self) -> float:
        """Share of the documents on which both say the same."""
        return (self.both_yes + self.both_no) / self.documents if self.documents else 0.0


def agreement(first: Sequence[bool], second: Sequence[bool]) -> Agreement:
    """Kappa of two judges' answers to the same questions.

    Raises:
        ValueError: not as many answers of one as of the other.
    """
    pairs = list(zip(first, second, strict=True))
    number = len(pairs)
    counts = Counter(pairs)
    told = Agreement(number, counts[True, True], counts[True, False], counts[False, True], counts[False, False])
    if not number:
        return told
    yes_yes, yes_no, no_yes, no_no = (cell / number for cell in told[1:5])
    row_yes, column_yes = yes_yes + yes_no, yes_yes + no_yes
    by_chance = row_yes * column_yes + (1 - row_yes) * (1 - column_yes)
    if math.isclose(by_chance, 1):
        return told
    kappa = (yes_yes + no_no - by_chance) / (1 - by_chance)
    left = 1 - kappa
    same = yes_yes * (1 - (row_yes + column_yes) * left) ** 2 + no_no * (1 - (2 - row_yes - column_yes) * left) ** 2
    other = left**2 * (yes_no * (column_yes + 1 - row_yes) ** 2 + no_yes * (1 - column_yes + row_yes) ** 2)
    variance = (same + other - (kappa - by_chance * left) ** 2) / (number * (1 - by_chance) ** 2)
    half = _Z_95 * math.sqrt(max(variance, 0.0))
    return told._replace(kappa=kappa, low=max(-1.0, kappa - half), high=min(1.0, kappa + half))
