"""Facts of the syntax: on real files the same as by Python's own tokenizer, and the same after they were kept as columns."""

from __future__ import annotations

import io
import sysconfig
import tokenize
from pathlib import Path

import pytest

from codetextbook.shards import to_table
from codetextbook.stages.read import FACTS
from codetextbook.text.code_facts import comment_share, counts_from, facts_of
from codetextbook.text.syntax_counts import counts

ODD = [
    "",
    "x = '#'  # one\n",
    "x = r\"\\\"  # two\ny = '''a # b \"c\" \\''' d'''  # three\n",
    'def f():\n    """# no comment"""\n    return "a\\\n# no comment either"  # four\n',
    "print 'old'\n# a comment\n",
    "def (:\n",
    "x = 1\n" * 3 + "\0",
    "x = " + "(" * 500 + ")" * 500,
]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Every thirtieth file of the standard library, and what is odd."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for path in sorted(folder.rglob("*.py")) if "site-packages" not in path.parts]
    return [*(path.read_text(encoding="utf-8", errors="replace") for path in paths[::30]), *ODD]


def by_tokens(text: str) -> float:
    size = len("".join(text.split()))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [one.string for one in tokens if one.type == tokenize.COMMENT]
    return round(sum(len("".join(one.split())) for one in comments) / size, 4) if size else 0.0


def test_comments_are_those_that_the_tokenizer_finds(texts: list[str]) -> None:
    parsed = [text for text in texts if facts_of(text).parses]
    assert len(parsed) > 30
    assert [comment_share(text) for text in parsed] == [by_tokens(text) for text in parsed]


def test_counts_are_the_same_after_they_were_kept_as_columns(texts: list[str]) -> None:
    rows = [{"id": str(number), **facts_of(text)._asdict()} for number, text in enumerate(texts)]
    kept = to_table(rows, FACTS).to_pylist()
    assert [counts_from(row) for row in kept] == [counts(text) for text in texts]
    assert counts_from({"parses": None}) is None
    assert counts_from({"parses": True, "functions": 1, "classes": 0}) is None  # of an artifact that lacks columns
