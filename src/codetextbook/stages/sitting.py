"""Sitting exams, part by part: what every stage that examines models shares.

The protocol (prompt form, stops, extraction, samples, temperature, tokens, number format, sandbox, judge) has a digest; two scores compare
only where it is the same. What the models wrote is kept raw and apart (`written`) from what was made of it (`completions`).

The unconventional problems may also be graded by a judge, the site's teacher (`judge`); without one the hidden tests alone are reported,
and the report says so. A verdict `sandbox_broke` is no score: it is tried again once, and then the stage stops.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, model_validator

from codetextbook.benchmarks import judge
from codetextbook.benchmarks.anchors import Answer, anchors_of, failing_mutants
from codetextbook.benchmarks.extract import FUNCTION_STOPS, PROGRAM_STOPS, Extraction
from codetextbook.benchmarks.problems import UNCONVENTIONAL, BenchmarkFile, load, problems_digest
from codetextbook.benchmarks.scoring import compare, score
from codetextbook.config import Config, digest
from codetextbook.nouns import COMPLETION, Problem, Verdict
from codetextbook.sandbox import Sandbox
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.store import Artifact, Writer
from codetextbook.teacher import Message, Reply, Request, ask_all, connect

if TYPE_CHECKING:
    from codetextbook.benchmarks.exam import Examinee

PROBLEMS_PER_PART = 41
MOST_JUDGE_TOKENS = 1_024
HIDDEN_TESTS_ALONE = "no judge was asked: the hidden tests alone are reported."
SCORING = ("extraction", "k", "cpu_seconds", "judge", "judge_model", "judge_temperature", "judge_anchored_problems")
"""Settings that change what is made of a completion, and not the completion."""

WRITTEN = pa.schema(
    [
        ("model", pa.string()),
        ("benchmark", pa.string()),
        ("task_id", pa.string()),
        ("sample", pa.int32()),
        ("raw", pa.string()),
        ("stop_reason", pa.string()),
    ]
)
"""What a model wrote, as it came."""
REFERENCE = pa.schema(
    [
        ("model", pa.string()),
        ("benchmark", pa.string()),
        ("task_id", pa.string()),
        ("bits", pa.float64()),
        ("num_bytes", pa.int64()),
    ]
)
"""What the reference solution of a problem costs a model, given the prompt."""
GRADED = pa.schema(
    [
        ("author", pa.string()),
        ("anchor", pa.bool_()),
        ("task_id", pa.string()),
        ("grade", pa.float64()),
        ("samples", pa.list_(pa.float64())),
        ("reasons", pa.list_(pa.string())),
        ("passed", pa.bool_()),
    ]
)
"""One answer or anchor, and what the judge said of it. `passed`: the hidden tests' verdict, null for anchors."""


Name = Literal[
    "humaneval", "heldout", "unconventional", "mbpp", "mbpp_3shot", "mbpp_sanitized", "humaneval_plus", "mbpp_plus"
]


class Evaluate(Config):
    """Which exams, and by which protocol."""

    benchmarks: tuple[Name, ...] = ("humaneval", "heldout")
    """HumanEval (paper §3), exercises of families that no training split holds (ours), MBPP in two prompt forms (paper §3), the plus sets,
    and 50 unconventional problems (paper §4). MBPP and the plus sets are read from the folder that CODETEXTBOOK_BENCHMARK_DATA names."""
    files: tuple[BenchmarkFile, ...] = ()
    """Benchmarks of your own: JSON Lines files."""
    heldout_cap: int = Field(default=164, ge=0)
    """Held-out exercises that are asked, drawn evenly over families; 0 asks all."""
    samples: int = Field(default=1, ge=1, le=1000)
    """Completions for each problem."""
    k: tuple[int, ...] = (1,)
    """The k of pass@k; none may exceed `samples`."""
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    """0 always takes the likeliest token; the paper does not state its own."""
    max_new_tokens: int = Field(default=256, ge=1, le=4096)
    """Tokens after which a completion is cut."""
    extraction: Extraction = "stops_body"
    """How code is taken from the raw text (`benchmarks.extract`)."""
    cpu_seconds: float = Field(default=5.0, gt=0)
    """CPU time of one program; a wall limit would fail right answers on a busy machine."""
    judge: Literal["none", "teacher"] = "none"
    """Who grades the unconventional problems beside their hidden tests (paper §4: GPT-4): nobody, or the site's teacher."""
    judge_model: str = ""
    """The judge's model; empty takes the site's."""
    judge_temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    """Temperature of the judge's three samples (ours: at 0 they would be one)."""
    judge_anchored_problems: int = Field(default=10, ge=1)
    """Problems whose reference, stub, mutant and injection stand among the answers; too many misgraded fail the stage (ours)."""
    seed: int = 0
    """Seed of sampling, of the draw of held-out exercises and of the order in which the judge reads."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.k or max(self.k) > self.samples or min(self.k) < 1:
            raise ValueError(f"k must lie between 1 and samples ({self.samples})")
        if self.temperature == 0 and self.samples > 1:
            raise ValueError(
                "temperature 0 writes the same sample each time: use samples = 1, or a temperature above 0"
            )
        return self

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of all benchmarks, in order."""
        return (*self.benchmarks, *(file.name for file in self.files))

    def only(self, benchmark: str) -> Self:
        """The same protocol for one benchmark alone."""
        files = [file.model_dump() for file in self.files if file.name == benchmark]
        return self.replace({"benchmarks": [name for name in self.benchmarks if name == benchmark], "files": files})


