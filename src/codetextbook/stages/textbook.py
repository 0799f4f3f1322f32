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
import random
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from pydantic import Field

from codetextbook.config import Config
from codetextbook.errors import InputError, SandboxError, StageFailed
from codetextbook.grammar import write_pages
from codetextbook.nouns import PAGE, REJECTED, document_id
from codetextbook.sandbox import Sandbox, Status
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.teacher import Failure, Message, Reply, Request, Teacher, ask_all, connect_ahead, dollars_of
from codetextbook.teacher.estimate import Asking, evenly
from codetextbook.teacher.pages import NotAPage, Piece, differs, pieces
from codetextbook.text.diversity import Gauge

Row = dict[str, Any]

PAGES_PER_PART = 200


class Textbook(Config):
    """Who writes how many pages."""

    recorded: bool = True
    """Whether the shipped, recorded pages are taken in."""
    count: int = Field(default=2_000, ge=0)
    """Pages that the grammar writes (ours)."""
    teacher_pages: int = Field(default=0, ge=0)
    """Pages that the site's teacher is asked for (paper §2.2: under 1B tokens, by GPT-3.5)."""
    model: str = ""
    """The teacher's model; empty takes the site's. Named here it is part of the pages' identity."""
    temperature: float = Field(default=0.8, ge=0.0, le=2.0)
    """The teacher's sampling temperature (ours)."""
    max_reply_tokens: int = Field(default=1_500, ge=100)
    """Tokens that one page may take (ours: 450 words with code)."""
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
    max_rejected_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of rejected pages above which the stage fails."""
    seed: int = Field(default=0, ge=0)
    """Seed of what is written, of the topics, and of the audit."""


class Batch(NamedTuple):
    """Where the rows of one part come from: `recorded`, `grammar` or `teacher`."""

    writer: str
    rows: range


class Refusal(NamedTuple):
    """Why a page is not kept."""

    reason: str
    detail: str


class Drafts(NamedTuple):
    """Pages that nothing has run yet, each with why it cannot be kept, if so; and what the teacher was paid for them."""

    rows: list[tuple[Row, Refusal | None]]
    dollars: float = 0.0


def recorded_rows() -> list[Row]:
    """The pages that ship with the package.

    Raises:
        InputError: they are not installed, or a line is not a page.
    """
    file = resources.files("codetextbook") / "data" / "pages.jsonl"
    if not file.is_file():
        raise InputError("the recorded pages are not part of this installation", where="data", hint="recorded = false")
    return parse_recorded(file.read_text(encoding="utf-8"))


def parse_recorded(text: str) -> list[Row]:
    """Rows of PAGE from JSON Lines.

    Raises:
        InputError: names the line that is not a page.
    """
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            named = {name: str(value[name]) for name in ("text", "topic", "audience")}
            words = [str(word) for word in value.get("words", [])]
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"not a page ({error})", where=f"data/pages.jsonl, line {number}") from None
        rows.append({"id": document_id(named["text"]), **named, "words": words, "writer": "recorded"})
    return rows


def batches(num_recorded: int, cfg: Textbook) -> list[Batch]:
    """The parts of the stage, in order."""
    wanted = {"recorded": num_recorded, "grammar": cfg.count, "teacher": cfg.teacher_pages}
    made = [
        Batch(writer, part) for writer, number in wanted.items() if number for part in split(number, PAGES_PER_PART)
    ]
    return made or [Batch("recorded", range(0))]


def assignment(index: int, curriculum: dict[str, Any], cfg: Textbook) -> Row:
    """Topic, audience, style and words of the teacher's page number `index`; a function of the seed and the number alone."""
    rng = random.Random(f"{cfg.seed}/page/{index}")
    key = rng.choice(sorted(curriculum["topics"]))
    topic = curriculum["topics"][key]
    audience = rng.choice(sorted(curriculum["audiences"]))
    style = rng.choice(sorted(curriculum["styles"]))
    pool = sorted({word for words in curriculum["words"].values() for word in words})
    known = ", ".join(curriculum["topics"][need]["title"] for need in topic["needs"])
    return {
        "key": key,
        "audience_key": audience,
        "topic": topic["title"],
        "area": curriculum["areas"][topic["area"]],
        "audience": curriculum["audiences"][audience],
        "known": known or "nothing yet",
        "style": curriculum["styles"][style],
        "words": rng.sample(pool, min(cfg.words_per_page, len(pool))),
    }


