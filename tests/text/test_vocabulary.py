"""Vocabularies: CodeGen's as transformers has it, and a learnt one that cuts code where prompts end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetextbook.errors import InputError
from codetextbook.nouns import END_OF_TEXT
from codetextbook.text import vocabulary
from codetextbook.text.vocabulary import codegen, learn

NASTY = (
    "def f(x):\n    return x  # größer 你好 ☃\r\n\t\tif  x:\n"
    + "\t" * 11
    + "pass\n"
    + " " * 40
    + "y\n\n\n  a  b   c 'don't' 1234\x00"
)
CODE = [
    "def add_numbers(first, second):\n    total = first + second\n    return total\n",
    "for x in range(10):\n\tprint(x)\n",
]


def test_codegen_gives_the_ids_of_transformers() -> None:
    from transformers import CodeGenTokenizer

    root = vocabulary._package_folder()
    lines = (root / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:]
    theirs = CodeGenTokenizer(
        vocab=json.loads((root / "encoder.json").read_text(encoding="utf-8")),
        merges=[tuple(line.split(" ")) for line in lines if line],
    )
    theirs.add_tokens([" " * count for count in range(31, 1, -1)] + ["\t" * count for count in range(9, 1, -1)])
    ours = codegen()
    for text in (NASTY, f"a{END_OF_TEXT}b", *CODE, " " * 100, "\t" * 20):
        assert ours.encode(text).ids == theirs(text)["input_ids"]
        assert ours.decode(ours.encode(text).ids, skip_special_tokens=False) == text


def test_codegen_numbers_its_tokens_as_published() -> None:
    ours = codegen()
    assert ours.get_vocab_size() == 50_295
    tokens = {END_OF_TEXT: 50_256, " " * 31: 50_257, "  ": 50_286, "\t" * 9: 50_287, "\t\t": 50_294}
    assert {token: ours.token_to_id(token) for token in tokens} == tokens


def test_files_that_are_not_those_of_the_release_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no encoder\.json"):
        codegen(str(tmp_path))
    (tmp_path / "encoder.json").write_text("{}")
    with pytest.raises(InputError, match="not the file that OpenAI released"):
        codegen(str(tmp_path))


def test_a_learnt_vocabulary_is_the_same_each_time_and_never_larger_than_asked() -> None:
    first, second = learn(CODE * 50, 300), learn(CODE * 50, 300)
    assert first.to_str() == second.to_str()
    assert first.get_vocab_size() <= 300
    assert first.token_to_id(END_OF_TEXT) == 0


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_survives_a_learnt_vocabulary(text: str) -> None:
    made = learn(CODE, 300)
    assert made.decode(made.encode(text).ids, skip_special_tokens=False) == text


def test_a_prompt_that_ends_with_a_newline_is_cut_as_in_training() -> None:
    made = learn(CODE * 50, 400)
    prompt, body = "def add_numbers(first, second):\n", "    total = first + second\n"
    assert made.encode(prompt + body).ids == made.encode(prompt).ids + made.encode(body).ids
