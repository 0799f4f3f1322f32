"""Annotate: grades belong to the documents they name, nothing is made up, and each grader is labelled as what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codetextbook.errors import InputError, StageFailed, TeacherError
from codetextbook.nouns import DOCUMENT, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.annotate import Annotate, annotate, by_teacher, parse_grade, request_for, sample
from codetextbook.stages.contract import run_stage
from codetextbook.store import Artifact, Store, Writer
from codetextbook.teacher import RecordedTeacher, Reply

TEXTS = [
    f'def f{k}(x):\n    """Add {k}."""\n    for _ in range({k}):\n        x += 1\n    return x\n' for k in range(30)
]
PROMPT, RUBRIC = "grade {code} by {rubric} {mark}", "r"


def documents(store: Store, texts: list[str]) -> Artifact:
    rows = [
        {
            "id": document_id(text),
            "text": text,
            "source": f"package:p{k % 3}",
            "licence": "",
            "path": f"{k}.py",
            "quality": None,
        }
        for k, text in enumerate(texts)
    ]
    out = Writer(store.folder("dedup", "d"))
    out.table("documents", 0, to_table(rows, DOCUMENT))
    out.flow(rows_in=len(rows))
    return out.finish({"id": "d", "stage": "dedup", "version": 1, "config": {}, "inputs": {}}, 0.0)


def run(folder: Path, cfg: Annotate, texts: list[str] = TEXTS) -> Artifact:
    store = Store(folder)
    return run_stage(annotate, cfg, documents(store, texts), store=store, site=Site(workers=1, threads=1))


def grades_file(folder: Path, rows: list[dict[str, Any]]) -> str:
    path = folder / "grades.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_grades_of_the_users_own_are_matched_by_content_and_strangers_are_counted(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": text + "\n\n", "score": k % 6, "reason": "Why."} for k, text in enumerate(TEXTS[:10])
    ]
    rows += [{"document_id": "f" * 32, "score": 5}, {"text": TEXTS[0], "score": 1}]
    made = run(tmp_path, Annotate(grades=grades_file(tmp_path, rows), min_grades=10))
    table = made.table("grades").to_pylist()
    assert {row["document_id"]: row["score"] for row in table} == {
        document_id(text): float(k % 6) for k, text in enumerate(TEXTS[:10])
    }
    assert made.manifest["flow"]["rejected"] == {"unknown_document": 1, "graded_twice": 1}
    assert {row["teacher"] for row in table} == {"recorded: grades.jsonl"}


def test_other_grades_are_another_artifact_and_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = grades_file(tmp_path, [{"text": TEXTS[0], "score": 1}])
    first = Annotate(grades=path)
    grades_file(tmp_path, [{"text": TEXTS[0], "score": 2}])
    assert Annotate(grades=path) != first
    with pytest.raises(InputError, match="by its content"):
        run(tmp_path, first)


@pytest.mark.parametrize("score", [6, -1, None, "4", True])
def test_a_score_outside_the_scale_is_refused_with_its_line(score: object, tmp_path: Path) -> None:
    path = grades_file(tmp_path, [{"text": "a", "score": 1}, {"text": "b", "score": score}])
    with pytest.raises(InputError, match="line 2"):
        run(tmp_path, Annotate(grades=path))


def test_too_few_grades_say_how_many_are_needed(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"0 grades .* at least 50 are needed") as caught:
        run(tmp_path, Annotate())
    assert "teacher" in caught.value.hint


def test_the_rule_grades_a_sample_and_is_called_a_rule(tmp_path: Path) -> None:
    made = run(tmp_path, Annotate(grader="rule", sample_size=20, min_grades=5), [*TEXTS[:29], "def broken(:\n"])
    table = made.table("grades").to_pylist()
    assert all(row["teacher"].startswith("rule:") and row["dollars"] == 0 for row in table)
    assert made.manifest["flow"]["rows_in"] == 20
    assert set(made.manifest["flow"]["rejected"]) <= {"not_python"}


def test_what_has_no_grade_is_rejected_not_zero(tmp_path: Path) -> None:
    made = run(tmp_path, Annotate(grader="rule", min_grades=5), [*TEXTS, "def broken(:\n"])
    assert made.rows("grades") == len(TEXTS)
    assert made.table("rejected")["reason"].to_pylist() == ["not_python"]


def test_a_sample_spreads_over_sources_and_lengths_whatever_the_order() -> None:
    rows = [{"id": str(k), "source": "a" if k < 900 else "b", "length": 10 if k % 2 else 10_000} for k in range(1_000)]
    drawn = [rows[k] for k in sample(rows, 100, seed=1)]
    assert len(drawn) == 100 and sum(row["source"] == "b" for row in drawn) == 10
    assert 48 <= sum(row["length"] == 10 for row in drawn) <= 52
    backwards = rows[::-1]
    assert {backwards[k]["id"] for k in sample(backwards, 100, seed=1)} == {row["id"] for row in drawn}
    assert {rows[k]["id"] for k in sample(rows, 100, seed=2)} != {row["id"] for row in drawn}
    assert sample(rows, 5_000, seed=1) == list(range(1_000))


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ('{"reason": "Clear.", "score": 4}', (4.0, "Clear.")),
        ('```json\n{"reason": "So\nso", "score": 2.5}\n```', (2.5, "So\nso")),
        ('{"score": 9}', None),
        ('{"score": true}', None),
        ("4", None),
        ("", None),
    ],
)
def test_a_grade_is_read_from_a_reply(text: str, grade: tuple[float, str] | None) -> None:
    assert parse_grade(text) == grade


def test_a_malformed_reply_gets_one_more_try_then_is_rejected_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codetextbook.stages.annotate._prompt", lambda: (PROMPT, RUBRIC))
    from codetextbook.stages.annotate import REPAIR
    from codetextbook.teacher import Message

    cfg = Annotate(grader="teacher")
    rows = [{"id": document_id(text), "text": text, "source": "s"} for text in TEXTS[:3]]
    asked = [request_for(row, PROMPT, RUBRIC, cfg) for row in rows]
    again = [one.followed_by(Message("assistant", "well"), Message("user", REPAIR)) for one in asked]
    said = [(asked[0], '{"reason": "A.", "score": 3}'), (asked[1], "well"), (again[1], '{"reason": "B.", "score": 0}')]
    said += [(asked[2], "well"), (again[2], "still not")]
    replies = {request.key("m"): Reply(text, 1, 1, 0.25, "stop", "m") for request, text in said}
    outcome = by_teacher(rows, RecordedTeacher("m", replies), cfg)
    assert [(row["score"], row["dollars"]) for row in outcome.grades] == [(3.0, 0.25), (0.0, 0.5)]
    assert [(row["reason"], row["detail"]) for row in outcome.rejected] == [("malformed_reply", "still not")]


def test_the_shipped_prompt_holds_the_rubric_and_the_start_of_the_file() -> None:
    from codetextbook.stages.annotate import _prompt

    text = "x = {}\n" * 1_000
    request = request_for({"id": "a" * 32, "text": text}, *_prompt(), Annotate(shown_characters=700))
    said = request.messages[0].content
    assert "x = {}\n" * 100 in said and "x = {}\n" * 101 not in said and "Start at 0 and climb" in said


def test_a_teacher_that_is_not_set_up_is_named(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="no teacher is named"):
        run(tmp_path, Annotate(grader="teacher"))
