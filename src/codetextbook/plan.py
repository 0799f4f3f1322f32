"""What a run will take, step by step, before anything runs: rows, tokens, dollars, time, and how each of them is known.

A finished step has its own numbers. What a teacher would be asked is estimated from a sample of the very prompts (`teacher.estimate`).
For the rest: the newest artifact of the same stage in this workspace; else the recipe's own numbers, kept when it was measured, where the
step's settings are still those that were measured; else nothing, and that is said. A shipped recipe's numbers are renewed by
`codetextbook plan NAME --json > recipes/NAME.plan.json` after a run.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, NamedTuple

from codetextbook.config import canonical_json
from codetextbook.errors import CodetextbookError
from codetextbook.recipe import SHIPPED, Recipe
from codetextbook.site import Site, TeacherSite
from codetextbook.stages.contract import Step
from codetextbook.store import Artifact, Store
from codetextbook.teacher.connect import prices_of
from codetextbook.teacher.estimate import Asking, estimate
from codetextbook.teacher.prices import list_price
from codetextbook.teacher.protocol import Prices

MADE, EARLIER, EXPECTED, PAPERS, ESTIMATED, UNKNOWN = (
    "measured",
    "earlier",
    "recipe's",
    "paper's",
    "estimated",
    "unknown",
)


@dataclass(frozen=True)
class Planned:
    """One line of a plan. Numbers are None where nothing is known yet."""

    name: str
    id: str
    state: str
    """"done", "part done" or "to do"."""
    rows_in: int | None
    rows_kept: int | None
    unit: str
    tokens: int | None
    """Tokens trained on, packed, or sent and answered."""
    dollars: float | None
    """Spent, or the middle of the estimate; None where a teacher's price is not known."""
    seconds: float | None
    known: str
    """How rows and seconds are known: "measured" (this step is done), "earlier" (by the newest artifact of this stage in this workspace),
    "recipe's" (measured when the recipe was written, on 2 cores), "paper's" (on 8 A100 GPUs, §2.3), "estimated" (from a sample of
    prompts), "unknown"."""
    dollars_low: float | None = None
    dollars_high: float | None = None
    tokens_low: int | None = None
    tokens_high: int | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None
    settings: str = ""
    """Digest of the settings that are not a default."""
    note: str = ""
    """What an estimate was made from, or why there is none."""


def plan(recipe: Recipe, site: Site, store: Store, steps: Mapping[str, Step]) -> list[Planned]:
    """A line for each step. Nothing runs, nobody is asked, nothing is spent."""
    artifacts = store.artifacts()
    expected = _expected(recipe, steps)
    lines = []
    for step in steps.values():
        found = store.find(step.stage.name, step.id)
        line = _line(step, found, _earlier(step, artifacts), expected.get(step.name), store, recipe)
        asking = None if found else _asking(step, store)
        lines.append(line if asking is None else _with_teacher(line, asking, site))
    return lines


def seconds_to_come(recipe: Recipe, store: Store, steps: Mapping[str, Step]) -> dict[str, float]:
    """Seconds that each step is expected to take, by its id, as far as `plan` knows them without looking at prompts."""
    artifacts = store.artifacts()
    expected = _expected(recipe, steps)
    lines = [
        _line(step, None, _earlier(step, artifacts), expected.get(name), store, recipe) for name, step in steps.items()
    ]
    return {line.id: line.seconds for line in lines if line.seconds is not None}


def _earlier(step: Step, artifacts: Sequence[Artifact]) -> Artifact | None:
    """Of the artifacts of its stage, oldest first, the one whose inputs and settings are most like it, and of these the newest."""
    settings = step.config.model_dump(mode="json")

    def likeness(artifact: Artifact) -> tuple[bool, int]:
        manifest = artifact.manifest
        same = sum(manifest["config"].get(name) == value for name, value in settings.items())
        return manifest["inputs"].keys() == step.input_ids.keys(), same

    return max((one for one in reversed(artifacts) if one.stage == step.stage.name), key=likeness, default=None)


def _line(
    step: Step,
    found: Artifact | None,
    earlier: Artifact | None,
    expected: dict[str, Any] | None,
    store: Store,
    recipe: Recipe,
) -> Planned:
    known = found or earlier
    numbers = _numbers(known) if known else expected or {}
    begun = store.folder(step.stage.name, step.id).exists()
    tokens = numbers.get("tokens") if found or not known else None
    kind = PAPERS if recipe.name == "phi1" else EXPECTED
    return Planned(
        name=step.name,
        id=step.id,
        state="done" if found else "part done" if begun else "to do",
        rows_in=numbers.get("rows_in"),
        rows_kept=numbers.get("rows_kept"),
        unit=numbers.get("unit", ""),
        tokens=_tokens_to_train(step, recipe) or tokens,
        dollars=float(found.manifest["facts"].get("dollars", 0.0)) if found else 0.0,
        seconds=numbers.get("seconds"),
        known=MADE if found else EARLIER if earlier else kind if expected else UNKNOWN,
        settings=settings_digest(step),
    )