def request_for(given: Row, template: str, index: int, cfg: Textbook) -> Request:
    """What the teacher is sent for one page."""
    text = template.format(**{**given, "words": ", ".join(given["words"])})
    return Request((Message("user", text),), cfg.temperature, cfg.max_reply_tokens, sample=index)


def from_reply(given: Row, reply: Reply | Failure, index: int) -> tuple[Row, Refusal | None]:
    """A row, and why it cannot be a page, if so."""
    text = reply.text.strip() + "\n" if isinstance(reply, Reply) else ""
    writer = reply.model if isinstance(reply, Reply) else ""
    row = {"id": document_id(text if text.strip() else f"teacher page {index}"), "text": text, "writer": writer}
    row |= {"topic": given["key"], "audience": given["audience_key"], "words": given["words"]}
    if isinstance(reply, Failure):
        return row, Refusal(reply.reason, reply.detail)
    if reply.finish_reason == "length":
        return row, Refusal("cut_off", f"after {reply.output_tokens} tokens")
    missing = [word for word in given["words"] if word.lower()[:4] not in text.lower()]
    if missing:
        return row, Refusal("words_missing", ", ".join(missing))
    return row, None


def checked(row: Row, sandbox: Sandbox) -> Refusal | None:
    """Run a page's code and compare what it prints with what the page says; None when all is right.

    Raises:
        SandboxError: the sandbox itself broke, twice.
    """
    try:
        found = pieces(row["text"])
    except NotAPage as error:
        return Refusal(error.reason, error.detail)
    results = sandbox.run([piece.code for piece in found])
    if any(result.status == Status.SANDBOX_BROKE for result in results):
        results = sandbox.run([piece.code for piece in found])
    printed: dict[int, str] = {}
    for piece, result in zip(found, results, strict=False):
        if result.status == Status.SANDBOX_BROKE:
            raise SandboxError(f"the sandbox broke twice on the same page: {result.error}", where="textbook")
        if result.status != Status.PASSED:
            return Refusal(f"code_{result.status.value}", f"{piece.code.strip()[:200]}: {result.error}"[:1_000])
        printed[piece.claim] = printed.get(piece.claim, "") + result.stdout
    if len(results) < len(found):
        return Refusal("code_failed", f"only {len(results)} of {len(found)} pieces ran")
    return _compare(found, printed)


def _compare(found: Sequence[Piece], printed: dict[int, str]) -> Refusal | None:
    for number, piece in {piece.claim: piece for piece in found}.items():
        if differs(piece, printed[number]):
            if piece.says is None:
                return Refusal("output_not_stated", f"prints {printed[number][:300]!r}")
            return Refusal("output_differs", f"prints {printed[number][:300]!r}, said {piece.says[:300]!r}")
    return None


def audited(row: Row, cfg: Textbook) -> bool:
    """Whether one of the grammar's pages is in the sample that the sandbox runs again."""
    return int(hashlib.sha256(f"{cfg.seed}/audit/{row['id']}".encode()).hexdigest()[:8], 16) < cfg.audit_share * 2**32


@stage(version=2)
def textbook(cfg: Textbook, *, out: Writer, site: Site) -> None:
    """Take in, write, run and keep pages, part by part."""
    recorded = recorded_rows() if cfg.recorded else []
    parts = batches(len(recorded), cfg)
    total = sum(len(batch.rows) for batch in parts)
    seen: set[str] = set()
    done = 0
    missing = [batch for index, batch in enumerate(parts) if not out.has(f"pages-{index:05d}")]
    with (
        _teacher(missing, cfg, out, site) as teacher,
        site.open_sandbox(cpu_seconds=cfg.cpu_seconds) as sandbox,
    ):
        for index, batch in enumerate(parts):
            if not out.has(f"pages-{index:05d}"):
                drafts = _drafts(batch, recorded, cfg, teacher)
                if batch.writer == "teacher":
                    out.json(f"bill-{index:05d}", {"dollars": drafts.dollars})
                _write(index, drafts.rows, cfg, seen, sandbox, out)
            seen.update(_ids(Artifact(out.folder).parts("pages")[index]))
            done += len(batch.rows)
            out.progress(done, total, "pages")
    _tell(cfg, total, site, out)
    out.flow(rows_in=total, unit="pages", kept="pages")


