"""Exercises: functions to complete, recorded and written by rule, each checked before it is kept (paper §2.2).

The recorded set was written once, with care, by a large model and ships with the package; the grammar brings volume. The paper
ran no code; we do. **How an exercise was verified depends on who wrote it.** Recorded ones and a teacher's are a stranger's
programs: each must pass its tests in the sandbox, where a stub that returns None must fail them; a teacher's tests are asked
apart from its solution. The grammar's are our own programs, composed of reviewed primitives: they run their tests in this process
while they are written (`python -m benchmarks.grammar`), and a seeded sample is audited in the sandbox; one failing audit fails
the stage. The facts tell how many were verified in which way, and how diverse each writer's are.

Splits: `heldout` has only exercises all of whose families are held out; `train` and `validation` have none that holds such a
family. A topic (a composition of primitives) is whole in one of the latter two. A recorded family follows the grammar's family
that teaches the same (`SAME_AS`). Limits: a single exercise that means the same under another family's name is not seen;
near-identical means equal but for the function's name, examples, imports, case and spacing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import pyarrow.parquet as pq
from pydantic import Field, model_validator

from codetextbook.config import Config
from codetextbook.errors import ConfigError, StageFailed
from codetextbook.grammar import FAMILIES, Mix, Seen, draw_exercise, likeness
from codetextbook.nouns import EXERCISE, REJECTED
from codetextbook.sandbox import Sandbox
from codetextbook.shards import newest, split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.teacher import Connected, Request, Teacher, connect_ahead, dialogue, drills
from codetextbook.teacher.assigning import Cells
from codetextbook.teacher.checking import disagreement, exercise_refusals
from codetextbook.teacher.corpus import Real
from codetextbook.teacher.dialogue import Ways, drawn, reverse, write
from codetextbook.teacher.estimate import Asking
from codetextbook.text.diversity import Gauge
from codetextbook.text.exercise_form import fault

ROWS_PER_PART = 2_000
ROWS_PER_TASK = 100
TOLD = ["id", "prompt", "solution", "writer", "split", "family", "topic"]
"""Columns from which the facts are told."""
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
    constrained: bool = True
    """Whether the teacher is told topic, name, words and difficulty; without, one sees what they are good for (paper §2.2)."""
    second_solution: bool = False
    """Whether the teacher solves each of its exercises again, and only those are kept on which both solutions agree (after the paper)."""
    self_critique: bool = False
    """Whether the teacher judges and revises its exercise before the tests are asked for (after the paper: phi-4)."""
    personas: bool = False
    """Whether an exercise is written for one of the curriculum's audiences (after the paper)."""
    corpus_seeds: bool = False
    """Whether a fragment of a curated file inspires each exercise (after the paper: OSS-Instruct)."""
    reversed_functions: int = Field(default=0, ge=0)
    """Functions of curated files to which the teacher writes the docstring; kept where its own solution agrees (after the paper: phi-4)."""
    cell_patience: int = Field(default=8, ge=0)
    """Repetitions after which a topic with fewer new exercises than repetitions is not asked again; 0 is never (ours)."""
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
    spread_over: int = Field(default=0, ge=0)
    """Exercises of each writer whose vectors are compared, in each manifest's `diversity`; 0 leaves it out (ours: 256 take some 10 s)."""
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

    @property
    def reads_corpus(self) -> bool:
        """Whether curated files are needed."""
        return self.corpus_seeds or self.reversed_functions > 0

    @property
    def ways(self) -> Ways:
        """How the teacher is asked."""
        return Ways(
            seed=self.seed,
            temperature=self.temperature,
            max_tokens=self.max_reply_tokens,
            constrained=self.constrained,
            critique=self.self_critique,
            second=self.second_solution,
            personas=self.personas,
        )


class Batch(NamedTuple):
    """Where the rows of one part come from."""

    writer: str
    """`recorded`, `grammar`, `heldout` for the grammar's held-out families, `teacher`, or `reversed`."""
    rows: range


