"""Textbook: only pages whose code does what they say are kept, and each writer is labelled as what it is."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import codetextbook.stages.textbook as module
from codetextbook.errors import InputError, StageFailed
from codetextbook.sandbox import Sandbox
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.textbook import Textbook, asked, assignment, batches, from_reply, request_for, textbook
from codetextbook.store import Artifact, Store
from codetextbook.teacher import Failure, Message, RecordedTeacher, Reply
from codetextbook.teacher.checking import echo, page_refusal
from codetextbook.teacher.pages import parse_recorded, recorded_rows

RIGHT = "## Sums\n\nAdd.\n\n```python\nprint(2 + 3)  # 5\n```\n\n```python\nfor k in range(2):\n    print(k)\n```\n\n```text\n0\n1\n```\n"
WRONG = {
    "output_differs": RIGHT.replace("# 5", "# 6"),
    "output_not_stated": RIGHT.replace("  # 5", ""),
    "unparsable": RIGHT.replace("2 + 3", "2 +"),
    "no_code": "## Sums\n\nOnly prose.\n",
    "code_failed": RIGHT.replace("print(2 + 3)", "print(2 / 0)"),
    "duplicate": RIGHT,
}


def page(text: str) -> dict[str, Any]:
    return parse_recorded(json.dumps({"text": text, "topic": "t", "audience": "a", "words": ["w"]}))[0]


def run(folder: Path, cfg: Textbook) -> Artifact:
    return run_stage(textbook, cfg, store=Store(folder), site=Site(workers=1, threads=1))


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The recorded pages, replaced by those of the test."""
    rows: list[dict[str, Any]] = []
    monkeypatch.setattr(module, "recorded_rows", lambda: list(rows))
    return rows


def test_a_page_that_says_what_is_not_so_is_rejected_with_its_reason(
    tmp_path: Path, shelf: list[dict[str, Any]]
) -> None:
    shelf += [page(RIGHT), *(page(text) for text in WRONG.values())]
    made = run(tmp_path, Textbook(count=0, max_rejected_share=1.0))
    assert made.table("pages")["text"].to_pylist() == [RIGHT]
    assert made.table("rejected")["reason"].to_pylist() == list(WRONG)
    assert made.manifest["flow"]["rows_in"] == 7


def test_a_page_that_is_too_long_is_not_kept(tmp_path: Path, shelf: list[dict[str, Any]]) -> None:
    shelf += [page(RIGHT), page(RIGHT + "word " * 100)]
    made = run(tmp_path, Textbook(count=0, max_characters=400))
    assert made.table("rejected")["reason"].to_pylist() == ["too_long"] and made.rows("pages") == 1


def test_too_many_bad_pages_fail_the_stage(tmp_path: Path, shelf: list[dict[str, Any]]) -> None:
    shelf += [page(RIGHT), *(page(text) for text in WRONG.values())]
    with pytest.raises(StageFailed, match="6 of 7 pages were rejected"):
        run(tmp_path, Textbook(count=0))


def test_the_grammar_writes_as_many_as_told_and_is_labelled(tmp_path: Path, shelf: list[dict[str, Any]]) -> None:
    made = run(tmp_path, Textbook(count=30, audit_share=0.2))
    writers = made.table("pages")["writer"].to_pylist()
    assert set(writers) == {"grammar"} and len(writers) + made.rows("rejected") == 30
    assert 0 < made.manifest["facts"]["audited"] < 30


def test_no_pages_end_in_a_clear_word(tmp_path: Path, shelf: list[dict[str, Any]]) -> None:
    with pytest.raises(StageFailed, match="there are no pages") as caught:
        run(tmp_path, Textbook(count=0))
    assert "recorded" in caught.value.hint


