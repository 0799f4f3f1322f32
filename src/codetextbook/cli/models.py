"""Verbs that put a model to use: write with it, serve it, take it elsewhere; and the workspace in a browser."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from codetextbook.cli.frame import main, work_option


def _model_options(function: Callable[..., None]) -> Callable[..., None]:
    function = work_option(function)
    return click.option(
        "--model", "folder", default=None, help="A model folder; else the newest selected model of the workspace."
    )(function)


def _model(folder: str | None, work: str) -> Path:
    from codetextbook.complete import model_folder

    return Path(folder) if folder else model_folder(Path(work))


@main.command()
@click.argument("form", type=click.Choice(["hf", "gguf", "data"]))
@click.argument("destination", required=False, type=click.Path(path_type=Path))
@_model_options
@click.option("--dtype", type=click.Choice(["fp32", "fp16", "bf16"]), default="fp32", show_default=True)
def export(form: str, destination: Path | None, folder: str | None, work: str, dtype: str) -> None:
    """Write a model for transformers and vLLM (hf, a folder) or for llama.cpp and Ollama (gguf, a file), or what it was trained on (data, a
    folder); folders have a card for the hub."""
    from codetextbook import export as exports

    if form == "data":
        place = destination or Path("codetextbook-data")
        exports.data(Path(work), place)
        click.echo(f"wrote {place}")
        return
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
@work_option
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
