"""What was written, as facts of the report: who wrote it, on what, how much of it repeats itself, and what its programs import (Fig 3.1).

Counts are over the kept rows alone; how diverse a writer's texts are, the stages have measured over what they wrote (`text/diversity.py`).
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from codetextbook.store import Artifact

SHOWN = 25
"""Topics and modules that are named; the rest is summed."""
RARE_IMPORTS = 10
"""Modules imported less often are left out of the histogram, as in the paper's Fig 3.1."""

_IMPORT = re.compile(r"^[ \t]*(?:import[ \t]+([\w., \t]+)|from[ \t]+([A-Za-z_]\w*)[\w.]*[ \t]+import\b)", re.MULTILINE)


def pages(artifact: Artifact | None) -> dict[str, Any] | None:
    """Textbook pages by writer, topic and audience."""
    table = _table(artifact, "pages")
    if table is None:
        return None
    return {
        "count": table.num_rows,
        "writers": counts(table, "writer"),
        "topics": len(counts(table, "topic")),
        "common_topics": most(counts(table, "topic")),
        "audiences": most(counts(table, "audience")),
        "coverage": coverage(counts(table, "topic")),
    }


def exercises(artifact: Artifact | None) -> dict[str, Any] | None:
    """Exercises by writer, split and family; what they import."""
    table = _table(artifact, "exercises")
    if table is None:
        return None
    families = Counter(str(family).split("+")[0] for family in table["family"].to_pylist())
    return {
        "count": table.num_rows,
        "verified": int(pc.sum(pc.cast(table["verified"], pa.int64())).as_py() or 0),
        "writers": counts(table, "writer"),
        "splits": counts(table, "split"),
        "families": len(counts(table, "family")),
        "common_families": most(ordered(families)),
        "imports": imports(table),
        "coverage": coverage(counts(table, "topic")),
    }


def coverage(texts_by_topic: Mapping[str, int]) -> dict[str, Any]:
    """How many of the curriculum's topics are met, in all and by area; topics that are not the curriculum's are counted apart."""
    curriculum = tomllib.loads((resources.files("codetextbook") / "data" / "curriculum.toml").read_text("utf-8"))
    topics: dict[str, list[str]] = {area: [] for area in curriculum["areas"]}
    for key, topic in curriculum["topics"].items():
        topics[topic["area"]].append(key)
    areas = [
        {
            "area": title,
            "topics": len(topics[area]),
            "met": sum(key in texts_by_topic for key in topics[area]),
            "texts": sum(texts_by_topic.get(key, 0) for key in topics[area]),
        }
        for area, title in curriculum["areas"].items()
    ]
    met = sum(area["met"] for area in areas)
    return {
        "topics": len(curriculum["topics"]),
        "met": met,
        "others": len(texts_by_topic) - met,
        "areas": areas,
        "without": [area["area"] for area in areas if not area["met"]],
    }


def diversity(stages: Mapping[str, Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """What each stage has measured of each writer's texts, a row a writer; numbers of unlike numbers of texts are not comparable."""
    return [
        {"step": step, "writer": writer} | measured.get("spread", {}) | dict(measured)
        for step, told in stages.items()
        for writer, measured in ((told or {}).get("diversity") or {}).items()
        if measured["texts"]
    ]


def imports(table: pa.Table) -> dict[str, Any]:
    """Exercises that import each module, the most first; modules of this Python's standard library are marked."""
    found: Counter[str] = Counter()
    for prompt, solution in zip(table["prompt"].to_pylist(), table["solution"].to_pylist(), strict=True):
        found.update(modules(f"{prompt}{solution}"))
    rows: list[dict[str, Any]] = [
        {"module": name, "exercises": number, "standard": name in sys.stdlib_module_names}
        for name, number in ordered(found).items()
    ]
    common = [row for row in rows if row["exercises"] >= RARE_IMPORTS]
    return {"rows": common, "rare": len(rows) - len(common)}


def modules(program: str) -> set[str]:
    """Top-level names of the modules that a program imports."""
    names: set[str] = set()
    for plain, origin in _IMPORT.findall(program):
        listed = (one.split()[0].partition(".")[0] for one in plain.split(",") if one.strip())
        names.update([origin] if origin else listed)
    return names


def counts(table: pa.Table, column: str) -> dict[str, int]:
    """How many rows have each value, the most first."""
    return ordered(Counter(table[column].to_pylist()))


def ordered(found: Counter[str]) -> dict[str, int]:
    """Counts, the most first."""
    return dict(sorted(found.items(), key=lambda item: (-item[1], str(item[0]))))


def most(found: dict[str, int]) -> dict[str, int]:
    """The first of ordered counts, and how many the others are together."""
    shown = dict(list(found.items())[:SHOWN])
    rest = sum(found.values()) - sum(shown.values())
    return shown | ({f"{len(found) - SHOWN} others": rest} if rest else {})


def _table(artifact: Artifact | None, name: str) -> pa.Table | None:
    return None if artifact is None or not artifact.parts(name) else artifact.table(name)
