"""Grades for a sample of the corpus: what the quality filter learns from (paper §2.1).

The paper had GPT-4 "determine [the] educational value for a student whose goal is to learn basic coding concepts" of about 100k samples;
its prompt and scale are not published. Ours is a rubric from 0 to 5 (`data/rubric.md`), given by one of three graders:

- `recorded`: grades looked up by the hash of a file's content, those shipped with the package or a JSON Lines file of yours. No cost.
- `teacher`: a language model behind the site's endpoint grades a sample, stratified by source and length.
- `rule`: a fixed rule over syntax-tree facts grades the same sample; labelled as a rule in every row.

Trade-off: recorded grades are a strong model's, but only for files that it has read; an own corpus needs a teacher or own grades. A missing
grade is never a zero: what could not be graded is in `rejected`, with a reason. The shipped grades over-sample collections of algorithms,
so shares of grades say nothing about a corpus.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from codetextbook.config import Config
from codetextbook.errors import InputError, StageFailed
from codetextbook.nouns import GRADE, REJECTED, document_id
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.teacher import (
    Failure,
    Message,
    Reply,
    Request,
    Teacher,
    ask_all,
    ask_objects,
    connect_ahead,
    yes_share,
)
from codetextbook.teacher import rule as ast_rule
from codetextbook.teacher.estimate import Asking, evenly
from codetextbook.text.decode import decode_python

DOCUMENTS_PER_PART = 200
DOCUMENTS_PER_TASK = 25
YES_NO = ("Yes", "No")
REPAIR = 'That was not the JSON object asked for. Answer with {"reason": "<one sentence>", "score": <0 to 5>} and nothing else.'


class Annotate(Config):
    """Who grades, and which sample."""

    grader: Literal["recorded", "rule", "teacher"] = "recorded"
    """`recorded` looks grades up, `teacher` asks the site's endpoint, `rule` counts syntax-tree facts."""
    grades: str = ""
    """JSON Lines file of recorded grades (`document_id` or `text`, `score`, and if known `reason`, `teacher`); empty: those shipped."""
    grades_sha256: str = ""
    """SHA-256 of that file; filled in when it is there, so that other grades are another artifact."""
    sample_size: int = Field(default=1_000, ge=1)
    """Documents graded by `teacher` or `rule`, and the most that are taken from `recorded` (paper §2.1: about 100,000)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the sample."""
    min_grades: int = Field(default=50, ge=4)
    """Grades below which the stage fails (ours: with fewer the forest's interval spans chance)."""
    shown_characters: int = Field(default=8_000, ge=200)
    """Characters of a file that a teacher is shown, from its start (ours: about 2,500 tokens)."""
    model: str = ""
    """The teacher's model; empty takes the site's. Named here it is part of the grades' identity."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """The teacher's sampling temperature (ours: 0, the least spread)."""
    answer: Literal["grade", "yes_no"] = "grade"
    """`grade` asks for a reason and a number; `yes_no` reads the log-odds of one word: 5 x P(Yes), with no reason (for small models)."""
    max_reply_tokens: int = Field(default=200, ge=20)
    """Tokens that one grade may take (ours: a sentence and a number)."""
    max_rejected_share: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of the sample without a usable grade above which the stage fails; unknown recorded grades do not count."""

    @model_validator(mode="before")
    @classmethod
    def _know_the_content(cls, values: Any) -> Any:
        if (
            isinstance(values, dict)
            and not values.get("grades_sha256")
            and Path(str(values.get("grades", ""))).is_file()
        ):
            return {**values, "grades_sha256": hashlib.sha256(Path(values["grades"]).read_bytes()).hexdigest()}
        return values


@dataclass(frozen=True)
class Outcome:
    """What became of a batch: rows of `grades` and rows of `rejected`."""

    grades: list[dict[str, Any]]
    rejected: list[dict[str, Any]]


def sample(rows: Sequence[Mapping[str, Any]], size: int, seed: int) -> list[int]:
    """Places of a sample, spread evenly over sources and, within each, over lengths. `rows` need `id`, `source`, `length`."""

    def key(place: int) -> tuple[str, int, str]:
        row = rows[place]
        draw = hashlib.sha256(f"{seed}/{row['id']}".encode()).hexdigest()
        return str(row["source"]), int(row["length"]).bit_length(), draw

    order = sorted(range(len(rows)), key=key)
    if size >= len(order):
        return sorted(order)
    offset = int(hashlib.sha256(f"{seed}".encode()).hexdigest()[:8], 16) % len(order)
    return sorted(order[(offset + number * len(order) // size) % len(order)] for number in range(size))


def read_recorded(lines: Iterable[str], where: str) -> Iterator[dict[str, Any]]:
    """Recorded grades, each checked.

    Raises:
        InputError: names the line that is not JSON, has no document, or has a score outside 0 to 5.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON: {error.msg}", where=place, hint="one JSON object a line") from None
        if not isinstance(row, dict) or not ("document_id" in row or "text" in row):
            raise InputError("a grade names no document", where=place, hint='give "document_id", or the whole "text"')
        score = row.get("score")
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 5:
            raise InputError(
                f"score {score!r} is no number from 0 to 5", where=place, hint="leave out what has no grade"
            )
        yield row | {"document_id": row["document_id"] if "document_id" in row else document_id(str(row["text"]))}


