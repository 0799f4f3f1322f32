"""What of a benchmark is in a text: shared word n-grams, and functions whose syntax trees are nearly the same (paper §5).

Three detectors, each with its score:
`docstring_ngram`: a run of n words (13 in the paper) that a docstring of the text shares with a docstring of the problem.
`text_ngram`: the same over the whole text, code and comments too, against the problem's prompt and reference.
`ast`: the match rate of two functions' bodies, 1 - edit distance / longer length, over syntax trees without names, literals, docstrings and
comments. Rates below tau are not looked at, which is what makes it fast: the distance stops counting as soon as tau is out of reach.

Words begin with a letter, so that lists of numbers in examples match nothing; texts with fewer than n words cannot match.
**Very short functions match trivially**: `return sum(xs)` has the tree of a hundred innocent functions. Bodies with fewer than `min_nodes`
nodes are not compared by tree. At 20 nodes that leaves 125 of HumanEval's 164 problems to the `ast` detector; the others are guarded by
n-grams alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from codetextbook.nouns import Problem
from codetextbook.text.python_ast import Function, functions

_WORD = re.compile(r"[^\W\d]\w*")
_FENCED = re.compile(r"^(`{3,}|~{3,})[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
EXCERPT_CHARACTERS = 600


class Leak(NamedTuple):
    """One text, one problem, one detector: the best score, and both sides to look at."""

    benchmark: str
    task_id: str
    detector: str
    score: float
    where: str
    """Name of the function in the text, for `ast`."""
    text_excerpt: str
    benchmark_excerpt: str


class Known(NamedTuple):
    """A problem's function as the `ast` detector knows it."""

    problem: int
    tree: str
    source: str


def code_of(text: str) -> str:
    """The Python of a text: its fenced blocks where it has some, else all of it."""
    blocks = [match.group(2) for match in _FENCED.finditer(text)]
    return "\n\n".join(blocks) if blocks else text


class LeakIndex:
    """Problems, made ready to be found in texts."""

    def __init__(self, problems: Sequence[Problem], *, ngram_words: int, tau: float, min_nodes: int) -> None:
        self.problems = problems
        self.ngram_words, self.tau, self.min_nodes = ngram_words, tau, min_nodes
        self._docstring_grams: dict[tuple[str, ...], list[int]] = {}
        self._text_grams: dict[tuple[str, ...], list[int]] = {}
        self._known: list[Known] = []
        for number, problem in enumerate(problems):
            program = problem.prompt + problem.reference
            parts = functions(program)
            docstrings = [part.docstring for part in parts] or [problem.prompt]
            _add(self._docstring_grams, number, (_words(text) for text in docstrings), ngram_words)
            _add(self._text_grams, number, [_words(program)], ngram_words)
            self._known += [Known(number, part.tree, part.source) for part in self._comparable(parts)]
        self._vocabulary = {word for gram in (*self._docstring_grams, *self._text_grams) for word in gram}

    @property
    def problems_compared_by_tree(self) -> int:
        """Problems that are long enough for the `ast` detector."""
        return len({one.problem for one in self._known})

    def leaks(self, texts: Sequence[str]) -> list[list[Leak]]:
        """For each text what it shares with the problems, in the order of problems and detectors."""
        parts = [functions(code_of(text)) for text in texts]
        found: list[list[Leak]] = [
            [*self._docstring_leaks(own), *self._text_leaks(text)] for text, own in zip(texts, parts, strict=True)
        ]
        for number, leak in self._ast_leaks(parts):
            found[number].append(leak)
        return [sorted(one, key=lambda leak: (leak.benchmark, leak.task_id, leak.detector)) for one in found]

    def _comparable(self, parts: Iterable[Function]) -> list[Function]:
        return [part for part in parts if len(part.tree) >= self.min_nodes]

    def _docstring_leaks(self, parts: Sequence[Function]) -> Iterator[Leak]:
        best: dict[int, tuple[int, Function]] = {}
        for part in parts:
            for number, shared in self._shared(_words(part.docstring), self._docstring_grams).items():
                if number not in best or shared > best[number][0]:
                    best[number] = (shared, part)
        for number, (shared, part) in best.items():
            yield self._leak(number, "docstring_ngram", shared, part.name, part.docstring, self.problems[number].prompt)

    def _text_leaks(self, text: str) -> Iterator[Leak]:
        for number, shared in self._shared(_words(text), self._text_grams).items():
            problem = self.problems[number]
            yield self._leak(number, "text_ngram", shared, "", text, problem.prompt + problem.reference)

    def _shared(self, words: Sequence[str], grams: dict[tuple[str, ...], list[int]]) -> dict[int, int]:
        """Number of distinct n-grams shared with each problem.

        Only runs of words that the benchmarks use are cut into n-grams: most text leaves at its first glance.
        """
        length, run_start = self.ngram_words, 0
        hits: set[tuple[str, ...]] = set()
        for position in range(len(words) + 1):
            if position < len(words) and words[position] in self._vocabulary:
                continue
            for start in range(run_start, position - length + 1):
                gram = tuple(words[start : start + length])
                if gram in grams:
                    hits.add(gram)
            run_start = position + 1
        shared: dict[int, int] = {}
        for gram in hits:
            for number in grams[gram]:
                shared[number] = shared.get(number, 0) + 1
        return shared

    def _ast_leaks(self, parts: Sequence[Sequence[Function]]) -> Iterator[tuple[int, Leak]]:
        """Pairs above tau, the best one of each text and problem. Equal trees are compared once."""
        candidates = [(number, part) for number, own in enumerate(parts) for part in self._comparable(own)]
        trees = sorted({part.tree for _, part in candidates})
        if not trees or not self._known:
            return
        known = [one.tree for one in self._known]
        rates = cdist(
            trees, known, scorer=Levenshtein.normalized_similarity, score_cutoff=self.tau, dtype=np.float64, workers=1
        )
        above: dict[str, list[tuple[int, float]]] = {}
        for row, column in np.argwhere(rates >= self.tau).tolist():
            above.setdefault(trees[row], []).append((column, float(rates[row, column])))
        best: dict[tuple[int, int], tuple[float, Function, Known]] = {}
        for number, part in candidates:
            for column, rate in above.get(part.tree, ()):
                key = (number, self._known[column].problem)
                if key not in best or rate > best[key][0]:
                    best[key] = (rate, part, self._known[column])
        for (number, problem), (rate, part, other) in best.items():
            yield number, self._leak(problem, "ast", round(rate, 6), part.name, part.source, other.source)

    def _leak(self, number: int, detector: str, score: float, where: str, ours: str, theirs: str) -> Leak:
        problem = self.problems[number]
        if detector == "text_ngram":
            ours = self._around(ours)
        return Leak(
            problem.benchmark,
            problem.task_id,
            detector,
            float(score),
            where,
            ours[:EXCERPT_CHARACTERS],
            theirs[:EXCERPT_CHARACTERS],
        )

    def _around(self, text: str) -> str:
        """The text from shortly before the first shared n-gram."""
        places = list(_WORD.finditer(text))
        words = [place.group().lower() for place in places]
        for start in range(len(words) - self.ngram_words + 1):
            if tuple(words[start : start + self.ngram_words]) in self._text_grams:
                return text[max(0, places[start].start() - EXCERPT_CHARACTERS // 4) :]
        return text


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _add(grams: dict[tuple[str, ...], list[int]], number: int, texts: Iterable[Sequence[str]], length: int) -> None:
    for words in texts:
        for start in range(len(words) - length + 1):
            owners = grams.setdefault(tuple(words[start : start + length]), [])
            if number not in owners:
                owners.append(number)
