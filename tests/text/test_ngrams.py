"""Shared runs of words: found through any punctuation, wrapping and comment signs; counted once; shown where they stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codetextbook.text.ngrams import NgramIndex, Shared, locate, words

SENTENCE = "one two three four five six seven"
WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "xx"]), max_size=30)


def index(length: int = 3, *texts: str) -> NgramIndex:
    made = NgramIndex(length)
    for owner, text in enumerate(texts):
        made.add(owner, text)
    return made


def test_n_words_match_and_n_less_one_do_not() -> None:
    known = index(5, SENTENCE)
    assert known.shared("x three four five six x") == {}
    assert known.shared("x three four five six seven x") == {0: Shared(1, 2, 27)}


def test_wrapping_quoting_case_and_numbers_do_not_matter() -> None:
    quoted = "> One two, (three)\n> # FOUR 44 five."
    shared = index(5, SENTENCE).shared(quoted)[0]
    assert quoted[shared.start : shared.end] == "One two, (three)\n> # FOUR 44 five"


def test_the_longest_run_is_shown_and_repeats_count_once() -> None:
    text = "one two three. And: two three four five. one two three"
    shared = index(3, SENTENCE).shared(text)[0]
    assert shared.ngrams == 3
    assert text[shared.start : shared.end] == "two three four five"


def test_each_owner_gets_its_own() -> None:
    known = index(3, SENTENCE, "three four five", "nothing like it")
    assert {owner: shared.ngrams for owner, shared in known.shared("two three four five").items()} == {0: 2, 1: 1}


def test_short_and_empty_texts_share_nothing() -> None:
    known = NgramIndex(3)
    assert (known.add(0, "too short"), known.add(1, ""), known.add(2, "1 2 3 4 5")) == (0, 0, 0)
    assert known.shared("too short") == known.shared("") == known.shared("1 2 3 4 5") == {}


def test_a_phrase_is_located() -> None:
    assert locate("So: one, Two three", "two   three") == 9
    assert locate("nothing", "two three") == 0


@given(WORDS, WORDS, st.integers(1, 4))
def test_counts_agree_with_sets_of_ngrams(first: list[str], second: list[str], length: int) -> None:
    grams = [{tuple(own[i : i + length]) for i in range(len(own) - length + 1)} for own in (first, second)]
    shared = index(length, " ".join(first)).shared(" ".join(second))
    assert (shared[0].ngrams if shared else 0) == len(grams[0] & grams[1])


def test_words_know_their_places() -> None:
    text = "Ünï code_1 2x"
    assert [text[word.start : word.end] for word in words(text)] == ["Ünï", "code_1", "x"]
