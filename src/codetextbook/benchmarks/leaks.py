"""What of a benchmark is in a text: shared word n-grams, vectors that lie close, and code of nearly the same shape (paper §5).

Four detectors, each with its score:
`docstring_ngram`: a run of n words (13 in the paper) that a docstring of the text shares with a docstring of the problem; n-grams shared.
`text_ngram`: the same over the whole text, code, comments and prose, against the problem's prompt and reference; n-grams shared.
`embedding`: L2 distance between the vectors of a function, or of the whole text, and of the problem; off unless an embedder is given.
`ast`: match rate of a function's body, or of the whole text, with a function of the problem (with all of its program if it has several).

`docs/decontamination.md` shows what each sees and misses. **Very short functions match trivially** by shape: `return sum(xs)` is a hundred
innocent functions. Shapes of fewer than `min_nodes` nodes count only if they are equal and the two are spelt the same too
(`codetextbook.text.spelling`): at 20 nodes that is 37 of HumanEval's 164 problems, and `reach` says so for any benchmark. The tests of a
problem are not looked for: `assert candidate(...)` is every benchmark's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from codetextbook.errors import BenchmarkError
from codetextbook.nouns import Problem
from codetextbook.text.code_blocks import read_text
from codetextbook.text.embedding import Embedding, batches, visible
from codetextbook.text.match_rate import pairs_above
from codetextbook.text.nearest import pairs_within
from codetextbook.text.ngrams import NgramIndex, Shared, locate
from codetextbook.text.python_ast import Basis, Code, read_code, read_tokens
from codetextbook.text.spelling import spelling

Detector = Literal["docstring_ngram", "text_ngram", "embedding", "ast"]
DETECTORS: tuple[Detector, ...] = ("docstring_ngram", "text_ngram", "ast", "embedding")
"""In the order of how sure they are: the first one that has a text removed is its reason."""

EXCERPT_CHARACTERS = 600
DIGITS = 4


class Limits(NamedTuple):
    """From where on a likeness is a match."""

    ngram_words: int
    tau: float
    min_nodes: int
    distance: float = 0.0
    embedder: Embedding | None = None


class Leak(NamedTuple):
    """One text, one problem, one detector: the best score, and both sides to look at."""

    benchmark: str
    task_id: str
    detector: Detector
    score: float
    where: str
    """Name of the function in the text; empty for the whole text."""
    basis: Basis | Literal["spelling"]
    """For `ast`: whether trees were compared, or tokens because the text does not parse, or, of short code, every word."""
    shared: str
    """For n-grams: the longest run of words in common, as the text spells it."""
    text_excerpt: str
    benchmark_excerpt: str


class Screened(NamedTuple):
    """The verdict on one text."""

    basis: Basis
    """What its code was compared by: `tokens` if any of it does not parse, `none` if it holds no code."""
    functions: int
    leaks: list[Leak]


class Piece(NamedTuple):
    """A function, or a whole text, of one owner (a text or a problem)."""

    owner: int
    name: str
    shape: str
    basis: Basis
    source: str


class Alike(NamedTuple):
    """Two pieces of code that count as the same."""

    rate: float
    piece: Piece
    known: Piece
    basis: Basis | Literal["spelling"]


class LeakIndex:
    """Problems, made ready to be found in texts.

    Raises:
        BenchmarkError: two problems of a benchmark have the same id.
    """

    def __init__(self, problems: Sequence[Problem], limits: Limits) -> None:
        _refuse_twins(problems)
        self.problems, self.limits = problems, limits
        self._programs = [problem.prompt + problem.reference for problem in problems]
        self._docstrings, self._texts = NgramIndex(limits.ngram_words), NgramIndex(limits.ngram_words)
        pieces: list[Piece] = []
        self._sources: list[tuple[int, str]] = []
        words: Counter[str] = Counter()
        for number, (problem, program) in enumerate(zip(problems, self._programs, strict=True)):
            code, as_tokens, alone = read_code(program), read_tokens(program), read_code(problem.reference)
            docstrings = docstrings_of([code]) or [("", problem.prompt)]
            words["docstring"] += sum(self._docstrings.add(number, docstring) for _, docstring in docstrings) > 0
            words["text"] += self._texts.add(number, program) > 0
            for known in [code] if code.basis == "tokens" else [code, as_tokens]:
                own = pieces_of([[known]])
                pieces += [piece._replace(owner=number) for piece in (own[:-1] if len(own) == 2 else own)]
            if (
                alone.basis == "tree"
                and not alone.functions
                and alone.shape not in {one.shape for one in code.functions}
            ):
                pieces.append(Piece(number, problem.entry_point, alone.shape, alone.basis, problem.reference))
            entry = [one.source for one in code.functions if one.name == problem.entry_point]
            self._sources += [(number, source) for source in dict.fromkeys([program, *entry])]
        self._known = [piece for piece in pieces if len(piece.shape) >= limits.min_nodes]
        self._short: dict[tuple[Basis, str], list[tuple[Piece, str]]] = {}
        for piece in pieces:
            asked_for = piece.name == problems[piece.owner].entry_point
            if asked_for and len(piece.shape) < limits.min_nodes and (words_of := spelling(piece.source)):
                self._short.setdefault((piece.basis, piece.shape), []).append((piece, words_of))
        self.reach: dict[str, int] = {
            "problems": len(problems),
            "docstring_ngram": words["docstring"],
            "text_ngram": words["text"],
            "ast": len({piece.owner for piece in self._known if piece.basis == "tree"}),
            "ast_by_tokens": len({piece.owner for piece in self._known if piece.basis == "tokens"}),
            "ast_by_spelling": len(
                {piece.owner for same in self._short.values() for piece, _ in same}
                - {piece.owner for piece in self._known if piece.basis == "tree"}
            ),
        }
        """Problems that each detector can find at all: the others are too short for it."""

    def screen(
        self, texts: Sequence[str], detectors: Sequence[Detector] = DETECTORS, device: str = "cpu"
    ) -> list[Screened]:
        """The verdict on each text; its leaks in the order of problems and detectors."""
        codes = [read_text(text) for text in texts]
        found: list[list[Leak]] = [[] for _ in texts]
        for number, (text, own) in enumerate(zip(texts, codes, strict=True)):
            if "docstring_ngram" in detectors:
                found[number] += self._docstring_leaks(own)
            if "text_ngram" in detectors:
                found[number] += self._text_leaks(text)
        if "ast" in detectors:
            self._add_ast_leaks(codes, found)
        if "embedding" in detectors and self.limits.embedder is not None:
            self._add_embedding_leaks(texts, codes, found, self.limits.embedder, device)
        return [
            Screened(
                _basis(own),
                sum(len(code.functions) for code in own),
                sorted(leaks, key=lambda leak: (leak.benchmark, leak.task_id, DETECTORS.index(leak.detector))),
            )
            for own, leaks in zip(codes, found, strict=True)
        ]

    def _docstring_leaks(self, codes: Sequence[Code]) -> Iterator[Leak]:
        best: dict[int, tuple[Shared, str, str]] = {}
        for name, docstring in docstrings_of(codes):
            for number, shared in self._docstrings.shared(docstring).items():
                if number not in best or shared.ngrams > best[number][0].ngrams:
                    best[number] = (shared, name, docstring)
        for number, (shared, name, docstring) in best.items():
            yield self._ngram_leak(number, "docstring_ngram", shared, name, docstring, self.problems[number].prompt)

    def _text_leaks(self, text: str) -> Iterator[Leak]:
        for number, shared in self._texts.shared(text).items():
            yield self._ngram_leak(number, "text_ngram", shared, "", text, self._programs[number])

    def _add_ast_leaks(self, codes: Sequence[list[Code]], found: list[list[Leak]]) -> None:
        """Pairs at tau or above, the best one of each text and problem. Equal shapes are compared once."""
        every = pieces_of(codes)
        best = self._spelt_the_same(every)
        for basis in ("tree", "tokens"):
            own = [piece for piece in every if piece.basis == basis and len(piece.shape) >= self.limits.min_nodes]
            known = [piece for piece in self._known if piece.basis == basis]
            shapes = sorted({piece.shape for piece in own})
            above: dict[str, list[tuple[int, float]]] = {}
            for pair in pairs_above(shapes, [piece.shape for piece in known], self.limits.tau):
                above.setdefault(shapes[pair.shape], []).append((pair.known, pair.rate))
            for piece in own:
                for place, rate in above.get(piece.shape, ()):
                    key = (piece.owner, known[place].owner)
                    if key not in best or rate > best[key].rate:
                        best[key] = Alike(rate, piece, known[place], basis)
        for (owner, problem), alike in best.items():
            leak = self._piece_leak(problem, "ast", alike.rate, alike.piece, alike.known.source)
            found[owner].append(leak._replace(basis=alike.basis))

    def _spelt_the_same(self, pieces: Sequence[Piece]) -> dict[tuple[int, int], Alike]:
        """By owner and problem, code below `min_nodes` that has the shape and every word of the function asked for."""
        best: dict[tuple[int, int], Alike] = {}
        for piece in pieces:
            for known, words_of in self._short.get((piece.basis, piece.shape), ()):
                if spelling(piece.source) == words_of:
                    best.setdefault((piece.owner, known.owner), Alike(1.0, piece, known, "spelling"))
        return best

    def _add_embedding_leaks(
        self,
        texts: Sequence[str],
        codes: Sequence[list[Code]],
        found: list[list[Leak]],
        embedder: Embedding,
        device: str,
    ) -> None:
        """Pairs within the distance, the nearest one of each text and problem. Equal sources are embedded once."""
        pieces = [Piece(owner, "", "", "none", text) for owner, text in enumerate(texts)]
        pieces += [piece for piece in pieces_of(codes) if piece.name]
        sources = sorted({_seen(piece.source, embedder) for piece in pieces})
        near: dict[str, list[tuple[int, float]]] = {}
        for pair in pairs_within(vectors_of(sources, embedder, device), self._vectors, self.limits.distance):
            near.setdefault(sources[pair.row], []).append((pair.known, pair.distance))
        best: dict[tuple[int, int], tuple[float, Piece, str]] = {}
        for piece in pieces:
            for place, distance in near.get(_seen(piece.source, embedder), ()):
                number, source = self._sources[place]
                key = (piece.owner, number)
                if key not in best or distance < best[key][0]:
                    best[key] = (distance, piece, source)
        for (owner, number), (distance, piece, source) in best.items():
            found[owner].append(self._piece_leak(number, "embedding", distance, piece, source))

    @cached_property
    def _vectors(self) -> np.ndarray:
        """Vectors of the problems: each program, and its function alone where that is something else."""
        assert self.limits.embedder is not None
        embedder = self.limits.embedder
        return vectors_of([_seen(source, embedder) for _, source in self._sources], embedder)

    def _ngram_leak(self, number: int, detector: Detector, shared: Shared, where: str, ours: str, theirs: str) -> Leak:
        problem, run = self.problems[number], ours[shared.start : shared.end]
        return Leak(
            problem.benchmark,
            problem.task_id,
            detector,
            float(shared.ngrams),
            where,
            "none",
            run[:EXCERPT_CHARACTERS],
            _around(ours, shared.start),
            _around(theirs, locate(theirs, run)),
        )

    def _piece_leak(self, number: int, detector: Detector, score: float, piece: Piece, theirs: str) -> Leak:
        problem = self.problems[number]
        return Leak(
            problem.benchmark,
            problem.task_id,
            detector,
            round(score, DIGITS),
            piece.name,
            "none",
            "",
            piece.source[:EXCERPT_CHARACTERS],
            theirs[:EXCERPT_CHARACTERS],
        )


def docstrings_of(codes: Sequence[Code]) -> list[tuple[str, str]]:
    """Name and docstring of what has one: functions by their names, modules and classes without."""
    found = [("", docstring) for code in codes for docstring in code.docstrings]
    return found + [(one.name, one.docstring) for code in codes for one in code.functions if one.docstring]


def pieces_of(codes: Sequence[list[Code]]) -> list[Piece]:
    """Every function of every text, and its code as a whole; the text is the owner."""
    pieces = []
    for owner, own in enumerate(codes):
        for code in own:
            pieces += [Piece(owner, one.name, one.shape, code.basis, one.source) for one in code.functions]
            pieces.append(_whole(owner, code))
    return pieces


def vectors_of(sources: Sequence[str], embedder: Embedding, device: str = "cpu") -> np.ndarray:
    """Vectors `[sources, width]`, in float32."""
    from codetextbook.text.embed import embed_batch  # loads torch, which three of the four detectors do without

    rows: dict[int, np.ndarray] = {}
    for places in batches(sources):
        rows.update(zip(places, embed_batch([sources[place] for place in places], embedder, device), strict=True))
    return np.stack([rows[place] for place in range(len(sources))]).astype(np.float32) if rows else np.zeros((0, 1))


def _whole(owner: int, code: Code) -> Piece:
    return Piece(owner, "", code.shape, code.basis, code.source)


def _seen(source: str, embedder: Embedding) -> str:
    """What the embedder reads of a source."""
    return visible(source.strip(), embedder)


def _basis(codes: Sequence[Code]) -> Basis:
    bases = {code.basis for code in codes}
    return "tokens" if "tokens" in bases else "tree" if bases else "none"


def _around(text: str, start: int) -> str:
    """A text from shortly before a place."""
    begin = max(0, start - EXCERPT_CHARACTERS // 4) if start > EXCERPT_CHARACTERS // 2 else 0
    return text[begin : begin + EXCERPT_CHARACTERS]


def _refuse_twins(problems: Sequence[Problem]) -> None:
    counts = Counter((problem.benchmark, problem.task_id) for problem in problems)
    twins = [f"{benchmark} {task_id}" for (benchmark, task_id), count in counts.items() if count > 1]
    if twins:
        shown = ", ".join(twins[:3]) + (f", and {len(twins) - 3} more" if len(twins) > 3 else "")
        raise BenchmarkError(
            f"{len(twins)} problems share their id with another: {shown}",
            where="benchmark",
            hint="give each problem a task_id of its own; a match could not say which one it means",
        )
