"""Verbs that make, plan and explain: a whole run, one stage of it, what it will take, and why something is as it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codetextbook.cli.frame import EXIT_FAULTS, change, main, make, open_run, recipe_options, work_option

if TYPE_CHECKING:
    from codetextbook.panel import Mode
    from codetextbook.run import Run
    from codetextbook.store import Artifact

STAGE_VERBS = {
    "read": "Read the sources of real code into documents (paper §2.1).",
    "dedup": "Remove exact and near duplicates.",
    "annotate": "Grade a sample for educational value (paper §2.1).",
    "embed": "Turn every document into a vector (paper §2.1).",
    "curate": "Learn the grades and keep the good documents (paper §2.1).",
    "textbook": "Write textbook pages (paper §2.2).",
    "exercises": "Write function-completion exercises (paper §2.2).",
    "decontaminate": "Take out what leaks from the benchmarks (paper §5).",
    "tokenizer": "Train or load the vocabulary.",
    "pretrain": "Train the base model on filtered code and textbooks (paper §2.3).",
    "finetune": "Finetune it on exercises (paper §2.3).",
    "select": "Choose the best checkpoint on held-out exercises.",
}
KNOWN = {
    "earlier": "earlier: rows and time are those of the newest artifact of the same stage in this workspace.",
    "recipe's": "recipe's: measured on 2 cores without a GPU when the recipe was written; this machine may be faster or slower.",
    "paper's": "paper's: on 8 A100 GPUs (paper §2.3: under 4 days, then 7 hours).",
    "estimated": "estimated: from a sample of the very prompts, with an interval; what the journal holds already is not taken off.",
    "unknown": "unknown (?): not known before this stage has run here once.",
}
"""What a plan's words mean."""


@main.command()
@click.argument("recipe", default="laptop")
@recipe_options
@click.option("--quiet", "mode", flag_value="quiet", help="Say nothing but errors.")
@click.option("--json", "mode", flag_value="json", help="One line of JSON for each thing that happens.")
def run(recipe: str, work: str, changes: tuple[str, ...], mode: Mode | None) -> None:
    """Make everything a RECIPE promises (a shipped name or a path), down to the report."""
    opened = open_run(recipe, work, changes)
    artifact = make(opened, "report", mode or "")
    if mode:
        return
    from rich.console import Console

    from codetextbook.panel import overview

    made = {name: one for name in opened.steps if (one := opened.artifact(name)) is not None}
    Console(width=max(Console().width, 100)).print(overview(made))
    click.echo(f"report: {artifact.file('report.html')}")
    click.echo('try the model: codetextbook complete "def mean(numbers: list[float]) -> float:"')


@main.command()
@click.argument("recipe", default="laptop")
@recipe_options
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of a table.")
def plan(recipe: str, work: str, changes: tuple[str, ...], as_json: bool) -> None:
    """State, rows, tokens, dollars and time of each step, before anything runs."""
    opened = open_run(recipe, work, changes)
    planned = opened.plan()
    if as_json:
        click.echo(json.dumps([asdict(line) for line in planned]))
        return
    from rich.console import Console
    from rich.table import Table

    from codetextbook.panel import clock, rough

    table = Table("step", "state", "rows in", "rows kept", "tokens", "dollars", "time", "known", box=None)
    for line in planned:
        rows = [f"{value:,}" if value is not None else "?" for value in (line.rows_in, line.rows_kept)]
        table.add_row(
            line.name,
            line.state,
            *rows,
            _range(line.tokens, line.tokens_low, line.tokens_high, rough) if line.tokens is not None else "",
            _range(line.dollars, line.dollars_low, line.dollars_high, lambda value: f"{value:,.2f}"),
            _range(line.seconds, line.seconds_low, line.seconds_high, clock),
            line.known,
        )
    dollars, seconds = ([getattr(line, name) for line in planned] for name in ("dollars", "seconds"))
    table.add_row("all", "", "", "", "", _total(dollars, lambda value: f"{value:,.2f}"), _total(seconds, clock), "")
    Console(width=max(Console().width, 120)).print(table)
    for line in planned:
        if line.note:
            click.echo(f"{line.name}: {line.note}.")
    _tell_footprints(opened)
    seen = {line.known for line in planned}
    for word, meaning in KNOWN.items():
        if word in seen:
            click.echo(meaning)


