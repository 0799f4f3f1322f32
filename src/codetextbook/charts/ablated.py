"""The ablation beside the run whose data it asked about: found in the run's own store, told as a part of the run's report.

An ablation belongs to a run when it was made from the run's deduplicated and curated code, pages and exercises. It is made after the run
or never, so it is no fact of the report: the page shows what was there when it was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codetextbook.charts import ablation
from codetextbook.store import Artifact, Store

SHARED = ("dedup", "curate", "textbook", "exercises")
"""Steps of a run that its ablation is made from too."""
SET = "humaneval"


def find(store: Store, artifacts: Mapping[str, Artifact]) -> dict[str, Any] | None:
    """What the newest ablation on the data of a run's artifacts (by step) found, with its `id`; None where there is none."""
    wanted = {artifacts[step].id for step in SHARED if step in artifacts}
    found = store.artifacts()
    made_from = {one.id: list(one.manifest["inputs"].values()) for one in found}
    for one in reversed(found):
        if one.stage == "ablate" and wanted and wanted <= _ancestors(one.id, made_from):
            return one.json("ablation") | {"id": one.id}
    return None


def _ancestors(key: str, made_from: Mapping[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [key]
    while waiting:
        for above in made_from.get(waiting.pop(), []):
            if above not in seen:
                seen.add(above)
                waiting.append(above)
    return seen


def drawn(found: Mapping[str, Any]) -> dict[str, str]:
    """Its figures, in the paper's order."""
    return dict(zip(("bases", "finetuned"), ablation.draw(found), strict=True))


def told(found: Mapping[str, Any]) -> dict[str, Any]:
    """Its rows and sentences, for the page."""
    rows = [
        {
            "arm": row["arm"],
            "told": row["told"],
            "solved": row["pass_at_1"][SET]["mean"] if "pass_at_1" in row else None,
        }
        | {name: row["bits_per_byte"][SET][name] for name in ("mean", "low", "high")}
        for row in found["arms"]
    ]
    return {"id": found["id"], "seeds": len(found["seeds"]), "rows": rows, "sentences": ablation.sentences(found)}
