"""Textbook pages: prose interleaved with code, recorded, written by rule, and by a teacher if one is given (paper §2.2).

The paper had GPT-3.5 write under 1B tokens, made diverse by constraints on topic and audience; its prompts and topics are not published.
Ours are in `data/curriculum.toml` and `teacher/prompts/textbook.md`; random words that a page must use are an idea that the paper takes
from TinyStories. The recorded pages were written once by a large model and ship with the package; the grammar's are a rule's work.

The paper ran no code. Here every block of a recorded or a teacher's page runs in the sandbox, in order, in one namespace, and what the page
says that it prints is compared with what it prints; a page that is wrong anywhere is rejected whole. The grammar's pages take their output
from running their code; a seeded sample of them is run again, and one wrong page fails the stage. Limit: prose is not checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from pydantic import Field

from codetextbook.config import Config
from codetextbook.errors import ConfigError, StageFailed
from codetextbook.grammar import write_pages
from codetextbook.nouns import PAGE, REJECTED, document_id
from codetextbook.sandbox import Sandbox
from codetextbook.shards import newest, split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.teacher import (
    Connected,
    Failure,
    Message,
    Reply,
    Request,
    Teacher,
    ask_all,
    connect_ahead,
    dollars_of,
)
from codetextbook.teacher.assigning import Cells, cell, words_of
from codetextbook.teacher.checking import Refusal, echo, page_refusal
from codetextbook.teacher.estimate import Asking, evenly
from codetextbook.teacher.pages import recorded_rows
from codetextbook.teacher.rewriting import rewrite
from codetextbook.text.diversity import Gauge

Row = dict[str, Any]

_FREE = "Write one section of a Python textbook, in Markdown, with blocks of Python whose output is stated.\n"
"""The prompt without any constraint: what the constraints are measured against."""
_REPAIR = (
    "This section cannot be used: {reason} ({detail}).\n\n"
    "Reply with the whole section again, corrected, and with nothing else. The first rules hold as before."
)
PAGES_PER_PART = 200
_CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Textbook(Config):
    """Who writes how many pages."""

    recorded: bool = True
    """Whether the shipped, recorded pages are taken in."""
    count: int = Field(default=2_000, ge=0)
    """Pages that the grammar writes (ours)."""
    families: tuple[str, ...] = ()
    """Families of the grammar that its pages teach; empty is all (ours)."""
    teacher_pages: int = Field(default=0, ge=0)
    """Pages that the site's teacher is asked for (paper §2.2: under 1B tokens, by GPT-3.5)."""
    rewritten: int = Field(default=0, ge=0)
    """Curated files that the teacher writes anew, for style and to stand alone (after the paper: SwallowCode)."""
    model: str = ""
    """The teacher's model; empty takes the site's. Named here it is part of the pages' identity."""
    temperature: float = Field(default=0.8, ge=0.0, le=2.0)
    """The teacher's sampling temperature (ours)."""
    max_reply_tokens: int = Field(default=1_500, ge=100)
    """Tokens that one page may take (ours: 450 words with code)."""
    constrained: bool = True
    """Whether the teacher is told topic, audience, style and words; without, one sees what they are good for (paper §2.2)."""
    repairs: bool = True
    """Whether the teacher may mend a page that is wrong, once, with the error before it."""
    cell_patience: int = Field(default=8, ge=0)
    """Repetitions after which a topic with fewer new pages than repetitions is not asked again; 0 is never (ours)."""
    words_per_page: int = Field(default=3, ge=0, le=20)
    """Random words that a teacher's page must combine (TinyStories: three)."""
    max_characters: int = Field(default=20_000, ge=100)
    """Longest page; what prints more teaches less (ours)."""
    audit_share: float = Field(default=0.02, ge=0.0, le=1.0)
    """Share of the grammar's pages that the sandbox runs again."""
    cpu_seconds: float = Field(default=5.0, gt=0)
    """CPU time of one page in the sandbox."""
    measured: int = Field(default=2_000, ge=0)
    """Pages of each writer whose diversity is measured (ours)."""
    spread_over: int = Field(default=0, ge=0)
    """Pages of each writer whose vectors are compared, in each manifest's `diversity`; 0 leaves it out (ours: 256 take some 10 s)."""
    max_rejected_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of rejected pages above which the stage fails."""
    seed: int = Field(default=0, ge=0)
    """Seed of what is written, of the topics, and of the audit."""


class Batch(NamedTuple):
    """Where the rows of one part come from: `recorded`, `grammar`, `teacher` or `rewritten`."""

    writer: str
    rows: range


class Drafts(NamedTuple):
    """Pages that nothing has run yet, each with why it cannot be kept, if so; and what the teacher was paid for them."""

    rows: list[tuple[Row, Refusal | None]]
    dollars: float = 0.0
    ran: bool = False
    """Whether the sandbox has run those that are not refused."""
    repaired: int = 0
    """Pages that the teacher's second try made right."""