def _drafts(batch: Batch, recorded: list[Row], cfg: Textbook, teacher: Teacher | None) -> Drafts:
    if batch.writer == "recorded":
        return Drafts([(row, None) for row in recorded[batch.rows.start : batch.rows.stop]])
    if batch.writer == "grammar":
        return Drafts([(row, None) for row in write_pages(len(batch.rows), cfg.seed, start=batch.rows.start)])
    assert teacher is not None
    return asked(batch.rows, teacher, cfg)


def _teacher(
    missing: Sequence[Batch], cfg: Textbook, out: Writer, site: Site
) -> contextlib.AbstractContextManager[Teacher | None]:
    """The site's teacher, once all its pages that are missing are in the journal; nobody where none is wanted."""
    numbers = [number for batch in missing if batch.writer == "teacher" for number in batch.rows]
    if not numbers:
        return contextlib.nullcontext()
    requests = (request for _, request in assigned(numbers, cfg))
    tell = partial(out.progress, total=len(numbers), unit="replies")
    return connect_ahead(site.teacher, out.journal, requests, model=cfg.model, tell=tell)


def assigned(numbers: Iterable[int], cfg: Textbook) -> Iterator[tuple[Row, Request]]:
    """What the teacher's pages are to be about, each with what is sent."""
    template, curriculum = _prompt()
    for number in numbers:
        given = assignment(number, curriculum, cfg)
        yield given, request_for(given, template, number, cfg)


def asked(numbers: Sequence[int], teacher: Teacher, cfg: Textbook) -> Drafts:
    """Pages of a language model, not yet run."""
    given, requests = zip(*assigned(numbers, cfg), strict=True)
    replies = ask_all(teacher, requests)
    rows = [from_reply(one, reply, number) for one, reply, number in zip(given, replies, numbers, strict=True)]
    return Drafts(rows, dollars_of(replies))


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


def _prompt() -> tuple[str, dict[str, Any]]:
    """The template, and what it is filled from."""
    package = resources.files("codetextbook")
    template = (package / "teacher" / "prompts" / "textbook.md").read_text(encoding="utf-8")
    return template, tomllib.loads((package / "data" / "curriculum.toml").read_text(encoding="utf-8"))


def _write(
    index: int,
    rows: Sequence[tuple[Row, Refusal | None]],
    cfg: Textbook,
    seen: set[str],
    sandbox: Sandbox,
    out: Writer,
) -> None:
    """Check and write one part; the kept rows last, since their being there says that the part is done."""
    kept: dict[str, Row] = {}
    gone = []
    for row, refusal in rows:
        if refusal is None and (row["id"] in seen or row["id"] in kept):
            refusal = Refusal("duplicate", "the same text came before")
        if refusal is None and len(row["text"]) > cfg.max_characters:
            refusal = Refusal("too_long", f"{len(row['text']):,} characters")
        by_rule = row["writer"] == "grammar"
        if refusal is None and (not by_rule or audited(row, cfg)):
            refusal = checked(row, sandbox)
            if refusal is not None and by_rule:
                raise StageFailed(
                    f"an audited page of the grammar is wrong ({refusal.reason}: {refusal.detail})",
                    where="textbook",
                    hint="this is a defect of the grammar: please report it",
                )
        if refusal is None:
            kept[row["id"]] = row
        else:
            values = (row["id"], refusal.reason, refusal.detail, row["text"], row["writer"])
            gone.append(dict(zip(REJECTED.names, values, strict=True)))
    out.table("rejected", index, to_table(gone, REJECTED))
    out.table("pages", index, to_table(kept.values(), PAGE))


def _ids(part: Path) -> list[str]:
    return pq.read_table(part, columns=["id"], partitioning=None)["id"].to_pylist()


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
    out.fact("writers", dict(Counter(pages["writer"].to_pylist())))
    gauge = Gauge(cfg.measured)
    for row in to_rows(pages.select(["writer", "text", "topic"])):
        gauge.add(row["writer"], row["text"], row["topic"])
    out.fact("diversity", gauge.diversity())
    out.fact("imports", gauge.imports())
    out.fact(
        "audited",
        sum(audited(row, cfg) for row in to_rows(pages.select(["id", "writer"])) if row["writer"] == "grammar"),
    )
    out.fact("sandbox", site.sandbox)
