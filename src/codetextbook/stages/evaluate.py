"""The exams: the best and the base model write code for every problem, the sandbox judges it, scores carry their protocol (paper §3, §4).

Recorded for each model and benchmark: pass@k with an interval, the share of completions that parse, bits per byte of the reference
solutions, and each verdict's count; then best against base on the same problems, in numbers and in words.

The paper does not publish its way of decoding: greedy, one sample, is ours. A base model that never saw the exercises' format is judged by
the same protocol, and its score says as much about format as about skill.

Limit: 164 problems, one sample each, leave an interval of up to 8 points to either side, and one
trained model says nothing of another seed.

`codetextbook evaluate --rescore` takes what the models wrote from an artifact with other settings of scoring, and no model runs. `exam` is
the same for one model that this package did not train.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pydantic import model_validator

from codetextbook.benchmarks.problems import load
from codetextbook.site import Site
from codetextbook.stages.contract import Stage, stage
from codetextbook.stages.sitting import Evaluate, Name, own, problems_of, sit_all
from codetextbook.store import Artifact, Writer


@stage(version=2)
def evaluate(cfg: Evaluate, best: Artifact, base: Artifact, clean: Artifact, *, out: Writer, site: Site) -> None:
    """Both models sit all exams, part by part; then everything is scored."""
    from codetextbook.benchmarks.exam import DTYPE  # loads torch, which reading a recipe should not

    problems = problems_of(cfg, clean)
    folders = {"best": best, "base": base}
    sit_all(cfg, problems, {name: partial(own, name, folders[name], site) for name in folders}, out, site, DTYPE)


@stage(version=1)
def examine(cfg: Evaluate, best: Artifact, clean: Artifact, *, out: Writer, site: Site) -> None:
    """One model of ours sits all exams: an arm of the ablation."""
    from codetextbook.benchmarks.exam import DTYPE

    problems = problems_of(cfg, clean)
    sit_all(cfg, problems, {"best": partial(own, "best", best, site)}, out, site, DTYPE)


class Exam(Evaluate):
    """One model, of any origin, and the exams it sits."""

    benchmarks: tuple[Name, ...] = ("humaneval",)
    """As in [evaluate]; held-out exercises belong to a run and are not here."""
    examinee: str
    """A model folder (ours, or any of Hugging Face's form), or the address of an OpenAI-compatible server, up to and with `/v1`."""
    model: str = ""
    """Name of the model, as the server knows it."""
    fingerprint: str = ""
    """SHA-256 over a folder's files; filled in, so that other weights are another artifact."""

    @model_validator(mode="before")
    @classmethod
    def _know_the_weights(cls, values: Any) -> Any:
        from codetextbook.benchmarks.examinees import fingerprint

        if isinstance(values, dict) and not values.get("fingerprint"):
            return {**values, "fingerprint": fingerprint(str(values.get("examinee", "")))}
        return values

    @property
    def label(self) -> str:
        """What the model is called in rows: as the server knows it, or the folder's name."""
        return self.model or Path(self.examinee).resolve().name


def exam(cfg: Exam, *, out: Writer, site: Site) -> None:
    """One model sits all exams."""
    from codetextbook.benchmarks.exam import DTYPE
    from codetextbook.benchmarks.examinees import SERVERS_OWN, is_server, open_examinee

    endpoint = site.teacher
    opened = partial(
        open_examinee,
        cfg.label,
        cfg.examinee,
        device=site.device,
        threads=site.threads,
        api_key_env=endpoint.api_key_env,
        in_flight=endpoint.requests_in_flight,
        timeout_seconds=endpoint.timeout_seconds,
    )
    dtype = SERVERS_OWN if is_server(cfg.examinee) else DTYPE
    sit_all(cfg, load(cfg.benchmarks, cfg.files), {cfg.label: opened}, out, site, dtype)


EXAM = Stage("exam", 1, exam, Exam, ())
"""Not a step of any recipe: `codetextbook exam` makes it."""
