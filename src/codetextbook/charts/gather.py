"""The report's facts, from the artifacts of a run: deterministic, small, and readable on their own as `report.json`.

Nothing is computed here that a stage has not recorded, but for counts. What a stage did not record is None, and the page says so: an
older artifact still gives a report. Times are left out (they are not facts of the run's content); the page takes them from the manifests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from codetextbook.store import Artifact

BINS = 20
POINTS_PER_CURVE = 200

PAPER_SCORES = (
    {"model": "phi-1 (1.3B)", "humaneval": 50.6, "mbpp": 55.5},
    {"model": "phi-1-base (1.3B, before the exercises)", "humaneval": 29.0, "mbpp": None},
    {"model": "phi-1-small (350M)", "humaneval": 45.0, "mbpp": None},
    {"model": "350M on unfiltered code", "humaneval": 12.19, "mbpp": None},
    {"model": "350M on filtered code", "humaneval": 17.68, "mbpp": None},
    {"model": "350M on filtered code and textbooks", "humaneval": 20.12, "mbpp": None},
)
"""Paper, §2.1, §3 and Fig 2.1; per cent, pass@1."""

NOT_COMPARABLE = (
    "The paper's figures are not comparable with this run's: its models are larger, trained on up to 50 billion tokens of other data, "
    "and its way of decoding is not published. They are shown to say where the method leads, not as a race."
)


def gather(artifacts: Mapping[str, Artifact], *, max_samples: int, max_matches: int) -> dict[str, Any]:
    """The facts of a run. `artifacts` by step name (`read`, `dedup`, ... `evaluate`); some may be missing."""
    get = artifacts.get
    scores = _json(get("evaluate"), "scores")
    return {
        "flow": [flow_row(step, artifact) for step, artifact in artifacts.items()],
        "quality": quality(get("curate")),
        "pages": pages(get("decontaminate") or get("textbook")),
        "exercises": exercises(get("decontaminate") or get("exercises")),
        "contamination": contamination(get("decontaminate"), max_matches),
        "training": {step: curve(artifact) for step in ("pretrain", "finetune") if (artifact := get(step)) is not None},
        "selection": facts(get("select")),
        "scores": scores,
        "paper": {"rows": list(PAPER_SCORES), "sentence": NOT_COMPARABLE},
        "samples": samples(get("evaluate"), max_samples),
        "lineage": [lineage_row(step, artifact) for step, artifact in artifacts.items()],
    }


def flow_row(step: str, artifact: Artifact) -> dict[str, Any]:
    """What came into a step, what it kept, what it rejected and why."""
    flow = artifact.manifest.get("flow") or {}
    rejected = dict(sorted((flow.get("rejected") or {}).items(), key=lambda item: (-item[1], item[0])))
    return {
        "step": step,
        "unit": flow.get("unit", "rows"),
        "rows_in": flow.get("rows_in"),
        "rows_kept": flow.get("rows_kept"),
        "rejected": rejected,
        "tables": artifact.manifest.get("rows") or {},
        "facts": facts(artifact) or {},
    }


def lineage_row(step: str, artifact: Artifact) -> dict[str, Any]:
    """Who an artifact is: identity, content, inputs, settings."""
    manifest = artifact.manifest
    keys = ("id", "stage", "version", "digest", "inputs", "config")
    return {"step": step} | {key: manifest.get(key) for key in keys}


def facts(artifact: Artifact | None) -> dict[str, Any] | None:
    """The small facts that a stage recorded."""
    return None if artifact is None else artifact.manifest.get("facts") or {}


def quality(artifact: Artifact | None) -> dict[str, Any] | None:
    """Histogram of predicted quality, the threshold, and how well the judge agrees with the teacher beside its baselines."""
    if artifact is None:
        return None
    recorded = _json(artifact, "quality") or {}
    found: dict[str, Any] = {
        "threshold": _first_number(recorded, "threshold"),
        "auc": auc_rows(recorded),
        "recorded": recorded,
    }
    values = _numbers(_table(artifact, "scores"), ("quality", "score", "probability"))
    if values is not None and len(values):
        low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
        counts, edges = np.histogram(values, bins=BINS, range=(low, high))
        found |= {"edges": [round(float(edge), 6) for edge in edges], "counts": counts.tolist()}
    return found if recorded or "counts" in found else None


def auc_rows(recorded: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """Every area under a ROC curve in a nested record, by the name of what it judges."""
    rows: list[dict[str, Any]] = []
    for key, value in recorded.items():
        label = f"{prefix} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            rows += auc_rows(value, label)
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and "auc" in label.lower().split():
            rows.append({"name": label, "auc": float(value)})
    return rows


def pages(artifact: Artifact | None) -> dict[str, Any] | None:
    """Textbook pages by writer."""
    table = _table(artifact, "pages")
    if table is None:
        return None
    return {"count": table.num_rows, "writers": _counts(table, "writer"), "topics": len(_counts(table, "topic"))}


def exercises(artifact: Artifact | None) -> dict[str, Any] | None:
    """Exercises by writer, split and family."""
    table = _table(artifact, "exercises")
    if table is None:
        return None
    verified = int(pc.sum(pc.cast(table["verified"], pa.int64())).as_py() or 0)
    return {
        "count": table.num_rows,
        "verified": verified,
        "writers": _counts(table, "writer"),
        "splits": _counts(table, "split"),
        "families": len(_counts(table, "family")),
    }


def contamination(artifact: Artifact | None, cap: int) -> dict[str, Any] | None:
    """Matches with the benchmarks: counts, and the strongest of each detector with both sides."""
    table = _table(artifact, "matches")
    if artifact is None or table is None:
        return None
    rows = table.to_pylist()
    groups = Counter((row["detector"], row["kind"], row["removed"]) for row in rows)
    shown: list[dict[str, Any]] = []
    for detector in sorted({row["detector"] for row in rows}):
        own = [row for row in rows if row["detector"] == detector]
        sign = 1 if detector == "embedding" else -1  # a distance: less is nearer
        own.sort(key=lambda row: (sign * row["score"], row["benchmark"], row["task_id"], row["document_id"]))
        shown += _one_per_task(own)[:cap]
    return {
        "matches": len(rows),
        "groups": [
            {"detector": detector, "kind": kind, "removed": removed, "matches": count}
            for (detector, kind, removed), count in sorted(groups.items())
        ],
        "shown": shown,
        "facts": facts(artifact),
    }


def curve(artifact: Artifact) -> list[dict[str, Any]] | None:
    """Loss by step, thinned to a size that a chart can show; training and validation apart."""
    rows = _metrics(artifact)
    found: list[dict[str, Any]] = []
    for series, keys in (
        ("training", ("loss", "train_loss", "training_loss")),
        ("validation", ("validation_loss", "val_loss")),
    ):
        points = []
        for row in rows:
            value = next((row[key] for key in keys if isinstance(row.get(key), (int, float))), None)
            if value is not None and np.isfinite(value) and isinstance(row.get("step"), int):
                points.append({"step": row["step"], "loss": round(float(value), 5), "series": series})
        found += _thin(points)
    return found or None


def samples(artifact: Artifact | None, cap: int) -> list[dict[str, Any]]:
    """Completions to read: of each model, benchmark and verdict in turn, the first ones."""
    table = _table(artifact, "completions")
    if table is None:
        return []
    ranked: list[tuple[int, int, dict[str, Any]]] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for order, row in enumerate(table.to_pylist()):
        key = (row["model"], row["benchmark"], row["verdict"])
        ranked.append((seen[key], order, row))
        seen[key] += 1
    ranked.sort(key=lambda entry: (entry[0], entry[1]))
    return [row for _, _, row in ranked[:cap]]


def _one_per_task(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        best.setdefault((row["benchmark"], row["task_id"]), row)
    return list(best.values())


def _metrics(artifact: Artifact) -> list[dict[str, Any]]:
    table = _table(artifact, "metrics")
    if table is not None:
        return table.to_pylist()
    for path in sorted(artifact.folder.glob("metrics*.jsonl")):
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    recorded = _json(artifact, "metrics")
    return [row for row in recorded if isinstance(row, dict)] if isinstance(recorded, list) else []


def _thin(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(points) <= POINTS_PER_CURVE:
        return points
    places = np.unique(np.linspace(0, len(points) - 1, POINTS_PER_CURVE).round().astype(int))
    return [points[place] for place in places]


def _json(artifact: Artifact | None, name: str) -> Any:
    return None if artifact is None or not (artifact.folder / f"{name}.json").exists() else artifact.json(name)


def _table(artifact: Artifact | None, name: str) -> pa.Table | None:
    return None if artifact is None or not artifact.parts(name) else artifact.table(name)


def _counts(table: pa.Table, column: str) -> dict[str, int]:
    return dict(sorted(Counter(table[column].to_pylist()).items(), key=lambda item: (-item[1], str(item[0]))))


def _numbers(table: pa.Table | None, names: Sequence[str]) -> np.ndarray | None:
    for name in names:
        if table is not None and name in table.column_names:
            return np.asarray(table[name].drop_null().to_pylist(), dtype=np.float64)
    return None


def _first_number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
