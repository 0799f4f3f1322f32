"""Where the line is drawn between documents that are kept and others, what each line would keep, and how a filter fares among like files.

A line can be named by the share of characters to keep (the paper's way, about 17 %), by a budget of tokens, by the precision that the
kept documents must have by the teacher's word, or as a probability. Tokens are estimated from characters, since no vocabulary is there
yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from codetextbook.errors import StageFailed
from codetextbook.teacher.agreement import area_within

LEAST_CALLED = 10
"""Graded documents above a threshold that a precision needs (ours: with fewer it is luck)."""
STEPS = 40


def by_share(quality: np.ndarray, characters: np.ndarray, share: float) -> float:
    """The highest threshold whose documents hold at least this share of the characters; equal qualities stay together."""
    order = np.argsort(-quality, kind="stable")
    held = np.cumsum(characters[order])
    return float(quality[order][min(int(np.searchsorted(held, share * held[-1])), len(order) - 1)])


def by_budget(quality: np.ndarray, characters: np.ndarray, budget: float) -> float:
    """The lowest threshold whose documents hold no more than a budget of characters; equal qualities stay together.

    Raises:
        StageFailed: the best documents alone hold more.
    """
    levels, places = np.unique(-quality, return_inverse=True)
    held = np.cumsum(np.bincount(places, weights=characters))
    fitting = int(np.searchsorted(held, budget, side="right"))
    if fitting == 0:
        raise StageFailed(
            f"the documents of the highest quality alone hold {int(held[0]):,} characters, and the budget is {int(budget):,}",
            where="[curate] keep_tokens",
            hint="a larger keep_tokens",
        )
    return float(-levels[fitting - 1])


def by_precision(good: np.ndarray, probabilities: np.ndarray, wanted: float) -> float:
    """The lowest threshold from which on this share of the graded documents is good, judged by forests that had not seen them.

    Raises:
        StageFailed: no threshold has it; the best one is named.
    """
    order = np.argsort(-probabilities, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(probabilities[order]) != 0, True))
    ends = ends[ends + 1 >= min(LEAST_CALLED, len(order))]
    precision = np.cumsum(good[order])[ends] / (ends + 1)
    reached = np.flatnonzero(precision >= wanted)
    if not len(reached):
        best = int(np.argmax(precision))
        raise StageFailed(
            f"no threshold makes {wanted:.0%} of the kept documents good",
            where="[curate] precision",
            hint=f"{float(precision[best]):.2f}, which threshold {float(probabilities[order][ends[best]]):.2f} reaches; or more grades",
        )
    return float(probabilities[order][ends[reached[-1]]])


def kept_curve(quality: np.ndarray, characters: np.ndarray, characters_per_token: float) -> list[dict[str, Any]]:
    """What thresholds from 0 to 1 would keep, in documents, characters and estimated tokens."""
    total = max(int(characters.sum()), 1)
    rows: list[dict[str, Any]] = []
    for step in range(STEPS + 1):
        kept = quality >= step / STEPS
        held = int(characters[kept].sum())
        rows.append(
            {
                "threshold": step / STEPS,
                "documents": int(kept.sum()),
                "characters": held,
                "tokens": round(held / characters_per_token),
                "share": round(held / total, 4),
            }
        )
    return rows


def slices(
    names: Sequence[str],
    quality: np.ndarray,
    kept: np.ndarray,
    graded: np.ndarray,
    good: np.ndarray,
    probabilities: np.ndarray,
    *,
    resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Of each kind of document how many there are, which share is kept, and the area among the graded; a kind that vanishes is an alarm.

    `graded` are the places of the graded documents, `good` and `probabilities` what the teacher and unseeing forests say of those.
    """
    members = defaultdict(list)
    for place, name in enumerate(names):
        members[name].append(place)
    rows = []
    for name, places in sorted(members.items(), key=lambda item: (-len(item[1]), item[0])):
        own = np.isin(graded, places)
        shares = {"share_kept": float(kept[places].mean()), "mean_quality": float(quality[places].mean())}
        rows.append(
            {"name": name, "documents": len(places), "graded": int(own.sum()), "good": int(good[own].sum())}
            | {key: round(value, 4) for key, value in shares.items()}
            | area_within(good[own], probabilities[own], resamples=resamples, seed=seed)
        )
    return rows


def refuse_empty(quality: np.ndarray, threshold: float) -> None:
    """Say which threshold would keep something.

    Raises:
        StageFailed: nothing has this quality.
    """
    if (quality >= threshold).any():
        return
    steps = [0.5, *(step / 20 for step in range(19, -1, -1))]
    other = next(step for step in steps if step < threshold and (quality >= step).any())
    raise StageFailed(
        f"threshold {threshold:g} keeps 0 of {len(quality):,} documents",
        where="[curate] threshold",
        hint=f"{other:.2f} keeps {int((quality >= other).sum()):,}",
    )
