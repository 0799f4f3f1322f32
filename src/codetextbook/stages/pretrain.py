"""The base model: phi's architecture trained on CodeTextbook, filtered code and textbooks (paper §2.3).

The paper: 1.3B parameters, 50 billion tokens, effective batch 1,024 sequences of 2,048, fp16; phi-1-base is the checkpoint at step 24,000
of a schedule of 36,000. The loop is `codetextbook.train`; what a step does follows from the settings and its number alone, so a run that
was killed goes on bit for bit. Limit: the same bits come only of the same machine, torch, threads and number of processes; elsewhere losses
agree to rounding (`docs/training.md`).
"""

from __future__ import annotations

from pydantic import Field

from codetextbook.model.config import PhiConfig
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.train.settings import Training


class Pretrain(Training):
    """The model's sizes, and how it is trained."""

    model: PhiConfig = PhiConfig()
    """Sizes of the model (paper §2.3)."""
    steps: int = Field(default=24_000, ge=1)
    """Optimizer steps that are taken (paper §2.3: the checkpoint at 24,000 became phi-1-base)."""


@stage(version=1)
def pretrain(cfg: Pretrain, vocab: Artifact, lessons: Artifact, *, out: Writer, site: Site) -> None:
    """Train from the seed's weights, and keep the model with its vocabulary and every step's metrics."""
    from codetextbook.model.folder import save  # these load torch, which reading a recipe should not
    from codetextbook.model.phi import Phi
    from codetextbook.train.lesson import Lesson, keep_metrics, vocabulary_of

    vocabulary = vocabulary_of(vocab, cfg.model)
    lesson = Lesson.of(lessons, context=cfg.model.context, seed=cfg.seed)
    model = Phi(cfg.model).initialise(cfg.seed)
    trained = lesson.teach(
        model, cfg, vocabulary, out=out, device=site.device, threads=site.threads, placement=site.training
    )
    save(trained.model, vocabulary, out.file, "model")
    out.fact("parameters", cfg.model.parameters)
    keep_metrics(trained.metrics, cfg, lesson, out)
