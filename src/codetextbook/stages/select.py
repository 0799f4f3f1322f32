"""The best checkpoint of the finetuning, by exercises kept for choosing, never by a reported benchmark (paper §2.3: "pick the best").

The paper's rule is not published. Ours: each checkpoint completes the same validation exercises (topics that training never saw), and the
one that solves most is taken; equal ones by validation loss, then the later one. `validation_loss` alone is quicker and needs no sandbox.
Both are shown for every checkpoint, so that the best and the last can be compared. Limit: the best of several scores is too good a score;
what it is worth, the exams say.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from codetextbook.benchmarks.problems import HELDOUT, from_exercises
from codetextbook.config import Config
from codetextbook.errors import StageFailed
from codetextbook.nouns import Problem, Verdict
from codetextbook.sandbox import Sandbox
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer

VALIDATION = "validation"

CHECKPOINT = pa.schema(
    [
        ("step", pa.int64()),
        ("validation_loss", pa.float64()),
        ("problems", pa.int64()),
        ("solved", pa.int64()),
        ("chosen", pa.bool_()),
    ]
)
"""One checkpoint of the finetuning, and how it did."""


class Select(Config):
    """What makes a checkpoint the best."""

    by: Literal["solved", "validation_loss"] = "solved"
    """`solved`: validation exercises that it completes rightly; `validation_loss`: nats a token on the validation array."""
    problems: int = Field(default=100, ge=1)
    """Validation exercises that each checkpoint completes, drawn evenly over families (ours)."""
    max_new_tokens: int = Field(default=200, ge=1, le=4096)
    """Tokens after which a completion is cut."""
    cpu_seconds: float = Field(default=5.0, gt=0)
    """CPU time of one program."""
    seed: int = Field(default=0, ge=0)
    """Seed of the draw."""


def refuse_reported(chosen: list[Problem], reported: list[Problem]) -> None:
    """Raise where an exercise that choosing uses is one that is reported.

    Raises:
        StageFailed: names the exercise.
    """
    names = {problem.task_id for problem in reported} | {problem.prompt for problem in reported}
    for problem in chosen:
        if problem.task_id in names or problem.prompt in names:
            raise StageFailed(
                f"exercise {problem.task_id} would choose the checkpoint and be reported too",
                where="[select]",
                hint="this is a defect of the splits: please report it",
            )


def best_of(rows: list[dict[str, Any]], by: str) -> int:
    """The step to take: most solved, then least loss, then the latest. A loss that was not measured counts as the greatest."""

    def merit(row: dict[str, Any]) -> tuple[float, float, int]:
        loss = row["validation_loss"] if row["validation_loss"] is not None else float("inf")
        return (row["solved"] if by == "solved" else 0, -loss, row["step"])

    return int(max(rows, key=merit)["step"])


@stage(version=1)
def select(cfg: Select, tuned: Artifact, clean: Artifact, *, out: Writer, site: Site) -> None:
    """Try every checkpoint on the same exercises and copy the best."""
    folders = sorted(tuned.file("checkpoints").iterdir())
    losses = _losses(tuned)
    problems = _problems(cfg, clean) if cfg.by == "solved" else []
    rows = []
    with site.open_sandbox(cpu_seconds=cfg.cpu_seconds) if problems else contextlib.nullcontext() as sandbox:
        for number, folder in enumerate(folders):
            step = int(folder.name.rpartition("-")[2])
            solved = _solved(cfg, folder, problems, sandbox, site) if sandbox is not None else None
            row = {"step": step, "validation_loss": losses.get(step), "problems": len(problems), "solved": solved}
            rows.append(row)
            out.progress(number + 1, len(folders), "checkpoints")
    step = best_of(rows, cfg.by)
    out.table("checkpoints", 0, to_table([row | {"chosen": row["step"] == step} for row in rows], CHECKPOINT))
    for part in sorted((tuned.file("checkpoints") / f"step-{step:06d}").iterdir()):
        with out.file(f"model/{part.name}") as path:
            shutil.copyfile(part, path)
    out.fact("step", step)
    out.fact("last_step", rows[-1]["step"])
    out.fact("by", cfg.by)
    out.fact("checkpoints", rows)
    out.flow(rows_in=len(rows), unit="checkpoints", rows_kept=1, rejected={"not_best": len(rows) - 1})


def _problems(cfg: Select, clean: Artifact) -> list[Problem]:
    exercises = clean.table("exercises")
    problems = from_exercises(exercises, split=VALIDATION, cap=cfg.problems, seed=cfg.seed)
    if not problems:
        raise StageFailed(
            "there are no validation exercises",
            where="[exercises] validation_share",
            hint='a larger share, or by = "validation_loss" in [select]',
        )
    refuse_reported(problems, from_exercises(exercises, split=HELDOUT))
    return problems


def _losses(tuned: Artifact) -> dict[int, float]:
    """Validation loss by step, where it was measured."""
    table = tuned.table("metrics").select(["step", "validation_loss"])
    return {row["step"]: row["validation_loss"] for row in table.to_pylist() if row["validation_loss"] is not None}


def _solved(cfg: Select, folder: Path, problems: list[Problem], sandbox: Sandbox, site: Site) -> int:
    from codetextbook.benchmarks.exam import PhiExaminee, Writing, sit  # loads torch, which reading a recipe should not

    examinee = PhiExaminee.load(folder.name, folder, device=site.device, threads=site.threads)
    rows = sit(examinee, problems, Writing(max_new_tokens=cfg.max_new_tokens), sandbox)
    return sum(row["verdict"] == Verdict.PASSED.value for row in rows)
