"""Settings: refused with a helpful word, changed without mutation, and with one digest for equal values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from codetextbook.config import Config, canonical_json, digest
from codetextbook.errors import ConfigError, StageFailed
from codetextbook.nouns import document_id


class Inner(Config):
    """A table."""

    threshold: float = Field(default=0.5, ge=0, le=1)
    """Share (test)."""


class Outer(Config):
    """A recipe-like tree."""

    curate: Inner = Inner()
    """A table (test)."""


def test_a_misspelt_key_names_the_file_and_suggests_the_key() -> None:
    with pytest.raises(ConfigError) as caught:
        Outer.parse({"curate": {"treshold": 0.5}}, where="my.toml")
    assert str(caught.value) == "unknown key 'curate.treshold'. where: my.toml. try: 'threshold'"


def test_a_value_out_of_range_is_refused_with_what_was_given() -> None:
    with pytest.raises(ConfigError, match=r"curate\.threshold: .*less than or equal to 1.*2\.0"):
        Outer.parse({"curate": {"threshold": 2.0}}, where="my.toml")


def test_replace_reaches_into_tables_and_leaves_the_original() -> None:
    before = Outer()
    after = before.replace({"curate.threshold": 0.25})
    assert (before.curate.threshold, after.curate.threshold) == (0.5, 0.25)
    with pytest.raises(ConfigError, match="unknown key"):
        before.replace({"curate.nothing": 1})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), json_values))
def test_equal_tables_have_equal_digests_whatever_their_order(table: dict[str, object]) -> None:
    backwards = dict(reversed(list(table.items())))
    assert digest(table) == digest(backwards)


def test_values_without_a_stable_form_are_refused() -> None:
    for value in (float("nan"), object(), len, {1: 2}):
        with pytest.raises(ConfigError):
            canonical_json({"x": value})


@given(st.text() | st.text("x \t\n"), st.sampled_from(["", "a line of code\n" * 200]))
def test_document_id_is_blind_to_newlines_and_trailing_space(text: str, before: str) -> None:
    text = before + text.replace("\r", "")
    assert document_id(text.replace("\n", "\r\n")) == document_id(text)
    assert document_id(text.replace("\n", "  \n") + " \n\n") == document_id(text)


def test_errors_survive_the_way_home_from_a_worker() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(StageFailed("what", where="here", hint="this")))
    assert str(error) == "what. where: here. try: this"
