"""How a run tells what it does: a table at the end, JSON for programs, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from codetextbook.cli import main
from codetextbook.recipe import Recipe
from codetextbook.run import Run


@pytest.fixture(scope="module")
def recipe(tiny: Recipe, tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny recipe as a file; all of it but the report is made."""
    tiny_run.make("evaluate")
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(tiny.dump(), encoding="utf-8")
    return str(path)


def run(recipe: str, work: Path, *words: str) -> str:
    done = CliRunner().invoke(main, ["run", recipe, "--work", str(work), *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_json_has_a_line_for_each_event(recipe: str, tiny_run: Run) -> None:
    work = tiny_run.work
    events = [
        json.loads(line) for line in run(recipe, work, "--json", "--set", "report.title='For a program'").splitlines()
    ]
    finished = {event["step"]: event for event in events if event["event"] == "finished"}
    assert list(finished) == list(tiny_run.steps)
    assert not finished["curate"]["made"] and finished["report"]["made"]
    assert {"event": "started", "step": "report", "id": finished["report"]["id"]} in events
    assert finished["dedup"]["flow"]["rows_in"] == sum(
        (finished["dedup"]["flow"]["rows_kept"], *finished["dedup"]["flow"]["rejected"].values())
    )


def test_quiet_says_nothing(recipe: str, tiny_run: Run) -> None:
    assert run(recipe, tiny_run.work, "--quiet") == ""


def test_a_run_ends_with_a_table_of_all_it_made(recipe: str, tiny_run: Run) -> None:
    rows = run(recipe, tiny_run.work).splitlines()
    for name, step in tiny_run.steps.items():
        assert any(row.split()[:2] == [name, step.id] for row in rows), name