def batches(num_recorded: int, cfg: Textbook) -> list[Batch]:
    """The parts of the stage, in order."""
    wanted = {"recorded": num_recorded, "grammar": cfg.count, "teacher": cfg.teacher_pages}
    wanted |= {"rewritten": cfg.rewritten}
    made = [
        Batch(writer, part) for writer, number in wanted.items() if number for part in split(number, PAGES_PER_PART)
    ]
    return made or [Batch("recorded", range(0))]


def assignment(index: int, curriculum: dict[str, Any], cfg: Textbook) -> Row:
    """Topic, audience, style and words of the teacher's page number `index`; a function of the seed and the number alone."""
    chosen = cell(index, curriculum, cfg.seed)
    topic = curriculum["topics"][chosen.topic]
    known = ", ".join(curriculum["topics"][need]["title"] for need in topic["needs"])
    return {
        "key": chosen.topic,
        "audience_key": chosen.audience,
        "topic": topic["title"],
        "area": curriculum["areas"][topic["area"]],
        "audience": curriculum["audiences"][chosen.audience],
        "known": known or "nothing yet",
        "style": curriculum["styles"][chosen.style],
        "words": words_of(curriculum, f"{cfg.seed}/page/{index}", cfg.words_per_page),
    }


def request_for(given: Row, template: str, index: int, cfg: Textbook) -> Request:
    """What the teacher is sent for one page."""
    if not cfg.constrained:
        template = _FREE
    text = template.format(**{**given, "words": ", ".join(given["words"])})
    return Request((Message("user", text),), cfg.temperature, cfg.max_reply_tokens, sample=index)


def from_reply(given: Row, reply: Reply | Failure, index: int, constrained: bool = True) -> tuple[Row, Refusal | None]:
    """A row, and why it cannot be a page, if so."""
    text = reply.text.strip() + "\n" if isinstance(reply, Reply) else ""
    writer = reply.model if isinstance(reply, Reply) else ""
    row = {"id": document_id(text if text.strip() else f"teacher page {index}"), "text": text, "writer": writer}
    row |= {"topic": given["key"], "audience": given["audience_key"], "words": given["words"]}
    if isinstance(reply, Failure):
        return row, Refusal(reply.reason, reply.detail)
    if reply.finish_reason == "length":
        return row, Refusal("cut_off", f"after {reply.output_tokens} tokens")
    if repeated := echo(text, _prompt()[0], _REPAIR):
        return row, repeated
    missing = [word for word in given["words"] if constrained and word.lower()[:4] not in text.lower()]
    if missing:
        return row, Refusal("words_missing", ", ".join(missing))
    return row, None


def audited(row: Row, cfg: Textbook) -> bool:
    """Whether one of the grammar's pages is in the sample that the sandbox runs again."""
    return int(hashlib.sha256(f"{cfg.seed}/audit/{row['id']}".encode()).hexdigest()[:8], 16) < cfg.audit_share * 2**32


