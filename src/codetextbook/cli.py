"""The command line: verbs, one call each. The only file that knows the CLI library; `--help` imports neither torch nor pyarrow."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codetextbook import __version__
from codetextbook.errors import CodetextbookError

if TYPE_CHECKING:
    from codetextbook.run import Run
    from codetextbook.store import Artifact
    from codetextbook.teacher import Journal

STAGE_VERBS = {
    "read": "Read the sources of real code into documents (paper §2.1).",
    "dedup": "Remove exact and near duplicates.",
    "annotate": "Grade a sample for educational value (paper §2.1).",
    "curate": "Learn the grades and keep the good documents (paper §2.1).",
    "textbook": "Write textbook pages (paper §2.2).",
    "exercises": "Write function-completion exercises (paper §2.2).",
    "decontaminate": "Take out what leaks from the benchmarks (paper §5).",
    "tokenizer": "Train or load the vocabulary.",
    "pretrain": "Train the base model on filtered code and textbooks (paper §2.3).",
    "finetune": "Finetune it on exercises (paper §2.3).",
    "select": "Choose the best checkpoint on held-out exercises.",
    "report": "Write report.html.",
}
KNOWN = {
    "earlier": "earlier: rows and time are those of the newest artifact of the same stage in this workspace.",
    "recipe's": "recipe's: measured on 2 cores without a GPU when the recipe was written; this machine may be faster or slower.",
    "paper's": "paper's: on 8 A100 GPUs (paper §2.3: under 4 days, then 7 hours).",
    "estimated": "estimated: from a sample of the very prompts, with an interval; what the journal holds already is not taken off.",
    "unknown": "unknown (?): not known before this stage has run here once.",
}
"""What a plan's words mean."""
EXIT_USER, EXIT_INTERRUPTED, EXIT_FAULTS = 1, 130, 3


class _Explained(click.Group):
    """A group whose commands end with a clear line where the fault is not ours."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CodetextbookError as error:
            click.echo(f"✗ {ctx.invoked_subcommand}: {error}", err=True)
            sys.exit(EXIT_USER)
        except KeyboardInterrupt:
            click.echo("\nstopped. Finished parts are kept; the same command goes on from here.", err=True)
            sys.exit(EXIT_INTERRUPTED)


@click.group(cls=_Explained, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Train a small, strong code model on textbook-quality data ("Textbooks Are All You Need")."""


def _recipe_options(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option("--work", default="work", show_default=True, help="Workspace folder.")(function)
    return click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one setting, as in --set curate.keep_share=0.3.",
    )(function)


def _open(recipe: str, work: str, changes: tuple[str, ...]) -> Run:
    from codetextbook.recipe import Recipe
    from codetextbook.run import Run

    loaded = Recipe.load(recipe)
    return Run(loaded.replace(dict(map(_change, changes))) if changes else loaded, work)


def _change(text: str) -> tuple[str, Any]:
    import tomllib

    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _make(run: Run, name: str) -> Artifact:
    from rich.console import Console

    from codetextbook.panel import watch

    done = run.artifact(name) is not None
    with watch(Console()) as watcher:
        artifact = run.make(name, watcher)
    click.echo(f"{name}: {'nothing to do, already made' if done else 'made'}. {artifact.folder}")
    return artifact


