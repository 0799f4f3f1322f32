"""Exercises: functions to complete, recorded and written by rule, each checked before it is kept (paper §2.2).

The recorded set was written once, with care, by a large model and ships with the package; the grammar brings volume. The paper
ran no code; we do. **How an exercise was verified depends on who wrote it.** Recorded ones and a teacher's are a stranger's
programs: each must pass its tests in the sandbox, where a stub that returns None must fail them. The grammar's are our own
programs, composed of reviewed primitives: they run their tests in this process while they are written (about 1,000 a second on
one core of Zen 2), and a seeded sample is audited in the sandbox; one failing audit fails the stage. The facts tell how many
were verified in which way.

Splits: `heldout` has only exercises all of whose families are held out; `train` and `validation` have none that holds such a
family. A topic (a composition of primitives) is whole in one of the latter two. A recorded family follows the grammar's family
that teaches the same (`SAME_AS`). Limits: a single exercise that means the same under another family's name is not seen;
near-identical means equal but for the function's name, examples, imports, case and spacing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from importlib import resources
from typing import Any, NamedTuple, Self

import pyarrow.parquet as pq
from pydantic import Field, model_validator

from codetextbook.config import Config
from codetextbook.errors import ConfigError, SandboxError, StageFailed
from codetextbook.grammar import FAMILIES, Mix, Seen, draw_exercise, likeness
from codetextbook.nouns import EXERCISE, REJECTED
from codetextbook.sandbox import Job, Result, Sandbox, Status
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.teacher import Request, Teacher, ask_all, connect_ahead, dollars_of, drills
from codetextbook.teacher.estimate import Asking, evenly
from codetextbook.text.diversity import Gauge
from codetextbook.text.exercise_form import fault

ROWS_PER_PART = 2_000
ROWS_PER_TASK = 100
TOLD = ["id", "prompt", "solution", "writer", "split", "family", "topic"]
"""Columns from which the facts are told."""
STUB = "    return None\n"
SAME_AS = {
    "number_bases": "digits",
    "strings_ciphers": "codes",
    "strings_runs": "codes",
    "strings_building": "text_building",
    "strings_words": "text_parsing",
    "parsing": "text_parsing",
    "units": "conversion",
}
"""Recorded families that teach what a family of the grammar teaches under another name: held out with it."""

Row = dict[str, Any]


class Exercises(Config):
    """Who writes how many exercises, and what they must be like."""

    count: int = Field(default=10_000, ge=0)
    """Exercises that the grammar writes for training and validation, before near-identical ones go (paper: 879,500, by GPT-3.5)."""
    heldout: int = Field(default=500, ge=0)
    """Exercises that the grammar writes from the families held out (ours)."""
    heldout_families: tuple[str, ...] = ("codes", "intervals", "matrices", "windows")
    """Families that neither training nor validation may hold, compositions included (ours)."""
    validation_share: float = Field(default=0.05, ge=0.0, le=0.5)
    """Share of the topics that are kept for choosing a checkpoint (ours)."""
    families: tuple[str, ...] = ()
    """Families that the grammar writes from; empty is all (ours)."""
    mix: Mix = Mix()
    """How deep the grammar composes, how it words tasks, and in which idioms it solves them."""
    recorded: bool = True
    """Whether the shipped, recorded exercises are taken in."""
    teacher_exercises: int = Field(default=0, ge=0)
    """Exercises that the site's teacher is asked for (paper §2.2: 879,500, by GPT-3.5); each is checked in the sandbox."""
    model: str = ""
    """The teacher's model; empty takes the site's. Named here it is part of the exercises' identity."""
    temperature: float = Field(default=0.8, ge=0.0, le=2.0)
    """The teacher's sampling temperature (ours)."""
    max_reply_tokens: int = Field(default=1_000, ge=100)
    """Tokens that one exercise with its tests may take (ours)."""
    imports: tuple[str, ...] = (
        "bisect", "collections", "datetime", "functools", "heapq", "itertools", "math", "operator", "re", "statistics", "string", "typing",
    )  # fmt: skip
    """Modules that an exercise may import (paper §2.2: basic libraries only)."""
    max_characters: int = Field(default=4_000, ge=100)
    """Longest prompt and solution together."""
    min_tests: int = Field(default=3, ge=1)
    """Assert lines that an exercise must have."""
    audit_share: float = Field(default=0.02, ge=0.0, le=1.0)
    """Share of the grammar's exercises that the sandbox checks again."""
    cpu_seconds: float = Field(default=5.0, gt=0)
    """CPU time of one program in the sandbox."""
    measured: int = Field(default=2_000, ge=0)
    """Exercises of each writer whose diversity is measured (ours)."""
    max_rejected_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of rejected exercises above which the stage fails."""
    seed: int = Field(default=0, ge=0)
    """Seed of what is written, of the splits and of the audit."""

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.count and set(self.families or FAMILIES) <= set(self.heldout_families):
            raise ValueError("every family is held out: nothing is left to train on")
        if self.heldout and not set(FAMILIES) & set(self.heldout_families):
            raise ValueError("heldout asks for exercises, but heldout_families names no family of the grammar")
        return self


class Batch(NamedTuple):
    """Where the rows of one part come from."""

    writer: str
    """`recorded`, `grammar`, `heldout` for the grammar's held-out families, or `teacher`."""
    rows: range


