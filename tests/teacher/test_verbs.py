"""What a user sees: the exact words that would be sent, and the verbs of the journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from running_server import Running
from test_teacher import question

from codetextbook.cli import main
from codetextbook.site import TeacherSite
from codetextbook.teacher import ask_all, connect


def said(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.parametrize(
    ("stage", "part"),
    [
        ("annotate", "Start at 0 and climb"),
        ("textbook", "Write one section of a Python textbook"),
        ("exercises", "Write one exercise"),
    ],
)
def test_what_would_be_sent_is_printed_whole(stage: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('[teacher]\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"\n')
    out = said("explain", stage, "--prompt", "--work", str(tmp_path))
    assert "POST http://127.0.0.1:1/v1/chat/completions" in out and part in out and '"model": "m"' in out
    assert "{" + "topic}" not in out and "{code}" not in out


def test_what_stays_on_this_machine_is_said_to(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('[teacher]\nkind = "local"\nmodel = "m"\nweights = "package:w==1"\n')
    out = said("explain", "textbook", "--prompt", "--work", str(tmp_path))
    assert "package:w==1 on this machine" in out and "POST" not in out


def test_one_word_grades_show_that_probabilities_are_asked_for(tmp_path: Path) -> None:
    out = said("explain", "annotate", "--prompt", "--work", str(tmp_path), "--set", "annotate.answer=yes_no")
    assert '"logprobs": true' in out and '"max_tokens": 1' in out and "Yes or No" in out


def test_a_stage_that_asks_nobody_says_so() -> None:
    said("explain", "dedup", "--prompt", code=1)


def test_a_journal_is_told_checked_and_carried(server: Running, tmp_path: Path) -> None:
    free = {"dollars_per_million_input_tokens": 1.0, "dollars_per_million_output_tokens": 1.0, "dollars_limit": 1.0}
    teacher = connect(TeacherSite(base_url=server.url, model="m", **free), tmp_path / "a" / "store" / "journal.sqlite3")
    ask_all(teacher, [question("x"), question("[reset-mid-body] y")])
    teacher.close()
    work, other = str(tmp_path / "a"), str(tmp_path / "b")
    told = said("journal", "stats", "--work", work)
    assert "m: 2 replies (stop 2), 20 tokens sent, 10 answered" in told and "connection_lost 1" in told
    assert "every key" in said("journal", "verify", "--work", work)
    file = tmp_path / "replies.jsonl"
    assert "2 replies" in said("journal", "export", str(file), "--work", work)
    assert "2 replies taken in" in said("journal", "import", str(file), "--work", other)
    assert "every key" in said("journal", "verify", "--work", other)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["key"] = "0" * 64
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said("journal", "import", str(file), "--work", other)
    assert "1 faults" in said("journal", "verify", "--work", other, code=3)
    said("journal", "stats", "--work", str(tmp_path / "nowhere"), code=1)
