"""A Jupyter notebook as one Markdown text: prose cells as they are, code cells in fences, outputs left out. Formats 3 and 4."""

from __future__ import annotations

import json
import re
from typing import Any

from codetextbook.text.decode import Decoded

_TICKS = re.compile(r"`{3,}")


def to_markdown(text: str) -> Decoded:
    """The notebook's cells in order. Reason: `broken_notebook`."""
    try:
        book = json.loads(text)
        language = _language(book)
        cells = book["cells"] if "cells" in book else [cell for sheet in book["worksheets"] for cell in sheet["cells"]]
        parts = [_cell(cell, language) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Decoded("", "broken_notebook", f"{error!r}"[:200])
    whole = "\n\n".join(part for part in parts if part)
    return Decoded(f"{whole}\n" if whole else "")


def _language(book: dict[str, Any]) -> str:
    about = book.get("metadata") or {}
    named = (about.get("kernelspec") or {}).get("language") or (about.get("language_info") or {}).get("name")
    return str(named or "python").lower()


def _cell(cell: dict[str, Any], language: str) -> str:
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(source)
    words = source.strip("\n")
    if not words.strip():
        return ""
    if cell["cell_type"] == "code":
        fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(words)), default=0))
        return f"{fence}{language}\n{words}\n{fence}"
    return f"{'#' * int(cell.get('level', 1))} {words}" if cell["cell_type"] == "heading" else words
