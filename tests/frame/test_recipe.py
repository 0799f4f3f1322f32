"""Recipes: shipped ones are whole, round trips are exact, and a change runs again only what is downstream."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from codetextbook.errors import ConfigError
from codetextbook.pipeline import phi1
from codetextbook.recipe import SHIPPED, Recipe
from codetextbook.site import Site


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_is_valid_and_its_round_trip_exact(name: str) -> None:
    recipe = Recipe.load(name)
    again = Recipe.parse(tomllib.loads(recipe.dump()), where=name)
    assert again == recipe
    assert phi1(again).report.id == phi1(recipe).report.id


def test_extends_changes_only_what_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nextends = "laptop"\n[dedup]\nthreshold = 0.9\n')
    mine, laptop = Recipe.load(path), Recipe.load("laptop")
    assert mine.dedup.threshold == 0.9
    assert mine.replace({"name": "laptop", "dedup.threshold": laptop.dedup.threshold}) == laptop


def test_recipes_that_extend_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "a"\nextends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('name = "b"\nextends = "a.toml"\n')
    with pytest.raises(ConfigError, match="in a circle"):
        Recipe.load(tmp_path / "a.toml")


def test_a_changed_threshold_touches_only_what_is_downstream() -> None:
    laptop = Recipe.load("laptop")
    before = phi1(laptop)._asdict()
    after = phi1(laptop.replace({"decontaminate.tau": 0.8}))._asdict()
    changed = [name for name in before if before[name].id != after[name].id]
    upstream = {"read", "dedup", "annotate", "embed", "curate", "textbook", "exercises"}
    assert set(changed) == set(before) - upstream


def test_the_name_is_only_a_label() -> None:
    laptop = Recipe.load("laptop")
    assert phi1(laptop.replace({"name": "other"})).report.id == phi1(laptop).report.id


def test_the_paper_recipes_hold_the_paper_numbers() -> None:
    recipe = Recipe.load("phi1")
    model = recipe.pretrain.model
    assert (model.layers, model.hidden, model.mlp, model.heads, model.head_dim, model.rotary_dims) == (
        24,
        2048,
        8192,
        32,
        64,
        32,
    )
    assert (recipe.pretrain.learning_rate, recipe.pretrain.warmup_steps, recipe.pretrain.weight_decay) == (
        1e-3,
        750,
        0.1,
    )
    assert (recipe.finetune.learning_rate, recipe.finetune.warmup_steps, recipe.finetune.weight_decay) == (
        1e-4,
        50,
        0.01,
    )
    assert (recipe.pretrain.steps, recipe.finetune.steps, recipe.finetune.save_every_steps) == (24_000, 6_000, 1_000)
    assert (recipe.pretrain.batch_sequences, recipe.finetune.batch_sequences) == (1024, 256)
    small = Recipe.load("phi1-small").pretrain.model
    assert (small.layers, small.hidden, small.mlp, small.heads) == (20, 1024, 4096, 16)


def test_a_site_asks_for_a_tier_of_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('sandbox = "wasi"\nworkers = 1\n', encoding="utf-8")
    with Site.load(tmp_path).open_sandbox(cpu_seconds=20) as sandbox:
        assert sandbox.check("def f(x):\n    return x + 1\n", "assert f(1) == 2\n", "f").tier == "D"
        assert sandbox.weaker_because