def _tell_footprints(opened: Run) -> None:
    """What trainings that are worth a GPU would take on three kinds of them, by the model that train/footprint.py states."""
    from codetextbook.train.footprint import CARDS, footprint

    placement = opened.site.training
    cards = placement.processes * placement.machines if placement.engine != "one" else 8
    placement = placement if placement.engine != "one" else placement.replace({"engine": "ddp", "processes": cards})
    for name, training in (("pretrain", opened.recipe.pretrain), ("finetune", opened.recipe.finetune)):
        for card in CARDS:
            told = footprint(opened.recipe.pretrain.model, training, placement, card, cards)
            if told.hours * cards < 1:
                return  # not worth a cluster
            fits = (
                f"micro_batch_sequences up to {told.fitting_micro_batch}" if told.fitting_micro_batch else "none fits"
            )
            click.echo(
                f"{name} on {cards} x {card.name}, {placement.engine}: {told.gigabytes:,.0f} GB of {card.memory_gigabytes:.0f} each "
                f"({fits}), {told.tokens_per_second:,.0f} tokens/s at {card.utilisation:.0%} of peak, {told.hours:,.0f} h, "
                f"{told.dollars:,.0f} dollars at {card.dollars_per_hour:.2f} an hour. Arithmetic, not measured: docs/training.md"
            )


def _range(value: float | None, low: float | None, high: float | None, show: Callable[[float], str]) -> str:
    if value is None:
        return "?"
    return show(value) if low is None or high is None else f"{show(value)} ({show(low)} to {show(high)})"


def _total(values: list[float | None], show: Callable[[float], str]) -> str:
    """The sum of what is known, and whether there is more."""
    return show(sum(value for value in values if value is not None)) + (" and ?" if None in values else "")


def _stage_verb(name: str, text: str) -> None:
    @main.command(name, help=text)
    @click.argument("recipe", default="laptop")
    @recipe_options
    def verb(recipe: str, work: str, changes: tuple[str, ...]) -> None:
        make(open_run(recipe, work, changes), name)

    del verb


for _name, _text in STAGE_VERBS.items():
    _stage_verb(_name, _text)


