"""The vocabulary says how well it fits each kind of text, beside the paper's own."""

from __future__ import annotations

from codetextbook.run import Run
from codetextbook.stages.tokenizer import bytes_per_token
from codetextbook.text.vocabulary import codegen


def test_the_fit_stands_beside_that_of_codegens_vocabulary(tiny_run: Run) -> None:
    artifact = tiny_run.make("tokenizer")
    ours, theirs = (artifact.manifest["facts"][name] for name in ("bytes_per_token", "bytes_per_token_codegen"))
    assert ours.keys() == theirs.keys() == {"documents", "pages", "exercises"}
    pages = tiny_run.make("decontaminate").table("pages")["text"].to_pylist()
    assert theirs["pages"] == bytes_per_token(codegen(), pages[:500])
    assert all(1 < ours[name] < theirs[name] for name in ours), "a tiny vocabulary takes more tokens than one of 50,295"


def test_bytes_are_counted_as_bytes() -> None:
    assert bytes_per_token(codegen(), ["é"]) == 2.0
    assert bytes_per_token(codegen(), []) == 0
