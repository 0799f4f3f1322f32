"""Pages that MkDocs makes from the source at each build: a page for each stage, the verbs, the benchmarks, and the root's own documents."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File

from codetextbook.cli import main
from codetextbook.explain import page, stages

ROOT = Path(__file__).parents[2]
ROOT_PAGES = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_config(config: Any) -> Any:
    """Fill the parts of the navigation that follow from what is there."""
    docs = Path(config["docs_dir"])
    sections = {name: entry[name] for entry in config["nav"] if isinstance(entry, dict) for name in entry}
    sections["Stages"] += ["stages/index.md", *(f"stages/{name}.md" for name in stages())]
    sections["Decisions"] += [f"decisions/{path.name}" for path in sorted((docs / "decisions").glob("*.md"))]
    named = {
        one for entry in config["nav"] for one in ([entry] if isinstance(entry, str) else next(iter(entry.values())))
    }
    sections["How it works"] += [path.name for path in sorted(docs.glob("*.md")) if path.name not in named]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    made = {f"stages/{name}.md": page(name, main.commands) for name in stages()}
    made |= {uri: (ROOT / name).read_text(encoding="utf-8") for uri, name in ROOT_PAGES.items()}
    made |= {"commands.md": commands(), "benchmarks.md": benchmarks(), "stages/index.md": overview()}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_post_build(config: Any) -> None:
    """Nothing is left of the hooks in what is published."""
    shutil.rmtree(Path(config["site_dir"]) / ".hooks", ignore_errors=True)


def overview() -> str:
    """Every stage in a line."""
    lines = [
        "# Stages",
        "",
        "Each is one file in `src/codetextbook/stages/`; this page and those below it are made from them.",
        "",
    ]
    lines += ["| stage | what it makes |", "|---|---|"]
    for name, stage in stages().items():
        module = ast.parse(stage.source.read_text(encoding="utf-8"))
        first = " ".join((ast.get_docstring(module) or "").split("\n\n")[0].split())
        lines.append(f"| [{name}]({name}.md) | {first} |".replace("<", "&lt;"))
    return "\n".join([*lines, ""])


def commands() -> str:
    """Every verb's own help."""
    lines = ["# Commands", "", EXITS, ""]
    for path, command in sorted(_every(main, ("codetextbook",))):
        context = click.Context(command, info_name=" ".join(path), max_content_width=80, terminal_width=80)
        lines += [f"## {' '.join(path[1:]) or 'codetextbook'}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines)


EXITS = """A command ends with one of these codes:

| code | meaning |
|---|---|
| 0 | done, or there was nothing to do |
| 1 | a clear error of what was asked for: what, where, and what to try |
| 2 | an option or argument that the command does not have |
| 3 | something that was looked at is not as it should be (`store verify`, `journal verify`, `doctor`) |
| 130 | Ctrl-C; finished parts are kept and the same command goes on |"""


def _every(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            found += _every(one, (*path, name))
    return found


def benchmarks() -> str:
    """Each benchmark's own docstring and command."""
    lines = [
        "# Benchmarks",
        "",
        "Each is a command at the repository's root that runs ours and its peers on the same work, and prints what it found. "
        "`--quick` ends within about a minute, `--json` prints one line of JSON last. Numbers that were measured stand in the pages "
        "on what they measure and in [the log](log.md).",
        "",
    ]
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "__main__" in text:
            told = re.sub(r"\n    python -m [^\n]*\n?", "\n", ast.get_docstring(ast.parse(text)) or "").strip()
            lines += [
                f"## {path.stem}",
                "",
                told.replace("<", "&lt;"),
                "",
                "```",
                f"python -m benchmarks.{path.stem} --quick",
                "```",
                "",
            ]
    return "\n".join(lines)