def match(recorded: Iterable[Mapping[str, Any]], known: Mapping[str, str], label: Mapping[str, str]) -> Outcome:
    """Recorded grades that belong to a known document; the others, and second grades of one document, rejected."""
    grades: dict[str, dict[str, Any]] = {}
    rejected = []
    for row in recorded:
        identity = str(row["document_id"])
        if identity in known and identity not in grades:
            grades[identity] = {
                "document_id": identity,
                "score": float(row["score"]),
                "reason": str(row.get("reason", "")),
                "prompt_id": str(row.get("prompt_id", label["prompt_id"])),
                "teacher": str(row.get("teacher", label["teacher"])),
                "dollars": 0.0,
            }
        else:
            reason = "graded_twice" if identity in grades else "unknown_document"
            shown = f"score {row['score']:g} {row.get('path', '')}".strip()
            rejected.append(_rejected(identity, reason, shown, "", str(row.get("package", ""))))
    return Outcome([grades[identity] for identity in sorted(grades)], rejected)


def by_rule(rows: Sequence[Mapping[str, Any]]) -> Outcome:
    """Grades of the fixed rule."""
    grades, rejected = [], []
    for row in rows:
        found = ast_rule.judge(row["text"])
        if found is None:
            rejected.append(_rejected(row["id"], "not_python", "no syntax tree", row["text"], row["source"]))
        else:
            grades.append(_grade(row["id"], found.score, found.reason, ast_rule.NAME, ast_rule.NAME, 0.0))
    return Outcome(grades, rejected)


def request_for(row: Mapping[str, Any], template: str, rubric: str, cfg: Annotate) -> Request:
    """What the teacher is sent about one document."""
    code = row["text"][: cfg.shown_characters]
    text = template.format(rubric=rubric, code=code, mark=row["id"][:8])
    return Request((Message("user", text),), temperature=cfg.temperature, max_tokens=cfg.max_reply_tokens)


def parse_grade(text: str) -> tuple[float, str] | None:
    """Score and reason of a reply, or None when it holds no valid grade."""
    for found in re.finditer(r"\{[^{}]*\}", text, re.DOTALL):
        try:
            value = json.loads(found.group(), strict=False)
        except json.JSONDecodeError:
            continue
        score = value.get("score")
        if isinstance(score, (int, float)) and not isinstance(score, bool) and 0 <= score <= 5:
            return float(score), str(value.get("reason", ""))
    return None


def yes_no_request(row: Mapping[str, Any], template: str, cfg: Annotate) -> Request:
    """What the teacher is sent about one document when one word is wanted."""
    text = template.format(code=row["text"][: cfg.shown_characters], mark=row["id"][:8])
    return Request((Message("user", text),), max_tokens=1, answers=YES_NO)


