"""A run as tables of text: what `report --format md` prints, for a pull request or a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codetextbook.charts import tables, words
from codetextbook.charts.page import TRAININGS, speeds
from codetextbook.charts.tables import Table
from codetextbook.charts.words import number, percent


def markdown(facts: Mapping[str, Any], *, title: str, timing: Mapping[str, Any]) -> str:
    """The facts of a run as Markdown; `timing` as for the page."""
    return tables.markdown(title, words.in_words(facts), every(facts, timing))


def every(facts: Mapping[str, Any], timing: Mapping[str, Any]) -> list[Table]:
    """Every table that there is data for."""
    tiles = words.tiles(facts, timing["seconds"])
    found = [
        Table("What was made", "", ("", "what", ""), [(tile["value"], tile["label"], tile["note"]) for tile in tiles]),
        flow(facts["flow"], timing["seconds"]),
        agreement(facts["quality"]),
        writers(facts),
        contamination(facts["contamination"]),
        training(facts, timing),
        scores(facts["scores"]),
        paper(facts["paper"]),
        lineage(facts["lineage"]),
    ]
    return [table for table in found if table.rows]


def flow(rows: Sequence[Mapping[str, Any]], seconds: Mapping[str, float]) -> Table:
    """Rows of each step, and every reason."""
    return Table(
        "Data flow",
        "Rows in are rows kept plus rows rejected.",
        ("step", "in", "kept", "unit", "rejected, by reason", "time"),
        [
            (
                row["step"],
                number(row["rows_in"]),
                number(row["rows_kept"]),
                row["unit"],
                ", ".join(f"{reason.replace('_', ' ')} {number(count)}" for reason, count in row["rejected"].items()),
                words.duration(seconds.get(row["step"])),
            )
            for row in rows
        ],
    )


def agreement(quality: Mapping[str, Any] | None) -> Table:
    """The filter beside its baselines."""
    return Table(
        "Does the filter agree with the teacher?",
        "Area under the ROC curve on packages that a judge has not seen: 0.5 is chance, 1 is full agreement.",
        ("judge", "AUC", "95 % interval", "average precision", "F1"),
        [
            (
                row["judge"],
                f"{row['auc']:.3f}",
                f"{row['low']:.3f} to {row['high']:.3f}",
                f"{row['average_precision']:.3f}",
                f"{row['f1']:.3f}",
            )
            for row in (quality["agreement"] if quality else [])
        ],
    )


def writers(facts: Mapping[str, Any]) -> Table:
    """Who wrote what was trained on."""
    parts = (("textbook pages", facts["pages"]), ("exercises", facts["exercises"]))
    return Table(
        "Textbooks and exercises",
        "After decontamination.",
        ("what", "written by", "count"),
        [
            (name, words.writer_label(writer), number(count))
            for name, part in parts
            if part
            for writer, count in part["writers"].items()
        ],
    )


def contamination(found: Mapping[str, Any] | None) -> Table:
    """Matches with the benchmarks."""
    return Table(
        "Contamination",
        "Matches with benchmarks, some of them false alarms.",
        ("detector", "in", "what was done", "matches"),
        [
            (
                row["detector"].replace("_", " "),
                f"{row['kind']}s",
                "removed" if row["removed"] else "kept, reported",
                number(row["matches"]),
            )
            for row in (found["groups"] if found else [])
        ],
    )


def training(facts: Mapping[str, Any], timing: Mapping[str, Any]) -> Table:
    """Where each training ended."""
    speed = speeds(facts, timing)
    rows = []
    for step, heading in TRAININGS.items():
        last = {row["series"]: row for row in facts["training"].get(step) or []}
        if last:
            rows.append(
                (
                    heading,
                    number(last["training"]["step"]) if "training" in last else "",
                    *(f"{last[name]['value']:.4f}" if name in last else "" for name in ("training", "validation")),
                    number(speed[step]["tokens"]) if step in speed else "",
                )
            )
    head = ("training", "steps", "loss, nats per token", "validation loss", "tokens a second, median")
    return Table("Training", "", head, rows)


def scores(found: Mapping[str, Any] | None) -> Table:
    """Scores with their intervals."""
    return Table(
        "Scores",
        f"Protocol `{found['protocol_digest']}`; intervals of 95 %." if found else "",
        ("benchmark", "model", "pass@1", "95 % interval", "problems", "valid syntax", "bits per byte", "verdicts"),
        [
            (
                words.benchmark_label(row["benchmark"]),
                row["model"],
                percent(row["pass_at_1"]),
                f"{percent(row['low'])} to {percent(row['high'])}",
                number(row["problems"]),
                percent(row["syntax_valid"]),
                "not known" if row["bits_per_byte"] is None else f"{row['bits_per_byte']:.3f}",
                ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in row["verdicts"].items() if count),
            )
            for row in words.score_rows(found)
        ],
    )


def paper(told: Mapping[str, Any]) -> Table:
    """The paper's figures, apart."""
    return Table(
        "The paper's figures",
        told["sentence"],
        ("paper's model", "HumanEval pass@1", "MBPP pass@1"),
        [
            (row["model"], f"{row['humaneval']} %", "not given" if row["mbpp"] is None else f"{row['mbpp']} %")
            for row in told["rows"]
        ],
    )


def lineage(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Ids and digests."""
    return Table(
        "Lineage",
        "Every artifact by its id (stage, version, settings, inputs) and the digest of its content.",
        ("step", "id", "content"),
        [(row["step"], row["id"], row["digest"]) for row in rows],
    )
