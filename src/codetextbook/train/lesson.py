"""A lesson: a packed artifact as training data, taught to a model by the settings of a stage, its metrics kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from tokenizers import Tokenizer

from codetextbook.errors import ConfigError
from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.shards import to_table
from codetextbook.store import Artifact, Writer
from codetextbook.train.launch import Job, launch
from codetextbook.train.loader import Sequences
from codetextbook.train.loop import METRICS, Data, Keeping, Trained, train
from codetextbook.train.settings import Placement, Training
from codetextbook.train.tokens import Tokens
from codetextbook.train.utilisation import MACHINE, machine

SAMPLES = "samples.jsonl"
"""Volatile part of a training's artifact: what the model wrote on the way, a `step` and a `text` on each line."""


@dataclass(frozen=True)
class Lesson:
    """Arrays to learn from and to be measured on."""

    data: Data
    packed: Artifact

    @classmethod
    def of(cls, packed: Artifact, *, context: int, seed: int) -> Self:
        """The arrays of a packed artifact, mapped from disk. Too few tokens for one validation sequence: none is measured.

        Raises:
            InputError: the training array does not fill one sequence.
        """
        tokens, held = (Tokens.of(packed.folder, name) for name in ("train", "validation"))
        validation = Sequences(held, context, seed) if len(held) > context else None
        return cls(
            Data(
                Sequences(tokens, context, seed),
                validation,
                float(packed.manifest["facts"]["validation_bytes_per_token"]),
            ),
            packed,
        )

    def teach(
        self,
        model: Phi,
        cfg: Training,
        vocabulary: Tokenizer,
        *,
        out: Writer,
        device: str,
        threads: int,
        placement: Placement,
        keeping: Keeping | None = None,
    ) -> Trained:
        """Train the model, here or by many processes; checkpoints go to the artifact's scratch folder, progress to whoever watches."""
        ground = machine(model.config, cfg.precision, device, threads, placement)
        with out.volatile(MACHINE) as path:
            path.write_text(json.dumps(ground.told(), indent=1) + "\n", encoding="utf-8")

        def tell(done: int, total: int, facts: dict[str, Any]) -> None:
            if "sample" in facts:
                facts = facts | {"sample": vocabulary.decode(facts["sample"], skip_special_tokens=False)}
                with (out.scratch / SAMPLES).open("a", encoding="utf-8") as log:
                    log.write(json.dumps({"step": done, "text": facts["sample"]}) + "\n")
            out.progress(done, total, "steps", **facts, **ground.shares(facts["tokens/s"]))

        if placement.engine == "one":
            return train(
                model,
                cfg,
                self.data,
                device=device,
                threads=threads,
                scratch=out.scratch,
                placement=placement,
                progress=tell,
                keeping=keeping,
            )
        every = keeping.every_steps if keeping else None
        job = Job(cfg, model.config, self.packed.folder, placement, device, threads, every)
        return launch(job, model, out.scratch, tell, keeping)


def vocabulary_of(vocab: Artifact, model: PhiConfig) -> Tokenizer:
    """The artifact's vocabulary.

    Raises:
        ConfigError: the model's embedding has too few rows for it.
    """
    vocabulary = Tokenizer.from_file(str(vocab.file("tokenizer.json")))
    if vocabulary.get_vocab_size() > model.vocabulary:
        raise ConfigError(
            f"the vocabulary has {vocabulary.get_vocab_size():,} tokens and the model {model.vocabulary:,} rows",
            where="[pretrain.model] vocabulary",
            hint=f"{vocabulary.get_vocab_size()} or more",
        )
    return vocabulary


def keep_metrics(rows: Sequence[dict[str, Any]], cfg: Training, lesson: Lesson, out: Writer) -> None:
    """Write every step's metrics, their facts, and the flow of steps; times go into a volatile part."""
    out.table("metrics", 0, to_table(rows, METRICS))
    for log in (out.scratch / "metrics.jsonl", out.scratch / SAMPLES):
        if log.exists():
            with out.volatile(log.name) as path:
                path.write_bytes(log.read_bytes())
    measured = [row for row in rows if row.get("validation_loss") is not None]
    skipped = sum(row["skipped"] for row in rows)
    out.fact("tokens", rows[-1]["tokens"])
    out.fact("epochs", round(rows[-1]["tokens"] / max(len(lesson.data.train.tokens), 1), 3))
    out.fact("final_loss", rows[-1]["loss"])
    out.fact("validation_loss", measured[-1]["validation_loss"] if measured else None)
    out.fact("validation_bits_per_byte", measured[-1]["bits_per_byte"] if measured else None)
    out.flow(
        rows_in=cfg.steps,
        unit="steps",
        rows_kept=cfg.steps - skipped,
        rejected={"gradient_not_finite": skipped} if skipped else {},
    )