class Drafts(NamedTuple):
    """Exercises that nothing has checked yet, rows of the table `rejected` for replies that hold none, and what the teacher was paid."""

    rows: list[Row]
    refused: Sequence[Row] = ()
    dollars: float = 0.0


def assigned(row: Row, cfg: Exercises) -> str | None:
    """The split of a row, by its families and its topic; None for a mixture of held-out and other families."""
    families = {twin(name) for name in row["family"].split("+")}
    held = families & {twin(name) for name in cfg.heldout_families}
    if held:
        return "heldout" if held == families else None
    return "validation" if share_of(f"{cfg.seed}/split/{row['topic']}") < cfg.validation_share else "train"


def twin(family: str) -> str:
    """The family of the grammar that teaches the same as a recorded one (`lists_windows`: `windows`), or the family itself."""
    words = [name for name in FAMILIES if name in family.split("_")]
    return family if family in FAMILIES else SAME_AS.get(family, words[0] if words else family)


def share_of(key: str) -> float:
    """A number from 0 to 1 that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:7], "big") / 2**56


def audited(row: Row, cfg: Exercises) -> bool:
    """Whether one of the grammar's rows is in the sample that the sandbox checks again."""
    return share_of(f"{cfg.seed}/audit/{row['id']}") < cfg.audit_share


def sift(rows: Sequence[Row], cfg: Exercises, seen: Seen) -> tuple[list[Row], list[Row]]:
    """Rows that may be kept, with their split, and the table `rejected` of the others; `seen` takes up the digests of the former."""
    kept, rejected = [], []
    for row in rows:
        found = fault(row, cfg)
        key = likeness(row)
        group = assigned(row, cfg)
        if found is None and key in seen:
            found = "near_duplicate", row["topic"]
        if found is None and group is None:
            found = "mixed_families", row["family"]
        if found is not None:
            rejected.append(rejection(row, *found))
            continue
        seen.add(key)
        kept.append({**row, "split": group})
    return kept, rejected


def rejection(row: Row, reason: str, detail: str) -> Row:
    """A row of the table `rejected`."""
    shown = {"reason": reason, "detail": detail, "text": row["prompt"] + row["solution"], "source": row["writer"]}
    return {"id": row["id"], **shown}


def judged(rows: Sequence[Row], sandbox: Sandbox) -> list[tuple[str, str] | None]:
    """For each row why the sandbox refuses it: its solution does not pass, or a stub does; None when it is right.

    Raises:
        SandboxError: the sandbox itself broke, twice, on the same program.
    """
    jobs = [
        Job(row["prompt"] + body, row["tests"], row["entry_point"]) for row in rows for body in (row["solution"], STUB)
    ]
    results: list[Result] = list(sandbox.check_many(jobs))
    broken = [number for number, result in enumerate(results) if result.status == Status.SANDBOX_BROKE]
    for number, result in zip(broken, list(sandbox.check_many([jobs[number] for number in broken])), strict=True):
        if result.status == Status.SANDBOX_BROKE:
            raise SandboxError(f"the sandbox broke twice on the same exercise: {result.detail}", where="exercises")
        results[number] = result
    return [_refusal(right, stub) for right, stub in zip(results[::2], results[1::2], strict=True)]


def _refusal(right: Result, stub: Result) -> tuple[str, str] | None:
    if right.status != Status.PASSED:
        reason = "tests_failed" if right.status == Status.FAILED else str(right.status.value)
        return reason, right.detail
    return ("stub_passes", "a body of `return None` passes the tests") if stub.status == Status.PASSED else None


def batches(num_recorded: int, cfg: Exercises) -> list[Batch]:
    """The parts of the stage, in order."""
    made = [Batch("recorded", part) for part in split(num_recorded, ROWS_PER_PART) if num_recorded]
    made += [Batch("grammar", part) for part in split(cfg.count, ROWS_PER_PART) if cfg.count]
    made += [Batch("heldout", part) for part in split(cfg.heldout, ROWS_PER_PART) if cfg.heldout]
    made += [Batch("teacher", part) for part in split(cfg.teacher_exercises, ROWS_PER_PART) if cfg.teacher_exercises]
    return made or [Batch("recorded", range(0))]


