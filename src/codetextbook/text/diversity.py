"""How different texts are from each other, in numbers that can be compared between sets of one size (paper §2.2: diversity matters).

Every number depends on how many texts there are: more texts repeat more. So sets are compared at one size, and a large set is measured on
`most` of its texts, chosen by their digests. What each means: `repeated_text` the share that has 0.7 or more of its five-token runs in
common with a text kept before it (MinHash, then exact); `repeated_shape` the share of those with code whose syntax tree, names and
literals taken out, came before; `distinct_4grams` distinct runs of four words among all; `compression` bytes for each byte that DEFLATE
needs; `topic_evenness` the entropy of the topics as a share of the highest possible; `spread`, where it is asked for, how far the vectors
of a pretrained model lie apart (`spread.py`), which costs a pass of that model over each text.
"""

from __future__ import annotations

import ast
import hashlib
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from codetextbook.text.code_blocks import read_text
from codetextbook.text.minhash import band_keys, buckets_of, hashes_per_band, near_duplicates
from codetextbook.text.python_ast import parse
from codetextbook.text.shingles import shingle_all
from codetextbook.text.spread import spread

MOST = 2_000
NEAR = 0.7
LEAST_SHAPE = 12
"""Nodes below which two shapes are equal by need (`return sorted(x)`)."""
WINDOW = 4

_WORD = re.compile(r"\w+")
_PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Measured(NamedTuple):
    """A text and what it is about."""

    text: str
    topic: str


class Gauge:
    """Takes in the texts of a stage one by one, in flat memory, and tells how diverse each writer's are, and what they import."""

    def __init__(self, most: int = MOST, spread_over: int = 0) -> None:
        self.most, self.spread_over = most, spread_over
        self._drawn: dict[str, list[tuple[str, Measured]]] = {}
        self._imports: Counter[str] = Counter()

    def add(self, writer: str, text: str, topic: str) -> None:
        """One more text."""
        drawn = self._drawn.setdefault(writer, [])
        drawn.append((_digest(text), Measured(text, topic)))
        if len(drawn) > 2 * self.most:
            drawn[:] = sorted(drawn)[: self.most]
        self._imports.update(modules_of(text))

    def diversity(self) -> dict[str, dict[str, Any]]:
        """The numbers of each writer's texts: of those with the smallest digests, whatever the order in which they came."""
        return {writer: self._of([one for _, one in sorted(drawn)]) for writer, drawn in sorted(self._drawn.items())}

    def _of(self, drawn: Sequence[Measured]) -> dict[str, Any]:
        measured = diversity(drawn[: self.most])
        if not self.spread_over:
            return measured
        return measured | {"spread": spread([one.text for one in drawn[: self.spread_over]])}

    def imports(self) -> dict[str, int]:
        """The histogram of imports over all texts."""
        return import_histogram(self._imports)


def diversity(texts: Sequence[Measured]) -> dict[str, Any]:
    """The numbers above, of texts in the given order; of no text, only that there is none."""
    if not texts:
        return {"texts": 0}
    shapes = ["".join(code.shape for code in read_text(one.text)) for one in texts]
    shapes = [shape for shape in shapes if len(shape) >= LEAST_SHAPE]
    grams = [gram for one in texts for gram in _grams(one.text)]
    topics = Counter(one.topic for one in texts)
    raw = "\n".join(one.text for one in texts).encode("utf-8", "surrogatepass")
    return {
        "texts": len(texts),
        "repeated_text": round(_repeated([one.text for one in texts]) / len(texts), 4),
        "repeated_shape": round(1 - len(set(shapes)) / len(shapes), 4) if shapes else 0.0,
        "distinct_4grams": round(len(set(grams)) / len(grams), 4) if grams else 0.0,
        "compression": round(len(raw) / len(zlib.compress(raw, 6)), 2) if raw else 1.0,
        "topics": len(topics),
        "topic_evenness": round(_evenness(topics), 4),
    }


def _repeated(texts: Sequence[str]) -> int:
    """Texts that are near another that stays."""
    sets = shingle_all(texts)
    sizes = np.array([len(one) for one in sets], np.int64)
    keys = [_digest(text) for text in texts]
    bands = band_keys(sets, 0, hashes_per_band(NEAR))
    rank = (-sizes, np.argsort(np.argsort(keys)))
    return len(near_duplicates(sets, sizes, keys, buckets_of(bands.__getitem__, len(bands), len(sets)), rank, NEAR))


def modules_of(text: str) -> set[str]:
    """Top-level names of the modules that a program, or the Python blocks of a page, import (paper Fig 3.1)."""
    blocks = _PYTHON_BLOCK.findall(text) if "```" in text else [text]
    found: set[str] = set()
    for block in blocks:
        tree = parse(block) if "import" in block else None
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found


def import_histogram(counts: Counter[str], least: int = 10) -> dict[str, int]:
    """How many texts import each module, the most frequent first; those of fewer than `least` are left out (paper Fig 3.1: 10)."""
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return {name: number for name, number in ranked if number >= least}


def _grams(text: str) -> list[tuple[str, ...]]:
    words = _WORD.findall(text)
    return [tuple(words[start : start + WINDOW]) for start in range(len(words) - WINDOW + 1)]


def _evenness(counts: Counter[str]) -> float:
    """Entropy as a share of that of equal counts; 1 for a single topic, which cannot be uneven."""
    if len(counts) < 2:
        return 1.0
    total = counts.total()
    entropy = -sum(number / total * math.log(number / total) for number in counts.values())
    return entropy / math.log(len(counts))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
