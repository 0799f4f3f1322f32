"""What a stage's questions will take, before any is asked: tokens, dollars and time, each as an interval.

From a sample of the very requests that would be sent, and of answers of the kind that is wanted (the recorded ones). Three things are
not known: the mean over all requests (a 95 % interval from the sample's spread), the model's tokenizer (bytes of a token, below), and how
fast the server writes. Second tries are not in it: at most one for each malformed grade. The budget holds whatever is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from codetextbook.teacher.protocol import Prices, Request


class Interval(NamedTuple):
    """A value and what it may lie between."""

    low: float
    expected: float
    high: float

    def times(self, other: Interval | float) -> Interval:
        """The product, for values that are not negative."""
        factor = other if isinstance(other, Interval) else Interval(other, other, other)
        return Interval(self.low * factor.low, self.expected * factor.expected, self.high * factor.high)

    def plus(self, other: Interval) -> Interval:
        """The sum, where both may be off the same way."""
        return Interval(self.low + other.low, self.expected + other.expected, self.high + other.high)


SENT_TOKENS_OF_BYTE = Interval(1 / 4.8, 1 / 4.0, 1 / 3.3)
"""Tokens of a byte of a prompt (measured with SmolLM2's 49,152 entries: 3.9 to 4.1 bytes; the ends are ours)."""
ANSWERED_TOKENS_OF_BYTE = Interval(1 / 4.2, 1 / 3.2, 1 / 2.5)
"""Tokens of a byte of an answer, mostly code (measured so: 3.2 bytes of a page, 2.8 of an exercise; GPT-2's 2.5; the upper end is ours)."""
TOKENS_OF_FRAME = 8
"""Tokens of a chat template round one message (ours)."""
SECONDS_OF_TOKEN = Interval(1 / 120, 1 / 50, 1 / 15)
"""Of one request among many at a hosted model (ours; a server of one's own is what it is)."""
SAMPLE_SIZE = 100
"""Requests that a stage shows for an estimate."""


class Asking(NamedTuple):
    """What a stage will ask a teacher."""

    model: str
    """The model that the recipe names; empty takes the site's."""
    questions: int
    requests: Sequence[Request]
    """Some of what will be sent."""
    reply_bytes: Sequence[int]
    """How long answers of the kind that is wanted are."""
    basis: str
    """What the sample was made from, for the plan."""


class Estimate(NamedTuple):
    """What asking will take."""

    questions: int
    input_tokens: Interval
    output_tokens: Interval
    dollars: Interval
    seconds: Interval


def estimate(asking: Asking, prices: Prices, in_flight: int) -> Estimate:
    """The whole of a stage's asking from its sample."""
    sent = [
        len("".join(one.content for one in request.messages).encode("utf-8", "replace")) for request in asking.requests
    ]
    most = float(max(request.max_tokens for request in asking.requests))
    frame = float(TOKENS_OF_FRAME * max(len(request.messages) for request in asking.requests))
    into = mean(sent).times(SENT_TOKENS_OF_BYTE).plus(Interval(frame, frame, frame))
    out = Interval(*(min(most, max(1.0, tokens)) for tokens in mean(asking.reply_bytes).times(ANSWERED_TOKENS_OF_BYTE)))
    number = float(asking.questions)
    dollars = into.times(number * prices.input / 1e6).plus(out.times(number * prices.output / 1e6))
    rounds = max(1.0, asking.questions / in_flight)
    return Estimate(
        asking.questions, into.times(number), out.times(number), dollars, out.times(SECONDS_OF_TOKEN).times(rounds)
    )


def mean(values: Sequence[int]) -> Interval:
    """The mean of all from a sample, with its 95 % interval (normal)."""
    middle = fmean(values)
    spread = 1.96 * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else middle
    return Interval(max(0.0, middle - spread), middle, middle + spread)


def evenly(number: int, size: int = SAMPLE_SIZE) -> list[int]:
    """Places of a sample that is spread evenly over a number of things."""
    return sorted({number * k // size for k in range(size)}) if number else []