class Drafts(NamedTuple):
    """Exercises that nothing has checked yet, rows of the table `rejected` for replies that hold none, and what the teacher was paid."""

    rows: list[Row]
    refused: Sequence[Row] = ()
    dollars: float = 0.0
    seconds: Mapping[str, str] = {}
    """Bodies by another hand, by the row's id: kept only where they agree."""


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


def batches(num_recorded: int, cfg: Exercises) -> list[Batch]:
    """The parts of the stage, in order."""
    made = [Batch("recorded", part) for part in split(num_recorded, ROWS_PER_PART) if num_recorded]
    made += [Batch("grammar", part) for part in split(cfg.count, ROWS_PER_PART) if cfg.count]
    made += [Batch("heldout", part) for part in split(cfg.heldout, ROWS_PER_PART) if cfg.heldout]
    made += [Batch("teacher", part) for part in split(cfg.teacher_exercises, ROWS_PER_PART) if cfg.teacher_exercises]
    wanted = cfg.reversed_functions
    made += [Batch("reversed", part) for part in split(wanted, ROWS_PER_PART) if wanted]
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


@stage(version=3)
def exercises(cfg: Exercises, *corpus: Artifact, out: Writer, site: Site) -> None:
    """Write, check and split, part by part. The corpus, curated files, is read only where a setting asks for it."""
    recorded = drills.recorded_rows() if cfg.recorded else []
    families = _families(cfg, recorded)
    real = _real(corpus, cfg)
    parts = batches(len(recorded), cfg)
    total = sum(len(batch.rows) for batch in parts)
    done, seen, cells = 0, Seen(total), Cells(cfg.cell_patience)
    missing = [batch for index, batch in enumerate(parts) if not out.has(f"exercises-{index:05d}")]
    with (
        _teacher(missing, cfg, real, out, site) as teacher,
        site.open_sandbox(cpu_seconds=cfg.cpu_seconds) as sandbox,
    ):
        for index, batch in enumerate(parts):
            if out.has(f"exercises-{index:05d}"):
                for row in _part(out, "exercises", index):
                    seen.add(likeness(row))
            else:
                if batch.writer == "recorded":
                    drafts = Drafts(recorded[batch.rows.start : batch.rows.stop])
                elif batch.writer in ("teacher", "reversed"):
                    assert teacher is not None
                    drafts = asked(batch, teacher, cfg, real, cells.closed)
                    out.json(f"bill-{index:05d}", {"dollars": drafts.dollars})
                else:
                    drafts = Drafts(_by_grammar(batch, cfg, families[batch.writer], site))
                _write(index, drafts, cfg, seen, sandbox, out)
            if batch.writer == "teacher":
                cells.kept(row["topic"] for row in _part(out, "exercises", index))
                gone = _part(out, "rejected", index)
                cells.repeated(row["detail"] for row in gone if row["reason"] == "near_duplicate")
            done += len(batch.rows)
            facts = teacher.facts() if teacher is not None else {}
            shown = newest(out.folder / f"exercises-{index:05d}.parquet", "prompt")
            out.progress(done, total, "exercises", **facts | {"sample": shown})
    _tell(cfg, site, total, out)
    out.flow(rows_in=total, unit="exercises")


def _by_grammar(batch: Batch, cfg: Exercises, families: tuple[str, ...], site: Site) -> list[Row]:
    seed = cfg.seed if batch.writer == "grammar" else -1 - cfg.seed
    write = partial(written, seed=seed, families=families, mix=cfg.mix)
    tasks = [_shifted(piece, batch.rows) for piece in split(len(batch.rows), ROWS_PER_TASK)]
    return [row for task in site.engine().map(write, tasks) for row in task]


def _shifted(piece: range, base: range) -> range:
    return range(base.start + piece.start, base.start + piece.stop)


def _part(out: Writer, name: str, index: int) -> list[Row]:
    """Rows of a part that stands already."""
    return to_rows(pq.read_table(out.folder / f"{name}-{index:05d}.parquet", partitioning=None))


