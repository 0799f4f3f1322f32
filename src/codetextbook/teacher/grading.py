"""A teacher grades documents: what it is shown, what it is asked, how its answers are read, and how the grades of windows are combined.

A long file is shown as its head (its documentation and first definitions), or as windows spread evenly over it, each graded alone. A
malformed reply gets one more try and is then rejected with its text; a document with a window that has no grade has none. A missing grade
is never zero.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from statistics import mean, median
from typing import Any, Literal, NamedTuple

from pydantic import Field

from codetextbook.config import Config
from codetextbook.teacher.ask import ask_all, ask_objects, yes_share
from codetextbook.teacher.grade_files import Outcome, grade_row, rejected_row
from codetextbook.teacher.protocol import Failure, Message, Reply, Request, Teacher

YES_NO = ("Yes", "No")
REPAIR = 'That was not the JSON object asked for. Answer with {"reason": "<one sentence>", "score": <0 to 5>} and nothing else.'
COMBINE: dict[str, Callable[[Sequence[float]], float]] = {"mean": mean, "median": median, "lowest": min, "highest": max}


class Grading(Config):
    """What a teacher is shown of a file, and how it answers."""

    shown: Literal["head", "windows"] = "head"
    """`head` shows the start of a long file; `windows` parts spread evenly over it, each graded alone (ours: the head)."""
    shown_characters: int = Field(default=8_000, ge=200)
    """Characters of the head, or of one window (ours: about 2,500 tokens)."""
    windows: int = Field(default=3, ge=2, le=100)
    """Windows of a long file at most; a file that one window holds has one."""
    combine: Literal["mean", "median", "lowest", "highest"] = "mean"
    """How the grades of a file's windows become its grade (ours)."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """The teacher's sampling temperature (ours: 0, the least spread)."""
    answer: Literal["grade", "yes_no"] = "grade"
    """`grade` asks for a reason and a number; `yes_no` reads the log-odds of one word: 5 x P(Yes), with no reason (for small models)."""
    max_reply_tokens: int = Field(default=200, ge=20)
    """Tokens that one grade may take (ours: a sentence and a number)."""


class _Said(NamedTuple):
    """What became of one question: a score with its reason, or why there is none."""

    score: float
    reason: str
    failure: Failure | None
    model: str
    dollars: float


def parts_of(text: str, cfg: Grading) -> list[str]:
    """What the teacher is shown of a text: one part, or windows from its start to its end."""
    size = cfg.shown_characters
    if cfg.shown == "head" or len(text) <= size:
        return [text[:size]]
    count = min(cfg.windows, -(-len(text) // size))
    starts = [number * (len(text) - size) // (count - 1) for number in range(count)]
    return [
        f"# (part {number} of {count} of this file)\n{text[start : start + size]}"
        for number, start in enumerate(starts, 1)
    ]


def requests_for(rows: Iterable[Mapping[str, Any]], cfg: Grading, repeat: int = 0) -> list[Request]:
    """What the teacher is sent about documents, part after part. `repeat` tells a second asking apart from the first."""
    found = []
    for row in rows:
        for code in parts_of(row["text"], cfg):
            if cfg.answer == "yes_no":
                said = template("grade_yes_no.md").format(code=code, mark=row["id"][:8])
                found.append(Request((Message("user", said),), max_tokens=1, answers=YES_NO, sample=repeat))
                continue
            said = template("grade.md").format(rubric=rubric(), code=code, mark=row["id"][:8])
            message = (Message("user", said),)
            found.append(Request(message, cfg.temperature, cfg.max_reply_tokens, repeat))
    return found


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


def by_teacher(rows: Sequence[Mapping[str, Any]], teacher: Teacher, cfg: Grading, repeat: int = 0) -> Outcome:
    """Grades of a language model."""
    requests = requests_for(rows, cfg, repeat)
    said = iter(_by_odds(requests, teacher) if cfg.answer == "yes_no" else _by_grade(requests, teacher))
    prompt_id = prompt_of(cfg)
    grades, rejected = [], []
    for row in rows:
        parts = [next(said) for _ in parts_of(row["text"], cfg)]
        failed = next((one.failure for one in parts if one.failure is not None), None)
        if failed is not None:
            rejected.append(rejected_row(row["id"], failed.reason, failed.detail[:2_000], row["text"], row["source"]))
            continue
        score = round(float(COMBINE[cfg.combine]([one.score for one in parts])), 4)
        reason = parts[0].reason if len(parts) == 1 else " ".join(f"{one.score:g}: {one.reason}" for one in parts)
        dollars = sum(one.dollars for one in parts)
        grades.append(grade_row(row["id"], score, reason, prompt_id, parts[0].model, dollars))
    return Outcome(grades, rejected)


def _by_grade(requests: Sequence[Request], teacher: Teacher) -> list[_Said]:
    """Answers with a reason and a number; a malformed one gets one more try."""
    found = []
    for answer in ask_objects(teacher, requests, parse_grade, repair=REPAIR):
        score, reason = answer.value or (0.0, "")
        found.append(_Said(score, reason, answer.failure, answer.model, answer.dollars))
    return found


def _by_odds(requests: Sequence[Request], teacher: Teacher) -> list[_Said]:
    """Grades from the log-probabilities of Yes and No; no probability, no grade."""
    found = []
    for reply in ask_all(teacher, requests):
        share = yes_share(reply.scores, *YES_NO) if isinstance(reply, Reply) else None
        if isinstance(reply, Reply) and share is not None:
            found.append(_Said(round(5 * share, 4), f"P(Yes) = {share:.3f}", None, reply.model, reply.dollars))
        else:
            failure = reply if isinstance(reply, Failure) else Failure("no_log_probability", reply.text)
            found.append(_Said(0.0, "", failure, teacher.model, 0.0))
    return found


def prompt_of(cfg: Grading) -> str:
    """The first digits of the digest of what is asked."""
    said = template("grade_yes_no.md") if cfg.answer == "yes_no" else template("grade.md") + rubric()
    return hashlib.sha256(said.encode()).hexdigest()[:16]


@lru_cache
def template(name: str) -> str:
    """A shipped prompt."""
    return (resources.files("codetextbook") / "teacher" / "prompts" / name).read_text(encoding="utf-8")


@lru_cache
def rubric() -> str:
    """The written rubric."""
    return (resources.files("codetextbook") / "data" / "rubric.md").read_text(encoding="utf-8")
