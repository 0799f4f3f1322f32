"""The docs as a site: built strictly, with a page for each stage that tells every setting, and nothing asked of another host."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from codetextbook.explain import explain, stages
from codetextbook.recipe import Recipe

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "built"
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    assert not re.search(r"^(WARNING|ERROR)", built.stderr, re.MULTILINE)
    return folder


def words(page: Path) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8"))).split())


def test_every_stage_has_a_page_with_all_its_settings(site: Path) -> None:
    for name in stages():
        told = words(site / "stages" / f"{name}.html")
        for setting in explain(name, Recipe(name="defaults")).settings:
            assert setting.name in told and setting.told, f"{name}.{setting.name}"
    assert "paper §2.1: 6B of over 35B tokens" in words(site / "stages" / "curate.html")
    assert "codetextbook curate laptop" in words(site / "stages" / "curate.html")


@pytest.mark.parametrize("name", stages())
def test_a_stage_tells_where_it_comes_from_and_what_it_cannot(name: str) -> None:
    told = explain(name, Recipe(name="defaults")).what
    assert re.search(r"§\d|paper, appendix|after the paper|\bours\b", " ".join(told.split())), (
        "no section, and not ours"
    )
    assert re.search(r"\bLimits?: \w", told), "no limit"


def test_every_verb_and_every_benchmark_is_told(site: Path) -> None:
    told = words(site / "commands.html")
    for verb in ("run", "plan", "report", "view", "store verify", "journal export"):
        assert f"Usage: codetextbook {verb} " in told, verb
    benchmarks = words(site / "benchmarks.html")
    for path in (ROOT / "benchmarks").glob("*.py"):
        if "__main__" in path.read_text(encoding="utf-8"):
            assert f"python -m benchmarks.{path.stem} --quick" in benchmarks


def test_every_page_can_be_reached(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="([^":#?]+\.html)"', front))
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")} - {"404.html", "index.html"}
    assert pages <= linked


def test_a_page_asks_nothing_of_another_host(site: Path) -> None:
    page = (site / "first-hour.html").read_text(encoding="utf-8")
    assert re.findall(r'(?:src=|<link[^>]*rel="stylesheet"[^>]*href=)"(https?:[^"]*)"', page) == []


def test_nothing_of_the_hooks_is_published(site: Path) -> None:
    assert not list(site.rglob("*.py")) and not (site / ".hooks").exists()
