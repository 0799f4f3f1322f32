"""A plan tells tokens, dollars and time of each step before anything runs, with intervals, and says what it does not know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from codetextbook.cli import main
from codetextbook.recipe import Recipe
from codetextbook.run import Run
from codetextbook.stages.exercises import Exercises, asking
from codetextbook.teacher.estimate import Asking, estimate, evenly, mean
from codetextbook.teacher.protocol import Message, Prices, Request

SITE = """[teacher]
base_url = "https://api.openai.com/v1"
model = "gpt-4o-mini"
dollars_limit = 0.5
"""
PAID = (
    "annotate.grader=teacher",
    "annotate.sample_size=5000",
    "textbook.teacher_pages=300",
    "exercises.teacher_exercises=700",
)


def said(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def lines_of(work: Path, *words: str) -> dict[str, dict[str, Any]]:
    lines = json.loads(said("plan", *words, "--work", str(work), "--json").splitlines()[-1])
    return {line["name"]: line for line in lines}


def test_the_first_plan_of_the_shipped_recipe_knows_every_step(tmp_path: Path) -> None:
    """After a change of the recipe: run it, then `codetextbook plan laptop --json > src/codetextbook/recipes/laptop.plan.json`."""
    lines = lines_of(tmp_path, "laptop")
    assert all(line["known"] == "recipe's" and line["seconds"] > 0 and line["dollars"] == 0 for line in lines.values())
    finetune = Recipe.load("laptop").finetune
    assert lines["finetune"]["tokens"] == finetune.steps * finetune.batch_sequences * 512
    told = said("plan", "laptop", "--work", str(tmp_path))
    assert "on 2 cores" in told and "?" not in told


def test_a_changed_setting_is_no_longer_the_recipes_own_measurement(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, "laptop", "--set", "textbook.count=90000")
    assert lines["textbook"]["known"] == "unknown" and lines["textbook"]["seconds"] is None
    assert lines["exercises"]["known"] == "recipe's"


def test_a_paid_teacher_is_told_with_intervals_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE)
    words = [word for change in PAID for word in ("--set", change)]
    lines = lines_of(tmp_path, "laptop", *words)
    for name, questions in (("annotate", 5000), ("textbook", 300), ("exercises", 1400)):
        line = lines[name]
        assert f"{questions:,} questions to gpt-4o-mini" in line["note"] and line["known"] == "estimated"
        for unit in ("tokens", "dollars", "seconds"):
            assert 0 < line[f"{unit}_low"] < line[unit] < line[f"{unit}_high"]
        assert line["tokens_low"] > 100 * questions
    assert lines["read"]["dollars"] == 0 and lines["read"]["note"] == ""
    told = said("plan", "laptop", "--work", str(tmp_path), *words)
    assert "dollars_limit of 0.50 may stop it" in told and "standard library" in told
    assert not (tmp_path / "store").exists()


def test_a_price_that_is_not_known_is_said_and_not_made_up(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(SITE.replace("gpt-4o-mini", "my-model").replace("api.openai.com", "127.0.0.1"))
    lines = lines_of(tmp_path, "laptop", "--set", "textbook.teacher_pages=300")
    assert lines["textbook"]["dollars"] is None and "my-model" in lines["textbook"]["note"]
    assert lines["textbook"]["tokens"] > 0
    told = said("plan", "laptop", "--work", str(tmp_path), "--set", "textbook.teacher_pages=300")
    assert "no dollars" in told and "0.00 and ?" in told


def test_the_papers_recipe_is_told_at_list_prices_where_the_site_has_none(tmp_path: Path) -> None:
    lines = lines_of(tmp_path, "phi1")
    assert lines["annotate"]["dollars"] > 1_000 and "list price" in lines["annotate"]["note"]
    assert lines["pretrain"]["known"] == "paper's" and lines["curate"]["known"] == "unknown"


def test_a_training_for_gpus_is_told_for_three_kinds_of_them_and_for_the_sites_processes(tmp_path: Path) -> None:
    told = said("plan", "phi1", "--work", str(tmp_path))
    assert [line.split(",")[0] for line in told.splitlines() if " h, " in line] == [
        f"{stage} on 8 x {card}" for stage in ("pretrain", "finetune") for card in ("A100", "H100", "H200")
    ]
    (tmp_path / "site.toml").write_text('[training]\nengine = "fsdp2"\nprocesses = 16\n')
    assert "pretrain on 16 x A100, fsdp2: " in said("plan", "phi1", "--work", str(tmp_path))


def test_the_documents_themselves_are_the_sample_once_they_are_there(tiny_run: Run) -> None:
    tiny_run.make("dedup")
    asked = Run(tiny_run.recipe.replace({"annotate.grader": "teacher", "annotate.model": "m"}), tiny_run.work).plan()
    line = next(line for line in asked if line.name == "annotate")
    assert "of the documents" in line.note


def test_a_stage_that_is_used_twice_is_told_by_what_it_made_for_the_like(tiny_run: Run, tmp_path: Path) -> None:
    """In a workspace that holds these two alone: other tests make others in the shared one."""
    made = {name: tiny_run.make(name) for name in ("pack_pretrain", "pack_finetune")}
    changed = Run(tiny_run.recipe.replace({"exercises.seed": 9, "textbook.seed": 9}), tmp_path)
    for artifact in made.values():
        shutil.copytree(artifact.folder, changed.store.folder(artifact.stage, artifact.id))
    found = {line.name: line.rows_in for line in changed.plan() if line.known == "earlier"}
    rows = {name: artifact.manifest["flow"]["rows_in"] for name, artifact in made.items()}
    assert found == rows and len(set(rows.values())) == 2


def test_an_estimate_holds_the_mean_it_was_drawn_from_and_never_more_than_the_limit_of_an_answer() -> None:
    requests = [Request((Message("user", "x" * (1_000 + 10 * k)),), max_tokens=50) for k in range(100)]
    found = estimate(Asking("m", 1_000, requests, [32] * 9, ""), Prices(1.0, 10.0), in_flight=10)
    assert found.input_tokens.low < 1_000 * 1_495 / 4.0 < found.input_tokens.high
    assert found.output_tokens.expected == pytest.approx(10_000)
    assert found.dollars.expected == pytest.approx(found.input_tokens.expected / 1e6 + 0.1)
    assert estimate(Asking("m", 10, requests, [10_000], ""), Prices(1, 1), 10).output_tokens.high == 500
    assert mean([5, 5, 5]) == (5, 5, 5) and evenly(3) == [0, 1, 2] and len(evenly(10**9)) == 100


def test_only_a_stage_that_asks_a_teacher_is_estimated() -> None:
    assert asking(Exercises()) is None
    wanted = asking(Exercises(teacher_exercises=1_000, model="m"))
    assert wanted is not None and wanted.questions == 2_000 and len({one.messages for one in wanted.requests}) == 200
