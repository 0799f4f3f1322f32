"""A list's address: `?q=sort&state=kept&quality_from=0.5&sort=-quality&page=2&open=KEY&at=ARTIFACT`, read and written.

Everything that a page shows is in its address, so that it can be linked to. Names that the shelf does not know are ignored; values that
are no numbers where numbers are wanted are too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from codetextbook.view.library import Ask
from codetextbook.view.shelves import Shelf

MOST_PAGES = 1_000_000


class Address:
    """What is asked of a shelf, and addresses that ask something near to it."""

    def __init__(self, shelf: Shelf, query: Mapping[str, str]) -> None:
        self.shelf = shelf
        names = {"q", "in", "sort", "page", "open", "at", "from", "mine", *shelf.facets}
        names |= {f"{name}_{end}" for name in shelf.ranges for end in ("from", "to")}
        self.query = {name: value for name, value in query.items() if name in names and value}

    @property
    def ask(self) -> Ask:
        """The question to the library."""
        get = self.query.get
        sort = get("sort", "")
        sortable = {column.name for column in self.shelf.shown} if self.shelf.name != "review" else set()
        ranges = {name: (_number(get(f"{name}_from")), _number(get(f"{name}_to"))) for name in self.shelf.ranges}
        return Ask(
            words=get("q", "").strip(),
            in_texts=get("in") == "texts" and bool(self.shelf.texts),
            exact={name: self.query[name] for name in self.shelf.facets if name in self.query},
            ranges=ranges,
            sort=sort if sort.removeprefix("-") in sortable else "",
            page=_whole(get("page")),
        )

    @property
    def open(self) -> str | None:
        """Key of the row that is looked at."""
        return self.query.get("open")

    @property
    def start(self) -> int:
        """First line shown of its text."""
        return _whole(self.query.get("from"))

    def to(self, **changes: Any) -> str:
        """The address with some things changed; None takes one out."""
        query = self.query | {name: str(value) for name, value in changes.items() if value is not None}
        wanted = {name: value for name, value in query.items() if changes.get(name, "") is not None}
        return f"/{self.shelf.name}" + (f"?{urlencode(wanted)}" if wanted else "")

    def sorted_by(self, column: str) -> str:
        """The address that sorts by a column; upwards if it is downwards now."""
        now = self.query.get("sort") or self.shelf.order
        return self.to(sort=column if now == f"-{column}" else f"-{column}", page=None, open=None)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str | None) -> int:
    """A page or line from 1."""
    return min(max(int(text), 1), MOST_PAGES) if text and text.isascii() and text.isdigit() and len(text) < 10 else 1
