"""Grades for a sample of the corpus: what the quality filter learns from (paper §2.1).

The paper had GPT-4 "determine [the] educational value for a student whose goal is to learn basic coding concepts" of about 100k samples;
its prompt and scale are not published. Ours is a rubric from 0 to 5 (`data/rubric.md`), given by one of three graders:

- `recorded`: grades looked up by the hash of a file's content, shipped ones or a file of yours (JSON Lines, Parquet). No cost.
- `teacher`: a language model behind the site's endpoint grades a sample, stratified by source, kind of file and length.
- `rule`: a fixed rule over syntax-tree facts grades the same sample; labelled as a rule in every row.

How sure the grades are is measured (`agreement.json`): a teacher asked twice, a second teacher, grades given twice in one file, and anybody
else's file, a person's reviews among them, each by Cohen's kappa and rank correlation with intervals; and what a document cost.

Trade-off: recorded grades are a strong model's, but only for files that it has read; an own corpus needs a teacher or own grades. A missing
grade is never a zero: what could not be graded is in `rejected`, with a reason. Limit: the shipped grades over-sample collections of
algorithms, so shares of grades say nothing about a corpus.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from codetextbook.benchmarks.pinned import PinnedFile
from codetextbook.errors import InputError, StageFailed
from codetextbook.nouns import GRADE, REJECTED, document_id
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer, sha256
from codetextbook.teacher import Connected, Request, connect_ahead
from codetextbook.teacher import rule as ast_rule
from codetextbook.teacher.estimate import Asking, evenly
from codetextbook.teacher.grade_files import (
    Outcome,
    Policy,
    given_twice,
    grade_row,
    match,
    read_grades,
    read_recorded,
    rejected_row,
)
from codetextbook.teacher.grading import REPAIR, YES_NO, Grading, by_teacher, parse_grade, requests_for
from codetextbook.teacher.kinds import kind_of
from codetextbook.teacher.two_graders import compare
from codetextbook.text.decode import decode_python

DOCUMENTS_PER_PART = 200
DOCUMENTS_PER_TASK = 25

REPEAT = pa.schema(
    [
        ("document_id", pa.string()),
        ("compared", pa.string()),
        ("first", pa.float64()),
        ("second", pa.float64()),
        ("dollars", pa.float64()),
    ]
)
"""A document that was graded a second time: by the same teacher, or by another one."""


class Annotate(Grading):
    """Who grades, which sample, and how the grades are checked."""

    grader: Literal["recorded", "rule", "teacher"] = "recorded"
    """`recorded` looks grades up, `teacher` asks the site's endpoint, `rule` counts syntax-tree facts."""
    grades: str = ""
    """File of grades, JSON Lines or Parquet (`document_id` or `text`, `score`, if known `reason`, `teacher`); empty: those shipped."""
    grades_sha256: str = ""
    """SHA-256 of that file; filled in when it is there, so that other grades are another artifact."""
    graded_twice: Policy = "mean"
    """What two grades of one document that disagree become: their `mean`, the `first`, or none (`reject`) (ours)."""
    sample_size: int = Field(default=1_000, ge=1)
    """Documents graded by `teacher` or `rule`, and the most that are taken from `recorded` (paper §2.1: about 100,000)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the sample."""
    min_grades: int = Field(default=50, ge=4)
    """Grades below which the stage fails (ours: with fewer the forest's interval spans chance)."""
    model: str = ""
    """The teacher's model; empty takes the site's. Named here it is part of the grades' identity."""
    repeats: int = Field(default=0, ge=0)
    """Documents of the sample that the teacher grades a second time, to measure how far it agrees with itself (ours: 100 tell)."""
    second_model: str = ""
    """Another model of the site's endpoint that grades the same documents as `repeats`, to measure how far two teachers agree."""
    compare_with: PinnedFile | None = None
    """Somebody else's grades to compare with, JSON Lines or Parquet: a person's `reviews/NAME.jsonl` from `codetextbook view`, for one."""
    max_rejected_share: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of the sample without a usable grade above which the stage fails; unknown recorded grades do not count."""

    @model_validator(mode="before")
    @classmethod
    def _know_the_content(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("grades") and not values.get("grades_sha256"):
            path = Path(str(values["grades"]))
            if path.is_file():
                return {**values, "grades_sha256": sha256(path)}
        return values

    @model_validator(mode="after")
    def _can_repeat(self) -> Self:
        if self.repeats and self.grader != "teacher":
            raise ValueError(f"repeats ask a teacher again, and the grader is {self.grader!r}")
        if self.second_model and not self.repeats:
            raise ValueError("second_model grades the documents of `repeats`: set repeats too")
        return self


class Looked(NamedTuple):
    """Recorded grades, and how they are labelled."""

    rows: list[dict[str, Any]]
    label: dict[str, str]
    sha256: str
    pairs: list[tuple[float, float]]
    """Grades of documents that the same grader graded twice, where that is known."""


def sample(rows: Sequence[Mapping[str, Any]], size: int, seed: int) -> list[int]:
    """Places of a sample, spread evenly over sources, within each over kinds of file, and within those over lengths.

    `rows` need `id`, `source`, `kind`, `length`.
    """

    def key(place: int) -> tuple[str, str, int, str]:
        row = rows[place]
        draw = hashlib.sha256(f"{seed}/{row['id']}".encode()).hexdigest()
        return str(row["source"]), str(row["kind"]), int(row["length"]).bit_length(), draw

    order = sorted(range(len(rows)), key=key)
    if size >= len(order):
        return sorted(order)
    offset = int(hashlib.sha256(f"{seed}".encode()).hexdigest()[:8], 16) % len(order)
    return sorted(order[(offset + number * len(order) // size) % len(order)] for number in range(size))


def by_rule(rows: Sequence[Mapping[str, Any]]) -> Outcome:
    """Grades of the fixed rule."""
    grades, rejected = [], []
    for row in rows:
        found = ast_rule.judge(row["text"])
        if found is None:
            rejected.append(rejected_row(row["id"], "not_python", "no syntax tree", row["text"], row["source"]))
        else:
            grades.append(grade_row(row["id"], found.score, found.reason, ast_rule.NAME, ast_rule.NAME, 0.0))
    return Outcome(grades, rejected)


def example_request(cfg: Annotate) -> Request:
    """What would be sent about one real file, this one's own source."""
    text = Path(__file__).read_text(encoding="utf-8")
    return requests_for([{"id": document_id(text), "text": text}], cfg)[0]