@stage(version=3)
def textbook(cfg: Textbook, *corpus: Artifact, out: Writer, site: Site) -> None:
    """Take in, write, run and keep pages, part by part. The corpus, curated files, is read only where files are to be rewritten."""
    files = _files(corpus, cfg)
    recorded = recorded_rows() if cfg.recorded else []
    parts = batches(len(recorded), cfg)
    total = sum(len(batch.rows) for batch in parts)
    seen: set[str] = set()
    cells = Cells(cfg.cell_patience)
    done = 0
    missing = [batch for index, batch in enumerate(parts) if not out.has(f"pages-{index:05d}")]
    with (
        _teacher(missing, cfg, out, site) as teacher,
        site.open_sandbox(cpu_seconds=cfg.cpu_seconds) as sandbox,
    ):
        for index, batch in enumerate(parts):
            if not out.has(f"pages-{index:05d}"):
                drafts = _drafts(batch, recorded, cfg, teacher, cells.closed)
                if batch.writer == "rewritten" and teacher is not None:
                    drafts = _rewritten(batch, files, teacher, sandbox, cfg)
                    out.json(f"bill-{index:05d}", {"dollars": drafts.dollars, "repaired": 0})
                if batch.writer == "teacher" and teacher is not None:
                    drafts = mended(drafts, batch.rows, teacher, sandbox, cfg)
                    out.json(f"bill-{index:05d}", {"dollars": drafts.dollars, "repaired": drafts.repaired})
                _write(index, drafts, cfg, seen, sandbox, out)
            seen.update(_marks(Artifact(out.folder).parts("pages")[index], cells))
            cells.repeated(_repeated(Artifact(out.folder).parts("rejected")[index]))
            done += len(batch.rows)
            facts = teacher.facts() if teacher is not None else {}
            out.progress(
                done, total, "pages", **facts | {"sample": newest(Artifact(out.folder).parts("pages")[index], "text")}
            )
    _tell(cfg, total, site, out)
    out.flow(rows_in=total, unit="pages", kept="pages")


def _files(corpus: Sequence[Artifact], cfg: Textbook) -> list[str]:
    """The curated files to be rewritten, those with the smallest digests.

    Raises:
        ConfigError: files are to be rewritten, and none are given.
        StageFailed: there are too few.
    """
    if not cfg.rewritten:
        return []
    if not corpus:
        hint = "rewritten = 0, or give the stage the artifact of `curate`"
        raise ConfigError("no curated files to rewrite", where="[textbook] rewritten", hint=hint)
    table = corpus[0].table("documents")
    ranked = sorted(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))[: cfg.rewritten]
    if len(ranked) < cfg.rewritten:
        raise StageFailed(
            f"there are {len(ranked)} curated files", where="[textbook] rewritten", hint=f"{len(ranked)} at most"
        )
    return [text for _, text in ranked]


def _rewritten(batch: Batch, files: list[str], teacher: Teacher, sandbox: Sandbox, cfg: Textbook) -> Drafts:
    some = files[batch.rows.start : batch.rows.stop]
    first, words = batch.rows.start, cfg.max_reply_tokens
    made = rewrite(some, first, teacher, sandbox, temperature=cfg.temperature, max_tokens=words)
    return Drafts(made.rows, made.dollars, ran=True)


def _drafts(
    batch: Batch, recorded: list[Row], cfg: Textbook, teacher: Teacher | None, closed: Collection[str]
) -> Drafts:
    if batch.writer == "recorded":
        return Drafts([(row, None) for row in recorded[batch.rows.start : batch.rows.stop]])
    if batch.writer == "grammar":
        pages = write_pages(len(batch.rows), cfg.seed, families=cfg.families or None, start=batch.rows.start)
        return Drafts([(row, None) for row in pages])
    if batch.writer == "rewritten":
        return Drafts([])
    assert teacher is not None
    return asked(batch.rows, teacher, cfg, closed)


def _teacher(
    missing: Sequence[Batch], cfg: Textbook, out: Writer, site: Site
) -> contextlib.AbstractContextManager[Connected | None]:
    """The site's teacher, once all its pages that are missing are in the journal; nobody where none is wanted."""
    wanted = [batch for batch in missing if batch.writer == "teacher"]
    if not wanted and not any(batch.writer == "rewritten" for batch in missing):
        return contextlib.nullcontext()
    # Replies that come in batches take a day: all are asked for at once. Else part by part, so that a closed topic costs nothing.
    first = wanted if site.teacher.kind == "batch" or not cfg.cell_patience else wanted[:1]
    numbers = [number for batch in first for number in batch.rows]
    requests = (request for _, request in assigned(numbers, cfg))
    tell = partial(out.progress, total=len(numbers), unit="replies")
    return connect_ahead(site.teacher, out.journal, requests, model=cfg.model, tell=tell)


