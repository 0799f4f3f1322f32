"""Annotate: grades belong to the documents they name, nothing is made up, and each grader is labelled as what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codetextbook.errors import ConfigError, InputError, StageFailed, TeacherError
from codetextbook.nouns import DOCUMENT, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.annotate import Annotate, annotate, sample
from codetextbook.stages.contract import run_stage
from codetextbook.store import Artifact, Store, Writer
from codetextbook.teacher import Message, RecordedTeacher, Reply
from codetextbook.teacher.grading import REPAIR, by_teacher, parse_grade, parts_of, requests_for

TEXTS = [
    f'def f{k}(x):\n    """Add {k}."""\n    for _ in range({k}):\n        x += 1\n    return x\n' for k in range(30)
]


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
        document_id(text): float(k % 6) if k else 0.5 for k, text in enumerate(TEXTS[:10])
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


def test_a_sample_spreads_over_sources_kinds_and_lengths_whatever_the_order() -> None:
    rows = [
        {"id": str(k), "source": "a" if k < 900 else "b", "length": 10 if k % 2 else 10_000}
        | {"kind": "test" if k % 10 < 4 else "library"}
        for k in range(1_000)
    ]
    drawn = [rows[k] for k in sample(rows, 100, seed=1)]
    assert len(drawn) == 100 and sum(row["source"] == "b" for row in drawn) == 10
    assert 38 <= sum(row["kind"] == "test" for row in drawn) <= 42
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


def rows_of(texts: list[str]) -> list[dict[str, Any]]:
    return [{"id": document_id(text), "text": text, "source": "s"} for text in texts]


def test_a_malformed_reply_gets_one_more_try_then_is_rejected_with_its_text() -> None:
    cfg = Annotate(grader="teacher")
    rows = rows_of(TEXTS[:3])
    asked = requests_for(rows, cfg)
    again = [one.followed_by(Message("assistant", "well"), Message("user", REPAIR)) for one in asked]
    said = [(asked[0], '{"reason": "A.", "score": 3}'), (asked[1], "well"), (again[1], '{"reason": "B.", "score": 0}')]
    said += [(asked[2], "well"), (again[2], "still not")]
    replies = {request.key("m"): Reply(text, 1, 1, 0.25, "stop", "m") for request, text in said}
    outcome = by_teacher(rows, RecordedTeacher("m", replies), cfg)
    assert [(row["score"], row["dollars"]) for row in outcome.grades] == [(3.0, 0.25), (0.0, 0.5)]
    assert [(row["reason"], row["detail"]) for row in outcome.rejected] == [("malformed_reply", "still not")]


def test_the_shipped_prompt_holds_the_rubric_and_the_start_of_the_file() -> None:
    row = {"id": "a" * 32, "text": "x = {}\n" * 1_000}
    (request,) = requests_for([row], Annotate(shown_characters=700))
    said = request.messages[0].content
    assert "x = {}\n" * 100 in said and "x = {}\n" * 101 not in said and "Start at 0 and climb" in said


def test_windows_reach_from_the_start_to_the_end_and_a_short_file_has_one() -> None:
    cfg = Annotate(shown="windows", windows=3, shown_characters=200)
    text = "".join(f"line {k:04d}\n" for k in range(200))
    first, middle, last = parts_of(text, cfg)
    assert text[:200] in first and text[-200:] in last and "(part 2 of 3 of this file)" in middle
    assert parts_of(text[:200], cfg) == [text[:200]]
    assert len(parts_of(text[:300], cfg)) == 2


@pytest.mark.parametrize(("combine", "score"), [("mean", 2.0), ("median", 1.0), ("lowest", 0.0), ("highest", 5.0)])
def test_the_grades_of_windows_are_combined_and_one_without_a_grade_leaves_none(combine: str, score: float) -> None:
    cfg = Annotate.parse({"shown": "windows", "shown_characters": 200, "combine": combine}, where="test")
    rows = rows_of(["".join(f"{name} = {k}\n" for k in range(200)) for name in ("a", "b")])
    asked = requests_for(rows, cfg)
    said = ["5", "0", "1", "4", "none", "none"]
    replies = {
        one.key("m"): Reply(f'{{"reason": "R.", "score": {text}}}', 1, 1, 0.25, "stop", "m")
        for one, text in zip(asked, said, strict=True)
    }
    outcome = by_teacher(rows, RecordedTeacher("m", replies), cfg)
    assert [(row["score"], row["dollars"]) for row in outcome.grades] == [(score, 0.75)]
    assert outcome.grades[0]["reason"] == "5: R. 0: R. 1: R."
    assert [row["id"] for row in outcome.rejected] == [rows[1]["id"]]


def test_a_teacher_that_is_not_set_up_is_named(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="no teacher is named"):
        run(tmp_path, Annotate(grader="teacher"))


def parquet_file(folder: Path, columns: dict[str, list[Any]]) -> str:
    path = folder / "grades.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_parquet_grades_are_what_json_lines_are(tmp_path: Path) -> None:
    columns = {"document_id": [document_id(text) for text in TEXTS[:10]], "score": [float(k % 6) for k in range(10)]}
    lines = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    one = run(tmp_path / "a", Annotate(grades=parquet_file(tmp_path, columns), min_grades=10))
    two = run(tmp_path / "b", Annotate(grades=grades_file(tmp_path, lines), min_grades=10))
    kept = ("document_id", "score")
    assert one.table("grades").select(kept).to_pylist() == two.table("grades").select(kept).to_pylist()


def test_a_parquet_row_that_is_no_grade_is_named_and_so_is_a_file_that_is_none(tmp_path: Path) -> None:
    columns = {"text": ["a", "b"], "score": [1.0, None]}
    with pytest.raises(InputError, match="row 2"):
        run(tmp_path, Annotate(grades=parquet_file(tmp_path, columns)))
    (tmp_path / "not.parquet").write_text("words", encoding="utf-8")
    with pytest.raises(InputError, match="not a Parquet file"):
        run(tmp_path, Annotate(grades=str(tmp_path / "not.parquet")))


@pytest.mark.parametrize(
    ("policy", "score", "rejected"),
    [("mean", 2.5, {"graded_twice": 1}), ("first", 4.0, {"graded_twice": 1}), ("reject", None, {"grades_disagree": 2})],
)
def test_two_grades_that_disagree_follow_the_stated_policy(
    policy: str, score: float | None, rejected: dict[str, int], tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"text": text, "score": 3} for text in TEXTS[:10]]
    rows += [{"text": TEXTS[20], "score": 4, "teacher": "anna"}, {"text": TEXTS[20], "score": 1, "teacher": "ben"}]
    cfg = Annotate.parse({"grades": grades_file(tmp_path, rows), "min_grades": 10, "graded_twice": policy}, where="t")
    made = run(tmp_path, cfg)
    scores = {row["document_id"]: row["score"] for row in made.table("grades").to_pylist()}
    assert scores.get(document_id(TEXTS[20])) == score
    assert made.manifest["flow"]["rejected"] == rejected
    (compared,) = made.json("agreement")["compared"]
    assert (compared["compared"], compared["documents"]) == ("documents that the file grades twice", 1)


def test_the_shipped_grades_bring_their_own_agreement(tmp_path: Path) -> None:
    from importlib.resources import files

    label = json.loads((files("codetextbook") / "data" / "grades_label.json").read_text(encoding="utf-8"))
    with pytest.raises(StageFailed):
        run(tmp_path, Annotate())
    (told,) = json.loads(next(tmp_path.glob("annotate/*/agreement.json")).read_text(encoding="utf-8"))["compared"]
    assert told["documents"] == label["self_agreement"]["n"]
    assert told["weighted_kappa"] == pytest.approx(label["self_agreement"]["quadratic_weighted_kappa"], abs=1e-4)
    assert told["weighted_kappa_interval"][0] < told["weighted_kappa"] <= told["weighted_kappa_interval"][1] <= 1


def test_grades_are_compared_with_a_persons_on_the_documents_that_both_have(tmp_path: Path) -> None:
    from codetextbook.view.review import Ledger

    ledger = Ledger(tmp_path, "anna")
    for k, text in enumerate(TEXTS[:12]):
        ledger.grade(document_id(text), 5.0 if k % 6 >= 3 else 0.0)
    ledger.grade("f" * 32, 5.0)
    path = grades_file(tmp_path, [{"text": text, "score": k % 6} for k, text in enumerate(TEXTS[:20])])
    cfg = {"grades": path, "min_grades": 10, "compare_with": {"path": str(ledger.path)}}
    (told,) = run(tmp_path, Annotate.parse(cfg, where="t")).json("agreement")["compared"]
    assert (told["documents"], told["kappa"], told["compared"]) == (12, 1.0, "these grades and anna.jsonl")
    assert 0.5 < told["rank_correlation"] < 1
    ledger.grade(document_id(TEXTS[0]), 5.0)
    with pytest.raises(InputError, match="by its content"):
        run(
            tmp_path / "again",
            Annotate.parse(cfg | {"compare_with": {"path": str(ledger.path), "sha256": "0"}}, where="t"),
        )


def test_grades_of_other_documents_cannot_be_compared(tmp_path: Path) -> None:
    path = grades_file(tmp_path, [{"text": text, "score": k % 6} for k, text in enumerate(TEXTS[:20])])
    others = tmp_path / "others.jsonl"
    others.write_text(json.dumps({"document_id": "f" * 32, "score": 5}) + "\n", encoding="utf-8")
    cfg = {"grades": path, "min_grades": 10, "compare_with": {"path": str(others)}}
    with pytest.raises(InputError, match="none of its 1 documents"):
        run(tmp_path, Annotate.parse(cfg, where="t"))


def test_only_a_teacher_can_be_asked_again() -> None:
    with pytest.raises(ConfigError, match="repeats ask a teacher again"):
        Annotate.parse({"repeats": 5}, where="t")
    with pytest.raises(ConfigError, match="set repeats too"):
        Annotate.parse({"grader": "teacher", "second_model": "m"}, where="t")


def replies_file(folder: Path, cfg: Annotate, texts: list[str]) -> Path:
    """Recorded replies of two models: `m` agrees with itself but for one document, `n` sees the opposite."""

    lines = []
    for k, row in enumerate(rows_of(texts)):
        for model, repeat, score in (("m", 0, k % 6), ("m", 1, k % 6 if k else 3), ("n", 0, 5 - k % 6)):
            (request,) = requests_for([row], cfg, repeat)
            text = json.dumps({"reason": "R.", "score": score})
            known = {"input_tokens": 1, "output_tokens": 1, "finish_reason": "stop", "model": model}
            lines.append(json.dumps({"key": request.key(model), "text": text} | known))
    path = folder / "replies.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_teacher_is_asked_twice_and_beside_a_second_one(tmp_path: Path) -> None:
    said = {"grader": "teacher", "model": "m", "repeats": 30, "second_model": "n", "min_grades": 10}
    cfg = Annotate.parse(said, where="t")
    site = Site.parse(
        {
            "workers": 1,
            "threads": 1,
            "teacher": {"kind": "recorded", "replies": str(replies_file(tmp_path, cfg, TEXTS))},
        },
        where="t",
    )
    store = Store(tmp_path / "store")
    made = run_stage(annotate, cfg, documents(store, TEXTS), store=store, site=site)
    itself, other = made.json("agreement")["compared"]
    assert (itself["compared"], itself["documents"]) == ("the teacher, asked twice", 30)
    assert itself["exact"] == pytest.approx(29 / 30, abs=1e-4) and 0.8 < itself["weighted_kappa"] < 1
    assert (other["compared"], other["documents"]) == ("the teacher and n", 30)
    assert other["rank_correlation"] == -1 and other["kappa"] == -1
    assert made.rows("repeats") == 60 and made.rows("grades") == 30
