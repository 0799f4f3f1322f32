"""A person's grades and marks: saved as they are given, kept as an artifact, usable by the stages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser import Browser
from served import Started, copy_of

from codetextbook.benchmarks.alarms import Alarm, AlarmFile, load_marks
from codetextbook.errors import CodetextbookError
from codetextbook.run import Run
from codetextbook.stages.decontaminate import KINDS, Decontaminate, judge, match_rows, screen
from codetextbook.store import Artifact, Store
from codetextbook.teacher.grade_files import read_recorded
from codetextbook.view.review import Ledger


def newest(work: Path, stage: str) -> Artifact:
    return [one for one in Store(work / "store").artifacts() if one.stage == stage][-1]


def test_grading_by_keys(tiny_run: Run, tmp_path: Path, start: Started, browser: Browser) -> None:
    work = copy_of(tiny_run, tmp_path)
    taught = {row["document_id"]: row for row in newest(work, "annotate").table("grades").to_pylist()}
    with start(work) as viewer:
        browser.open(f"{viewer.address}/review")
        browser.wait("window.htmx && document.querySelector('a.row')")
        browser.press("j")
        browser.wait("document.querySelector('#detail h1')")
        assert browser.ask(
            "[...document.querySelectorAll('#list td:nth-child(3)')].every(one => one.innerText === 'hidden')"
        )
        reasons = {row["reason"] for row in taught.values()}
        assert not any(reason in browser.ask("document.documentElement.outerHTML") for reason in reasons)
        for count, key in enumerate("1101", start=1):
            browser.press(key)
            browser.wait(f"document.querySelector('#agreement b')?.innerText === '{count}'")
        saved = [json.loads(line) for line in (work / "reviews" / "ada.jsonl").read_text().splitlines()]
        assert [row["score"] for row in saved] == [5, 5, 0, 5]
        assert {row["document_id"] for row in saved} <= set(taught)
        assert "kappa" in browser.ask("document.querySelector('#agreement').innerText").lower()
        browser.press("k")
        browser.wait("document.querySelector('#detail .note')")
        assert "You said yes; the teacher gave" in browser.ask("document.querySelector('#detail .note').innerText")
        browser.press("x")
        browser.wait("document.querySelector('#agreement b')?.innerText === '3'")
        browser.press("w")
        browser.wait("location.pathname.startsWith('/artifacts/')")
        kept = newest(work, "review")
        assert kept.id == browser.ask("location.pathname").rsplit("/", 1)[1]
        assert kept.table("grades").column("score").to_pylist() == [5, 5, 0]
        assert set(kept.table("grades").column("teacher").to_pylist()) == {"person: ada"}
        assert kept.manifest["inputs"] == {"judged": newest(work, "annotate").id}
        browser.leave()  # before the viewer ends: the page may still be asking for something
    assert Store(work / "store").verify() == []


def test_grades_are_recorded_grades_for_annotate(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "Ada B.")
    ledger.grade("aa", 5.0)
    ledger.grade("bb", 0.0)
    ledger.grade("aa", 0.0)
    ledger.grade("cc", 5.0)
    ledger.grade("bb", None)
    read = list(read_recorded(ledger.path.read_text().split("\n"), "the file"))
    assert [(row["document_id"], row["score"], row["teacher"]) for row in read] == [
        ("aa", 0.0, "person: Ada B."),
        ("cc", 5.0, "person: Ada B."),
    ]


def test_grades_not_yet_kept_are_kept_when_the_viewer_ends(tiny_run: Run, tmp_path: Path, start: Started) -> None:
    work = copy_of(tiny_run, tmp_path)
    key = newest(work, "annotate").table("grades")["document_id"][0].as_py()
    with start(work) as viewer:
        answer = viewer.ask(f"/review/grade?open={key}", form={"grade": "1"})
        assert answer.status == 303
        assert newest(work, "report")
        assert "review" not in {one.stage for one in Store(work / "store").artifacts()}
    assert newest(work, "review").table("grades")["document_id"].to_pylist() == [key]


@pytest.mark.parametrize(("key", "answer"), [("nobody", "1"), (None, "5"), (None, "yes")])
def test_what_is_no_grade_is_refused(
    key: str | None, answer: str, tiny_run: Run, tmp_path: Path, start: Started
) -> None:
    work = copy_of(tiny_run, tmp_path)
    key = key or newest(work, "annotate").table("grades")["document_id"][0].as_py()
    with start(work) as viewer:
        assert viewer.ask(f"/review/grade?open={key}", form={"grade": answer}).status == 400
    assert not (work / "reviews").exists()


@pytest.mark.parametrize("name", ["", "../ada", "a/b", ".hidden", "x" * 61, "a\nb"])
def test_a_name_cannot_lead_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(CodetextbookError, match="cannot name a reviewer"):
        Ledger(tmp_path, name)


@pytest.mark.parametrize("line", ["{", "[]", '{"document_id": "a"}', '{"document_id": "a", "score": 3}'])
def test_a_damaged_file_is_named_by_its_line(line: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "ada")
    ledger.grade("aa", 5.0)
    ledger.path.write_text(ledger.path.read_text() + line + "\n")
    with pytest.raises(CodetextbookError, match="line 2"):
        ledger.grades()


def test_a_marked_match_removes_nothing_in_the_next_run(tmp_path: Path, start: Started) -> None:
    from codetextbook.benchmarks.problems import humaneval
    from codetextbook.nouns import EXERCISE, document_id
    from codetextbook.shards import to_table
    from codetextbook.stages.decontaminate import MATCH
    from codetextbook.store import Writer

    problem = humaneval()[0]
    exercise = dict.fromkeys(EXERCISE.names, "") | {"prompt": problem.prompt, "solution": problem.reference}
    exercise |= {"id": document_id(problem.prompt + problem.reference), "verified": True}
    cfg = Decontaminate()
    found = screen([problem.prompt + problem.reference], cfg)
    judged = judge(exercise, found[0], {}, cfg)
    assert judged.removed_by
    out = Writer(Store(tmp_path / "store").folder("decontaminate", "0" * 16))
    out.table("matches", 0, to_table(match_rows(judged, KINDS[2]), MATCH))
    out.flow(rows_in=1, unit="texts", rows_kept=0, rejected={"docstring_ngram": 1})
    out.finish({"id": "0" * 16, "stage": "decontaminate", "version": 2, "config": {}, "inputs": {}}, 1.0)
    keys = [f"humaneval {leak.task_id} {exercise['id']} {leak.detector}" for leak in found[0].leaks]
    with start(tmp_path) as viewer:
        page = viewer.ask(f"/matches?{urlencode({'open': keys[0]})}")
        assert "has_close_elements" in page.words and "A false alarm, because" in page.words
        assert "mark>" in page.text
        refused = viewer.ask(f"/matches/mark?{urlencode({'open': keys[0]})}", form={"why": " "})
        assert (refused.status, "needs its reason" in refused.words) == (400, True)
        for key in keys:
            answer = viewer.ask(f"/matches/mark?{urlencode({'open': key})}", form={"why": "my own test"})
            assert answer.status == 303
        assert "Marked as a false alarm by ada: my own test" in viewer.ask(answer.headers["location"]).words
        marks = load_marks(AlarmFile(path=str(tmp_path / "false_alarms.jsonl")))
        assert judge(exercise, found[0], marks, cfg).removed_by is None
        viewer.ask(f"/matches/mark?{urlencode({'open': keys[0]})}", form={"unmark": "1"})
        left = load_marks(AlarmFile(path=str(tmp_path / "false_alarms.jsonl")))
        first = found[0].leaks[0]
        gone = Alarm("humaneval", first.task_id, exercise["id"], first.detector)
        assert set(marks) - set(left) == {gone}


def test_the_list_that_is_reviewed_is_the_same_for_everyone_and_not_the_teachers(
    tiny_run: Run, tmp_path: Path, start: Started
) -> None:
    work = copy_of(tiny_run, tmp_path)
    with start(work) as viewer:
        keys = re.findall(r'class="row" href="/review\?open=(\w+)"', viewer.ask("/review").text)
        again = re.findall(r'class="row" href="/review\?.*open=(\w+)"', viewer.ask("/review?sort=-grade").text)
    in_order = newest(work, "annotate").table("grades")["document_id"].to_pylist()
    assert sorted(keys) == sorted(in_order) and keys != in_order
    assert again == keys
