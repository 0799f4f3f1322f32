"""docs/decontamination.md: its worked examples are what the detectors say, and its mark and its recipe are read by the program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from worked import EXAMPLES, Example, side_by_side

from codetextbook.benchmarks.alarms import load_marks
from codetextbook.benchmarks.leaks import Leak, LeakIndex, Limits, vectors_of
from codetextbook.nouns import document_id
from codetextbook.stages.decontaminate import Decontaminate
from codetextbook.text.embedding import Embedding
from codetextbook.text.match_rate import match_rate
from codetextbook.text.ngrams import NgramIndex
from codetextbook.text.python_ast import Code, read_code

PAGE = (Path(__file__).parents[2] / "docs" / "decontamination.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def found(example: Example, text: str) -> list[Leak]:
    embedder = Embedding() if example.detector == "embedding" else None
    index = LeakIndex([example.problem], Limits(13, 0.95, 20, 0.5, embedder))
    return index.screen([text], [example.detector])[0].leaks


def measured(example: Example, text: str) -> str:
    """The likeness of the problem and a text, whether it is enough for a match or not."""
    whole = example.problem.prompt + example.problem.reference
    if example.detector == "embedding":
        one, other = vectors_of([whole.strip(), text.strip()], Embedding())
        return f"distance {np.linalg.norm(one - other):.2f}"
    if example.detector == "ast":
        (one,), (other,) = ([part.shape for part in read_code(each).functions] for each in (whole, text))
        return f"match rate {match_rate(one, other):.3f}"
    index = NgramIndex(13)
    index.add(0, docstring(read_code(whole)) if example.detector == "docstring_ngram" else whole)
    own = docstring(read_code(text)) if example.detector == "docstring_ngram" else text
    shared = index.shared(own).get(0)
    number = shared.ngrams if shared else 0
    return f"{number} n-gram{'' if number == 1 else 's'}"


def docstring(code: Code) -> str:
    (function,) = code.functions
    return function.docstring


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.detector}-{one.basis}")
def test_a_worked_example_is_what_the_detector_says(example: Example) -> None:
    (leak,) = found(example, example.seen)
    assert (leak.detector, leak.basis) == (example.detector, example.basis)
    assert found(example, example.missed) == []
    assert measured(example, example.seen) == example.seen_measure
    assert measured(example, example.missed) == example.missed_measure
    number = float(example.seen_measure.split()[0 if "gram" in example.seen_measure else -1])
    assert leak.score == pytest.approx(number, abs=0.005)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.detector}-{one.basis}")
def test_a_worked_example_is_in_the_docs_as_it_is_tested(example: Example) -> None:
    start = PAGE.index(f"Seen, {example.seen_measure}:\n\n```text\n{side_by_side(example.beside, example.seen)}\n```")
    missed = example.missed.strip("\n")
    assert PAGE[start:].split("Missed, ", 1)[1].startswith(f"{example.missed_measure}:\n\n```text\n{missed}\n```")


def test_the_mark_and_the_recipe_of_the_docs_are_read_by_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = blocks("json")
    (recipe,) = blocks("toml")
    monkeypatch.chdir(tmp_path)
    Path("work").mkdir()
    Path("work/false_alarms.jsonl").write_text(line, encoding="utf-8")
    cfg = Decontaminate.parse(tomllib.loads(recipe)["decontaminate"], where="docs/decontamination.md")
    (mark,) = load_marks(cfg.false_alarms).values()
    assert (mark.benchmark, mark.detector, mark.by) == ("humaneval", "text_ngram", "Ada")
    assert re.fullmatch(r"[0-9a-f]{32}", mark.document_id) and len(mark.document_id) == len(document_id("x"))