def _real(corpus: Sequence[Artifact], cfg: Exercises) -> Real:
    """What the curated files give, if a setting wants it.

    Raises:
        ConfigError: no curated files are given.
    """
    if not cfg.reads_corpus:
        return Real()
    if not corpus:
        hint = "corpus_seeds = false and reversed_functions = 0, or give the stage the artifact of `curate`"
        raise ConfigError("no curated files to start from", where="[exercises]", hint=hint)
    texts = corpus[0].table("documents")["text"].to_pylist()
    seeds = cfg.teacher_exercises if cfg.corpus_seeds else 0
    return Real.of(texts, seeds=seeds, reversals=cfg.reversed_functions, seed=cfg.seed, allowed=cfg.imports)


def _teacher(
    missing: Sequence[Batch], cfg: Exercises, real: Real, out: Writer, site: Site
) -> contextlib.AbstractContextManager[Connected | None]:
    """The site's teacher; nobody where none is wanted.

    The first questions of the first part are asked at once, or of all parts where replies come in batches; the others part by part.
    """
    wanted = [batch for batch in missing if batch.writer == "teacher"]
    if not wanted and not any(batch.writer == "reversed" for batch in missing):
        return contextlib.nullcontext()
    ahead = wanted if site.teacher.kind == "batch" or not cfg.cell_patience else wanted[:1]
    numbers = [number for batch in ahead for number in batch.rows]
    requests = (request for _, request in drawn(numbers, cfg.ways, real.fragments))
    tell = partial(out.progress, total=len(numbers), unit="replies")
    return connect_ahead(site.teacher, out.journal, requests, model=cfg.model, tell=tell)


def asked(batch: Batch, teacher: Teacher, cfg: Exercises, real: Real, closed: Collection[str]) -> Drafts:
    """Exercises of a language model; topics that are closed are not asked for."""
    if batch.writer == "reversed":
        part = reverse([(number, real.functions[number]) for number in batch.rows], teacher, cfg.ways)
    else:
        part = write(batch.rows, teacher, cfg.ways, fragments=real.fragments, closed=closed)
    rows, refused = [], []
    for one in part.written:
        if one.failure is None:
            rows.append(one.row)
        else:
            refused.append(rejection(one.row, one.failure.reason, one.failure.detail[:2_000]))
    seconds = {one.row["id"]: one.second for one in part.written if one.second}
    return Drafts(rows, refused, part.dollars, seconds)


def example_request(cfg: Exercises) -> Request:
    """What would be sent for the first exercise."""
    return next(drawn([0], cfg.ways))[1]


def asking(cfg: Exercises, *_: Artifact | None) -> Asking | None:
    """What the teacher would be asked, for a plan."""
    return dialogue.asking(cfg.model, cfg.teacher_exercises, cfg.ways)


def by_rule(row: Row) -> bool:
    """Whether the grammar wrote a row; what anybody else wrote is a stranger's program."""
    return str(row["writer"]).startswith("grammar")


def _write(index: int, drafts: Drafts, cfg: Exercises, seen: Seen, sandbox: Sandbox, out: Writer) -> None:
    """Check a part and write it; the kept rows last, since their being there says that the part is done."""
    kept, rejected = sift(drafts.rows, cfg, seen)
    rejected = [*drafts.refused, *rejected]
    wanted = [row for row in kept if not by_rule(row) or audited(row, cfg)]
    whys = zip(wanted, exercise_refusals(wanted, sandbox), strict=True)
    refused = {row["id"]: why for row, why in whys if why is not None}
    for row in wanted:
        if row["id"] not in refused and (second := drafts.seconds.get(row["id"])):
            apart = disagreement(row, second, sandbox)
            refused |= {row["id"]: apart} if apart is not None else {}
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
    topics, gauge = Seen(total), Gauge(cfg.measured, cfg.spread_over)
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
