"""What the report says in words and single figures: tiles, sentences, labels, and numbers as people read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

WRITERS = {
    "grammar": "by rule (the grammar), no language model",
    "recorded": "a language model, recorded and shipped with the package",
}
"""How the writers of synthetic text are called; any other name is a teacher's."""


BENCHMARKS = {"humaneval": "HumanEval", "heldout": "held-out families of exercises", "mbpp": "MBPP"}
"""How benchmarks are called on the page; any other keeps its name."""


def tiles(facts: Mapping[str, Any], seconds: Mapping[str, float]) -> list[dict[str, str]]:
    """The figures that a reader looks for first: a value, what it is, and what belongs beside it."""
    found = []
    flows = {row["step"]: row for row in facts["flow"]}
    if "read" in flows and "curate" in flows:
        read = flows["read"]
        found.append(
            _tile(
                number(flows["curate"]["rows_kept"]),
                "documents of real code kept",
                f"of {number(read['rows_in'])} found",
            )
        )
    if facts["pages"] and facts["exercises"]:
        verified = facts["exercises"]["verified"] == facts["exercises"]["count"]
        found.append(
            _tile(number(facts["pages"]["count"]), "textbook pages", f"{number(facts['pages']['topics'])} topics")
        )
        note = (
            "each passes its own tests"
            if verified
            else f"{number(facts['exercises']['verified'])} pass their own tests"
        )
        found.append(_tile(number(facts["exercises"]["count"]), "exercises", note))
    if facts["contamination"]:
        removed = sum(row["matches"] for row in facts["contamination"]["groups"] if row["removed"])
        found.append(_tile(number(removed), "matches with benchmarks removed", "before any training"))
    if facts["model"]:
        read_tokens = facts["model"]["tokens"]
        note = "" if read_tokens is None else f"{short(read_tokens)} tokens read"
        found.append(_tile(short(facts["model"]["parameters"]), "parameters", note))
    selection = facts["selection"] or {}
    found += [
        _tile(
            f"{row['solved']} of {row['problems']}",
            "validation exercises solved",
            "no training exercise has their topics; used to choose",
        )
        for row in selection.get("checkpoints", [])
        if row["step"] == selection["step"] and row["solved"] is not None
    ]
    for row in score_rows(facts["scores"]):
        if row["model"] == "best":
            interval = f"{percent(row['low'])} to {percent(row['high'])} (95 %)"
            found.append(_tile(percent(row["pass_at_1"]), f"pass@1, {benchmark_label(row['benchmark'])}", interval))
    return [*found, cost(facts["flow"], seconds)] if seconds else found


def cost(flow: Sequence[Mapping[str, Any]], seconds: Mapping[str, float]) -> dict[str, str]:
    """What the teacher was paid, as the steps recorded it, and the time of all steps together."""
    dollars = sum(row["facts"].get("dollars") or 0.0 for row in flow)
    took = f"{duration(sum(seconds.values()))} in all, the sum of the steps"
    if not dollars:
        return _tile("$0", "no teacher was paid", took)
    return _tile(f"${dollars:,.2f}" if dollars >= 0.01 else "less than $0.01", "paid to the teacher", took)


def _tile(value: str, label: str, note: str) -> dict[str, str]:
    return {"value": value, "label": label, "note": note}


def in_words(facts: Mapping[str, Any]) -> list[str]:
    """What was shown and what was not, in sentences."""
    return [*filter_in_words(facts["quality"]), *scores_in_words(facts["scores"])]


def filter_in_words(quality: Mapping[str, Any] | None) -> list[str]:
    """Whether the filter learnt more than its baselines did, as `curate` found it."""
    return list(quality["recorded"].get("in_words", [])) if quality else []


def scores_in_words(scores: Mapping[str, Any] | None) -> list[str]:
    """What finetuning did to each benchmark, by bits per byte and by problems solved."""
    if not scores or not {"base", "best"} <= set(scores["models"]):
        return []
    lines = []
    for benchmark, best in scores["models"]["best"].items():
        base = scores["models"]["base"].get(benchmark)
        if base is None:
            continue
        before, after = (percent(score["pass_at_k"].get("1")) for score in (base, best))
        line = f"On {benchmark_label(benchmark)} finetuning moved pass@1 from {before} to {after}"
        if base["bits_per_byte"] is not None and best["bits_per_byte"] is not None:
            change = "down" if best["bits_per_byte"] < base["bits_per_byte"] else "up"
            line += (
                f" and took the bits that a byte of the reference solutions costs {change}, from {base['bits_per_byte']:.2f} "
                f"to {best['bits_per_byte']:.2f}"
            )
        lines.append(f"{line}; {percent(best['syntax_valid'], 0)} of its completions parse.")
    return lines


def score_rows(scores: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One row for each benchmark and model."""
    if not scores:
        return []
    return [
        {"model": model, "benchmark": benchmark, "pass_at_1": score["pass_at_k"].get("1", 0.0)} | score
        for model, benchmarks in scores["models"].items()
        for benchmark, score in benchmarks.items()
    ]


def benchmark_label(name: str) -> str:
    """A benchmark's name as people write it."""
    return BENCHMARKS.get(name, name)


def short(value: float | None) -> str:
    """A large count to two or three digits: 2.6M, 1.4B."""
    if value is None:
        return "not known"
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}" if value >= 100 * size else f"{value / size:.2g}{unit}"
    return f"{value:g}"


def flop_rate(value: float) -> str:
    """Floating-point operations a second, to three digits."""
    sizes = (("PFLOP/s", 1e15), ("TFLOP/s", 1e12), ("GFLOP/s", 1e9))
    unit, size = next((one for one in sizes if value >= one[1]), ("MFLOP/s", 1e6))
    return f"{value / size:.3g} {unit}"


def utilisation(speed: Mapping[str, Any]) -> str:
    """What a training's arithmetic comes to, and its share of what the machine can do, as a sentence without its end."""
    if not speed["flops"]:
        return ""
    told = f"{flop_rate(speed['flops'])} of the model's own arithmetic"
    machine = speed["machine"]
    if machine is None:
        return f"{told}, of an unknown peak"
    kind = "the maker's peak" if machine["peak_is"] == "published" else "the peak measured with matrix products"
    where = f"({machine['name']}, {machine['precision']}: {flop_rate(machine['peak_flop_per_second'])})"
    return f"{told}: {percent(speed['flops'] / machine['peak_flop_per_second'])} of {kind} {where}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as per cent."""
    return "not known" if share is None else f"{100 * share:.{digits}f} %"


def number(value: float | None) -> str:
    """A count with thousands told apart; other numbers to four digits."""
    if value is None:
        return "not known"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them."""
    if seconds is None:
        return "not known"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def writer_label(writer: str) -> str:
    """Who wrote a synthetic text, said honestly."""
    return WRITERS.get(writer, f"the teacher {writer}")


def settings_text(config: Any) -> str:
    """Settings as readable JSON."""
    return json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False)
