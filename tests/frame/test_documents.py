"""Every code block of the README and the docs: the command line parses commands, recipe or site the TOML, and Python is run."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import yaml

from codetextbook import export
from codetextbook.cli import main
from codetextbook.cli.frame import change
from codetextbook.recipe import SHIPPED, Recipe, _merge
from codetextbook.run import Run
from codetextbook.site import Site

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
SHELL = ("", "sh", "bash", "console")
OTHERS = (
    *("vllm", "llama-completion", "ollama", "FROM", "TEMPLATE", "docker", "marimo", "pip", "tensorboard"),
    *("torchrun", "srun", "sbatch", "kubectl", "ray"),
)
"""Programs of others, whose arguments are theirs to check."""


class Block(NamedTuple):
    """One fenced block."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """For a failure's name."""
        return f"{self.page}:{self.line}"


def blocks(path: Path) -> Iterator[Block]:
    lines = path.read_text(encoding="utf-8").splitlines()
    start, language = 0, ""
    for number, line in enumerate(lines, start=1):
        fence = re.match(r"\s*```(\S*)\s*$", line)
        if fence and not start:
            start, language = number, fence.group(1)
        elif fence:
            indent = len(lines[start - 1]) - len(lines[start - 1].lstrip())
            text = "\n".join(one[indent:] for one in lines[start : number - 1])
            yield Block(str(path.relative_to(ROOT)), start, language, text + "\n")
            start = 0
    assert not start, f"{path}: a block that begins in line {start} has no end"


EVERY = [block for path in PAGES for block in blocks(path)]


def those(*languages: str) -> list[Any]:
    return [pytest.param(block, id=block.place) for block in EVERY if block.language in languages]


def test_every_block_is_of_a_kind_that_is_checked_here() -> None:
    odd = [block.place for block in EVERY if block.language not in (*SHELL, "toml", "python", "json", "yaml", "text")]
    assert odd == [] and len(EVERY) > 40


@pytest.mark.parametrize("block", those("toml"))
def test_a_toml_block_is_a_recipe_or_a_site(block: Block) -> None:
    values = tomllib.loads(block.text)
    if values.keys() <= Site.model_fields.keys():
        Site.parse(values, where=block.place)
        return
    base = Recipe.load(values.pop("extends", "laptop")).model_dump(mode="json", exclude_none=True)
    Recipe.parse(_merge(base, values), where=block.place)


@pytest.mark.parametrize("block", those("json", "yaml"))
def test_data_can_be_read(block: Block) -> None:
    assert json.loads(block.text) if block.language == "json" else all(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", those(*SHELL))
def test_every_command_exists_with_its_options(block: Block) -> None:
    if block.text.startswith("#!"):  # a script, with more than commands in it
        subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
        return
    for words in commands(block.text):
        program, *rest = words
        program = program.removeprefix(".venv/bin/")
        if program == "codetextbook":
            parse(main, "codetextbook", rest)
        elif program == "make":
            assert f"\n{rest[0]}:" in (ROOT / "Makefile").read_text(encoding="utf-8"), rest
        elif program == "python":
            wanted = f"{rest[1].replace('.', '/')}.py" if rest[0] == "-m" else rest[0]
            assert (ROOT / wanted).is_file(), rest
        else:
            assert program in OTHERS, f"{program!r}: of whom is this program?"


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command: comments, prompts, variables before it and pipes after it are left out."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        for stop in ("|", ">", "&&", "&"):
            words = words[: words.index(stop)] if stop in words else words
        if words:
            yield words


def parse(command: click.Command, name: str, words: list[str]) -> None:
    """Let click read the words as it would, and run nothing."""
    if isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{name} has no verb {words[0]!r}"
        parse(found, words[0], words[1:])
        return
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            parameter.type.exists = False  # a file of the reader's
    told = command.make_context(name, list(words)).params
    if told.get("recipe") in SHIPPED:
        Recipe.load(told["recipe"]).replace(dict(map(change, told["changes"])))


@pytest.mark.parametrize("block", those("python"))
def test_a_python_block_runs(
    block: Block, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = block.text
    if "my-model" in text:
        export.hf(tiny_run.make("select").file("model"), Path("my-model"), "fp32")
    given = {"packed": tiny_run.make("pack_pretrain")} if "packed" in text else {}
    text = re.sub(r"\b123_456\b", "12", text)  # the tiny run's array is shorter
    with serving(tiny_run) if ":8000/" in text else contextlib.nullcontext(8000) as port:
        exec(compile(text.replace(":8000/", f":{port}/"), block.place, "exec"), given)
    told = re.search(r"print\(.*#\s*(.+)$", text, re.MULTILINE)
    assert told is None or told.group(1) in capsys.readouterr().out


@contextlib.contextmanager
def serving(run: Run) -> Iterator[int]:
    """The tiny model behind a real server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    model = str(run.make("select").file("model"))
    process = subprocess.Popen([sys.executable, "-m", "codetextbook", "serve", "--model", model, "--port", str(port)])
    try:
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            assert process.poll() is None
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def test_links_between_documents_lead_somewhere() -> None:
    for path in PAGES:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            made = target.startswith(("stages/", "commands.md", "benchmarks.md", "changelog.md", "contributing.md"))
            assert made or (path.parent / target).exists(), f"{path.name} links to {target}"
