"""Cards for a model and for a data set, from the manifests of a workspace: sources, licences, contamination, costs, scores, limits.

No number in a card is written by hand. The front matter is what the Hugging Face hub reads; each value is written as JSON, which YAML
includes, so that no name from outside can end its line. What was not recorded is said to be missing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from codetextbook.charts import summary, words
from codetextbook.charts.gather import contamination
from codetextbook.charts.tables import Table, sections
from codetextbook.charts.words import duration, number
from codetextbook.store import Artifact

LICENCES_SHOWN = 30
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
"""The hub's own classes of size, below each number of rows."""
HUB_DATASETS = {"humaneval": "openai/openai_humaneval", "mbpp": "google-research-datasets/mbpp"}
"""Where the hub keeps benchmarks; others are named as they are."""
LIMITS = (
    "It writes Python and nothing else; it was not taught to chat.",
    "It is weak at what its exercises do not hold: libraries that they do not import, long prompts, counting, space (so are the paper's).",
    "What it writes is to be read and tested before it is run. It was not made safe against misuse.",
    "What a rule wrote is simple and alike: scores on the held-out families say how well it learnt them, not how well it programs.",
)
UNKNOWN_LICENCE = (
    "Where a licence is unknown, none was found: find out whether such a text may be passed on before you publish it."
)


def front_matter(values: Mapping[str, Any]) -> list[str]:
    """Lines of YAML, each value as JSON."""
    return ["---", *(f"{key}: {json.dumps(value)}" for key, value in values.items()), "---", ""]


def model_card(
    name: str, sizes: Mapping[str, str], made_from: Mapping[str, Artifact], exam: Artifact | None, begin: str
) -> str:
    """A model's card. `made_from`: the artifacts that it descends from, by stage; `begin`: the token that every text began after."""
    scores = exam.json("scores") if exam else None
    values: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["code", "python", "phi", "codetextbook"],
    }
    if scores:
        values["model-index"] = [{"name": name, "results": results(scores)}]
    clean = made_from.get("decontaminate")
    tables = [Table("Sizes", "", ("", ""), list(sizes.items()))]
    tables += [summary.scores(scores)] if scores else []
    every = {**made_from, **({"evaluate": exam} if exam else {})}
    tables += [*_training(made_from), *_data(clean), *_contamination(clean), *_made_from(every)]
    lines = [
        *front_matter(values),
        f"# {name}",
        "",
        'A small code model of phi\'s architecture, made with codetextbook by the recipe of "Textbooks Are All You Need" '
        "(arXiv 2306.11644).",
        f"It completes Python. Every text it was trained on begins after `{begin}`: put that token before a prompt.",
        "",
        *_limits(),
    ]
    if not made_from:
        lines += ["It was not made in a workspace of codetextbook: what it was trained on is not known here.", ""]
    elif scores is None:
        lines += ["This model has not sat the exams.", ""]
    return "\n".join([*lines, *sections([table for table in tables if table.rows]), *_costs(every), ""])


def dataset_card(name: str, clean: Artifact, made_from: Mapping[str, Artifact]) -> str:
    """The card of what a model is trained on: the texts after decontamination, with all that they descend from."""
    rows = clean.manifest["rows"]
    kept = {table: rows[table] for table in ("documents", "pages", "exercises") if rows.get(table)}
    found = licences(clean)
    values: dict[str, Any] = {
        "language": ["en", "code"],
        "license": "other",
        "license_name": "several",
        "task_categories": ["text-generation"],
        "size_categories": [size_class(sum(kept.values()))],
        "tags": ["code", "python", "synthetic", "codetextbook"],
        "configs": [{"config_name": table, "data_files": f"{table}-*.parquet"} for table in kept],
    }
    tables = [
        Table("Rows", "", ("table", "rows"), [(table, number(count)) for table, count in kept.items()]),
        Table("Licences of the documents", UNKNOWN_LICENCE, ("licence", "documents"), _most(found)),
        *_data(clean),
        *_contamination(clean),
        *_made_from(made_from),
    ]
    lines = [
        *front_matter(values),
        f"# {name}",
        "",
        "Python code of educational value, textbook pages and exercises, made with codetextbook by the recipe of "
        '"Textbooks Are All You Need" (arXiv 2306.11644).',
        "",
        "`documents` are files as they were found, chosen by a filter; `pages` and `exercises` were written for this set, by whom the "
        "table below says. An exercise is a prompt, a solution and tests that the solution passes.",
        "",
    ]
    return "\n".join([*lines, *sections([table for table in tables if table.rows]), *_costs(made_from), ""])


