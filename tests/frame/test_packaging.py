"""The wheel in an environment of its own: it has every file, and works without the repository. And the Dockerfile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def done(*words: str | Path, cwd: Path, status: int = 0) -> str:
    """What a command says; it sees no PYTHONPATH of ours."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (found,) = folder.glob("*.whl")
    return found


def environment(root: Path, wheel: Path) -> Path:
    """The programs of a new environment that holds the wheel and nothing else."""
    venv.create(root / "venv", with_pip=False)
    python = root / "venv" / "bin" / "python"
    install = ("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    done(sys.executable, *install, cwd=root)
    return python.parent


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; the packages that it needs are borrowed from this one, codetextbook is not."""
    programs = environment(tmp_path_factory.mktemp("fresh"), wheel)
    (site,) = programs.parent.glob("lib/python*/site-packages")
    borrowed = [path for path in sys.path if path.endswith("-packages")]
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return programs


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    kept = done("git", "ls-files", "src/codetextbook", cwd=ROOT).split()
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        told = archive.namelist()
    assert names == {name.removeprefix("src/") for name in kept if (ROOT / name).exists()}
    assert "codetextbook/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in told)


def test_it_works_without_the_repository(installed: Path, tmp_path: Path) -> None:
    where = done(installed / "python", "-c", "import codetextbook; print(codetextbook.__file__)", cwd=tmp_path)
    assert where.startswith(str(installed.parent))
    plan = json.loads(done(installed / "codetextbook", "plan", "laptop", "--json", cwd=tmp_path))
    assert plan[0]["rows_in"] and plan[-1]["name"] == "report"
    assert "educational value" in done(installed / "codetextbook", "explain", "annotate", "--prompt", cwd=tmp_path)
    done(installed / "codetextbook", "init", "mine.toml", cwd=tmp_path)
    some = ("--set", "textbook.count=20", "--set", "textbook.recorded=true")
    assert "made." in done(installed / "codetextbook", "textbook", "mine.toml", *some, cwd=tmp_path)
    assert "textbook" in done(installed / "codetextbook", "store", "ls", cwd=tmp_path)


def test_a_program_that_is_typed_against_it_sees_types(wheel: Path, tmp_path: Path) -> None:
    client = 'import codetextbook as ct\n\nkept: float = ct.Recipe.load("laptop").curate.keep_share\n'
    (tmp_path / "right.py").write_text(client, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(client.replace("float", "bytes"), encoding="utf-8")
    python = environment(tmp_path, wheel) / "python"  # nothing is borrowed: mypy would read all of torch as well
    check = (sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", tmp_path / "cache")
    told = done(*check, "right.py", "wrong.py", cwd=tmp_path, status=1)
    assert 'wrong.py:3: error: Incompatible types in assignment (expression has type "float"' in told
    assert "Found 1 error in 1 file (checked 2 source files)" in told


def test_the_dockerfile_has_no_fault_that_a_linter_knows() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    assert done(linter, "Dockerfile", cwd=ROOT) == ""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = {"pyproject.toml", "requirements.lock", "README.md", "LICENSE", "src"}
    assert ignored[0] == "*" and {line[1:] for line in ignored if line.startswith("!")} == copied
