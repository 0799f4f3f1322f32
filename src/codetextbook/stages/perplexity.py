"""What held-out texts cost a model, in bits per byte: the measure of small models, whose pass@1 lies at its floor (after the
paper: DataDecide, 2504.11393).

Four sets: HumanEval's reference solutions given their prompts; solutions of exercise families that no training split holds, given
theirs; documents that no arm was trained on and the filter would have kept; and any such documents, kept or not. Bits per byte, unlike
loss a token, compare across vocabularies. A model of better data should gain on the first and need not on the last: one that wins
everywhere shows that something else was measured. Limit: a right program that is written otherwise than the reference counts as costly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from pydantic import Field

from codetextbook.benchmarks.problems import HELDOUT, HUMANEVAL, from_exercises, load
from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import Problem
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer

TEXTS_PER_PART = 200
CURATED, RAW = "curated", "raw"

COST = pa.schema([("set", pa.string()), ("id", pa.string()), ("bits", pa.float64()), ("num_bytes", pa.int64())])
"""One text and what it costs the model."""


class Perplexity(Config):
    """Which texts are measured, and how much of them."""

    problems: int = Field(default=164, ge=1)
    """Solutions of HumanEval (it has 164) and of held-out families at most, these drawn evenly over the families (ours)."""
    documents: int = Field(default=100, ge=1)
    """Held-out documents of each kind at most (ours)."""
    max_characters: int = Field(default=2_000, ge=1)
    """Characters of a document that are measured, from its beginning (ours)."""


class Text(NamedTuple):
    """A text of a set, and what stands before it."""

    set: str
    id: str
    before: str
    text: str


def texts_of(cfg: Perplexity, heldout: Sequence[dict[str, Any]], exercises: pa.Table) -> list[Text]:
    """All texts, set by set. Held-out documents come in the order of their ids, which are digests: a fair draw."""
    families = from_exercises(exercises, split=HELDOUT, cap=cfg.problems)
    found = [*_solutions(HUMANEVAL, load([HUMANEVAL])[HUMANEVAL][: cfg.problems]), *_solutions(HELDOUT, families)]
    in_order = sorted(heldout, key=lambda row: row["id"])
    for name, rows in ((CURATED, [row for row in in_order if row["filtered"]]), (RAW, in_order)):
        found += [Text(name, row["id"], "", row["text"][: cfg.max_characters]) for row in rows[: cfg.documents]]
    return found


def _solutions(name: str, problems: Sequence[Problem]) -> Iterator[Text]:
    return (Text(name, problem.task_id, problem.prompt, problem.reference) for problem in problems)


@stage(version=1)
def perplexity(
    cfg: Perplexity, model: Artifact, heldout: Artifact, clean: Artifact, *, out: Writer, site: Site
) -> None:
    """Measure every text, part by part."""
    import torch

    from codetextbook.model.folder import load as load_model
    from codetextbook.model.generate import bits
    from codetextbook.text.embed import pick_device

    texts = texts_of(cfg, to_rows(heldout.table("heldout")), clean.table("exercises"))
    missing = {CURATED, RAW} - {text.set for text in texts}
    if missing:
        raise StageFailed(f"no held-out document is {min(missing)}", where="[ablate]", hint="a larger heldout_share")
    torch.set_num_threads(site.threads)
    loaded = load_model(model.file("model"), pick_device(site.device))
    for index, part in enumerate(split(len(texts), TEXTS_PER_PART)):
        if not out.has(f"costs-{index:05d}"):
            costs = [
                {
                    "set": text.set,
                    "id": text.id,
                    "bits": bits(loaded, text.before, text.text),
                    "num_bytes": len(text.text.encode()),
                }
                for text in texts[part.start : part.stop]
            ]
            out.table("costs", index, to_table(costs, COST))
        out.progress(part.stop, len(texts), "texts")
    rows = to_rows(Artifact(out.folder).table("costs"))
    for name in dict.fromkeys(text.set for text in texts):
        own = [row for row in rows if row["set"] == name]
        out.fact(f"{name}_bits_per_byte", sum(row["bits"] for row in own) / sum(row["num_bytes"] for row in own))
    out.flow(rows_in=len(texts), unit="texts", kept="costs", rejected={})
