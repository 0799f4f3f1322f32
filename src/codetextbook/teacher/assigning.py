"""What a teacher's texts are to be about: topic, audience and style without replacement, so that all are covered before one comes again.

Every run through the topics is a new shuffle of all of them. A topic meets a new audience each time until it has met all, and then all
again in other styles: topics x audiences x styles texts come before one combination is repeated. A topic that brings little but
repetitions is closed. Everything is a function of the seed, the number, and what came before.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """Keys of the curriculum."""

    topic: str
    audience: str
    style: str


@lru_cache(maxsize=4_096)
def _shuffled(names: tuple[str, ...], key: str) -> list[str]:
    made = list(names)
    random.Random(key).shuffle(made)
    return made


def cell(index: int, curriculum: Mapping[str, Any], seed: int) -> Cell:
    """The cell of text number `index`."""
    topics = tuple(sorted(curriculum["topics"]))
    turn, place = divmod(index, len(topics))
    topic = _shuffled(topics, f"{seed}/topics/{turn}")[place]
    audiences = _shuffled(tuple(sorted(curriculum["audiences"])), f"{seed}/audiences/{topic}")
    styles = _shuffled(tuple(sorted(curriculum["styles"])), f"{seed}/styles/{topic}")
    laps, audience = divmod(turn, len(audiences))
    return Cell(topic, audiences[audience], styles[(laps + audience) % len(styles)])


class Cells:
    """How many new texts and how many repetitions each topic has brought, part by part."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self._new: Counter[str] = Counter()
        self._old: Counter[str] = Counter()

    def kept(self, topics: Iterable[str]) -> None:
        """Texts that were new."""
        self._new.update(topics)

    def repeated(self, topics: Iterable[str]) -> None:
        """Texts that only repeated others."""
        self._old.update(topics)

    @property
    def closed(self) -> frozenset[str]:
        """Topics with at least `patience` repetitions, and more of them than new texts; none where patience is 0."""
        if not self.patience:
            return frozenset()
        return frozenset(
            topic for topic, number in self._old.items() if number >= self.patience and number > self._new[topic]
        )


def words_of(curriculum: Mapping[str, Any], key: str, count: int, without: Sequence[str] = ()) -> list[str]:
    """Random words that a text must combine (TinyStories)."""
    pool = sorted({word for words in curriculum["words"].values() for word in words} - set(without))
    return random.Random(key).sample(pool, min(count, len(pool)))