def asking(cfg: Annotate, documents: Artifact | None) -> Asking | None:
    """What the teacher would be asked, for a plan; answers are taken to be as long as the shipped grades with their reasons."""
    if cfg.grader != "teacher":
        return None
    if documents is None:
        files = sorted(Path(statistics.__file__).parent.glob("*.py"))
        texts = [decode_python(files[place].read_bytes()).text for place in evenly(len(files))]
        number, kind = cfg.sample_size, "files of this Python's standard library, since no documents are read yet"
    else:
        first = pq.read_table(documents.parts("documents")[0], columns=["text"], partitioning=None)["text"]
        texts = [first[place].as_py() for place in evenly(len(first))]
        number, kind = min(cfg.sample_size, documents.rows("documents")), "of the documents"
    requests = requests_for([{"id": document_id(text), "text": text} for text in texts], cfg)
    answers = [json.dumps({"reason": row["reason"], "score": row["score"]}) for row in _recorded(Annotate()).rows]
    sizes = [len(answer) for answer in (answers if cfg.answer == "grade" else YES_NO)]
    asked = number + min(cfg.repeats, number) * (2 if cfg.second_model else 1)
    questions = round(asked * len(requests) / len(texts))
    return Asking(cfg.model, questions, requests, sizes, f"{len(requests)} {kind}, and the recorded grades")


@stage(version=2)
def annotate(cfg: Annotate, documents: Artifact, *, out: Writer, site: Site) -> None:
    """Look the grades up, or grade a sample part by part; then measure how sure they are."""
    compared: list[dict[str, Any]]
    if cfg.grader == "recorded":
        rows_in, compared = _look_up(cfg, documents, out)
    else:
        rows_in, compared = _grade_sample(cfg, documents, out, site), _repeat(cfg, documents, out, site)
    made = Artifact(out.folder)
    table = made.table("grades")
    scores = Counter(table["score"].to_pylist())
    dollars = sum(table["dollars"].to_pylist())
    again = sum(made.table("repeats")["dollars"].to_pylist()) if made.parts("repeats") else 0.0
    if cfg.compare_with is not None:
        own = dict(zip(table["document_id"].to_pylist(), table["score"].to_pylist(), strict=True))
        compared.append(_with_others(cfg.compare_with, own))
    out.json("agreement", {"compared": compared, "dollars_per_document": round(dollars / max(table.num_rows, 1), 6)})
    out.fact("grader", cfg.grader)
    out.fact("teachers", dict(Counter(table["teacher"].to_pylist())))
    out.fact("dollars", round(dollars + again, 6))
    out.fact("scores", {f"{score:g}": scores[score] for score in sorted(scores)})
    _enough(cfg, table.num_rows, rows_in)
    out.flow(rows_in=rows_in, unit="grades", kept="grades")


