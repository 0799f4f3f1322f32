"""Train a small, strong code model on textbook-quality data: the whole system of "Textbooks Are All You Need".

    import codetextbook as ct
    recipe = ct.Recipe.load("laptop").replace({"curate.keep_share": 0.25})
    kept = ct.Run(recipe, "work").make("curate").table("documents")

Names are loaded when first used, so that importing the package imports neither torch nor pyarrow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codetextbook.recipe import Recipe
    from codetextbook.run import Run
    from codetextbook.site import Site
    from codetextbook.store import Artifact, Store

__version__ = "0.1.0"
__all__ = ["Artifact", "Recipe", "Run", "Site", "Store"]

_HOMES = {"Recipe": "recipe", "Run": "run", "Site": "site", "Artifact": "store", "Store": "store"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
