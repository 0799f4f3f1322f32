"""Installed packages: which of them a requirement brings, whatever else is in the environment."""

from __future__ import annotations

from importlib import metadata

import pytest
from packaging.requirements import Requirement

from codetextbook.errors import ConfigError
from codetextbook.recipe import Recipe
from codetextbook.sources.installed import Packages, brought_by, canonical


@pytest.fixture(scope="module")
def installed() -> dict[str, metadata.Distribution]:
    return {canonical(one.metadata["Name"]): one for one in metadata.distributions()}


def test_a_requirement_brings_what_it_needs_with_its_extras_and_no_other_tool(
    installed: dict[str, metadata.Distribution],
) -> None:
    core = brought_by([Requirement("codetextbook")], installed)
    laptop = brought_by([Requirement("codetextbook[laptop]")], installed)
    assert {"codetextbook", "torch", "sympy", "mpmath"} <= core, "those of torch too"
    assert {"transformers", "algorithms", "starlette"} <= laptop - core
    assert not {"pytest", "mypy", "hypothesis", "mkdocs"} & laptop
    assert brought_by([Requirement("no-such-thing")], installed) == set()


def test_requirements_that_bring_each_other_in_a_circle_end(installed: dict[str, metadata.Distribution]) -> None:
    everything = brought_by([Requirement("codetextbook[dev,laptop]")], installed)
    assert {"pytest", "torch"} <= everything <= set(installed)


def test_the_laptop_recipe_reads_what_its_extra_brings() -> None:
    packages = next(one for one in Recipe.load("laptop").read.sources if isinstance(one, Packages))
    assert packages.required_by == ("codetextbook[laptop]",)


def test_what_is_no_requirement_is_refused() -> None:
    with pytest.raises(ConfigError, match="'not a requirement' is no requirement"):
        Recipe.load("laptop").replace({"read.sources": [{"kind": "packages", "required_by": ["not a requirement"]}]})


def test_a_package_that_is_not_installed_is_named(tmp_path: object) -> None:
    recipe = Recipe.load("laptop").replace(
        {"read.sources": [{"kind": "packages", "required_by": ["no-such-thing[x]>=1"]}]}
    )
    with pytest.raises(Exception, match="not installed: no-such-thing"):
        list(recipe.read.sources[0].batches(tmp_path))  # type: ignore[arg-type]