def by_teacher(rows: Sequence[Mapping[str, Any]], teacher: Teacher, cfg: Annotate) -> Outcome:
    """Grades of a language model; a malformed reply gets one more try, then is rejected with its text."""
    if cfg.answer == "yes_no":
        return _by_odds(rows, teacher, cfg)
    prompt_id = hashlib.sha256("".join(_prompt()).encode()).hexdigest()[:16]
    requests = _requests(rows, cfg)
    grades, rejected = [], []
    for row, answer in zip(rows, ask_objects(teacher, requests, parse_grade, repair=REPAIR), strict=True):
        if answer.value is None:
            assert answer.failure is not None
            detail = answer.failure.detail[:2_000]
            rejected.append(_rejected(row["id"], answer.failure.reason, detail, row["text"], row["source"]))
        else:
            grades.append(_grade(row["id"], *answer.value, prompt_id, answer.model, answer.dollars))
    return Outcome(grades, rejected)


def _by_odds(rows: Sequence[Mapping[str, Any]], teacher: Teacher, cfg: Annotate) -> Outcome:
    """Grades from the log-probabilities of Yes and No; no probability, no grade."""
    prompt_id = hashlib.sha256(_template("grade_yes_no.md").encode()).hexdigest()[:16]
    replies = ask_all(teacher, _requests(rows, cfg))
    grades, rejected = [], []
    for row, reply in zip(rows, replies, strict=True):
        share = yes_share(reply.scores, *YES_NO) if isinstance(reply, Reply) else None
        if isinstance(reply, Reply) and share is not None:
            reason = f"P(Yes) = {share:.3f}"
            grades.append(_grade(row["id"], round(5 * share, 4), reason, prompt_id, reply.model, reply.dollars))
            continue
        failure = reply if isinstance(reply, Failure) else Failure("no_log_probability", reply.text)
        rejected.append(_rejected(row["id"], failure.reason, failure.detail[:2_000], row["text"], row["source"]))
    return Outcome(grades, rejected)


def example_request(cfg: Annotate) -> Request:
    """What would be sent about one real file, this one's own source."""
    text = Path(__file__).read_text(encoding="utf-8")
    return _requests([{"id": document_id(text), "text": text}], cfg)[0]


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
    requests = _requests([{"id": document_id(text), "text": text} for text in texts], cfg)
    shipped = [json.loads(line) for line in _recorded_text(Annotate())[0].splitlines()]
    answers = [json.dumps({"reason": row["reason"], "score": row["score"]}) for row in shipped]
    sizes = [len(answer) for answer in (answers if cfg.answer == "grade" else YES_NO)]
    return Asking(cfg.model, number, requests, sizes, f"{len(requests)} {kind}, and the recorded grades")


def _requests(rows: Iterable[Mapping[str, Any]], cfg: Annotate) -> list[Request]:
    """What the teacher is sent about documents."""
    if cfg.answer == "yes_no":
        template = _template("grade_yes_no.md")
        return [yes_no_request(row, template, cfg) for row in rows]
    template, rubric = _prompt()
    return [request_for(row, template, rubric, cfg) for row in rows]


@stage(version=1)
def annotate(cfg: Annotate, documents: Artifact, *, out: Writer, site: Site) -> None:
    """Look the grades up, or grade a sample part by part."""
    rows_in = _look_up(cfg, documents, out) if cfg.grader == "recorded" else _grade_sample(cfg, documents, out, site)
    table = Artifact(out.folder).table("grades")
    scores = Counter(table["score"].to_pylist())
    out.fact("grader", cfg.grader)
    out.fact("teachers", dict(Counter(table["teacher"].to_pylist())))
    out.fact("dollars", round(sum(table["dollars"].to_pylist()), 6))
    out.fact("scores", {f"{score:g}": scores[score] for score in sorted(scores)})
    _enough(cfg, table.num_rows, rows_in)
    out.flow(rows_in=rows_in, unit="grades", kept="grades")


def _look_up(cfg: Annotate, documents: Artifact, out: Writer) -> int:
    text, where, label = _recorded_text(cfg)
    table = documents.table("documents").select(["id", "source", "text"])
    known = dict(zip(table["id"].to_pylist(), table["source"].to_pylist(), strict=True))
    lengths = dict(zip(table["id"].to_pylist(), map(len, table["text"].to_pylist()), strict=True))
    rows = list(read_recorded(text.split("\n"), where))
    found = match(rows, known, label)
    drawn = [
        {"id": grade["document_id"], "source": known[grade["document_id"]], "length": lengths[grade["document_id"]]}
        for grade in found.grades
    ]
    kept = set(sample(drawn, cfg.sample_size, cfg.seed))
    left = [
        _rejected(grade["document_id"], "beyond_sample_size", f"score {grade['score']:g}", "", row["source"])
        for place, (grade, row) in enumerate(zip(found.grades, drawn, strict=True))
        if place not in kept
    ]
    out.table("rejected", 0, to_table([*found.rejected, *left], REJECTED))
    out.table("grades", 0, to_table([found.grades[place] for place in sorted(kept)], GRADE))
    out.fact("recorded", dict(label) | {"number": len(rows), "sha256": hashlib.sha256(text.encode()).hexdigest()})
    return len(rows)