@main.command()
@click.argument("which", type=click.Choice(["pretrain", "finetune"]))
@click.argument("recipe", default="laptop")
@recipe_options
def pack(which: str, recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Pack texts into one array of tokens, for pretraining or for finetuning."""
    make(open_run(recipe, work, changes), f"pack_{which}")


@main.command()
@click.argument("recipe", default="laptop")
@recipe_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "md"]),
    default="html",
    show_default=True,
    help="A page, or Markdown.",
)
@click.option(
    "--compare",
    "runs",
    nargs=2,
    metavar="RUN RUN",
    help="Two runs side by side, with paired tests: each the beginning of a report's id, or another workspace's folder.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; md goes to the screen without it."
)
def report(
    recipe: str, work: str, changes: tuple[str, ...], form: str, runs: tuple[str, str] | None, out: Path | None
) -> None:
    """Write report.html; or tell a run as Markdown; or set two runs side by side."""
    from codetextbook import side_by_side

    if runs:
        text = side_by_side.compare(Path(work), *runs, form)
        out = out or (Path(work) / "compared.html" if form == "html" else None)
    elif form == "html":
        artifact = make(open_run(recipe, work, changes), "report")
        if out is None:
            return
        text = side_by_side.page(artifact)
    else:
        text = side_by_side.markdown(open_run(recipe, work, changes).make("report"))
    if out is None:
        click.echo(text)
        return
    out.write_text(text, encoding="utf-8")
    click.echo(f"written to {out}")


@main.command()
@click.argument("recipe", default="laptop")
@recipe_options
def contamination(recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Finetune again without what is near the benchmark, tau by tau, and compare (paper §5, Table 3)."""
    from codetextbook.benchmarks.table3 import markdown
    from codetextbook.errors import ConfigError

    opened = open_run(recipe, work, changes)
    names = [name for name in opened.branches if name.startswith("contamination@")]
    if not names:
        raise ConfigError(
            f"nobody sits {opened.recipe.contamination.benchmark!r}",
            where="[contamination] benchmark",
            hint=f"one that [evaluate] asks: {', '.join(opened.recipe.evaluate.asked)}",
        )
    table = markdown([make(opened, name).json("row") for name in names])
    path = Path(work) / "contamination.md"
    path.write_text(table, encoding="utf-8")
    click.echo(f"\n{table}\nwritten to {path}")


@main.command()
@click.argument("recipe", default="laptop")
@recipe_options
def sensitivity(recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Sit the exams again with misspelt, reworded, longer and renamed prompts (paper, appendix B)."""
    artifact = make(open_run(recipe, work, changes), "sensitivity")
    click.echo(f"\n{artifact.file('sensitivity.md').read_text(encoding='utf-8')}")


@main.command()
@click.argument("recipe", default="laptop")
@recipe_options
def join(recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Be a further machine of the RECIPE's trainings (site.toml [training] machines), in a workspace that all machines see."""
    from codetextbook.train.launch import take_part

    opened = open_run(recipe, work, changes)
    for name in ("pretrain", "finetune"):
        step = opened.steps[name]
        click.echo(f"{name}: waiting for the first machine")
        finished = partial(opened.store.find, step.stage.name, step.id)
        take_part(opened.store.scratch(step.stage.name, step.id), finished)


@main.command()
@click.argument("recipe", default="ablate-laptop")
@recipe_options
def ablate(recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Train every arm on every seed and test whether better data made better models (paper Fig 2.1)."""
    artifact = _experiment(open_run(recipe, work, changes), "ablate")
    click.echo(
        f"\n{artifact.file('ablation.md').read_text(encoding='utf-8')}\nreport: {artifact.file('ablation.html')}"
    )


@main.command()
@click.argument("recipe", default="ablate-laptop")
@recipe_options
def spikes(recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Whether finetuning improves what the exercises do not hold (paper §3)."""
    artifact = _experiment(open_run(recipe, work, changes), "spikes")
    click.echo(f"\n{artifact.file('spikes.md').read_text(encoding='utf-8')}")


def _experiment(opened: Run, goal: str) -> Artifact:
    """An experiment's artifact, made before the user's eyes."""
    from rich.console import Console

    from codetextbook.live import watch

    with watch(Console()) as watcher:
        return opened.make_experiment(opened.step(goal), watcher)


@main.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("recipe.toml"))
@click.option("--extends", default="laptop", show_default=True, help="The recipe to start from.")
def init(path: Path, extends: str) -> None:
    """Write a recipe of your own, to be changed, at PATH."""
    from codetextbook.errors import InputError
    from codetextbook.recipe import Recipe

    base = Recipe.load(extends)
    if path.exists():
        raise InputError("this file exists already", where=str(path), hint="another name")
    name = json.dumps(path.stem, ensure_ascii=False)
    path.write_text(
        f"# Every setting not named here is that of {extends!r}; `codetextbook explain recipe {extends}` prints them all.\n"
        f'name = {name}\nextends = "{extends}"\n\n[curate]\n# threshold and share of what is kept: codetextbook explain curate\n',
        encoding="utf-8",
    )
    Recipe.load(path)
    click.echo(f"wrote {path} (from {base.name}). Next: codetextbook plan {path}")


@main.command()
@click.argument("stage")
@click.argument("recipe", default="laptop")
@recipe_options
@click.option("--prompt", is_flag=True, help="Print exactly what a teacher would be sent, filled with a real example.")
def explain(stage: str, recipe: str, work: str, changes: tuple[str, ...], prompt: bool) -> None:
    """What a STAGE does, and each of its settings with unit and source. `explain recipe NAME` prints a whole recipe."""
    from codetextbook import explain as explaining
    from codetextbook.config import Config
    from codetextbook.errors import ConfigError
    from codetextbook.recipe import Recipe

    loaded = Recipe.load(recipe).replace(dict(map(change, changes)))
    if stage == "recipe":
        click.echo(loaded.dump())
        return
    found = explaining.explain(stage, loaded)
    if prompt:
        from codetextbook.site import Site
        from codetextbook.teacher.preview import preview

        room = explaining.module_of(found.stage)
        if not hasattr(room, "example_request"):
            raise ConfigError(f"{stage} asks no teacher", hint="annotate, textbook or exercises")
        settings = getattr(loaded, stage)
        click.echo(preview(room.example_request(settings), Site.load(Path(work)).teacher, model=settings.model))
        return
    made_from = ", ".join(found.stage.inputs) or "nothing"
    click.echo(f"{stage} (version {found.stage.version}), from: {made_from}\n\n{found.what}\n")
    for one in found.settings:
        shown = "a table" if isinstance(one.value, Config) else repr(one.value)
        click.echo(f"  {one.name} = {shown}\n      {one.told}")


@main.command()
@click.argument("key")
@work_option
def why(key: str, work: str) -> None:
    """Where an artifact came from, or what became of a document: grade, nearest graded neighbours, the line that kept or dropped it.
    KEY: the beginning of an id (8 digits or more)."""
    from codetextbook.errors import InputError
    from codetextbook.panel import summary
    from codetextbook.run import fate, lineage
    from codetextbook.store import Store
    from codetextbook.why import judgement

    if len(key) < 8:
        raise InputError(f"{key!r} is too short to tell anything apart", hint="8 digits or more")
    store = Store(Path(work) / "store")
    if any(artifact.id.startswith(key) for artifact in store.artifacts()):
        for depth, artifact in lineage(store, key):
            click.echo(f"{'  ' * depth}{artifact.stage} {artifact.id}  {summary(artifact)}")
        return
    lines = fate(store, key)
    if not lines:
        raise InputError(f"no artifact and no document with an id that begins {key!r}", where=str(store.root))
    click.echo("\n".join([*lines, *judgement(store, key)]))


@main.command()
def doctor() -> None:
    """What this machine has, what is missing, and the exact line that installs it."""
    from codetextbook.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "✓" if finding.present else "✗" if finding.needed else "·"
        click.echo(f"{mark} {finding.name}: {finding.found}")
        if not finding.present and finding.remedy:
            click.echo(f"    {finding.remedy}")
    sys.exit(0 if all(finding.present or not finding.needed for finding in findings) else EXIT_FAULTS)
