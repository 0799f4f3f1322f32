"""The tiny model, for every test of this folder."""

from __future__ import annotations

import pytest
from tiny_model import TINY, tokenizer

from codetextbook.model.folder import Loaded
from codetextbook.model.phi import Phi
from codetextbook.nouns import END_OF_TEXT


@pytest.fixture
def loaded() -> Loaded:
    """The tiny model, as it is initialised."""
    vocabulary = tokenizer()
    return Loaded(Phi(TINY).initialise(1).eval(), vocabulary, vocabulary.token_to_id(END_OF_TEXT))