def _look_up(cfg: Annotate, documents: Artifact, out: Writer) -> tuple[int, list[dict[str, Any]]]:
    found = _recorded(cfg)
    slim = {row["id"]: row for row in _slim(documents.table("documents"))}
    matched = match(found.rows, {key: row["source"] for key, row in slim.items()}, found.label, cfg.graded_twice)
    drawn = [slim[grade["document_id"]] for grade in matched.grades]
    kept = set(sample(drawn, cfg.sample_size, cfg.seed))
    left = [
        rejected_row(grade["document_id"], "beyond_sample_size", f"score {grade['score']:g}", "", row["source"])
        for place, (grade, row) in enumerate(zip(matched.grades, drawn, strict=True))
        if place not in kept
    ]
    out.table("rejected", 0, to_table([*matched.rejected, *left], REJECTED))
    out.table("grades", 0, to_table([matched.grades[place] for place in sorted(kept)], GRADE))
    out.fact("recorded", dict(found.label) | {"number": len(found.rows), "sha256": found.sha256})
    compared = []
    if found.pairs:
        compared.append(compare(found.pairs, compared="the recorded grader, asked twice", seed=cfg.seed))
    if twice := given_twice(found.rows):
        compared.append(compare(twice, compared="documents that the file grades twice", seed=cfg.seed))
    return len(found.rows), compared


def _slim(table: pa.Table) -> list[dict[str, Any]]:
    """What the sample is stratified by."""
    columns = (table[name].to_pylist() for name in ("id", "source", "path", "text"))
    return [
        {"id": identity, "source": source, "kind": kind_of(path, text), "length": len(text)}
        for identity, source, path, text in zip(*columns, strict=True)
    ]


def _drawn(cfg: Annotate, documents: Artifact) -> pa.Table:
    """The documents of the sample."""
    table = documents.table("documents")
    return table.take(pa.array(sample(_slim(table), cfg.sample_size, cfg.seed), pa.int64()))


def _grade_sample(cfg: Annotate, documents: Artifact, out: Writer, site: Site) -> int:
    drawn = _drawn(cfg, documents)
    parts = list(enumerate(split(drawn.num_rows, DOCUMENTS_PER_PART)))
    missing = [part for index, part in parts if not out.has(f"grades-{index:05d}")]
    ahead = (request for part in missing for request in requests_for(to_rows(drawn, part), cfg))
    with _teacher(ahead, sum(map(len, missing)), cfg, out, site) as teacher:
        for index, part in parts:
            if not out.has(f"grades-{index:05d}"):
                rows = to_rows(drawn, part)
                outcome = _rule_in_parallel(rows, site) if teacher is None else by_teacher(rows, teacher, cfg)
                out.table("rejected", index, to_table(outcome.rejected, REJECTED))
                out.table("grades", index, to_table(outcome.grades, GRADE))
            out.progress(part.stop, drawn.num_rows, "documents", **(teacher.facts() if teacher is not None else {}))
    return drawn.num_rows


def _repeat(cfg: Annotate, documents: Artifact, out: Writer, site: Site) -> list[dict[str, Any]]:
    """Some documents graded a second time by the same teacher, and by another: how far the two grades agree.

    Raises:
        StageFailed: more of them than may be have no second grade.
    """
    if not cfg.repeats:
        return []
    grades = Artifact(out.folder).table("grades")
    own = dict(zip(grades["document_id"].to_pylist(), grades["score"].to_pylist(), strict=True))
    rows = [row for row in to_rows(_drawn(cfg, documents)) if row["id"] in own]
    slim = _slim(pa.Table.from_pylist(rows, schema=documents.table("documents").schema))
    chosen = [rows[place] for place in sample(slim, cfg.repeats, cfg.seed + 1)]
    asked = [(cfg.model, "the teacher, asked twice", 1)]
    asked += [(cfg.second_model, f"the teacher and {cfg.second_model}", 0)] if cfg.second_model else []
    found = []
    for index, (model, compared, repeat) in enumerate(asked):
        if not out.has(f"repeats-{index:05d}"):
            other = cfg.replace({"model": model})
            with _teacher(requests_for(chosen, cfg, repeat), len(chosen), other, out, site) as teacher:
                assert teacher is not None
                outcome = by_teacher(chosen, teacher, cfg, repeat)
            said = [
                {"document_id": row["document_id"], "compared": compared, "first": own[row["document_id"]]}
                | {"second": row["score"], "dollars": row["dollars"]}
                for row in outcome.grades
            ]
            if len(chosen) - len(said) > cfg.max_rejected_share * len(chosen):
                raise StageFailed(
                    f"{len(chosen) - len(said):,} of {len(chosen):,} documents have no second grade ({compared})",
                    where="[annotate] repeats",
                    hint="another model, or a higher max_rejected_share",
                )
            out.table("repeats", index, to_table(said, REPEAT))
        table = pq.read_table(out.folder / f"repeats-{index:05d}.parquet", partitioning=None)
        pairs = list(zip(table["first"].to_pylist(), table["second"].to_pylist(), strict=True))
        found.append(compare(pairs, compared=compared, seed=cfg.seed))
    return found


