"""Verbs of the exams: sit them, score again, let any model sit them, compare two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from codetextbook.cli.frame import main, make, open_run, recipe_options, work_option

if TYPE_CHECKING:
    from codetextbook.store import Artifact


def _tell_scores(artifact: Artifact) -> None:
    """A table of scores, and what paired tests and judge say."""
    from rich.console import Console
    from rich.table import Table

    scores = artifact.json("scores")
    table = Table("benchmark", "model", "pass@1", "95 % interval", "problems", "bits per byte", "verdicts", box=None)
    for model, benchmarks in scores["models"].items():
        for name, one in benchmarks.items():
            bits = "not known" if one["bits_per_byte"] is None else f"{one['bits_per_byte']:.3f}"
            verdicts = ", ".join(f"{verdict} {count}" for verdict, count in one["verdicts"].items() if count)
            interval = f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"
            passed = f"{100 * one['pass_at_k'].get('1', 0.0):.1f} %"
            table.add_row(name, model, passed, interval, f"{one['problems']}", bits, verdicts)
    Console().print(table)
    for name, paired in scores["paired"].items():
        click.echo(f"{name}: {paired['words']}")
    if "judge" in scores:
        click.echo(f"unconventional: {scores['judge']['words']}")


@main.command()
@click.argument("recipe", default="laptop")
@recipe_options
@click.option(
    "--rescore", is_flag=True, help="Run no model: score again what was written before, with other settings of scoring."
)
def evaluate(recipe: str, work: str, changes: tuple[str, ...], rescore: bool) -> None:
    """Sit the exams (paper §3, §4)."""
    from rich.console import Console

    from codetextbook.exams import score_again
    from codetextbook.live import watch

    opened = open_run(recipe, work, changes)
    if rescore:
        with watch(Console()) as watcher:
            artifact = score_again(opened, opened.step("evaluate"), watcher)
        click.echo(f"evaluate: scored again, no model ran. {artifact.folder}")
    else:
        artifact = make(opened, "evaluate")
    _tell_scores(artifact)


@main.command()
@click.argument("examinee")
@click.argument("recipe", default="laptop")
@recipe_options
@click.option("--model", default="", help="Name of the model, where EXAMINEE is a server.")
@click.option(
    "--benchmarks", default="", help="Names with commas; else those of the recipe but for held-out exercises."
)
@click.option("--rescore", is_flag=True, help="Run no model: score again what was written before.")
def exam(
    examinee: str, recipe: str, work: str, changes: tuple[str, ...], model: str, benchmarks: str, rescore: bool
) -> None:
    """Let any model sit the exams of a RECIPE: EXAMINEE is a folder, or the address of an OpenAI-compatible server."""
    from rich.console import Console

    from codetextbook.exams import sit
    from codetextbook.live import watch

    opened = open_run(recipe, work, changes)
    names = tuple(name.strip() for name in benchmarks.split(",") if name.strip())
    with watch(Console()) as watcher:
        artifact = sit(opened, examinee, model=model, benchmarks=names, rescore=rescore, watcher=watcher)
    click.echo(f"exam: {artifact.folder}")
    _tell_scores(artifact)


@main.command()
@click.argument("first")
@click.argument("second")
@work_option
def compare(first: str, second: str, work: str) -> None:
    """Two models on the problems that both sat, by paired tests. FIRST and SECOND: the beginning of an id (of `exam` or `evaluate`), and
    :MODEL where there are several."""
    from codetextbook.exams import compared
    from codetextbook.store import Store

    for benchmark, words in compared(Store(Path(work) / "store"), first, second).items():
        click.echo(f"{benchmark}: {words}")
