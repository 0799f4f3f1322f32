"""Marks of false alarms: read line by line, each fault named; another content is another identity."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from codetextbook.benchmarks.alarms import Alarm, AlarmFile, load_marks
from codetextbook.config import digest
from codetextbook.errors import BenchmarkError

LINE = {
    "benchmark": "humaneval",
    "task_id": "HumanEval/0",
    "document_id": "ab",
    "detector": "ast",
    "by": "Ada",
    "why": "no",
}


def written(folder: Path, *lines: object) -> AlarmFile:
    path = folder / "alarms.jsonl"
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in lines), encoding="utf-8")
    return AlarmFile(path=str(path))


def test_marks_are_known_by_what_they_are_about(tmp_path: Path) -> None:
    marks = load_marks(written(tmp_path, LINE, "", {**LINE, "detector": "text_ngram"}))
    assert set(marks) == {Alarm("humaneval", "HumanEval/0", "ab", detector) for detector in ("ast", "text_ngram")}
    assert marks[Alarm("humaneval", "HumanEval/0", "ab", "ast")].by == "Ada"
    assert load_marks(None) == {}


def test_another_mark_is_another_identity(tmp_path: Path) -> None:
    first = written(tmp_path, LINE)
    second = written(tmp_path, LINE, {**LINE, "document_id": "cd"})
    assert digest(first) != digest(second)
    with pytest.raises(BenchmarkError, match="changed"):
        load_marks(first)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({**LINE, "detector": "nose"}, "detector"),
        ({key: value for key, value in LINE.items() if key != "why"}, "why"),
        ({**LINE, "note": "x"}, "note"),
        ("{", "no mark"),
        (LINE, "marked twice"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        load_marks(written(tmp_path, LINE, line))
    assert "line 2" in str(caught.value)
    assert re.search(message, str(caught.value), re.DOTALL)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no such file"):
        load_marks(AlarmFile(path=str(tmp_path / "none.jsonl")))