def written(part: range, *, seed: int, families: tuple[str, ...], mix: Mix) -> list[Row]:
    """The grammar's records of a range."""
    return [draw_exercise(seed, index, families=families, mix=mix) for index in part]


def _families(cfg: Exercises, recorded: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """The grammar's families of its two kinds of batch.

    Raises:
        ConfigError: a family to hold out is nobody's.
    """
    known = set(FAMILIES) | {name for row in recorded for name in row["family"].split("+")}
    for setting, names, allowed in (
        ("heldout_families", cfg.heldout_families, known),
        ("families", cfg.families, set(FAMILIES)),
    ):
        unknown = sorted(set(names) - allowed)
        if unknown:
            hint = f"one of {', '.join(sorted(allowed))}"
            raise ConfigError(f"no family is called {unknown[0]!r}", where=f"[exercises] {setting}", hint=hint)
    held = tuple(name for name in FAMILIES if name in cfg.heldout_families)
    wanted = cfg.families or FAMILIES
    return {"heldout": held, "grammar": tuple(n for n in FAMILIES if n in wanted and n not in cfg.heldout_families)}


@stage(version=2)
def exercises(cfg: Exercises, *, out: Writer, site: Site) -> None:
    """Write, check and split, part by part."""
    recorded = drills.recorded_rows() if cfg.recorded else []
    families = _families(cfg, recorded)
    parts = batches(len(recorded), cfg)
    total = sum(len(batch.rows) for batch in parts)
    done, seen = 0, Seen(total)
    engine = site.engine()
    missing = [batch for index, batch in enumerate(parts) if not out.has(f"exercises-{index:05d}")]
    with (
        _teacher(missing, cfg, out, site) as teacher,
        site.open_sandbox(cpu_seconds=cfg.cpu_seconds) as sandbox,
    ):
        for index, batch in enumerate(parts):
            if out.has(f"exercises-{index:05d}"):
                for row in _part(out, index):
                    seen.add(likeness(row))
            else:
                if batch.writer == "recorded":
                    drafts = Drafts(recorded[batch.rows.start : batch.rows.stop])
                elif batch.writer == "teacher":
                    assert teacher is not None
                    drafts = asked(batch.rows, teacher, cfg)
                    out.json(f"bill-{index:05d}", {"dollars": drafts.dollars})
                else:
                    seed = cfg.seed if batch.writer == "grammar" else -1 - cfg.seed
                    write = partial(written, seed=seed, families=families[batch.writer], mix=cfg.mix)
                    tasks = [_shifted(piece, batch.rows) for piece in split(len(batch.rows), ROWS_PER_TASK)]
                    drafts = Drafts([row for task in engine.map(write, tasks) for row in task])
                _write(index, drafts, cfg, seen, sandbox, out)
            done += len(batch.rows)
            out.progress(done, total, "exercises")
    _tell(cfg, site, total, out)
    out.flow(rows_in=total, unit="exercises")


def _shifted(piece: range, base: range) -> range:
    return range(base.start + piece.start, base.start + piece.stop)


def _part(out: Writer, index: int) -> list[Row]:
    """Rows of a part that stands already."""
    return to_rows(pq.read_table(out.folder / f"exercises-{index:05d}.parquet", partitioning=None))


def _teacher(
    missing: Sequence[Batch], cfg: Exercises, out: Writer, site: Site
) -> contextlib.AbstractContextManager[Teacher | None]:
    """The site's teacher, once all its exercises that are missing are in the journal; nobody where none is wanted."""
    numbers = [number for batch in missing if batch.writer == "teacher" for number in batch.rows]
    if not numbers:
        return contextlib.nullcontext()
    requests = (request for _, request in drawn(numbers, cfg))
    tell = partial(out.progress, total=len(numbers), unit="replies")
    return connect_ahead(site.teacher, out.journal, requests, model=cfg.model, tell=tell)


def drawn(numbers: Iterable[int], cfg: Exercises) -> Iterator[tuple[drills.Drill, Request]]:
    """What the teacher's exercises are to be about, each with what is sent."""
    for number in numbers:
        drill = drills.assignment(number, _curriculum(), cfg.seed)
        yield drill, drills.request_for(drill, number, temperature=cfg.temperature, max_tokens=cfg.max_reply_tokens)


def asked(numbers: Sequence[int], teacher: Teacher, cfg: Exercises) -> Drafts:
    """Exercises of a language model."""
    given, requests = zip(*drawn(numbers, cfg), strict=True)
    replies = ask_all(teacher, requests)
    rows, refused = [], []
    for drill, reply, number in zip(given, replies, numbers, strict=True):
        row, failure = drills.from_reply(drill, reply, number)
        if failure is None:
            rows.append(row)
        else:
            refused.append(rejection(row, failure.reason, failure.detail[:2_000]))
    return Drafts(rows, refused, dollars_of(replies))


def example_request(cfg: Exercises) -> Request:
    """What would be sent for the first exercise."""
    return next(drawn([0], cfg))[1]


def asking(cfg: Exercises, *_: Artifact | None) -> Asking | None:
    """What the teacher would be asked, for a plan; answers are taken to be as long as the recorded exercises with their tests."""
    numbers = evenly(cfg.teacher_exercises)
    rows = drills.recorded_rows() if numbers else []
    sizes = [len((row["prompt"] + row["solution"] + row["tests"]).encode()) for row in rows]
    requests = [request for _, request in drawn(numbers, cfg)]
    words = f"{len(requests)} of its prompts, and the {len(sizes)} recorded exercises"
    return Asking(cfg.model, cfg.teacher_exercises, requests, sizes, words) if numbers else None


@cache
def _curriculum() -> dict[str, Any]:
    return tomllib.loads((resources.files("codetextbook.data") / "curriculum.toml").read_text(encoding="utf-8"))


def by_rule(row: Row) -> bool:
    """Whether the grammar wrote a row; what anybody else wrote is a stranger's program."""
    return str(row["writer"]).startswith("grammar")


def _write(index: int, drafts: Drafts, cfg: Exercises, seen: Seen, sandbox: Sandbox, out: Writer) -> None:
    """Check a part and write it; the kept rows last, since their being there says that the part is done."""
    kept, rejected = sift(drafts.rows, cfg, seen)
    rejected = [*drafts.refused, *rejected]
    wanted = [row for row in kept if not by_rule(row) or audited(row, cfg)]
    refused = {row["id"]: why for row, why in zip(wanted, judged(wanted, sandbox), strict=True) if why is not None}
    lasting = []
    for row in kept:
        why = refused.get(row["id"])
        if why is None:
            lasting.append({**row, "verified": True})
        elif not by_rule(row):
            rejected.append(rejection(row, *why))
            seen.discard(likeness(row))
        else:
            raise StageFailed(
                f"an audited exercise of the grammar is wrong ({why[0]}: {why[1]})",
                where=f"exercises {row['topic']}",
                hint="this is a defect of the grammar: please report it",
            )
    out.table("rejected", index, to_table(rejected, REJECTED))
    out.table("exercises", index, to_table(lasting, EXERCISE))


def _tell(cfg: Exercises, site: Site, total: int, out: Writer) -> None:
    """Facts, from the parts alone, so that a resumed stage tells the same.

    Raises:
        StageFailed: more was rejected than the settings allow.
    """
    made = Artifact(out.folder)
    counted: dict[str, Counter[str]] = {name: Counter() for name in ("writer", "split", "family")}
    topics, gauge = Seen(total), Gauge(cfg.measured)
    num_kept = num_ours = num_audited = 0
    for part in made.parts("exercises"):
        for row in to_rows(pq.read_table(part, columns=TOLD, partitioning=None)):
            num_kept += 1
            num_ours += by_rule(row)
            num_audited += by_rule(row) and audited(row, cfg)
            topics.add(hashlib.sha256(row["topic"].encode("utf-8", "surrogatepass")).hexdigest())
            gauge.add(row["writer"], row["prompt"] + row["solution"], row["topic"])
            counted["writer"][row["writer"]] += 1
            counted["split"][row["split"]] += 1
            counted["family"][row["family"].split("+")[0]] += 1
    num_rejected = total - num_kept
    if total and num_rejected / total > cfg.max_rejected_share:
        reasons = Counter(made.table("rejected")["reason"].to_pylist()).most_common(1)
        raise StageFailed(
            f"{num_rejected} of {total} exercises were rejected, most of them as {reasons[0][0]}",
            where="[exercises] max_rejected_share",
            hint=f"fewer exercises, or {num_rejected / total:.2f} to accept it",
        )
    bills = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.folder.glob("bill-*.json"))]
    out.fact("dollars", round(sum(bill["dollars"] for bill in bills), 6))
    out.fact("writers", dict(counted["writer"]))
    out.fact("splits", dict(counted["split"]))
    out.fact("families", dict(counted["family"]))
    out.fact("topics", len(topics))
    out.fact("verified", {"in_sandbox": num_kept - num_ours + num_audited, "in_process_only": num_ours - num_audited})
    out.fact("diversity", gauge.diversity())
    out.fact("imports", gauge.imports())
    out.fact("audited", num_audited)
    out.fact("sandbox", site.sandbox)
