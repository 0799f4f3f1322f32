"""How the grammar's writing is mixed: how deep it composes, how it words a task, what it shows, and in which idioms it solves it.

All numbers are weights: only their proportions count, and 0 turns a thing off. What is not possible for a program (a story for a kind of
value that has none, a recursion inside a chain) is left out, and the others keep their proportions. More variety is not better by itself: a
model of a million parameters may learn more from one idiom than from six.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from codetextbook.config import Config

MAX_DEPTH = 4


class _Weights(Config):
    """A table of weights, of which at least one is above 0."""

    @model_validator(mode="after")
    def _something_is_wanted(self) -> Self:
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError("at least one weight must be above 0")
        return self


class Wording(_Weights):
    """How the docstring says what to do."""

    order: float = Field(default=50.0, ge=0)
    """An order, "Return the sum of numbers." (ours)."""
    given: float = Field(default=18.0, ge=0)
    """With the parameter introduced, "Given a list of integers numbers, return its sum." (ours)."""
    question: float = Field(default=8.0, ge=0)
    """A question, "What is the sum of numbers?" (ours)."""
    terse: float = Field(default=8.0, ge=0)
    """A note, "Sum of numbers." (ours)."""
    steps: float = Field(default=8.0, ge=0)
    """One sentence for each step; always so where a nested phrase would be unclear (ours)."""
    story: float = Field(default=10.0, ge=0)
    """A sentence of story first (ours)."""


class Shown(_Weights):
    """Examples in the docstring, computed by running the solution."""

    none: float = Field(default=25.0, ge=0)
    """No example (ours)."""
    doctest: float = Field(default=52.0, ge=0)
    """Lines with `>>>` (HumanEval's usual form)."""
    prose: float = Field(default=23.0, ge=0)
    """`f(1) == 2`, `f(1) -> 2`, or a sentence (ours)."""


class Sections(_Weights):
    """Sections on parameters and result in the docstring."""

    none: float = Field(default=84.0, ge=0)
    """None (ours)."""
    args: float = Field(default=6.0, ge=0)
    """The parameters alone (ours)."""
    google: float = Field(default=5.0, ge=0)
    """Args and Returns, in Google's style (ours)."""
    numpy: float = Field(default=5.0, ge=0)
    """Parameters and Returns, in NumPy's style (ours)."""


class Idioms(_Weights):
    """In which idioms solutions are written."""

    loop: float = Field(default=1.0, ge=0)
    """A loop that builds the result (ours)."""
    comprehension: float = Field(default=1.0, ge=0)
    """A comprehension or a generator expression (ours)."""
    builtin: float = Field(default=1.0, ge=0)
    """A call of the standard library, or another expression (ours)."""
    early_return: float = Field(default=1.0, ge=0)
    """Several returns (ours)."""
    helper: float = Field(default=0.5, ge=0)
    """A function within the function (ours)."""
    recursion: float = Field(default=1.0, ge=0)
    """The function calls itself (ours)."""


class Mix(Config):
    """The whole mixture."""

    depths: tuple[float, ...] = (4.0, 4.0, 2.0, 1.0)
    """Weights of programs of one, two, three and four steps; chains that cannot go on stay shorter (ours)."""
    wording: Wording = Wording()
    """How tasks are worded."""
    examples: Shown = Shown()
    """What examples are shown."""
    sections: Sections = Sections()
    """What sections docstrings have."""
    idioms: Idioms = Idioms()
    """How solutions are written."""

    @model_validator(mode="after")
    def _depths_are_weights(self) -> Self:
        if not 1 <= len(self.depths) <= MAX_DEPTH or min(self.depths) < 0 or not any(self.depths):
            raise ValueError(f"depths: one to {MAX_DEPTH} weights, none below 0 and one above 0")
        return self


class Draw(NamedTuple):
    """Names with their weights summed up, ready to be drawn from."""

    names: tuple[str, ...]
    sums: tuple[float, ...]

    @classmethod
    def of(cls, weights: Iterable[tuple[str, float]]) -> Draw:
        """Names without weight are left out."""
        wanted = [(name, weight) for name, weight in weights if weight > 0]
        return cls(tuple(name for name, _ in wanted), tuple(accumulate(weight for _, weight in wanted)))

    def one(self, rng: Random) -> str:
        """A name, as often as its weight says."""
        return rng.choices(self.names, cum_weights=self.sums)[0]


class Drawing(NamedTuple):
    """A mix, ready to be drawn from."""

    depth: Draw
    wording: Draw
    wording_without_story: Draw
    examples: Draw
    sections: Draw
    idioms: dict[str, float]


@lru_cache(maxsize=32)
def drawing(mix: Mix) -> Drawing:
    """Made once for each mix."""
    wording = dict(mix.wording)
    plain = {name: weight for name, weight in wording.items() if name != "story"}
    return Drawing(
        depth=Draw.of((str(number), weight) for number, weight in enumerate(mix.depths, 1)),
        wording=Draw.of(wording.items()),
        wording_without_story=Draw.of(plain.items() if any(plain.values()) else [("order", 1.0)]),
        examples=Draw.of(dict(mix.examples).items()),
        sections=Draw.of(dict(mix.sections).items()),
        idioms=dict(mix.idioms),
    )


DEFAULT = Mix()
