"""Near duplicates: on real files, exactly what comparing all pairs would remove."""

from __future__ import annotations

import sysconfig
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from codetextbook.text.minhash import jaccard, near_duplicates, shingles, signature


def real_texts(count: int) -> list[str]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = [
        path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.rglob("*.py"))[: count * 3 : 3]
    ]
    return [text for text in texts if 200 < len(text) < 40_000]


@pytest.mark.parametrize("threshold", [0.6, 0.85])
def test_removals_equal_those_of_comparing_all_pairs(threshold: float) -> None:
    texts = real_texts(220)
    for number, text in enumerate(texts[:40]):  # real edits: a line dropped, a name changed, a tail cut
        lines = text.splitlines(keepends=True)
        texts.append("".join(lines[: max(3, len(lines) - 1 - number)]))
        texts.append(text.replace("self", "this"))
    sets = [shingles(text) for text in texts]
    keys = [f"{number:04d}" for number in range(len(texts))]
    removals = near_duplicates(sets, keys, threshold, seed=0)
    removed = {removal.removed for removal in removals}
    assert len(removed) > 20
    for removal in removals:
        assert removal.keeper not in removed
        assert jaccard(sets[removal.removed], sets[removal.keeper]) == removal.similarity >= threshold
    survivors = [number for number in range(len(texts)) if number not in removed]
    missed = [(a, b) for a, b in combinations(survivors, 2) if jaccard(sets[a], sets[b]) >= threshold]
    assert missed == []


def test_the_longest_stays_and_the_order_of_the_texts_does_not_matter() -> None:
    base = "\n".join(f"value_{n} = compute({n})" for n in range(60))
    texts = [base, base + "\nextra = 1\n", base + "\nextra = 1\nmore = 2\n", "print('other')\n" * 3]
    keys = list("abcd")
    forward = near_duplicates([shingles(text) for text in texts], keys, 0.7, 0)
    backward = near_duplicates([shingles(text) for text in texts[::-1]], keys[::-1], 0.7, 0)
    assert {(keys[r.removed], keys[r.keeper]) for r in forward} == {("a", "c"), ("b", "c")}
    assert {(keys[::-1][r.removed], keys[::-1][r.keeper]) for r in backward} == {("a", "c"), ("b", "c")}


def test_operators_and_case_are_part_of_a_token() -> None:
    assert jaccard(shingles("if a < b: x = 1"), shingles("if a > b: x = 1")) < 1
    assert jaccard(shingles("Name = 1"), shingles("name = 1")) == 0
    assert jaccard(shingles("a  =\n 1"), shingles("a = 1")) == 1


def test_texts_without_tokens_are_like_nothing() -> None:
    assert len(shingles(" \n\t")) == 0
    assert near_duplicates([shingles(""), shingles(" ")], ["a", "b"], 0.5, 0) == []


def test_a_signature_estimates_the_similarity() -> None:
    texts = real_texts(60)
    first = shingles(texts[0] + texts[1])
    second = shingles(texts[0] + texts[2])
    estimate = float(np.mean(signature(first, 0) == signature(second, 0)))
    assert abs(estimate - jaccard(first, second)) < 0.2
