"""What a stage does and each of its settings with unit and source, read from its source: for `codetextbook explain` and for the docs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Collection
from importlib import resources
from types import ModuleType
from typing import Any, NamedTuple

import tomli_w

from codetextbook.config import Config
from codetextbook.errors import ConfigError
from codetextbook.recipe import Recipe
from codetextbook.stages.contract import STAGES, Stage

REQUIRED = "to be said"
"""Shown for a setting without a default."""


class Setting(NamedTuple):
    """One setting; `name` is dotted inside tables."""

    name: str
    value: Any
    told: str
    """Meaning, with unit and source."""


class Explained(NamedTuple):
    """A stage, as its source tells it."""

    stage: Stage
    what: str
    """The module's own words: what it makes, why, its trade-off and limits."""
    settings: list[Setting]


def stages() -> dict[str, Stage]:
    """Every stage by name, in the order of the pipeline and then of the experiments."""
    importlib.import_module("codetextbook.experiments")  # registers every stage
    pipeline = importlib.import_module("codetextbook.pipeline")
    steps = pipeline.phi1(Recipe.load("laptop"))
    first = dict.fromkeys(step.stage.name for step in steps)
    return {name: STAGES[name] for name in (*first, *(name for name in STAGES if name not in first))}


def module_of(stage: Stage) -> ModuleType:
    """The room that a stage is written in."""
    return importlib.import_module(stage.function.__module__)


def explain(name: str, recipe: Recipe) -> Explained:
    """A stage with the settings of a recipe.

    Raises:
        ConfigError: there is no such stage.
    """
    known = stages()
    if name not in known:
        raise ConfigError(f"no stage {name!r}", hint=f"one of {', '.join(known)}, or recipe")
    stage = known[name]
    values = getattr(recipe, name, None)
    config: type[Config] = stage.config
    if isinstance(values, Config) and type(values).__module__ == module_of(stage).__name__:
        config = type(values)  # the recipe's table, where the stage's settings are made from it
    return Explained(stage, (module_of(stage).__doc__ or "").strip(), _settings(config, values))


def _settings(config: type[Config], values: Any, above: str = "") -> list[Setting]:
    found = []
    for name, field in config.model_fields.items():
        default = REQUIRED if field.is_required() else field.get_default(call_default_factory=True)
        value = getattr(values, name, default)
        found.append(Setting(f"{above}{name}", value, (field.description or "").strip()))
        if isinstance(value, Config):
            found += _settings(type(value), value, f"{above}{name}.")
    return found


def page(name: str, verbs: Collection[str]) -> str:
    """A stage as a page of the docs: what it does, its settings, what it costs, an example. `verbs` are those of the command line."""
    found = explain(name, Recipe(name="defaults"))
    inputs = ", ".join(f"`{one}`" for one in found.stage.inputs) or "nothing"
    lines = [
        f"# {name}",
        "",
        f"*Version {found.stage.version}, made from {inputs}.*",
        "",
        found.what,
        "",
        "## Settings",
        "",
    ]
    lines += ["| setting | default | unit and source |", "|---|---|---|"]
    lines += [
        f"| `{one.name}` | {'a table' if isinstance(one.value, Config) else _code(one.value)} | {_cell(one.told)} |"
        for one in found.settings
    ]
    return "\n".join([*lines, "", *_cost(name), *_example(name, name in verbs)])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _code(value: Any) -> str:
    told = repr(value).replace("|", "¦")
    return f"`{told}`" if len(told) <= 120 else f"`{told[:120]}…`"


def _cost(name: str) -> list[str]:
    """What the laptop recipe took for it, as kept with the recipe."""
    file = resources.files("codetextbook") / "recipes" / "laptop.plan.json"
    rows = [
        row
        for row in json.loads(file.read_text(encoding="utf-8"))
        if row["name"] == name or row["name"].startswith(f"{name}_")
    ]
    if not rows:
        return []
    told = [
        f"| {row['name']} | {row['rows_in']:,} {row['unit']} | {row['rows_kept']:,} | {row['seconds']:.0f} s |"
        for row in rows
        if row.get("seconds") is not None and row.get("rows_in") is not None and row.get("rows_kept") is not None
    ]
    source = (
        "In the recipe `laptop`, on 2 cores without a GPU, as `codetextbook plan laptop` tells it; no teacher was paid."
    )
    return (
        ["## What it costs", "", source, "", "| step | in | kept | time |", "|---|---|---|---|", *told, ""]
        if told
        else []
    )


def _example(name: str, has_verb: bool) -> list[str]:
    """What a shipped recipe says of it, and how to run it alone."""
    told = ["## Example", ""]
    for recipe in ("laptop", "ablate-laptop", "phi1"):
        said = Recipe.load(recipe).model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        if said.get(name):
            toml = tomli_w.dumps({name: said[name]}).strip()
            told += [f"What the recipe `{recipe}` says of it:", "", "```toml", toml, "```", ""]
            break
    if not has_verb:
        return [*told, "No verb makes it alone: a run or an experiment does.", ""]
    what = "pack pretrain" if name == "pack" else name
    return [*told, "```", f"codetextbook {what} laptop", f"codetextbook explain {name}", "```", ""]
