"""The report's facts, from the artifacts of a run: deterministic, small, and readable on their own as `report.json`.

Nothing is computed here that a stage has not recorded, but for counts. What a stage did not record is None, and the page says so: an
older artifact still gives a report. Times are left out (they are not facts of the run's content); the page takes them from the manifests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from codetextbook.charts import answers, written
from codetextbook.charts.syntax import syntax
from codetextbook.store import Artifact

BINS = 20
POINTS_PER_CURVE = 200
SPEED_POINTS = 50

PAPER_SCORES = (
    {"model": "phi-1 (1.3B)", "humaneval": 50.6, "mbpp": 55.5},
    {"model": "phi-1-base (1.3B, before the exercises)", "humaneval": 29.0, "mbpp": None},
    {"model": "phi-1-small (350M)", "humaneval": 45.0, "mbpp": None},
    {"model": "350M on unfiltered code", "humaneval": 12.19, "mbpp": None},
    {"model": "350M on filtered code", "humaneval": 17.68, "mbpp": None},
    {"model": "350M on filtered code and textbooks", "humaneval": 20.12, "mbpp": None},
)
"""Paper, §2.1, §3 and Fig 2.1; per cent, pass@1."""

CLUSTER_SHOWN = 5
"""Removed files of a group of duplicates that are named."""

NOT_COMPARABLE = (
    "The paper's figures are not comparable with this run's: its models are larger, trained on up to 50 billion tokens of other data, "
    "and its way of decoding is not published. They are shown to say where the method leads, not as a race."
)


def gather(artifacts: Mapping[str, Artifact], *, max_samples: int, max_matches: int) -> dict[str, Any]:
    """The facts of a run. `artifacts` by step name (`read`, `dedup`, ... `evaluate`); some may be missing."""
    get = artifacts.get
    scores = _json(get("evaluate"), "scores")
    answered = answers.completions(get("evaluate")) or []
    return {
        "flow": [flow_row(step, artifact) for step, artifact in artifacts.items()],
        "syntax": syntax(get("read")),
        "duplicates": duplicates(get("dedup")),
        "quality": quality(get("curate"), get("annotate")),
        "pages": written.pages(get("decontaminate") or get("textbook")),
        "exercises": written.exercises(get("decontaminate") or get("exercises")),
        "diversity": written.diversity({step: facts(get(step)) for step in ("textbook", "exercises")}),
        "contamination": contamination(get("decontaminate"), max_matches),
        "model": model(get("pretrain"), get("finetune")),
        "training": {step: curve(artifact) for step in ("pretrain", "finetune") if (artifact := get(step)) is not None},
        "selection": facts(get("select")),
        "scores": scores,
        "paper": {"rows": list(PAPER_SCORES), "sentence": NOT_COMPARABLE},
        "grid": answers.grid(answered),
        "samples": answers.samples(answered, max_samples),
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


def duplicates(artifact: Artifact | None) -> dict[str, Any] | None:
    """The largest groups of like files, each with the one that stayed and those that went, and the share that each source lost."""
    told = facts(artifact) or {}
    if artifact is None or "largest_clusters" not in told:
        return None
    keepers = {cluster["keeper"] for cluster in told["largest_clusters"]}
    removed: dict[str, list[tuple[str, str, str]]] = {}
    for part in artifact.parts("rejected"):
        for row in pq.read_table(part, columns=["keeper", "detail"], partitioning=None).to_pylist():
            if row["keeper"] in keepers:
                removed.setdefault(row["keeper"], []).append(row["detail"].rpartition(" is like "))
    clusters = []
    for cluster in told["largest_clusters"]:
        pairs = removed.get(cluster["keeper"])
        if pairs:
            gone = [path for path, _, _ in pairs]
            clusters.append(
                {
                    "documents": cluster["documents"],
                    "stayed": pairs[0][2],
                    "gone": gone[:CLUSTER_SHOWN],
                    "more": len(gone[CLUSTER_SHOWN:]),
                }
            )
    shares = {name: share for name, share in told["share_removed_by_source"].items() if share}
    ranked = dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
    return {"clusters": clusters, "shares": ranked, "untouched": len(told["share_removed_by_source"]) - len(ranked)}


def lineage_row(step: str, artifact: Artifact) -> dict[str, Any]:
    """Who an artifact is: identity, content, inputs, settings."""
    manifest = artifact.manifest
    keys = ("id", "stage", "version", "digest", "inputs", "config")
    return {"step": step} | {key: manifest.get(key) for key in keys}


def facts(artifact: Artifact | None) -> dict[str, Any] | None:
    """The small facts that a stage recorded."""
    return None if artifact is None else artifact.manifest.get("facts") or {}


def quality(artifact: Artifact | None, grades: Artifact | None = None) -> dict[str, Any] | None:
    """Histogram of predicted quality, the threshold, and how well the judge agrees with the teacher beside its baselines."""
    if artifact is None:
        return None
    recorded = _json(artifact, "quality") or {}
    found: dict[str, Any] = {
        "threshold": _first_number(recorded, "threshold"),
        "agreement": agreement_rows(recorded.get("agreement") or {}),
        "kept_curve": recorded.get("kept_curve") or [],
        "precision_recall": recorded.get("precision_recall") or [],
        "recorded": recorded,
        "judge": (_json(grades, "agreement") or {}).get("compared"),
    }
    scored = _table(artifact, "scores")
    if scored is not None and scored.num_rows:
        values = np.asarray(scored["quality"].to_pylist(), dtype=np.float64)
        low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
        counts, edges = np.histogram(values, bins=BINS, range=(low, high))
        found |= {"edges": [round(float(edge), 6) for edge in edges], "counts": counts.tolist()}
    return found if recorded or "counts" in found else None


JUDGES = {
    "forest": "the filter: a random forest on embeddings",
    "gradient_boosting": "gradient boosting on the same embeddings",
    "logistic_regression": "logistic regression on the same embeddings",
    "syntax_tree_facts": "a forest on facts of the syntax tree alone",
    "syntax_tree_rule": "a rule over the syntax tree",
    "comment_share_alone": "share of comments alone",
    "length_alone": "length alone",
    "shuffled_labels": "a forest taught shuffled labels (chance)",
}
"""Who judges quality, in words."""


def agreement_rows(recorded: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How well each judge of quality agrees with the teacher, best first."""
    rows = [
        {
            "judge": JUDGES.get(name, name.replace("_", " ")),
            "is_filter": name == "forest",
            "auc": figures["auc"],
            "low": figures["auc_interval"][0],
            "high": figures["auc_interval"][1],
            "average_precision": figures["average_precision"],
            "f1": figures["f1"],
        }
        for name, figures in recorded.items()
    ]
    return sorted(rows, key=lambda row: -row["auc"])