def _teacher(
    ahead: Iterable[Request], total: int, cfg: Annotate, out: Writer, site: Site
) -> contextlib.AbstractContextManager[Connected | None]:
    """The site's teacher, once every answer that is missing is in the journal; nobody where a rule grades."""
    if cfg.grader != "teacher":
        return contextlib.nullcontext()
    repair = REPAIR if cfg.answer == "grade" else ""
    tell = partial(out.progress, total=total, unit="replies")
    return connect_ahead(site.teacher, out.journal, ahead, parse_grade, model=cfg.model, repair=repair, tell=tell)


def _rule_in_parallel(rows: list[dict[str, Any]], site: Site) -> Outcome:
    tasks = [rows[start : start + DOCUMENTS_PER_TASK] for start in range(0, len(rows), DOCUMENTS_PER_TASK)]
    found = list(site.engine().map(by_rule, tasks))
    return Outcome([row for one in found for row in one.grades], [row for one in found for row in one.rejected])


def _enough(cfg: Annotate, graded: int, rows_in: int) -> None:
    """Refuse a set of grades that nothing can be learnt from."""
    if graded < cfg.min_grades:
        other = 'give your own in [annotate] grades, or grader = "teacher" or "rule"'
        raise StageFailed(
            f"{graded:,} grades for these documents, and at least {cfg.min_grades:,} are needed"
            + (f" (of {rows_in:,} recorded ones)" if cfg.grader == "recorded" else ""),
            where="[annotate] min_grades",
            hint=other if cfg.grader == "recorded" else "a larger corpus in [read], or a lower min_grades",
        )
    if cfg.grader != "recorded" and rows_in - graded > cfg.max_rejected_share * rows_in:
        raise StageFailed(
            f"{rows_in - graded:,} of {rows_in:,} documents have no usable grade, more than {cfg.max_rejected_share:.0%}",
            where="[annotate] max_rejected_share",
            hint="read the table `rejected`; another model, or a higher max_rejected_share",
        )


def _recorded(cfg: Annotate) -> Looked:
    """The shipped grades, or those of the user's file.

    Raises:
        InputError: the file cannot be read, or is not the one that the recipe names by its content.
    """
    if not cfg.grades:
        data = resources.files("codetextbook") / "data"
        label = json.loads((data / "grades_label.json").read_text(encoding="utf-8"))
        text = (data / "grades.jsonl").read_text(encoding="utf-8")
        words = {"teacher": f"recorded: {label['graded_by']}", "prompt_id": label["rubric_sha256"][:16]}
        pairs = [(float(pair["first"]), float(pair["second"])) for pair in label["self_agreement"]["pairs"]]
        rows = list(read_recorded(text.split("\n"), "the shipped grades"))
        return Looked(rows, words, hashlib.sha256(text.encode()).hexdigest(), pairs)
    path = Path(cfg.grades)
    if not path.is_file():
        raise InputError("the grades cannot be read (there is no such file)", where=f"[annotate] grades = {cfg.grades}")
    found = sha256(path)
    if found != cfg.grades_sha256:
        raise InputError(
            f"{cfg.grades} is not the file that the recipe names by its content",
            where="[annotate] grades_sha256",
            hint="take grades_sha256 out of the recipe to use the file as it is now",
        )
    return Looked(list(read_grades(path)), {"teacher": f"recorded: {path.name}", "prompt_id": ""}, found, [])


def _with_others(file: PinnedFile, own: Mapping[str, float]) -> dict[str, Any]:
    """How far the grades agree with those of a file, on the documents that both have.

    Raises:
        InputError: the file is not there, not the one that was named by its content, or shares no document.
    """
    path = Path(file.path)
    if not path.is_file() or file.changed:
        what = "is not the file that the recipe names by its content" if path.is_file() else "cannot be read"
        raise InputError(f"{file.path} {what}", where="[annotate.compare_with]", hint="name the file as it is now")
    theirs = {str(row["document_id"]): float(row["score"]) for row in read_grades(path)}
    shared = sorted(set(own) & set(theirs))
    if not shared:
        hint = "grades of documents that were graded here: `codetextbook view` shows them"
        raise InputError(f"none of its {len(theirs):,} documents is graded here", where=file.path, hint=hint)
    return compare([(own[key], theirs[key]) for key in shared], compared=f"these grades and {path.name}")
