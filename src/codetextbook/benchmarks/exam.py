"""Sitting an exam: a model folder writes completions and says what the references cost it; the sandbox judges what it wrote (paper §3).

Computed in fp32 on every device, so that greedy completions do not hang on a machine's number formats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import torch

from codetextbook.benchmarks.extract import Extraction, extract, program, stops_for
from codetextbook.errors import SandboxError
from codetextbook.model.folder import Loaded, load
from codetextbook.model.generate import Sampling, Text, bits, generate
from codetextbook.nouns import Problem, Verdict
from codetextbook.sandbox import Job, Result, Sandbox
from codetextbook.text.embed import pick_device

DTYPE = "fp32"


@dataclass(frozen=True)
class Writing:
    """How completions are written and read: part of a score's protocol."""

    samples: int = 1
    """Completions for each problem."""
    temperature: float = 0.0
    """0 always takes the likeliest token."""
    max_new_tokens: int = 256
    """Tokens after which a completion is cut."""
    extraction: Extraction = "stops_body"
    """How code is taken from the raw text."""
    seed: int = 0
    """Seed of sampling; each sample of each problem draws its own from it."""


class Examinee(Protocol):
    """Whoever sits exams: a model folder of ours here, others in `codetextbook.benchmarks.examinees`."""

    @property
    def name(self) -> str: ...

    def bits(self, problem: Problem) -> float | None:
        """Bits that the reference costs, given the prompt; None where the model does not tell."""
        ...

    def write(self, problems: Sequence[Problem], how: Writing) -> list[Text]:
        """Every problem's samples in turn."""
        ...


@dataclass(frozen=True)
class PhiExaminee:
    """A model folder that this package made."""

    name: str
    loaded: Loaded

    @classmethod
    def load(cls, name: str, folder: Path, *, device: str, threads: int) -> Self:
        """Read a model folder.

        Raises:
            InputError: the folder holds no whole model.
        """
        torch.set_num_threads(threads)
        return cls(name, load(folder, pick_device(device)))

    def bits(self, problem: Problem) -> float:
        """Bits that the reference costs, given the prompt."""
        return bits(self.loaded, problem.prompt, problem.reference)

    def write(self, problems: Sequence[Problem], how: Writing) -> list[Text]:
        """Every problem's samples in turn. Problems whose form has the same stops are written together."""
        asked = questions(problems, how)
        texts: dict[int, Text] = {}
        for stops in dict.fromkeys(one.stops for one in asked):
            places = [place for place, one in enumerate(asked) if one.stops == stops]
            sampling = Sampling(how.max_new_tokens, how.temperature, stops=stops)
            prompts, seeds = [asked[place].prompt for place in places], [asked[place].seed for place in places]
            texts |= zip(places, generate(self.loaded, prompts, sampling, seeds), strict=True)
        return [texts[place] for place in range(len(asked))]


class Question(NamedTuple):
    """One completion that is asked for."""

    prompt: str
    stops: tuple[str, ...]
    seed: int


def questions(problems: Sequence[Problem], how: Writing) -> list[Question]:
    """Every problem's samples in turn."""
    return [
        Question(
            problem.prompt, stops_for(problem.prompt, problem.entry_point), _seed(how.seed, problem.task_id, sample)
        )
        for problem in problems
        for sample in range(how.samples)
    ]


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:7])


def sit(examinee: Examinee, problems: Sequence[Problem], how: Writing, sandbox: Sandbox) -> list[dict[str, Any]]:
    """Rows of COMPLETION: what the model wrote for each problem, and the verdict.

    Raises:
        SandboxError: the sandbox broke twice on the same program.
    """
    written = written_rows(examinee.name, problems, examinee.write(problems, how), how.samples)
    return judged(extracted(written, problems, how.extraction), problems, sandbox)


def written_rows(
    model: str, problems: Sequence[Problem], written: Sequence[Text], samples: int
) -> list[dict[str, Any]]:
    """What a model wrote, before anything is made of it; `written` holds every problem's samples in turn."""
    return [
        {
            "model": model,
            "benchmark": problems[number // samples].benchmark,
            "task_id": problems[number // samples].task_id,
            "sample": number % samples,
            "raw": text.text,
            "stop_reason": text.stop_reason,
        }
        for number, text in enumerate(written)
    ]


def extracted(
    written: Sequence[dict[str, Any]], problems: Sequence[Problem], extraction: Extraction
) -> list[dict[str, Any]]:
    """Completions before their verdict: the code that is taken from each raw text."""
    by_task = {problem.task_id: problem for problem in problems}
    rows = []
    for row in written:
        problem = by_task[row["task_id"]]
        found = extract(problem.prompt, row["raw"], problem.entry_point, extraction)
        stop_reason = "stop" if found.stop else row["stop_reason"]
        rows.append(row | {"prompt": problem.prompt, "extracted": found.code, "stop_reason": stop_reason})
    return rows


def judged(rows: Sequence[dict[str, Any]], problems: Sequence[Problem], sandbox: Sandbox) -> list[dict[str, Any]]:
    """The rows with their verdicts. Where nothing of a text could be kept as code, it is unparsable and not run.

    Raises:
        SandboxError: the sandbox broke twice on the same program.
    """
    by_task = {problem.task_id: problem for problem in problems}
    done = [_without_code(row) for row in rows]
    for _ in range(2):
        waiting = [number for number, verdict in enumerate(done) if verdict is None or verdict[0] == "sandbox_broke"]
        jobs = [_job(rows[number], by_task[rows[number]["task_id"]]) for number in waiting]
        for number, result in zip(waiting, sandbox.check_many(jobs), strict=True):
            done[number] = _verdict_of(result)
    verdicts = [verdict for verdict in done if verdict is not None]
    broken = [verdict for verdict in verdicts if verdict[0] == Verdict.SANDBOX_BROKE.value]
    if broken:
        raise SandboxError(f"the sandbox broke on {len(broken)} completions, twice: {broken[0][1]}", where="evaluate")
    return [row | {"verdict": verdict, "detail": detail} for row, (verdict, detail) in zip(rows, verdicts, strict=True)]


def _without_code(row: dict[str, Any]) -> tuple[str, str] | None:
    if row["raw"].strip() and not row["extracted"].strip():
        return Verdict.UNPARSABLE.value, "no line of it is the function's body"
    return None


def _job(row: dict[str, Any], problem: Problem) -> Job:
    return Job(program(problem.prompt, row["extracted"]), problem.tests, problem.entry_point, problem.prompt)


def _verdict_of(result: Result) -> tuple[str, str]:
    """The sandbox's status as a verdict; a full scratch disk counts as a crash."""
    status = result.status.value
    if status == "disk_quota":
        return Verdict.CRASHED.value, f"disk quota: {result.detail}"
    return Verdict(status).value, result.detail