def _numbers(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest
    return {**manifest["flow"], "tokens": manifest["facts"].get("tokens"), "seconds": manifest["seconds"]}


def _tokens_to_train(step: Step, recipe: Recipe) -> int | None:
    """Tokens that training sees: steps, sequences of a step, tokens of a sequence."""
    if step.name not in ("pretrain", "finetune"):
        return None
    settings = recipe.pretrain if step.name == "pretrain" else recipe.finetune
    return settings.steps * settings.batch_sequences * recipe.pretrain.model.context


def settings_digest(step: Step) -> str:
    """Digest of a step's settings that are not a default; a setting that is added later does not change it."""
    said = step.config.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(canonical_json({step.name: said}).encode()).hexdigest()[:16]


def _expected(recipe: Recipe, steps: Mapping[str, Step]) -> dict[str, dict[str, Any]]:
    """The shipped recipe's own numbers, of those steps whose settings are still those that were measured."""
    file = resources.files("codetextbook") / "recipes" / f"{recipe.name}.plan.json"
    if recipe.name not in SHIPPED or not file.is_file():
        return {}
    rows = {row["name"]: row for row in json.loads(file.read_text(encoding="utf-8"))}
    return {
        name: rows[name] for name, step in steps.items() if rows.get(name, {}).get("settings") == settings_digest(step)
    }


def _asking(step: Step, store: Store) -> Asking | None:
    """What a step will ask the teacher: its module's word, from the inputs that are there."""
    room = importlib.import_module(step.stage.function.__module__)
    if not hasattr(room, "asking"):
        return None
    inputs = [store.find(needed.stage.name, needed.id) for needed in step.inputs]
    asked: Asking | None = room.asking(step.config, *inputs)
    return asked


class _Priced(NamedTuple):
    """Prices of a plan, if any are known, and what is to be said about them."""

    prices: Prices | None
    note: str


def _priced(model: str, teacher: TeacherSite) -> _Priced:
    """The site's price; else, to tell and not to spend, the vendor's list price."""
    if not model:
        return _Priced(None, "no dollars: neither the recipe nor the site names a model")
    if teacher.kind == "recorded":
        return _Priced(Prices(0.0, 0.0), "")
    try:
        return _Priced(prices_of(teacher, model), "")
    except CodetextbookError as error:
        listed = list_price(model)
        if listed is None:
            return _Priced(None, f"no dollars: {error.what}; {error.hint}")
        return _Priced(
            listed.prices,
            f"dollars at the list price of {listed.source}; the site's server has no price yet: {error.hint}",
        )


def _with_teacher(line: Planned, asking: Asking, site: Site) -> Planned:
    """A line with what its questions will take."""
    teacher = site.teacher
    model = asking.model or teacher.model
    prices, said = _priced(model, teacher)
    found = estimate(asking, prices or Prices(0.0, 0.0), teacher.requests_in_flight)
    tokens = found.input_tokens.plus(found.output_tokens)
    notes = [f"{asking.questions:,} questions to {model or 'a teacher'}, from {asking.basis}", said]
    if teacher.kind == "openai":
        notes.append(f"time with {teacher.requests_in_flight} in flight at a hosted model")
    elif teacher.kind != "recorded":
        notes.append(f"no time: a teacher of kind {teacher.kind!r} is as fast as what it runs on")
    if prices and found.dollars.high > teacher.dollars_limit:
        notes.append(f"the site's dollars_limit of {teacher.dollars_limit:,.2f} may stop it")
    dollars, seconds = found.dollars if prices else None, found.seconds if teacher.kind == "openai" else None
    return replace(
        line,
        rows_in=line.rows_in or asking.questions,
        unit=line.unit or "questions",
        tokens=round(tokens.expected),
        tokens_low=round(tokens.low),
        tokens_high=round(tokens.high),
        dollars=dollars.expected if dollars else None,
        dollars_low=dollars.low if dollars else None,
        dollars_high=dollars.high if dollars else None,
        seconds=seconds.expected if seconds else None,
        seconds_low=seconds.low if seconds else None,
        seconds_high=seconds.high if seconds else None,
        known=ESTIMATED,
        note="; ".join(note for note in notes if note),
    )