def assigned(numbers: Iterable[int], cfg: Textbook) -> Iterator[tuple[Row, Request]]:
    """What the teacher's pages are to be about, each with what is sent."""
    template, curriculum = _prompt()
    for number in numbers:
        given = assignment(number, curriculum, cfg)
        yield given, request_for(given, template, number, cfg)


def asked(numbers: Sequence[int], teacher: Teacher, cfg: Textbook, closed: Collection[str] = ()) -> Drafts:
    """Pages of a language model, not yet run; topics that are closed are not asked for."""
    wanted = list(assigned(numbers, cfg))
    open_places = [place for place, (given, _) in enumerate(wanted) if given["key"] not in closed]
    replies: list[Reply | Failure] = [Failure("cell_exhausted", given["key"]) for given, _ in wanted]
    for place, reply in zip(open_places, ask_all(teacher, [wanted[place][1] for place in open_places]), strict=True):
        replies[place] = reply
    rows = [
        from_reply(given, reply, number, cfg.constrained)
        for (given, _), reply, number in zip(wanted, replies, numbers, strict=True)
    ]
    return Drafts(rows, dollars_of(replies))


def mended(drafts: Drafts, numbers: Sequence[int], teacher: Teacher, sandbox: Sandbox, cfg: Textbook) -> Drafts:
    """The pages, run; what is wrong is given back to the teacher once, with the error, and run again."""
    wanted = list(assigned(numbers, cfg))
    rows = [(row, why or page_refusal(row["text"], sandbox)) for row, why in drafts.rows]
    places = [place for place, (row, why) in enumerate(rows) if why is not None and cfg.repairs and row["writer"]]
    again = []
    for place in places:
        row, why = rows[place]
        assert why is not None
        words = _REPAIR.format(reason=why.reason, detail=why.detail[:600])
        again.append(wanted[place][1].followed_by(Message("assistant", row["text"]), Message("user", words)))
    replies = ask_all(teacher, again) if again else []
    repaired = 0
    for place, reply in zip(places, replies, strict=True):
        row, why = from_reply(wanted[place][0], reply, numbers[place], cfg.constrained)
        if isinstance(reply, Reply):
            rows[place] = row, why or page_refusal(row["text"], sandbox)
            repaired += rows[place][1] is None
    return Drafts(rows, drafts.dollars + dollars_of(replies), ran=True, repaired=repaired)


def example_request(cfg: Textbook) -> Request:
    """What would be sent for the first page."""
    return next(assigned([0], cfg))[1]


def asking(cfg: Textbook, *_: Artifact | None) -> Asking | None:
    """What the teacher would be asked, for a plan; answers are taken to be as long as the recorded pages."""
    numbers = evenly(cfg.teacher_pages)
    sizes = [len(row["text"].encode()) for row in recorded_rows()] if numbers else []
    requests = [request for _, request in assigned(numbers, cfg)]
    words = f"{len(requests)} of its prompts, and the {len(sizes)} recorded pages"
    return Asking(cfg.model, cfg.teacher_pages, requests, sizes, words) if numbers else None


@cache
def _prompt() -> tuple[str, dict[str, Any]]:
    """The template, and what it is filled from."""
    package = resources.files("codetextbook")
    template = (package / "teacher" / "prompts" / "textbook.md").read_text(encoding="utf-8")
    return template, tomllib.loads((package / "data" / "curriculum.toml").read_text(encoding="utf-8"))