def test_a_wrong_page_of_the_grammar_fails_the_stage(
    tmp_path: Path, shelf: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = page(WRONG["output_differs"]) | {"writer": "grammar"}
    monkeypatch.setattr(module, "write_pages", lambda count, seed, families, start: iter([wrong]))
    with pytest.raises(StageFailed, match="audited page of the grammar is wrong"):
        run(tmp_path, Textbook(count=1, audit_share=1.0))


def test_a_line_that_is_no_page_is_named() -> None:
    with pytest.raises(InputError, match="not a page") as caught:
        parse_recorded(json.dumps({"text": "x", "topic": "t", "audience": "a"}) + "\n[]\n")
    assert caught.value.where.endswith("line 2")


def test_parts_cover_every_page_once() -> None:
    made = batches(250, Textbook(count=401, teacher_pages=1))
    assert [(batch.writer, len(batch.rows)) for batch in made] == [
        ("recorded", 200), ("recorded", 50), ("grammar", 200), ("grammar", 200), ("grammar", 1), ("teacher", 1)
    ]  # fmt: skip


def test_a_teachers_page_that_was_cut_off_or_forgets_its_words_is_not_kept() -> None:
    cfg = Textbook(teacher_pages=4, words_per_page=2, seed=3)
    package = resources.files("codetextbook")
    curriculum = tomllib.loads((package / "data" / "curriculum.toml").read_text("utf-8"))
    template = (package / "teacher" / "prompts" / "textbook.md").read_text("utf-8")
    given = [assignment(k, curriculum, cfg) for k in range(4)]
    keys = [request_for(one, template, k, cfg).key("m") for k, one in enumerate(given)]
    full = [" ".join(one["words"]) + "\n" + RIGHT for one in given]
    replies = {
        keys[0]: Reply(full[0], 1, 1, 0.0, "stop", "m"),
        keys[1]: Reply(full[1], 1, 1, 0.0, "length", "m"),
        keys[2]: Reply("other words", 1, 1, 0.0, "stop", "m"),
    }
    rows = asked(range(4), RecordedTeacher("m", replies), cfg).rows
    assert [refusal and refusal.reason for _, refusal in rows] == [None, "cut_off", "words_missing", "not_recorded"]
    assert rows[0][0]["writer"] == "m" and rows[0][0]["topic"] in curriculum["topics"]
    assert isinstance(replies.get(keys[3], Failure("", "")), Failure)


@pytest.mark.parametrize(
    "said",
    [
        "This section cannot be used: words_missing (paint, shell).",
        "Use every one of these words somewhere, in the prose, the names or the data, so that they belong there: a, b.",
        "   Reply with the section alone.",
    ],
)
def test_a_page_that_repeats_what_its_writer_was_told_is_not_kept(said: str) -> None:
    curriculum = tomllib.loads((resources.files("codetextbook") / "data" / "curriculum.toml").read_text("utf-8"))
    given = assignment(0, curriculum, Textbook(words_per_page=0))
    for text, reason in ((RIGHT, None), (RIGHT + said + "\n", "echoes_prompt")):
        _, refusal = from_reply(given, Reply(text, 1, 1, 0.0, "stop", "m"), 0)
        assert (refusal and refusal.reason) == reason


def test_no_recorded_page_repeats_its_prompt() -> None:
    told = module._prompt()[0], module._REPAIR
    assert [echo(row["text"], *told) for row in recorded_rows()] == [None] * len(recorded_rows())


def test_a_wrong_page_is_given_back_once_with_the_error(tmp_path: Path, shelf: list[dict[str, Any]]) -> None:
    cfg = Textbook(count=0, recorded=False, teacher_pages=4, words_per_page=0, max_rejected_share=1.0)
    wanted = [request for _, request in module.assigned(range(4), cfg)]
    wrong = [RIGHT.replace("# 5", f"# {k}6").replace("Sums", f"Sums {k}") for k in range(4)]
    good = [RIGHT.replace("2 + 3", f"{k} + {5 - k}").replace("Sums", f"Sums {k}") for k in range(4)]
    firsts = [good[0], wrong[1], wrong[2], wrong[3]]
    replies = {request.key("m"): text for request, text in zip(wanted, firsts, strict=True)}
    with Sandbox(workers=1) as sandbox:
        for k, second in ((1, good[1]), (2, wrong[2])):
            why = page_refusal(wrong[k], sandbox)
            assert why is not None
            words = module._REPAIR.format(reason=why.reason, detail=why.detail)
            again = wanted[k].followed_by(Message("assistant", wrong[k]), Message("user", words))
            replies[again.key("m")] = second
        teacher = RecordedTeacher("m", {key: Reply(text, 1, 1, 0.25, "stop", "m") for key, text in replies.items()})
        drafts = module.mended(asked(range(4), teacher, cfg), range(4), teacher, sandbox, cfg)
        unmended = cfg.replace({"repairs": False})
        plain = module.mended(asked(range(4), teacher, unmended), range(4), teacher, sandbox, unmended)
    assert [why and why.reason for _, why in drafts.rows] == [None, None, "output_differs", "output_differs"]
    assert drafts.rows[1][0]["text"] == good[1] and drafts.repaired == 1 and drafts.dollars == 1.5
    assert sum(why is not None for _, why in plain.rows) == 3 and plain.repaired == 0


def test_a_page_with_the_code_of_another_repeats_it_and_a_closed_topic_is_not_asked(
    tmp_path: Path, shelf: list[dict[str, Any]]
) -> None:
    shelf += [page(RIGHT), page(RIGHT.replace("Add.", "Other words.")), page(RIGHT.replace("2 + 3", "1 + 4"))]
    made = run(tmp_path, Textbook(count=0, max_rejected_share=1.0))
    assert made.table("rejected")["reason"].to_pylist() == ["near_duplicate"] and made.rows("pages") == 2
    cfg = Textbook(teacher_pages=3)
    topics = [given["key"] for given, _ in module.assigned(range(3), cfg)]
    rows = asked(range(3), RecordedTeacher("m", {}), cfg, closed=topics[:1]).rows
    assert [why and why.reason for _, why in rows] == ["cell_exhausted", "not_recorded", "not_recorded"]


def test_without_constraints_the_teacher_is_told_nothing_of_the_topic() -> None:
    ((given, request),) = module.assigned([0], Textbook(constrained=False))
    assert given["topic"] not in request.messages[0].content and len(request.messages[0].content) < 200


def test_the_facts_tell_how_diverse_each_writers_pages_are(tmp_path: Path, shelf: list[dict[str, Any]]) -> None:
    facts = run(tmp_path, Textbook(count=40, families=("filter", "dates"))).manifest["facts"]
    assert facts["diversity"]["grammar"]["texts"] > 10 and facts["diversity"]["grammar"]["topics"] > 1
    assert set(facts["imports"]) <= {"datetime", "typing"} and facts["repaired"] == 0


def test_topics_audiences_and_words_vary_with_the_number_and_the_seed() -> None:
    curriculum = tomllib.loads((resources.files("codetextbook") / "data" / "curriculum.toml").read_text("utf-8"))
    first = [assignment(k, curriculum, Textbook()) for k in range(50)]
    assert first == [assignment(k, curriculum, Textbook()) for k in range(50)]
    assert first != [assignment(k, curriculum, Textbook(seed=1)) for k in range(50)]
    assert len({one["key"] for one in first}) > 25 and len({one["audience"] for one in first}) > 10
