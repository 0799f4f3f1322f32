"""What a million tokens cost: the site's own numbers first, then a price file of the user's, then a dated table that ships.

An unknown price refuses to spend. The shipped table counts only for its vendor's own address: the same model's name behind
another server says nothing about what that server costs.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from codetextbook.errors import ConfigError, TeacherError
from codetextbook.teacher.protocol import Prices

VENDORS = {"openai": "api.openai.com"}


class Quote(NamedTuple):
    """A price, and where it stands."""

    prices: Prices
    source: str
    """Of what day, and whose; for the plan."""


def quote(
    model: str, base_url: str, *, own: tuple[float | None, float | None], file: str = "", batch: bool = False
) -> Quote:
    """The price of a model at a server. `own` are the site's numbers; `batch` takes the vendor's share for bulk work off the table's.

    Raises:
        TeacherError: the price is not known.
        ConfigError: the price file cannot be read.
    """
    if own[0] is not None and own[1] is not None:
        return Quote(Prices(own[0], own[1]), "site.toml")
    host = urlsplit(base_url).hostname or ""
    tables, hosts = (_read(Path(file)), {}) if file else (_shipped(), VENDORS)
    for vendor, table in tables.items():
        price = table.get("models", {}).get(model)
        if price is not None and hosts.get(vendor, host) == host:
            share = float(table.get("batch_share", 1.0)) if batch else 1.0
            prices = Prices(share * float(price["input"]), share * float(price["output"]))
            return Quote(prices, f"{vendor}, {table.get('as_of', 'no date')}")
    raise TeacherError(
        f"the price of {model!r} at {host or 'this server'} is not known, and nothing is spent blindly",
        where="[teacher] of site.toml",
        hint="set dollars_per_million_input_tokens and dollars_per_million_output_tokens; 0 for a server of your own",
    )


def list_price(model: str) -> Quote | None:
    """What a model costs at its vendor's own address, by the shipped table: to tell what a plan would cost there, never to spend."""
    for vendor, table in _shipped().items():
        price = table["models"].get(model)
        if price is not None:
            return Quote(Prices(float(price["input"]), float(price["output"])), f"{vendor}, {table['as_of']}")
    return None


def _shipped() -> dict[str, Any]:
    return tomllib.loads((resources.files("codetextbook.teacher") / "prices.toml").read_text(encoding="utf-8"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"the price file cannot be read ({error})", where=str(path)) from None
