"""The texts of one arm of an ablation: which clean documents, pages and exercises a model is trained on (paper §2, Fig 2.1).

`filtered` are the documents that `curate` kept; `raw` are all. The others are controls of the filter: documents drawn from all, blind to
quality, until they hold as many tokens as the filtered ones. `random` draws from the whole; `sources`, `length` and `comments` draw so that
each source, each doubling of length, or each tenth of comment share holds as many tokens as it holds of the filtered. A filter that has
learnt length alone is no better than `length`.

A drawn share of the documents is in no arm: the table `heldout`, the same for every arm, is what all are measured on. Limits: a stratum is
matched up to the last document that fits it; a source of which the filter kept almost all has almost only filtered documents to draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import compress
from random import Random
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field
from tokenizers import Tokenizer as Vocabulary

from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import DOCUMENT, EXERCISE, PAGE, REJECTED
from codetextbook.shards import share_of, split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.text.syntax_counts import counts

TEXTS_PER_BATCH = 1_000
ROWS_PER_PART = 5_000
GRAMMAR = "grammar"

Row = dict[str, Any]
Kind = Literal["raw", "filtered", "random", "sources", "length", "comments"]

HELDOUT_TEXT = pa.schema([("id", pa.string()), ("text", pa.string()), ("filtered", pa.bool_())])
"""A document that no arm is trained on, and whether the filter would have kept it."""


class Cohort(Config):
    """Which texts one arm is trained on."""

    documents: Kind = "filtered"
    """`filtered`: what `curate` kept; `raw`: everything; else a control with as many tokens, drawn blind to quality."""
    pages: bool = False
    """Whether textbook pages are among the texts (paper §2.3: CodeTextbook)."""
    pages_without: tuple[str, ...] = ()
    """Families of the grammar whose pages are left out: concepts that a textbook is silent on (paper §3)."""
    shuffled_solutions: bool = False
    """Whether there are exercises too, each of training with another one's solution: their form without their content (ours)."""
    heldout_share: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Share of the documents that no arm is trained on (ours)."""
    seed: int = Field(default=0, ge=0)
    """Seed of what is held out and of what is drawn."""


def stratum(kind: Kind) -> Callable[[Row], str]:
    """What a control is matched in."""
    if kind == "sources":
        return lambda row: str(row["source"])
    if kind == "length":
        return lambda row: str(len(row["text"]).bit_length())
    if kind == "comments":
        return lambda row: str(int(10 * counts(row["text"]).comment_share))
    return lambda row: ""


def matched(rows: Sequence[Row], tokens: Mapping[str, int], filtered: Collection[str], cfg: Cohort) -> set[str]:
    """Ids drawn blind to quality until each stratum holds about as many tokens as it holds of the filtered documents.

    A document that would overshoot is passed over if leaving it out comes nearer than taking it in.
    """
    key = stratum(cfg.documents)
    strata: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        strata[key(row)].append(row)
    chosen = set()
    for name in sorted(strata):
        lacking = sum(tokens[row["id"]] for row in strata[name] if row["id"] in filtered)
        for row in sorted(strata[name], key=lambda row: share_of(cfg.seed, "draw", row["id"])):
            size = tokens[row["id"]]
            if size <= 2 * lacking:
                chosen.add(row["id"])
                lacking -= size
    return chosen


def shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    """Each training exercise with the solution of another; the other splits as they are."""
    train = [place for place, row in enumerate(rows) if row["split"] == "train"]
    order = list(train)
    Random(seed).shuffle(order)
    made = [dict(row) for row in rows]
    for place, other in zip(order, order[1:] + order[:1], strict=True):
        made[place]["solution"] = rows[other]["solution"]
    return made


def count_tokens(texts: Sequence[str], vocabulary: Vocabulary) -> Iterator[int]:
    """Tokens of each text."""
    for part in split(len(texts), TEXTS_PER_BATCH):
        for encoding in vocabulary.encode_batch_fast(list(texts[part.start : part.stop])):
            yield len(encoding.ids)


@stage(version=1)
def cohort(cfg: Cohort, clean: Artifact, filtered: Artifact, vocab: Artifact, *, out: Writer, site: Site) -> None:
    """Hold out, choose, and say of each document that is not taken why."""
    documents = to_rows(clean.table("documents"))
    kept = set(filtered.table("documents")["id"].to_pylist())
    held = [row for row in documents if share_of(cfg.seed, "heldout", row["id"]) < cfg.heldout_share]
    gone = {row["id"] for row in held}
    offered = [row for row in documents if row["id"] not in gone]
    vocabulary = Vocabulary.from_file(str(vocab.file("tokenizer.json")))
    sizes = count_tokens([row["text"] for row in offered], vocabulary)
    tokens = dict(zip((row["id"] for row in offered), sizes, strict=True))
    wanted = kept & tokens.keys()
    if not wanted:
        raise StageFailed(
            "no filtered document is left to train on", where="[ablate]", hint="a larger corpus in [read]"
        )
    chosen = {"raw": set(tokens), "filtered": wanted}.get(cfg.documents)
    if chosen is None:
        chosen = matched(offered, tokens, wanted, cfg)
    taken = [row for row in offered if row["id"] in chosen]
    pages, silent = _pages(cfg, to_rows(clean.table("pages")))
    drills = shuffled(to_rows(clean.table("exercises")), cfg.seed) if cfg.shuffled_solutions else []
    _table("documents", taken, DOCUMENT, out)
    _table("pages", pages, PAGE, out)
    _table("exercises", drills, EXERCISE, out)
    shown = [{"id": row["id"], "text": row["text"], "filtered": row["id"] in kept} for row in held]
    _table("heldout", shown, HELDOUT_TEXT, out)
    left = [
        _rejection(row, "held_out" if row["id"] in gone else "not_of_this_arm")
        for row in documents
        if row["id"] not in chosen
    ]
    _table("rejected", [*left, *(_rejection(row, "not_of_this_arm") for row in silent)], REJECTED, out)
    out.fact("documents", len(taken))
    out.fact("tokens", sum(tokens[row["id"]] for row in taken))
    out.fact("tokens_filtered", sum(tokens[identity] for identity in wanted))
    out.fact(
        "share_also_filtered",
        round(sum(tokens[key] for key in chosen & wanted) / sum(tokens[key] for key in chosen), 4),
    )
    out.fact("pages", len(pages))
    out.fact("heldout", len(held))
    rows_in = len(documents) + len(pages) + len(silent) + len(drills)
    rows_kept = len(taken) + len(pages) + len(drills)
    out.flow(rows_in=rows_in, unit="texts", rows_kept=rows_kept)


def _pages(cfg: Cohort, pages: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Pages of this arm, and those that are not."""
    if not cfg.pages:
        return [], list(pages)
    silent = [row["writer"] == GRAMMAR and bool(set(row["words"]) & set(cfg.pages_without)) for row in pages]
    return [row for row, left_out in zip(pages, silent, strict=True) if not left_out], list(compress(pages, silent))


def _rejection(row: Row, reason: str) -> Row:
    """A row of the table `rejected`; its text stays with `clean`, since every arm leaves out thousands."""
    return {
        "id": row["id"],
        "reason": reason,
        "detail": "",
        "text": "",
        "source": row.get("source") or row.get("writer"),
    }


def _table(name: str, rows: Sequence[Row], schema: pa.Schema, out: Writer) -> None:
    for index, part in enumerate(split(len(rows), ROWS_PER_PART)):
        out.table(name, index, to_table(rows[part.start : part.stop], schema))
