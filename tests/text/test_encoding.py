"""Encoding by pieces met before: id for id what the vocabulary itself gives, on whatever text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers

from codetextbook.nouns import END_OF_TEXT, SENTINELS
from codetextbook.text import cuts, encoding
from codetextbook.text.encoding import Encoder, cuts_of
from codetextbook.text.vocabulary import codegen, cut_like_gpt2, learn

CODE = ["def add_numbers(first, second):\n    return first + second\n", "for x in range(10):\n\tprint('größer', x)\n"]
NASTY = [
    "",
    " ",
    "\n",
    " x",
    "a\r\nb\r\n\r\n c\t\t d",
    "it's 'sole' ''s x'll 'LL we've",
    "a" + " " * 32 + "b" + " " * 33 + "\n" + "\t" * 10 + "c",
    "x \n  \n\t\n \t \n    y\n\n\n",
    "你好 123abc ٣٤ Ⅷ ²  é e\u0301 \u00a0\u2003x\u3000\u0085y\u200b\ufeff",
    "\x00\x0b\x0c\x1c\x1d\x1e\x1f \x7f\x80 _a__b ___ 12_34",
    f"{END_OF_TEXT}{SENTINELS[0]} a{END_OF_TEXT}b",
    "emoji 👩‍👩‍👧 flags 🇩🇪\n    # größe\n  z",
]
PIECES = st.sampled_from(
    [
        *"aZ09_'\"#(=\n\r\t \x0b\x1c\x85\u00a0\u3000é你²٣",
        "  ",
        "\n    ",
        "\n\n",
        "'s",
        "'re",
        " " * 31,
        "\t\t\t",
        END_OF_TEXT,
    ]
)


def gpt2() -> Tokenizer:
    """GPT-2's own: CodeGen's without the runs."""
    made = Tokenizer(codegen().model)
    made.pre_tokenizer, made.decoder = cut_like_gpt2(), decoders.ByteLevel()
    made.add_special_tokens([END_OF_TEXT])
    return made


def unknown() -> Tokenizer:
    """A vocabulary whose cuts are not known here."""
    made = learn(CODE, 300)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return made


MAKERS = {
    "gpt2": gpt2,
    "codegen": codegen,
    "codegen with sentinels": lambda: codegen(special=SENTINELS),
    "learnt": lambda: learn([*CODE, *NASTY] * 20, 500, SENTINELS),
    "unknown": unknown,
}
ENCODERS = {name: Encoder(make()) for name, make in MAKERS.items()}


def theirs(encoder: Encoder, text: str) -> list[int]:
    return encoder.vocabulary.encode(text).ids


def test_the_cuts_of_our_vocabularies_are_known() -> None:
    known = {name: cuts_of(encoder.vocabulary) for name, encoder in ENCODERS.items()}
    assert known == {
        "gpt2": cuts.LIKE_GPT2,
        "codegen": cuts.LIKE_CODEGEN,
        "codegen with sentinels": cuts.LIKE_CODEGEN,
        "learnt": cuts.FOR_CODE,
        "unknown": None,
    }


@pytest.mark.parametrize("name", ENCODERS)
def test_ids_are_the_vocabularys_on_nasty_texts(name: str) -> None:
    encoder = ENCODERS[name]
    encoded = encoder.encode([*NASTY, *CODE])
    split = np.split(encoded.tokens, encoded.lengths.cumsum()[:-1])
    assert [ids.tolist() for ids in split] == [theirs(encoder, text) for text in (*NASTY, *CODE)]
    together = "".join(NASTY) + "\n".join(NASTY)
    assert encoder.encode([together]).tokens.tolist() == theirs(encoder, together)
    assert encoder.encode([]).tokens.tolist() == []


@pytest.mark.parametrize("name", ["gpt2", "codegen", "learnt"])
@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=100))
def test_ids_are_the_vocabularys_on_any_text(name: str, text: str) -> None:
    encoder = ENCODERS[name]
    ids = encoder.encode([text, text + "\n"]).tokens.tolist()
    assert ids == theirs(encoder, text) + theirs(encoder, text + "\n")
    assert encoder.vocabulary.decode(ids, skip_special_tokens=False) == text + text + "\n"


def test_ends_and_sentinels_that_a_text_mentions_are_text() -> None:
    encoder = ENCODERS["codegen with sentinels"]
    special = {encoder.vocabulary.token_to_id(token) for token in (END_OF_TEXT, *SENTINELS)}
    assert not special & set(encoder.encode([END_OF_TEXT + "".join(SENTINELS)]).tokens.tolist())


def test_what_is_forgotten_is_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "KEPT_CHARACTERS", 10)
    encoder = Encoder(learn(CODE, 300))
    for _ in range(3):
        for text in (*CODE, *NASTY):
            assert encoder.encode([text]).tokens.tolist() == theirs(encoder, text)


def test_large_vocabularies_take_32_bits() -> None:
    large = learn(CODE, 300)
    assert Encoder(large).dtype == np.uint16
    large.add_tokens([f"<{number}>" for number in range(2**16)])
    encoder = Encoder(large)
    assert encoder.dtype == np.uint32
    assert encoder.encode(["a <65535>"]).tokens.tolist() == theirs(encoder, "a <65535>")
    assert max(encoder.encode(["<65535>"]).tokens) > 2**16
