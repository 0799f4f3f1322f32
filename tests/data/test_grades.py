"""The recorded grades are valid, are what their label says, and belong to the very files that the pinned packages install."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import re
import sysconfig
from collections import Counter
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from codetextbook.nouns import document_id

DATA = files("codetextbook") / "data"
FIELDS = {"document_id": str, "package": str, "path": str, "score": int, "reason": str}
LEAST_MATCHING_SHARE = 0.9
MOST_STDLIB_ROWS = 40


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / "grades.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def label() -> dict[str, Any]:
    value = json.loads((DATA / "grades_label.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def test_every_row_is_valid(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        assert {name: type(value) for name, value in row.items()} == FIELDS, row
        assert re.fullmatch(r"[0-9a-f]{32}", row["document_id"]), row
        assert 0 <= row["score"] <= 5, row
        assert row["reason"].endswith(".") and 5 <= len(row["reason"].split()) <= 16, row
        path = PurePosixPath(row["path"])
        assert path.suffix == ".py" and not path.is_absolute() and ".." not in path.parts, row
        assert row["package"] == "stdlib" or path.parts[0] == row["package"], row


def test_no_document_is_graded_twice(rows: list[dict[str, Any]]) -> None:
    assert len({row["document_id"] for row in rows}) == len(rows)
    assert len({(row["package"] == "stdlib", row["path"]) for row in rows}) == len(rows)


def test_every_grade_has_members_and_the_standard_library_few(rows: list[dict[str, Any]]) -> None:
    counts = Counter(row["score"] for row in rows)
    assert set(counts) == set(range(6)) and min(counts.values()) >= 20
    assert sum(row["package"] == "stdlib" for row in rows) <= MOST_STDLIB_ROWS


def test_the_label_describes_these_rows_and_this_rubric(rows: list[dict[str, Any]], label: dict[str, Any]) -> None:
    assert label["graded_by"].startswith("Claude (Anthropic)") and label["date"] == "2026-11-23 and 2026-11-26"
    assert label["number"] == len(rows)
    assert label["histogram"] == {str(score): sum(row["score"] == score for row in rows) for score in range(6)}
    assert label["rubric_sha256"] == hashlib.sha256((DATA / label["rubric"]).read_bytes()).hexdigest()
    assert set(label["packages"]) == {row["package"] for row in rows} - {"stdlib"}


def test_the_self_agreement_follows_from_the_recorded_pairs(rows: list[dict[str, Any]], label: dict[str, Any]) -> None:
    stated = label["self_agreement"]
    pairs = [(pair["first"], pair["second"]) for pair in stated["pairs"]]
    scores = {row["document_id"]: row["score"] for row in rows}
    assert all(scores[pair["document_id"]] == pair["first"] for pair in stated["pairs"])
    assert len(pairs) == len({pair["document_id"] for pair in stated["pairs"]}) == stated["n"] >= 30
    observed = sum((a - b) ** 2 for a, b in pairs) / len(pairs)
    by_chance = sum((a - b) ** 2 for a, _ in pairs for _, b in pairs) / len(pairs) ** 2
    assert stated["quadratic_weighted_kappa"] == pytest.approx(1 - observed / by_chance, abs=1e-4)
    assert stated["exact"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs), abs=1e-4)
    assert stated["within_one"] == pytest.approx(sum(abs(a - b) <= 1 for a, b in pairs) / len(pairs), abs=1e-4)
    assert stated["same_side_of_3"] == pytest.approx(sum((a >= 3) == (b >= 3) for a, b in pairs) / len(pairs), abs=1e-4)


def _installed_file(row: dict[str, Any], label: dict[str, Any]) -> Path | None:
    """Where the row's file should lie, or None when that package is not installed at the version that was graded."""
    if row["package"] == "stdlib":
        same_python = platform.python_version() == label["stdlib_python"]
        return Path(sysconfig.get_path("stdlib"), row["path"]) if same_python else None
    pinned = label["packages"][row["package"]]
    try:
        found = importlib.metadata.distribution(pinned["distribution"])
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(found.locate_file(row["path"]))) if found.version == pinned["version"] else None


def test_grades_belong_to_the_files_of_the_pinned_packages(rows: list[dict[str, Any]], label: dict[str, Any]) -> None:
    located = [(row, path) for row in rows if (path := _installed_file(row, label)) is not None]
    if not located:
        pytest.skip("no graded package is installed at the version that was graded")
    strangers = [
        row["path"]
        for row, path in located
        if not path.is_file() or document_id(path.read_bytes().decode("utf-8")) != row["document_id"]
    ]
    assert len(strangers) <= (1 - LEAST_MATCHING_SHARE) * len(located), strangers
