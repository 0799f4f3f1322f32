"""Verbs that look after what was made and paid for: the store of artifacts, the journal of replies."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codetextbook.cli.frame import EXIT_FAULTS, main, open_run, recipe_options, work_option

if TYPE_CHECKING:
    from codetextbook.teacher import Journal


@main.group("store")
def store_group() -> None:
    """Look after the artifacts of a workspace."""


@store_group.command("ls")
@work_option
def store_ls(work: str) -> None:
    """Every finished artifact, oldest first."""
    from codetextbook.panel import summary
    from codetextbook.store import Store

    for artifact in Store(Path(work) / "store").artifacts():
        num_bytes = sum(entry["num_bytes"] for entry in artifact.manifest["files"].values())
        click.echo(f"{artifact.stage:<14} {artifact.id}  {num_bytes / 1e6:8.1f} MB  {summary(artifact)}")


@store_group.command("verify")
@work_option
def store_verify(work: str) -> None:
    """Compare every part with its manifest; ends with 3 where something does not match."""
    from codetextbook.store import Store

    store = Store(Path(work) / "store")
    faults = store.verify()
    click.echo("\n".join(faults) if faults else f"{len(store.artifacts())} artifacts, all as they were written")
    sys.exit(EXIT_FAULTS if faults else 0)


@store_group.command("gc")
@click.argument("recipe", default="laptop")
@recipe_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def store_gc(recipe: str, work: str, changes: tuple[str, ...], yes: bool) -> None:
    """Remove every artifact that RECIPE does not need."""
    opened = open_run(recipe, work, changes)
    keep = {step.id for step in (opened.steps | opened.branches).values()}
    doomed = [artifact for artifact in opened.store.artifacts() if artifact.id not in keep]
    if doomed and not yes:
        click.confirm(f"remove {len(doomed)} artifacts that {opened.recipe.name!r} does not need?", abort=True)
    click.echo(f"freed {opened.store.collect(keep) / 1e6:.1f} MB")


@main.group()
def journal() -> None:
    """Look after the replies that teachers were paid for."""


def _journal_file(work: str) -> Path:
    from codetextbook.site import Site
    from codetextbook.store import JOURNAL

    return Path(Site.load(Path(work)).teacher.journal or Path(work) / "store" / JOURNAL)


def _open_journal(work: str) -> Journal:
    from codetextbook.errors import InputError
    from codetextbook.teacher import Journal

    path = _journal_file(work)
    if not path.exists():
        hint = "it begins with the first question to a teacher"
        raise InputError("there is no journal yet", where=str(path), hint=hint)
    return Journal(path)


@journal.command("stats")
@work_option
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
@work_option
def journal_export(path: Path, model: str, work: str) -> None:
    """Write every reply to PATH as JSON Lines; a teacher of kind `recorded` replays it."""
    from codetextbook.teacher.ledger import export

    with contextlib.closing(_open_journal(work)) as opened:
        click.echo(f"{export(opened, path, model=model):,} replies in {path}")


@journal.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@work_option
def journal_import(path: Path, work: str) -> None:
    """Take the replies of PATH in; they count as known, and cost nothing."""
    from codetextbook.teacher import Journal
    from codetextbook.teacher.ledger import take_in

    with contextlib.closing(Journal(_journal_file(work))) as opened:
        taken = take_in(opened, path)
    click.echo(f"{taken.new:,} replies taken in, {taken.known:,} were known")


@journal.command("verify")
@work_option
def journal_verify(work: str) -> None:
    """Compute every key and sum again; ends with 3 where something does not match."""
    from codetextbook.teacher.ledger import verify

    with contextlib.closing(_open_journal(work)) as opened:
        faults = verify(opened)
    for fault in faults:
        click.echo(f"{fault.key[:16]} {fault.what}".strip())
    click.echo("every key and every sum is right" if not faults else f"{len(faults):,} faults")
    sys.exit(EXIT_FAULTS if faults else 0)