def model(base: Artifact | None, tuned: Artifact | None) -> dict[str, Any] | None:
    """How large the model is and how many tokens it has read."""
    if base is None:
        return None
    steps = [facts(artifact) or {} for artifact in (base, tuned) if artifact is not None]
    tokens = [found["tokens"] for found in steps if "tokens" in found]
    shape = (base.manifest.get("config") or {}).get("model") or {}
    return {"parameters": steps[0].get("parameters"), "tokens": sum(tokens) if tokens else None, "shape": shape}


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


SERIES = {
    "training": "loss",
    "validation": "validation_loss",
    "learning rate": "learning_rate",
    "gradient norm": "gradient_norm",
}
"""What is shown of a training, by the column that holds it."""


def curve(artifact: Artifact) -> list[dict[str, Any]] | None:
    """What a training recorded by step, each series thinned to a size that a chart can show."""
    rows = _metrics(artifact)
    found: list[dict[str, Any]] = []
    for series, key in SERIES.items():
        points = [
            {"step": row["step"], "value": float(f"{row[key]:.5g}"), "series": series}
            for row in rows
            if row.get(key) is not None and np.isfinite(row[key])
        ]
        found += _thin(points)
    return found or None


def timing(artifacts: Mapping[str, Artifact]) -> dict[str, Any]:
    """What no two runs have alike, for the page alone: seconds by step, and of the trainings tokens a second and the machine."""
    trained = {step: artifacts[step] for step in ("pretrain", "finetune") if step in artifacts}
    return {
        "seconds": {step: artifact.manifest["seconds"] for step, artifact in artifacts.items()},
        "speed": {step: found for step, artifact in trained.items() if (found := speed(artifact))},
        "machines": {step: _json(artifact, "machine") for step, artifact in trained.items()},
    }


def speed(artifact: Artifact) -> list[dict[str, Any]]:
    """Tokens a second between shown steps, from the log of times; a resumed training begins to count anew."""
    path = artifact.folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    timed = [
        row for line in lines if (row := json.loads(line)).get("seconds_since_start") is not None and "tokens" in row
    ]
    points = (
        [timed[place] for place in np.unique(np.linspace(0, len(timed) - 1, SPEED_POINTS).astype(int))] if timed else []
    )
    found = []
    for before, after in pairwise(points):
        seconds, tokens = (after[key] - before[key] for key in ("seconds_since_start", "tokens"))
        if seconds > 0 and tokens > 0:
            found.append({"step": after["step"], "value": round(tokens / seconds), "series": "tokens a second"})
    return found


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


def _first_number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