def _write(
    index: int,
    drafts: Drafts,
    cfg: Textbook,
    seen: set[str],
    sandbox: Sandbox,
    out: Writer,
) -> None:
    """Check and write one part; the kept rows last, since their being there says that the part is done."""
    kept: dict[str, Row] = {}
    gone = []
    fresh: set[str] = set()
    for row, refusal in drafts.rows:
        mark = code_mark(row["text"])
        if refusal is None and (row["id"] in seen or row["id"] in kept):
            refusal = Refusal("duplicate", "the same text came before")
        if refusal is None and len(row["text"]) > cfg.max_characters:
            refusal = Refusal("too_long", f"{len(row['text']):,} characters")
        if refusal is None and (mark in seen or mark in fresh):
            refusal = Refusal("near_duplicate", row["topic"])
        by_rule = row["writer"] == "grammar"
        if refusal is None and not drafts.ran and (not by_rule or audited(row, cfg)):
            refusal = page_refusal(row["text"], sandbox)
            if refusal is not None and by_rule:
                raise StageFailed(
                    f"an audited page of the grammar is wrong ({refusal.reason}: {refusal.detail})",
                    where="textbook",
                    hint="this is a defect of the grammar: please report it",
                )
        if refusal is None:
            kept[row["id"]] = row
            fresh.add(mark)
        else:
            values = (row["id"], refusal.reason, refusal.detail, row["text"], row["writer"])
            gone.append(dict(zip(REJECTED.names, values, strict=True)))
    out.table("rejected", index, to_table(gone, REJECTED))
    out.table("pages", index, to_table(kept.values(), PAGE))


def code_mark(text: str) -> str:
    """Digest of a page's Python alone, without case and spacing: pages that show the same code repeat each other."""
    code = "".join("".join(_CODE.findall(text)).lower().split())
    return hashlib.sha256((code or text).encode("utf-8", "surrogatepass")).hexdigest()


def _marks(part: Path, cells: Cells) -> list[str]:
    """Ids of a part's pages, and the digests of their code; the cells hear of the topics."""
    rows = to_rows(pq.read_table(part, columns=["id", "text", "topic"], partitioning=None))
    cells.kept(row["topic"] for row in rows)
    return [mark for row in rows for mark in (row["id"], code_mark(row["text"]))]


def _repeated(part: Path) -> list[str]:
    """Topics of a part's pages that only repeated others."""
    rows = to_rows(pq.read_table(part, columns=["reason", "detail"], partitioning=None))
    return [row["detail"] for row in rows if row["reason"] == "near_duplicate"]


def _tell(cfg: Textbook, total: int, site: Site, out: Writer) -> None:
    """Facts for the manifest, from the parts, so that a resumed attempt has them too.

    Raises:
        StageFailed: no page is left, or too few.
    """
    pages = Artifact(out.folder).table("pages")
    rejected = total - pages.num_rows
    if total == 0 or pages.num_rows == 0:
        raise StageFailed("there are no pages", where="[textbook]", hint="recorded = true, or a count above 0")
    if rejected > cfg.max_rejected_share * total:
        reasons = Counter(Artifact(out.folder).table("rejected")["reason"].to_pylist()).most_common(3)
        raise StageFailed(
            f"{rejected:,} of {total:,} pages were rejected, more than {cfg.max_rejected_share:.0%}"
            f" ({', '.join(f'{reason} {number:,}' for reason, number in reasons)})",
            where="[textbook] max_rejected_share",
            hint=f"read the table `rejected` in {out.folder}",
        )
    bills = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.folder.glob("bill-*.json"))]
    out.fact("dollars", round(sum(bill["dollars"] for bill in bills), 6))
    out.fact("repaired", sum(bill["repaired"] for bill in bills))
    out.fact("writers", dict(Counter(pages["writer"].to_pylist())))
    gauge = Gauge(cfg.measured, cfg.spread_over)
    for row in to_rows(pages.select(["writer", "text", "topic"])):
        gauge.add(row["writer"], row["text"], row["topic"])
    out.fact("diversity", gauge.diversity())
    out.fact("imports", gauge.imports())
    out.fact(
        "audited",
        sum(audited(row, cfg) for row in to_rows(pages.select(["id", "writer"])) if row["writer"] == "grammar"),
    )
    out.fact("sandbox", site.sandbox)
