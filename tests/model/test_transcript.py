"""Bytes of tokens and texts in progress: equal to the tokenizer's own decoding, stops never shown, characters never halved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import tokenizer
from tokenizers import Tokenizer, models

from codetextbook.errors import InputError
from codetextbook.model.transcript import Transcript, spell
from codetextbook.text.vocabulary import codegen

VOCABULARY = tokenizer()
SPELT = spell(VOCABULARY)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(SPELT) - 1)))
def test_bytes_of_tokens_are_what_the_tokenizer_decodes(ids: list[int]) -> None:
    transcript = Transcript(SPELT, ())
    for token in ids:
        transcript.add(token)
    assert transcript.raw == transcript.text == VOCABULARY.decode(ids)


def test_codegen_spells_its_added_tokens() -> None:
    vocabulary = codegen()
    spelt = spell(vocabulary)
    text = "def f():\n        return '☃\t\t\t'" + " " * 40
    ids = vocabulary.encode(text).ids
    assert b"".join(spelt[token] for token in ids).decode() == text
    assert spelt[50_256] == b""


@settings(deadline=None)
@given(st.text(max_size=60), st.lists(st.sampled_from(["\n\n", "\ndef", "ö", "xx", "x"]), max_size=3))
def test_what_is_shown_is_the_text_before_the_first_stop(text: str, stops: list[str]) -> None:
    transcript = Transcript(SPELT, stops)
    shown = ""
    for token in VOCABULARY.encode(text, add_special_tokens=False).ids:
        stopped = transcript.add(token)
        shown += transcript.settled(ended=False)
        assert transcript.text.startswith(shown)
        if stopped:
            break
    shown += transcript.settled(ended=True)
    assert shown == transcript.text
    if not any(stop in text for stop in stops):
        assert shown == text


def test_a_vocabulary_that_is_not_of_bytes_is_refused() -> None:
    with pytest.raises(InputError, match="not of bytes"):
        spell(Tokenizer(models.WordLevel({"größe": 0, "a b": 1}, unk_token="a b")))
