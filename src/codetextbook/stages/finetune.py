"""The tuned model: the base trained further on CodeExercises, with a checkpoint every so many steps (paper §2.3).

The paper: 6,000 steps at an effective batch of 256 and a tenth of the learning rate, saved every 1,000 steps, the best kept; by what rule
is not published: see `select`. Sequences, loss and loop are those of pretraining. Limit: the loss is on every
token, so a model also learns to write prompts; on bodies alone it gained nothing (`docs/log.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer
from codetextbook.train.settings import Training

if TYPE_CHECKING:
    from codetextbook.model.phi import Phi


class Finetune(Training):
    """How the base is trained further."""

    save_every_steps: int = Field(default=1_000, ge=1)
    """Steps between checkpoints that `select` may choose from (paper §2.3: 1,000); the last step is always one."""


@stage(version=1)
def finetune(cfg: Finetune, vocab: Artifact, practice: Artifact, base: Artifact, *, out: Writer, site: Site) -> None:
    """Train the base on exercises, keeping checkpoints as model folders `checkpoints/step-000000`."""
    from codetextbook.model.folder import SETTINGS, load, save  # these load torch, which reading a recipe should not
    from codetextbook.train.lesson import Lesson, keep_metrics, vocabulary_of
    from codetextbook.train.loop import Keeping

    model = load(base.file("model")).model
    vocabulary = vocabulary_of(vocab, model.config)
    lesson = Lesson.of(practice, context=model.config.context, seed=cfg.seed)

    def keep(step: int, current: Callable[[], Phi]) -> None:
        name = f"checkpoints/step-{step:06d}"
        if not out.has(f"{name}/{SETTINGS}"):
            save(current(), vocabulary, out.file, name)

    trained = lesson.teach(
        model,
        cfg,
        vocabulary,
        out=out,
        device=site.device,
        threads=site.threads,
        placement=site.training,
        keeping=Keeping(cfg.save_every_steps, keep),
    )
    out.fact("checkpoints", -(-cfg.steps // cfg.save_every_steps))
    keep_metrics(trained.metrics, cfg, lesson, out)
