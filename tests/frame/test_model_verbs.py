"""The verbs about models: export, import and complete, from a workspace's selected model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codetextbook.run import Run


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "codetextbook", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False)


def test_a_model_goes_out_and_comes_in_and_writes_the_same(tiny_run: Run, tmp_path: Path) -> None:
    chosen = tiny_run.make("select")
    shutil.copytree(chosen.folder, tmp_path / "own" / "store" / "select" / chosen.id)  # other tests choose models too
    work = ("--work", "own")
    assert run("export", "hf", "out", *work, cwd=tmp_path).stdout == "wrote out\n"
    assert run("export", "gguf", *work, cwd=tmp_path).stdout == f"wrote codetextbook-{chosen.id}.gguf\n"
    assert "wrote ours" in run("import", "out", "ours", cwd=tmp_path).stdout
    written = [
        run("complete", "def f(", "--max-tokens", "8", *words, cwd=tmp_path).stdout
        for words in (work, ("--model", "ours"))
    ]
    assert written[0] == written[1] != ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--top-p", "2"), "top_p cannot be 2.0"),
        (("--model", "nowhere"), "a model folder has no config.json"),
    ],
)
def test_complete_explains_what_it_refuses(
    tiny_run: Run, tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    tiny_run.make("select")
    done = run("complete", "x", "--work", str(tiny_run.work), *words, cwd=tmp_path)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prompt_longer_than_the_context_is_refused_or_cut(tiny_run: Run, tmp_path: Path) -> None:
    tiny_run.make("select")
    words = ("complete", "x = 1\n" * 500, "--work", str(tiny_run.work), "--max-tokens", "4")
    refused = run(*words, cwd=tmp_path)
    assert refused.returncode == 1
    assert "tokens and the context 256" in refused.stderr
    assert run(*words, "--cut", cwd=tmp_path).returncode == 0
