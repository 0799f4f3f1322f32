"""What every verb shares: the group that explains errors, the options of a recipe and a workspace, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from codetextbook import __version__
from codetextbook.errors import CodetextbookError

if TYPE_CHECKING:
    from codetextbook.panel import Mode
    from codetextbook.run import Run
    from codetextbook.store import Artifact

EXIT_USER, EXIT_INTERRUPTED, EXIT_FAULTS = 1, 130, 3
"""A clear error; Ctrl-C; something that was looked at is not as it should be."""


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


work_option = click.option("--work", default="work", show_default=True, help="Workspace folder.")


def recipe_options(function: Callable[..., None]) -> Callable[..., None]:
    """`--work` and `--set`, for a verb that opens a recipe."""
    function = work_option(function)
    return click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change one setting, as in --set curate.keep_share=0.3.",
    )(function)


def open_run(recipe: str, work: str, changes: tuple[str, ...]) -> Run:
    """A recipe, with what `--set` changes, bound to a workspace."""
    from codetextbook.recipe import Recipe
    from codetextbook.run import Run

    loaded = Recipe.load(recipe)
    return Run(loaded.replace(dict(map(change, changes))) if changes else loaded, work)


def change(text: str) -> tuple[str, Any]:
    """`KEY=VALUE` as a setting; a value that is no TOML is taken as text.

    Raises:
        BadParameter: there is no `=`.
    """
    import tomllib

    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def make(run: Run, name: str, mode: Mode = "") -> Artifact:
    """Make a step's artifact before the user's eyes, and say where it is."""
    from rich.console import Console

    from codetextbook.live import watch

    done = run.artifact(name) is not None
    with watch(Console(), mode) as watcher:
        artifact = run.make(name, watcher)
    if not mode:
        click.echo(f"{name}: {'nothing to do, already made' if done else 'made'}. {artifact.folder}")
    return artifact
