"""The exams: the best and the base model write code for every problem, the sandbox judges it, scores carry their protocol (paper §3).

Recorded for each model and benchmark: pass@k with an interval, the share of completions that parse, bits per byte of the reference
solutions, and each verdict's count; then best against base on the same problems. Raw completions are kept, so that scoring again needs
no generating again.

The protocol (prompt form, stops, extraction, samples, temperature, tokens, number format, sandbox) has a digest; two scores compare only
where it is the same. The paper does not publish its way of decoding: greedy, one sample, is ours. A base model that never saw the
exercises' format is judged by the same protocol, and its score says as much about format as about skill.

A verdict `sandbox_broke` is no score: it is tried again once, and then the stage stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa
from pydantic import Field, model_validator

from codetextbook.benchmarks.extract import FUNCTION_STOPS, PROGRAM_STOPS, Extraction
from codetextbook.benchmarks.problems import BenchmarkFile, load, problems_digest
from codetextbook.benchmarks.scoring import compare, score
from codetextbook.config import Config, digest
from codetextbook.nouns import COMPLETION, Problem
from codetextbook.sandbox import Limits, Sandbox
from codetextbook.shards import split, to_rows, to_table
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer

if TYPE_CHECKING:
    from codetextbook.benchmarks.exam import Examinee

PROBLEMS_PER_PART = 41

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


class Evaluate(Config):
    """Which exams, and by which protocol."""

    benchmarks: tuple[Literal["humaneval", "heldout"], ...] = ("humaneval", "heldout")
    """HumanEval (paper §3) and exercises of families that no training split holds (ours)."""
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
    seed: int = 0
    """Seed of sampling and of the draw of held-out exercises."""

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


def protocol(cfg: Evaluate, problems: dict[str, list[Problem]], dtype: str, tier: str) -> dict[str, Any]:
    """All that a score depends on besides the model."""
    return {
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


@stage(version=1)
def evaluate(cfg: Evaluate, best: Artifact, base: Artifact, clean: Artifact, *, out: Writer, site: Site) -> None:
    """Both models sit all exams, part by part; then everything is scored."""
    from codetextbook.benchmarks.exam import DTYPE, Examinee  # loads torch, which reading a recipe should not

    exercises = clean.table("exercises")
    problems = load(cfg.benchmarks, cfg.files, exercises=exercises, heldout_cap=cfg.heldout_cap, seed=cfg.seed)
    exams = [
        (model, artifact, group[part.start : part.stop])
        for model, artifact in (("best", best), ("base", base))
        for group in problems.values()
        for part in split(len(group), PROBLEMS_PER_PART)
    ]
    limits = Limits(cpu_seconds=cfg.cpu_seconds)
    with Sandbox(workers=site.workers, limits=limits, allow_unsafe=site.sandbox == "unsafe") as sandbox:
        examinee: Examinee | None = None
        for serial, (model, artifact, part) in enumerate(exams):
            if not out.has(f"completions-{serial:05d}"):
                if examinee is None or examinee.name != model:
                    examinee = Examinee.load(model, artifact.file("model"), device=site.device, threads=site.threads)
                _sit(cfg, examinee, part, serial, sandbox, out)
            out.progress(serial + 1, len(exams), "parts")
        tier = sandbox.tier
    _score(cfg, problems, protocol(cfg, problems, DTYPE, tier), out)
    out.fact("sandbox_tier", tier)
    asked = 2 * cfg.samples * sum(map(len, problems.values()))
    out.flow(rows_in=asked, unit="completions")


def _sit(
    cfg: Evaluate, examinee: Examinee, part: Sequence[Problem], serial: int, sandbox: Sandbox, out: Writer
) -> None:
    """One model, one part of one benchmark: references, completions, verdicts. Completions are written last."""
    from codetextbook.benchmarks.exam import Writing, sit

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
    rows = sit(examinee, part, how, sandbox)
    out.table("references", serial, to_table(references, REFERENCE))
    out.table("completions", serial, to_table(rows, COMPLETION))


def _score(cfg: Evaluate, problems: dict[str, list[Problem]], told: dict[str, Any], out: Writer) -> None:
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
        for model in ("best", "base")
    }
    paired = {
        name: compare(group, own(completions, "best", name), own(completions, "base", name))
        for name, group in problems.items()
        if group
    }
    scores = {"models": models, "paired": paired, "protocol": told, "protocol_digest": digest(told)}
    out.json("scores", scores)
    for name, group in models["best"].items():
        out.fact(f"{name}_pass_at_1", group["pass_at_k"].get("1"))
        out.fact(f"{name}_bits_per_byte", group["bits_per_byte"])
    out.fact("protocol_digest", scores["protocol_digest"])