def _grade_sample(cfg: Annotate, documents: Artifact, out: Writer, site: Site) -> int:
    table = documents.table("documents").select(["id", "text", "source"])
    slim = [
        {"id": identity, "source": source, "length": len(text)}
        for identity, source, text in zip(*(table[name].to_pylist() for name in ("id", "source", "text")), strict=True)
    ]
    drawn = table.take(pa.array(sample(slim, cfg.sample_size, cfg.seed), pa.int64()))
    parts = list(enumerate(split(drawn.num_rows, DOCUMENTS_PER_PART)))
    missing = [part for index, part in parts if not out.has(f"grades-{index:05d}")]
    with _teacher(drawn, missing, cfg, out, site) as teacher:
        for index, part in parts:
            if not out.has(f"grades-{index:05d}"):
                rows = to_rows(drawn, part)
                outcome = _rule_in_parallel(rows, site) if teacher is None else by_teacher(rows, teacher, cfg)
                out.table("rejected", index, to_table(outcome.rejected, REJECTED))
                out.table("grades", index, to_table(outcome.grades, GRADE))
            out.progress(part.stop, drawn.num_rows, "documents")
    return drawn.num_rows


def _teacher(
    drawn: pa.Table, missing: Sequence[range], cfg: Annotate, out: Writer, site: Site
) -> contextlib.AbstractContextManager[Teacher | None]:
    """The site's teacher, once every grade that is missing is in the journal; nobody where a rule grades."""
    if cfg.grader != "teacher":
        return contextlib.nullcontext()
    requests = (request for part in missing for request in _requests(to_rows(drawn, part), cfg))
    repair = REPAIR if cfg.answer == "grade" else ""
    tell = partial(out.progress, total=sum(map(len, missing)), unit="replies")
    return connect_ahead(site.teacher, out.journal, requests, parse_grade, model=cfg.model, repair=repair, tell=tell)


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


def _recorded_text(cfg: Annotate) -> tuple[str, str, dict[str, str]]:
    """The lines, where they are, and how they are labelled."""
    if not cfg.grades:
        data = resources.files("codetextbook") / "data"
        label = json.loads((data / "grades_label.json").read_text(encoding="utf-8"))
        words = {"teacher": f"recorded: {label['graded_by']}", "prompt_id": label["rubric_sha256"][:16]}
        return (data / "grades.jsonl").read_text(encoding="utf-8"), "the shipped grades", words
    try:
        raw = Path(cfg.grades).read_bytes()
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the grades cannot be read ({error})", where="[annotate] grades") from None
    if hashlib.sha256(raw).hexdigest() != cfg.grades_sha256:
        raise InputError(
            f"{cfg.grades} is not the file that the recipe names by its content",
            where="[annotate] grades_sha256",
            hint="take grades_sha256 out of the recipe to use the file as it is now",
        )
    return text, cfg.grades, {"teacher": f"recorded: {Path(cfg.grades).name}", "prompt_id": ""}


def _template(name: str) -> str:
    return (resources.files("codetextbook") / "teacher" / "prompts" / name).read_text(encoding="utf-8")


def _prompt() -> tuple[str, str]:
    rubric = (resources.files("codetextbook") / "data" / "rubric.md").read_text(encoding="utf-8")
    return _template("grade.md"), rubric


def _grade(identity: str, score: float, reason: str, prompt_id: str, teacher: str, dollars: float) -> dict[str, Any]:
    values = (identity, score, reason, prompt_id, teacher, dollars)
    return dict(zip(GRADE.names, values, strict=True))


def _rejected(identity: str, reason: str, detail: str, text: str, source: str) -> dict[str, Any]:
    return dict(zip(REJECTED.names, (identity, reason, detail, text, source), strict=True))