def results(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Scores in the hub's form."""
    best = next(iter(scores["models"].values()))
    return [
        {
            "task": {"type": "text-generation"},
            "dataset": {"type": HUB_DATASETS.get(benchmark, benchmark), "name": words.benchmark_label(benchmark)},
            "metrics": [
                {
                    "type": f"pass@{k}",
                    "name": f"pass@{k}",
                    "value": round(share, 4),
                    "verified": False,
                }
                for k, share in one["pass_at_k"].items()
            ],
        }
        for benchmark, one in best.items()
    ]


def licences(clean: Artifact) -> dict[str, int]:
    """Documents by licence, the most first; what names none is called unknown."""
    return {name or "unknown": count for name, count in _column(clean, "documents", "licence").items()}


def size_class(rows: int) -> str:
    """The hub's class for a number of rows."""
    return next((name for below, name in SIZES if rows < below), "n>10M")


def _column(artifact: Artifact, table: str, column: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for part in artifact.parts(table):
        found.update(pq.read_table(part, columns=[column], partitioning=None)[column].to_pylist())
    return dict(sorted(found.items(), key=lambda item: (-item[1], str(item[0]))))


def _most(found: Mapping[str, int]) -> list[tuple[str, str]]:
    shown = [(name, number(count)) for name, count in list(found.items())[:LICENCES_SHOWN]]
    rest = sum(list(found.values())[LICENCES_SHOWN:])
    return shown + ([("others", number(rest))] if rest else [])


def _data(clean: Artifact | None) -> list[Table]:
    """Sources of the documents, writers of the rest."""
    if clean is None:
        return []
    written = [
        (table, words.writer_label(writer), number(count))
        for table in ("pages", "exercises")
        for writer, count in _column(clean, table, "writer").items()
    ]
    sources = _most(_column(clean, "documents", "source"))
    return [
        Table("Sources of the documents", "", ("source", "documents"), sources),
        Table("Who wrote the rest", "", ("table", "written by", "rows"), written),
    ]


def _contamination(clean: Artifact | None) -> list[Table]:
    found = contamination(clean, 0)
    note = "Matches with benchmarks, some of them false alarms; only what the detectors look for is found."
    return [summary.contamination(found)._replace(note=note)] if found else []


def _training(made_from: Mapping[str, Artifact]) -> list[Table]:
    rows = []
    for stage in ("pretrain", "finetune"):
        facts = made_from[stage].manifest["facts"] if stage in made_from else {}
        if facts:
            loss = facts.get("validation_loss")
            told = "not measured" if loss is None else f"{loss:.4f}"
            rows.append((stage, words.short(facts.get("tokens")), str(facts.get("epochs", "")), told))
    return [Table("Training", "", ("training", "tokens", "epochs", "validation loss, nats per token"), rows)]


def _made_from(made_from: Mapping[str, Artifact]) -> list[Table]:
    rows = []
    for artifact in made_from.values():
        flow = artifact.manifest["flow"]
        kept = f"{number(flow['rows_kept'])} of {number(flow['rows_in'])} {flow['unit']} kept"
        rows.append((artifact.stage, artifact.id, artifact.digest, kept))
    return [Table("Made from", "", ("stage", "id", "content", "rows"), rows)]


def _costs(every: Mapping[str, Artifact]) -> list[str]:
    if not every:
        return []
    dollars = sum(float(one.manifest["facts"].get("dollars", 0.0)) for one in every.values())
    seconds = sum(float(one.manifest["seconds"]) for one in every.values())
    told = f"Teachers were paid {dollars:.2f} dollars; the steps took {duration(seconds)} together. Energy was not measured."
    return ["## Costs", "", told, ""]


def _limits() -> list[str]:
    return ["## Limits", "", *(f"- {line}" for line in LIMITS), ""]
