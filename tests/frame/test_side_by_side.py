"""Two real runs side by side: what differs is named, what was scored is tested in pairs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from codetextbook import side_by_side
from codetextbook.cli import main
from codetextbook.recipe import Recipe
from codetextbook.run import Run


@pytest.fixture(scope="module")
def reports(tiny: Recipe, tiny_run: Run) -> tuple[str, str]:
    """Ids of the reports of the tiny run and of one that was finetuned more gently."""
    other = Run(tiny.replace({"finetune.learning_rate": 1e-5}), tiny_run.work)
    return tiny_run.make("report").id, other.make("report").id


def ask(work: Path, *words: str) -> str:
    done = CliRunner().invoke(main, ["report", "--work", str(work), *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_only_what_was_set_differently_is_named(reports: tuple[str, str], tiny_run: Run) -> None:
    text = ask(tiny_run.work, "--compare", *reports, "--format", "md")
    named = re.findall(r"^\| (\w+\.[\w.]+) \|", text, re.MULTILINE)
    assert named == ["finetune.learning_rate"]
    same = dict(re.findall(r"^\| (\w+) \| [\d,]+ \w+ \| [\d,]+ \w+ \| (yes|no) \|", text, re.MULTILINE))
    assert (same["pretrain"], same["finetune"], same["evaluate"]) == ("yes", "no", "no")


def test_scores_are_compared_in_pairs_and_bits_beside_them(reports: tuple[str, str], tiny_run: Run) -> None:
    text = ask(tiny_run.work, "--compare", *reports, "--format", "md")
    assert "This cannot tell best of the first and best of the second apart" in text
    rows = re.findall(
        r"^\| HumanEval \| best \| ([\d.]+) \| ([\d.]+) \| ([+-][\d.]+) \| (\S+) to (\S+) \|", text, re.MULTILINE
    )
    ((first, second, difference, low, high),) = rows
    assert float(difference) == pytest.approx(float(first) - float(second), abs=0.0011)
    assert float(low) <= float(difference) <= float(high)
    base = re.findall(r"^\| HumanEval \| base \| ([\d.]+) \| ([\d.]+) \| ([+-][\d.]+) \|", text, re.MULTILINE)
    assert base[0][0] == base[0][1]


def test_a_page_of_two_is_written_where_it_is_asked_for(
    reports: tuple[str, str], tiny_run: Run, tmp_path: Path
) -> None:
    ask(tiny_run.work, "--compare", reports[0], f"{tiny_run.work}:{reports[1]}", "--out", str(tmp_path / "two.html"))
    page = (tmp_path / "two.html").read_text(encoding="utf-8")
    assert "<svg" in page and "<script" not in page and "finetune.learning_rate" in page


def test_one_run_has_nothing_to_tell_from_itself(reports: tuple[str, str], tiny_run: Run) -> None:
    text = ask(tiny_run.work, "--compare", reports[0], reports[0], "--format", "md")
    assert "Both have the same exams" in text and "set differently" not in text


def test_a_run_that_is_not_there_is_refused_with_where_to_look(tiny_run: Run) -> None:
    done = CliRunner().invoke(main, ["report", "--work", str(tiny_run.work), "--compare", "0123456789", "ffff"])
    assert done.exit_code == 1 and "no reports are called '0123456789'" in done.output
    assert "codetextbook store ls" in done.output


def test_a_report_is_drawn_anew_with_what_the_workspace_has_now(tiny_run: Run, tmp_path: Path) -> None:
    tiny_run.make("report")
    own = Run(tiny_run.recipe, tmp_path)
    for step in own.steps.values():
        shutil.copytree(tiny_run.store.folder(step.stage.name, step.id), own.store.folder(step.stage.name, step.id))
    page = side_by_side.page(own.make("report"))
    assert "no finished ablation on this run's data" in page
    assert "of the peak measured with matrix products" in page
