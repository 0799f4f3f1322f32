"""Near duplicates: on real files, exactly what comparing all pairs would remove."""

from __future__ import annotations

import re
import sysconfig
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from codetextbook.text.minhash import (
    HASHES,
    Removal,
    band_keys,
    buckets_of,
    hashes_per_band,
    jaccard,
    near_duplicates,
    signatures,
)
from codetextbook.text.shingles import SHINGLE_TOKENS, Hashes, shingle_all


def shingles(text: str) -> Hashes:
    return shingle_all([text])[0]


def removals_of(texts: list[str], keys: list[str], threshold: float, seed: int = 0) -> list[Removal]:
    sets = shingle_all(texts)
    per_band = hashes_per_band(threshold)
    keys_of_bands = band_keys(sets, seed, per_band)
    sizes = np.array([len(one) for one in sets])
    buckets = buckets_of(lambda band: keys_of_bands[band], HASHES // per_band, len(sets))
    return near_duplicates(sets, sizes, keys, buckets, (-sizes, np.array(keys)), threshold)


def real_texts(count: int) -> list[str]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = [
        path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.rglob("*.py"))[: count * 3 : 3]
    ]
    return [text for text in texts if 200 < len(text) < 40_000]


def test_bands_grow_tighter_with_the_threshold_and_miss_hardly_anything() -> None:
    assert [hashes_per_band(threshold) for threshold in (0.3, 0.6, 0.7, 0.85, 1.0)] == [1, 3, 4, 6, 8]


@pytest.mark.parametrize("threshold", [0.6, 0.85])
def test_removals_equal_those_of_comparing_all_pairs(threshold: float) -> None:
    texts = real_texts(220)
    for number, text in enumerate(texts[:40]):  # real edits: a line dropped, a name changed, a tail cut
        lines = text.splitlines(keepends=True)
        texts.append("".join(lines[: max(3, len(lines) - 1 - number)]))
        texts.append(text.replace("self", "this"))
    sets = [shingles(text) for text in texts]
    keys = [f"{number:04d}" for number in range(len(texts))]
    removals = removals_of(texts, keys, threshold)
    removed = {removal.removed for removal in removals}
    assert len(removed) > 20
    for removal in removals:
        assert removal.keeper not in removed
        assert jaccard(sets[removal.removed], sets[removal.keeper]) == removal.similarity >= threshold
    survivors = [number for number in range(len(texts)) if number not in removed]
    missed = [(a, b) for a, b in combinations(survivors, 2) if jaccard(sets[a], sets[b]) >= threshold]
    assert missed == []


ODD = [
    "",
    " ",
    "a",
    "a b",
    "a b c d",
    "a b c d e",
    "x=1\u00a0+\u20ac2 \u201cquoted\u201d",
    "\U0001f40d = '\u4f60\u597d'\x1c\x85\u2028y",
    "na\u00efve caf\u00e9 \ud800 z",
]


def test_shingles_are_runs_of_the_tokens_that_the_pattern_finds() -> None:
    """Token for token, whatever the letters, and however the texts are batched."""
    texts = [*ODD, *real_texts(60), *ODD]
    sets = shingle_all(texts)
    for text, own in zip(texts, sets, strict=True):
        tokens = re.findall(r"\w+|[^\w\s]", text)
        length = min(SHINGLE_TOKENS, len(tokens))
        runs = {tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)} if tokens else set()
        assert len(own) == len(runs)
        assert np.array_equal(own, shingles(text))
        assert np.array_equal(own, shingles("  \t".join(tokens)))
        assert (np.diff(own.astype(object)) > 0).all()
        assert np.isin(own, shingles(f"{text}\n\u4f60")).all() or len(tokens) < SHINGLE_TOKENS


def test_one_keeper_of_many_copies_is_compared_with_each_once() -> None:
    base = "\n".join(f"value_{n} = compute({n})" for n in range(60))
    texts = [base + f"\nextra_{n} = {n}" * (n % 3 + 1) for n in range(300)]
    sets = shingle_all(texts)
    looked_up = 0

    class Counting:
        def __getitem__(self, number: int) -> Hashes:
            nonlocal looked_up
            looked_up += 1
            return sets[number]

    bands, sizes = band_keys(sets, 0, 4), np.array([len(one) for one in sets])
    buckets = buckets_of(lambda band: bands[band], 28, len(sets))
    removals = near_duplicates(Counting(), sizes, range(300), buckets, (-sizes, np.arange(300)), 0.7)
    assert len(removals) == 299
    assert looked_up == 2 * 299


def test_the_longest_stays_and_the_order_of_the_texts_does_not_matter() -> None:
    base = "\n".join(f"value_{n} = compute({n})" for n in range(60))
    texts = [base, base + "\nextra = 1\n", base + "\nextra = 1\nmore = 2\n", "print('other')\n" * 3]
    keys = list("abcd")
    forward = removals_of(texts, keys, 0.7)
    backward = removals_of(texts[::-1], keys[::-1], 0.7)
    assert {(keys[r.removed], keys[r.keeper]) for r in forward} == {("a", "c"), ("b", "c")}
    assert {(keys[::-1][r.removed], keys[::-1][r.keeper]) for r in backward} == {("a", "c"), ("b", "c")}


def test_operators_and_case_are_part_of_a_token() -> None:
    assert jaccard(shingles("if a < b: x = 1"), shingles("if a > b: x = 1")) < 1
    assert jaccard(shingles("Name = 1"), shingles("name = 1")) == 0
    assert jaccard(shingles("a  =\n 1"), shingles("a = 1")) == 1


def test_texts_without_tokens_are_like_nothing() -> None:
    assert len(shingles(" \n\t")) == 0
    assert removals_of(["", " "], ["a", "b"], 0.5) == []


def test_a_signature_estimates_the_similarity() -> None:
    texts = real_texts(60)
    first = shingles(texts[0] + texts[1])
    second = shingles(texts[0] + texts[2])
    estimate = float(np.mean(np.equal(*signatures([first, second], 0))))
    assert abs(estimate - jaccard(first, second)) < 0.2