@main.command()
@click.argument("recipe", default="laptop")
@_recipe_options
def run(recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Make everything a RECIPE promises (a shipped name or a path), down to the report."""
    artifact = _make(_open(recipe, work, changes), "report")
    click.echo(f"report: {artifact.file('report.html')}")
    click.echo('try the model: codetextbook complete "def mean(numbers: list[float]) -> float:"')


@main.command()
@click.argument("recipe", default="laptop")
@_recipe_options
@click.option("--json", "as_json", is_flag=True, help="One line of JSON instead of a table.")
def plan(recipe: str, work: str, changes: tuple[str, ...], as_json: bool) -> None:
    """State, rows, tokens, dollars and time of each step, before anything runs."""
    planned = _open(recipe, work, changes).plan()
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
    seen = {line.known for line in planned}
    for word, meaning in KNOWN.items():
        if word in seen:
            click.echo(meaning)


def _range(value: float | None, low: float | None, high: float | None, show: Callable[[float], str]) -> str:
    if value is None:
        return "?"
    return show(value) if low is None or high is None else f"{show(value)} ({show(low)} to {show(high)})"


def _total(values: list[float | None], show: Callable[[float], str]) -> str:
    """The sum of what is known, and whether there is more."""
    return show(sum(value for value in values if value is not None)) + (" and ?" if None in values else "")


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


def _stage_verb(name: str, text: str) -> None:
    @main.command(name, help=text)
    @click.argument("recipe", default="laptop")
    @_recipe_options
    def verb(recipe: str, work: str, changes: tuple[str, ...]) -> None:
        _make(_open(recipe, work, changes), name)

    del verb


for _name, _text in STAGE_VERBS.items():
    _stage_verb(_name, _text)


@main.command()
@click.argument("recipe", default="laptop")
@_recipe_options
@click.option(
    "--rescore", is_flag=True, help="Run no model: score again what was written before, with other settings of scoring."
)
def evaluate(recipe: str, work: str, changes: tuple[str, ...], rescore: bool) -> None:
    """Sit the exams (paper §3, §4)."""
    from rich.console import Console

    from codetextbook.exams import score_again
    from codetextbook.panel import watch

    opened = _open(recipe, work, changes)
    if rescore:
        with watch(Console()) as watcher:
            artifact = score_again(opened, opened.step("evaluate"), watcher)
        click.echo(f"evaluate: scored again, no model ran. {artifact.folder}")
    else:
        artifact = _make(opened, "evaluate")
    _tell_scores(artifact)


@main.command()
@click.argument("examinee")
@click.argument("recipe", default="laptop")
@_recipe_options
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
    from codetextbook.panel import watch

    opened = _open(recipe, work, changes)
    names = tuple(name.strip() for name in benchmarks.split(",") if name.strip())
    with watch(Console()) as watcher:
        artifact = sit(opened, examinee, model=model, benchmarks=names, rescore=rescore, watcher=watcher)
    click.echo(f"exam: {artifact.folder}")
    _tell_scores(artifact)


@main.command()
@click.argument("first")
@click.argument("second")
@click.option("--work", default="work", show_default=True, help="Workspace folder.")
def compare(first: str, second: str, work: str) -> None:
    """Two models on the problems that both sat, by paired tests. FIRST and SECOND: the beginning of an id (of `exam` or `evaluate`), and
    :MODEL where there are several."""
    from codetextbook.exams import compared
    from codetextbook.store import Store

    for benchmark, words in compared(Store(Path(work) / "store"), first, second).items():
        click.echo(f"{benchmark}: {words}")


@main.command()
@click.argument("which", type=click.Choice(["pretrain", "finetune"]))
@click.argument("recipe", default="laptop")
@_recipe_options
def pack(which: str, recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Pack texts into one array of tokens, for pretraining or for finetuning."""
    _make(_open(recipe, work, changes), f"pack_{which}")


@main.command()
@click.argument("recipe", default="laptop")
@_recipe_options
def contamination(recipe: str, work: str, changes: tuple[str, ...]) -> None:
    """Finetune again without what is near the benchmark, tau by tau, and compare (paper §5, Table 3)."""
    from codetextbook.benchmarks.table3 import markdown
    from codetextbook.errors import ConfigError

    opened = _open(recipe, work, changes)
    if not opened.branches:
        raise ConfigError(
            f"nobody sits {opened.recipe.contamination.benchmark!r}",
            where="[contamination] benchmark",
            hint=f"one that [evaluate] asks: {', '.join(opened.recipe.evaluate.asked)}",
        )
    names = [name for name in opened.branches if name.startswith("contamination@")]
    table = markdown([_make(opened, name).json("row") for name in names])
    path = Path(work) / "contamination.md"
    path.write_text(table, encoding="utf-8")
    click.echo(f"\n{table}\nwritten to {path}")


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
@_recipe_options
@click.option("--prompt", is_flag=True, help="Print exactly what a teacher would be sent, filled with a real example.")
def explain(stage: str, recipe: str, work: str, changes: tuple[str, ...], prompt: bool) -> None:
    """What a STAGE does, and each of its settings with unit and source. `explain recipe NAME` prints a whole recipe."""
    import importlib

    from codetextbook.config import Config
    from codetextbook.errors import ConfigError
    from codetextbook.recipe import Recipe
    from codetextbook.stages.contract import STAGES

    importlib.import_module("codetextbook.pipeline")  # registers every stage
    loaded = Recipe.load(recipe).replace(dict(map(_change, changes)))
    if stage == "recipe":
        click.echo(loaded.dump())
        return
    if stage not in STAGES:
        raise ConfigError(f"no stage {stage!r}", hint=f"one of {', '.join(STAGES)}, or recipe")
    found = STAGES[stage]
    module = importlib.import_module(found.function.__module__)
    if prompt:
        from codetextbook.site import Site
        from codetextbook.teacher.preview import preview

        if not hasattr(module, "example_request"):
            raise ConfigError(f"{stage} asks no teacher", hint="annotate, textbook or exercises")
        settings = getattr(loaded, stage)
        click.echo(preview(module.example_request(settings), Site.load(Path(work)).teacher, model=settings.model))
        return
    click.echo(f"{stage} (version {found.version}), from: {', '.join(found.inputs) or 'nothing'}\n")
    click.echo((module.__doc__ or "").strip() + "\n")
    values = getattr(loaded, stage, None)
    config: type[Config] = found.config
    if isinstance(values, Config) and type(values).__module__ == module.__name__:
        config = type(values)  # the recipe's table, where the stage's settings are made from it
    for name, field in config.model_fields.items():
        shown = getattr(values, name, field.default)
        click.echo(f"  {name} = {shown!r}\n      {(field.description or '').strip()}")


@main.command()
@click.argument("key")
@click.option("--work", default="work", show_default=True, help="Workspace folder.")
def why(key: str, work: str) -> None:
    """Where an artifact came from, or what became of a document, by the beginning of its id (8 digits or more)."""
    from codetextbook.errors import InputError
    from codetextbook.panel import summary
    from codetextbook.run import fate, lineage
    from codetextbook.store import Store

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
    click.echo("\n".join(lines))


@main.command()
def doctor() -> None:
    """What this machine has, what is missing, and the exact line that installs it."""
    from codetextbook.doctor import examine

    findings = examine()
    for finding in findings:
        click.echo(f"{'✓' if finding.present else '✗'} {finding.name}: {finding.found}")
        if not finding.present and finding.remedy:
            click.echo(f"    {finding.remedy}")
    sys.exit(0 if all(finding.present or not finding.needed for finding in findings) else EXIT_FAULTS)


def _model_options(function: Callable[..., None]) -> Callable[..., None]:
    function = click.option("--work", default="work", show_default=True, help="Workspace folder.")(function)
    return click.option(
        "--model", "folder", default=None, help="A model folder; else the newest selected model of the workspace."
    )(function)


def _model(folder: str | None, work: str) -> Path:
    from codetextbook.complete import model_folder

    return Path(folder) if folder else model_folder(Path(work))


@main.command()
@click.argument("form", type=click.Choice(["hf", "gguf"]))
@click.argument("destination", required=False, type=click.Path(path_type=Path))
@_model_options
@click.option("--dtype", type=click.Choice(["fp32", "fp16", "bf16"]), default="fp32", show_default=True)
def export(form: str, destination: Path | None, folder: str | None, work: str, dtype: str) -> None:
    """Write a model for transformers and vLLM (hf, a folder) or for llama.cpp and Ollama (gguf, a file)."""
    from codetextbook import export as exports

    where = _model(folder, work)
    place = destination or exports.destination_for(where, form)
    if form == "gguf" and dtype == "bf16":
        raise click.BadParameter("a GGUF file is written in fp32 or fp16", param_hint="--dtype")
    getattr(exports, form)(where, place, dtype)
    click.echo(f"wrote {place}")


@main.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
def import_model(source: Path, destination: Path) -> None:
    """Bring in a model of phi's form that transformers wrote, as a model folder: microsoft/phi-1 for example."""
    from codetextbook.export import bring_in

    bring_in(source, destination)
    click.echo(f"wrote {destination}. Try it: codetextbook complete --model {destination} ...")


@main.command()
@click.argument("prompt")
@_model_options
@click.option("--max-tokens", default=200, show_default=True, help="Tokens to write at most.")
@click.option("--temperature", default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-p", default=1.0, show_default=True, help="Share of probability to draw from.")
@click.option("--top-k", default=0, show_default=True, help="Tokens to draw from; 0 is all.")
@click.option("--seed", default=0, show_default=True, help="Seed of sampling.")
@click.option("--cut", is_flag=True, help="Cut the beginning of a prompt that is longer than the context.")
def complete(prompt: str, folder: str | None, work: str, seed: int, cut: bool, **sampling: Any) -> None:
    """Write the code that follows PROMPT ("-" reads it from standard input), as it comes."""
    from codetextbook.complete import stream

    text = sys.stdin.read() if prompt == "-" else prompt
    pieces = stream(_model(folder, work), text, seed=seed, long_prompts="cut" if cut else "refuse", **sampling)
    click.echo(text + next(pieces), nl=False)
    for piece in pieces:
        click.echo(piece, nl=False)
    click.echo()


@main.command()
@click.option("--work", default="work", show_default=True, help="Workspace folder.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond loopback the address holds a token.")
@click.option("--port", default=8000, show_default=True, help="0 takes a free one.")
@click.option("--as", "by", default=None, help="Name under which you review; else that of your account.")
def view(work: str, host: str, port: int, by: str | None) -> None:
    """Browse documents, grades, exercises, completions and training in a browser; review with j k 1 0."""
    import getpass

    from codetextbook.errors import MissingDependency

    try:
        from codetextbook.view.server import serve
    except ImportError as error:
        raise MissingDependency(str(error), where="view", hint='pip install "codetextbook[view]"') from error
    serve(Path(work), host=host, port=port, by=by or getpass.getuser(), tell=click.echo)


@main.command()
@_model_options
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; the default is this machine alone."
)
@click.option("--port", default=8000, show_default=True)
@click.option("--rows", default=16, show_default=True, help="Texts that are written together.")
@click.option("--waiting", default=64, show_default=True, help="Texts that may wait; more are refused (429).")
@click.option("--seconds", default=120.0, show_default=True, help="Time limit of a request.")
def serve(folder: str | None, work: str, host: str, port: int, rows: int, waiting: int, seconds: float) -> None:
    """Answer /v1/completions, /v1/models and /health as OpenAI's clients expect, until interrupted."""
    from codetextbook.export import name_of
    from codetextbook.model.folder import load
    from codetextbook.serve.app import run as run_server

    where = _model(folder, work)
    loaded, name = load(where), name_of(where)
    run_server(loaded, name, host=host, port=port, rows=rows, waiting=waiting, request_seconds=seconds)


@main.group("store")
def store_group() -> None:
    """Look after the artifacts of a workspace."""


@store_group.command("ls")
@click.option("--work", default="work", show_default=True, help="Workspace folder.")
def store_ls(work: str) -> None:
    """Every finished artifact, oldest first."""
    from codetextbook.panel import summary
    from codetextbook.store import Store

    for artifact in Store(Path(work) / "store").artifacts():
        num_bytes = sum(entry["num_bytes"] for entry in artifact.manifest["files"].values())
        click.echo(f"{artifact.stage:<14} {artifact.id}  {num_bytes / 1e6:8.1f} MB  {summary(artifact)}")


@store_group.command("verify")
@click.option("--work", default="work", show_default=True, help="Workspace folder.")
def store_verify(work: str) -> None:
    """Compare every part with its manifest; ends with 3 where something does not match."""
    from codetextbook.store import Store

    store = Store(Path(work) / "store")
    faults = store.verify()
    click.echo("\n".join(faults) if faults else f"{len(store.artifacts())} artifacts, all as they were written")
    sys.exit(EXIT_FAULTS if faults else 0)


@store_group.command("gc")
@click.argument("recipe", default="laptop")
@_recipe_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def store_gc(recipe: str, work: str, changes: tuple[str, ...], yes: bool) -> None:
    """Remove every artifact that RECIPE does not need."""
    opened = _open(recipe, work, changes)
    keep = {step.id for step in (opened.steps | opened.branches).values()}
    doomed = [artifact for artifact in opened.store.artifacts() if artifact.id not in keep]
    if doomed and not yes:
        click.confirm(f"remove {len(doomed)} artifacts that {opened.recipe.name!r} does not need?", abort=True)
    click.echo(f"freed {opened.store.collect(keep) / 1e6:.1f} MB")


@main.group()
def journal() -> None:
    """Look after the replies that teachers were paid for."""


_journal_work = click.option("--work", default="work", show_default=True, help="Workspace folder.")


def _journal_file(work: str) -> Path:
    from codetextbook.site import Site

    return Path(Site.load(Path(work)).teacher.journal or Path(work) / "store" / "journal.sqlite3")


def _open_journal(work: str) -> Journal:
    from codetextbook.errors import InputError
    from codetextbook.teacher import Journal

    path = _journal_file(work)
    if not path.exists():
        hint = "it begins with the first question to a teacher"
        raise InputError("there is no journal yet", where=str(path), hint=hint)
    return Journal(path)


@journal.command("stats")
@_journal_work
def journal_stats(work: str) -> None:
    """Replies, tokens and dollars by model, and what may have been billed without an answer."""
    from codetextbook.teacher.ledger import stats

    with contextlib.closing(_open_journal(work)) as opened:
        found = stats(opened)
    for one in found.models:
        ends = ", ".join(f"{reason} {number:,}" for reason, number in one.finish_reasons.items())
        click.echo(
            f"{one.model}: {one.replies:,} replies ({ends}), {one.input_tokens:,} tokens sent, "
            f"{one.output_tokens:,} answered, ${one.dollars:.4f}"
        )
    lost = ", ".join(f"{reason} {number:,}" for reason, number in found.lost.items()) or "none"
    click.echo(f"lost (counted as spent, ${found.spent.lost_dollars:.4f}): {lost}")
    click.echo(f"under way: {found.spent.reserved_requests:,}; file: {found.num_bytes / 1e6:.1f} MB")


@journal.command("export")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--model", default="", help="Only the replies of this model.")
@_journal_work
def journal_export(path: Path, model: str, work: str) -> None:
    """Write every reply to PATH as JSON Lines; a teacher of kind `recorded` replays it."""
    from codetextbook.teacher.ledger import export

    with contextlib.closing(_open_journal(work)) as opened:
        click.echo(f"{export(opened, path, model=model):,} replies in {path}")


@journal.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_journal_work
def journal_import(path: Path, work: str) -> None:
    """Take the replies of PATH in; they count as known, and cost nothing."""
    from codetextbook.teacher import Journal
    from codetextbook.teacher.ledger import take_in

    with contextlib.closing(Journal(_journal_file(work))) as opened:
        taken = take_in(opened, path)
    click.echo(f"{taken.new:,} replies taken in, {taken.known:,} were known")


@journal.command("verify")
@_journal_work
def journal_verify(work: str) -> None:
    """Compute every key and sum again; ends with 3 where something does not match."""
    from codetextbook.teacher.ledger import verify

    with contextlib.closing(_open_journal(work)) as opened:
        faults = verify(opened)
    for fault in faults:
        click.echo(f"{fault.key[:16]} {fault.what}".strip())
    click.echo("every key and every sum is right" if not faults else f"{len(faults):,} faults")
    sys.exit(EXIT_FAULTS if faults else 0)
