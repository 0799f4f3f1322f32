"""The page on the teacher: every site file in it is one, and every command in it exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from codetextbook.cli import main
from codetextbook.site import Site

PAGE = (Path(__file__).parents[2] / "docs" / "teacher.md").read_text(encoding="utf-8")
SITES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
VERBS = sorted(set(re.findall(r"^codetextbook ((?:journal )?\w+)", PAGE, re.MULTILINE)))


@pytest.mark.parametrize("text", SITES)
def test_every_site_file_is_one(text: str) -> None:
    teacher = Site.parse(tomllib.loads(text), where="docs").teacher
    assert teacher.model or teacher.dollars_limit
    for free in (teacher.dollars_per_million_input_tokens, teacher.dollars_per_million_output_tokens):
        assert free in (None, 0.0)


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_exists(verb: str) -> None:
    assert CliRunner().invoke(main, [*verb.split(), "--help"]).exit_code == 0


def test_all_kinds_are_shown() -> None:
    kinds = {Site.parse(tomllib.loads(text), where="docs").teacher.kind for text in SITES}
    assert kinds == {"openai", "batch", "local", "recorded"} and 'kind = "vllm"' in PAGE
    assert len(SITES) == 9 and "journal verify" in VERBS