def protocol(
    cfg: Evaluate, problems: dict[str, list[Problem]], dtype: str, tier: str, judged_by: str
) -> dict[str, Any]:
    """All that a score depends on besides the model."""
    told = {
        "prompt": "raw, with nothing before it",
        "stops": {"function": list(FUNCTION_STOPS), "program": list(PROGRAM_STOPS)},
        "extraction": cfg.extraction,
        "samples": cfg.samples,
        "k": list(cfg.k),
        "temperature": cfg.temperature,
        "max_new_tokens": cfg.max_new_tokens,
        "dtype": dtype,
        "sandbox": {"tier": tier, "cpu_seconds": cfg.cpu_seconds},
        "problems": {name: {"count": len(group), "digest": problems_digest(group)} for name, group in problems.items()},
    }
    asked = {"model": judged_by, "temperature": cfg.judge_temperature, "samples": judge.SAMPLES}
    return told | ({"judge": asked} if judged_by else {})


def problems_of(cfg: Evaluate, clean: Artifact) -> dict[str, list[Problem]]:
    """What a run's own models are asked, by benchmark; held-out exercises are those that survived decontamination."""
    exercises = clean.table("exercises")
    return load(cfg.benchmarks, cfg.files, exercises=exercises, heldout_cap=cfg.heldout_cap, seed=cfg.seed)


def sit_all(
    cfg: Evaluate,
    problems: dict[str, list[Problem]],
    examinees: Mapping[str, Callable[[], Examinee]],
    out: Writer,
    site: Site,
    dtype: str,
) -> None:
    """Every model on every benchmark, part by part, each model opened only when it has to write; then judge and scores."""
    from codetextbook.benchmarks.exam import extracted, judged

    exams = [
        (model, group[part.start : part.stop])
        for model in examinees
        for group in problems.values()
        for part in split(len(group), PROBLEMS_PER_PART)
    ]
    with site.open_sandbox(cpu_seconds=cfg.cpu_seconds) as sandbox:
        opened: Examinee | None = None
        for serial, (model, part) in enumerate(exams):
            if not out.has(f"written-{serial:05d}"):
                if opened is None or opened.name != model:
                    opened = examinees[model]()
                _write(cfg, opened, part, serial, out)
            if not out.has(f"completions-{serial:05d}"):
                written = pq.read_table(out.folder / f"written-{serial:05d}.parquet").to_pylist()
                rows = judged(extracted(written, part, cfg.extraction), part, sandbox)
                out.table("completions", serial, to_table(rows, COMPLETION))
            out.progress(serial + 1, len(exams), "parts")
        if cfg.judge != "none" and UNCONVENTIONAL in problems and not out.has("judge"):
            _grade(cfg, problems[UNCONVENTIONAL], sandbox, out, site)
        tier = sandbox.tier
    judged_by = (cfg.judge_model or site.teacher.model) if out.has("judge") else ""
    _score(cfg, problems, list(examinees), protocol(cfg, problems, dtype, tier, judged_by), out)
    out.fact("sandbox_tier", tier)
    out.flow(rows_in=len(examinees) * cfg.samples * sum(map(len, problems.values())), unit="completions")


def own(name: str, artifact: Artifact, site: Site) -> Examinee:
    from codetextbook.benchmarks.exam import PhiExaminee

    return PhiExaminee.load(name, artifact.file("model"), device=site.device, threads=site.threads)


def _write(cfg: Evaluate, examinee: Examinee, part: Sequence[Problem], serial: int, out: Writer) -> None:
    """One model, one part of one benchmark: what the references cost it, and what it writes, last."""
    from codetextbook.benchmarks.exam import Writing, written_rows

    references = [
        {
            "model": examinee.name,
            "benchmark": problem.benchmark,
            "task_id": problem.task_id,
            "bits": examinee.bits(problem),
            "num_bytes": len(problem.reference.encode()),
        }
        for problem in part
    ]
    how = Writing(cfg.samples, cfg.temperature, cfg.max_new_tokens, cfg.extraction, cfg.seed)
    rows = written_rows(examinee.name, part, examinee.write(part, how), cfg.samples)
    out.table("references", serial, to_table(references, REFERENCE))
    out.table("written", serial, to_table(rows, WRITTEN))


def _grade(cfg: Evaluate, problems: Sequence[Problem], sandbox: Sandbox, out: Writer, site: Site) -> None:
    """The judge reads every model's first answers, with anchors among them."""
    by_task = {problem.task_id: problem for problem in problems}
    answers = [
        Answer(by_task[row["task_id"]], row["extracted"], row["model"], row["verdict"] == Verdict.PASSED.value)
        for row in to_rows(Artifact(out.folder).table("completions"))
        if row["benchmark"] == UNCONVENTIONAL and row["sample"] == 0
    ]
    anchored = random.Random(cfg.seed).sample(problems, min(cfg.judge_anchored_problems, len(problems)))
    mutants = failing_mutants(anchored, sandbox)
    anchors = [one for problem, code in zip(anchored, mutants, strict=True) for one in anchors_of(problem, code)]
    with contextlib.closing(connect(site.teacher, out.journal, model=cfg.judge_model)) as teacher:

        def ask(asked: Sequence[judge.Asked]) -> list[str | None]:
            requests = [
                Request((Message("user", one.prompt),), cfg.judge_temperature, MOST_JUDGE_TOKENS, one.sample)
                for one in asked
            ]
            return [reply.text if isinstance(reply, Reply) else None for reply in ask_all(teacher, requests)]

        examined = judge.examine(ask, answers, anchors, seed=cfg.seed)
    rows = [
        {
            "author": grade.answer.author,
            "anchor": is_anchor,
            "task_id": grade.answer.problem.task_id,
            "grade": grade.value,
            "samples": grade.samples,
            "reasons": grade.reasons,
            "passed": grade.answer.passed,
        }
        for grades, is_anchor in ((examined.grades, False), (examined.anchors, True))
        for grade in grades
    ]
    out.table("graded", 0, to_table(rows, GRADED))
    out.json("judge", judge.summary(examined, seed=cfg.seed))


def _score(
    cfg: Evaluate, problems: dict[str, list[Problem]], names: Sequence[str], told: dict[str, Any], out: Writer
) -> None:
    made = Artifact(out.folder)
    completions, references = to_rows(made.table("completions")), to_rows(made.table("references"))

    def own(rows: list[dict[str, Any]], model: str, benchmark: str) -> list[dict[str, Any]]:
        return [row for row in rows if row["model"] == model and row["benchmark"] == benchmark]

    models = {
        model: {
            name: score(group, own(completions, model, name), own(references, model, name), ks=cfg.k, seed=cfg.seed)
            for name, group in problems.items()
            if group
        }
        for model in names
    }
    paired = {
        name: compare(
            [problem.task_id for problem in group],
            *(own(completions, model, name) for model in names[:2]),
            names=(names[0], names[1]),
            seed=cfg.seed,
        )
        for name, group in problems.items()
        if group and len(names) > 1
    }
    scores = {"models": models, "paired": paired, "protocol": told, "protocol_digest": digest(told)}
    if UNCONVENTIONAL in problems:
        scores["judge"] = made.json("judge") if out.has("judge") else {"words": HIDDEN_TESTS_ALONE}
    out.json("scores", scores)
    for name, group in models[names[0]].items():
        out.fact(f"{name}_pass_at_1", group["pass_at_k"].get("1"))
        out.fact(f"{name}_bits_per_byte", group["bits_per_byte"])
    out.fact("protocol_digest", scores["protocol_digest"])
