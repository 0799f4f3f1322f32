"""How a model is trained: the settings that pretraining and finetuning share, and where that happens. Loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from codetextbook.config import Config

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Engine = Literal["one", "ddp", "fsdp2", "deepspeed"]


class Training(Config):
    """One run of the optimizer over an array of tokens."""

    steps: int = Field(default=1_000, ge=1)
    """Optimizer steps that are taken."""
    schedule_steps: int | None = Field(default=None, ge=1)
    """Step at which the learning rate would reach 0; unset: the last one (the paper planned 36,000 and kept step 24,000, §2.3)."""
    batch_sequences: int = Field(default=32, ge=1)
    """Sequences in one optimizer step: the global batch."""
    micro_batch_sequences: int = Field(default=32, ge=1)
    """Sequences that are in memory at once; gradients add up over them. Rounding differs with it, so it is part of the recipe."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`adamw` (paper §2.3); `muon`: Muon for the matrices inside the blocks, AdamW for the rest, for short runs (ours)."""
    learning_rate: float = Field(default=1e-3, gt=0, le=1.0)
    """Peak learning rate (paper §2.3)."""
    warmup_steps: int = Field(default=50, ge=0)
    """Optimizer steps of linear warm-up (paper §2.3); linear decay follows."""
    weight_decay: float = Field(default=0.1, ge=0, le=1.0)
    """Decoupled decay of matrices; biases, norms and embeddings have none (strength: paper §2.3; what it is applied to: ours)."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """AdamW's mean decay (not published; ours)."""
    beta2: float = Field(default=0.95, ge=0, lt=1)
    """AdamW's variance decay (not published; ours)."""
    epsilon: float = Field(default=1e-8, gt=0)
    """AdamW's epsilon (not published; ours)."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Norm to which gradients are cut (not published; ours)."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Attention and residual dropout (paper §2.3)."""
    precision: Precision = "auto"
    """Number format of the passes; `auto`: bf16 where the machine is fast in it, else fp32. Masters stay fp32. (Paper §2.3:
    fp16, which comes with a loss scale, and is too slow on CPUs.)"""
    validate_every_steps: int = Field(default=250, ge=1)
    """Steps between measurements on the validation array."""
    validation_sequences: int = Field(default=64, ge=1)
    """Sequences of the validation array that are measured, from its beginning."""
    seed: int = 0
    """Seed of weights, order of sequences and dropout."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.batch_sequences % min(self.micro_batch_sequences, self.batch_sequences):
            raise ValueError(
                f"batch_sequences ({self.batch_sequences}) must be a multiple of micro_batch_sequences "
                f"({self.micro_batch_sequences})"
            )
        if self.schedule_steps is not None and self.schedule_steps < self.steps:
            raise ValueError(f"schedule_steps ({self.schedule_steps}) must reach steps ({self.steps})")
        if self.warmup_steps >= (self.schedule_steps or self.steps):
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must end before the schedule does")
        return self


class Placement(Config):
    """Which processes train, and what they do to save memory or time: the site's, never part of an identity. Losses agree to rounding."""

    engine: Engine = "one"
    """`one`: a single process. `ddp`: each process holds the whole model. `fsdp2`: each holds its share of it (PyTorch's fully_shard).
    `deepspeed`: the paper's (§2.3; extra `deepspeed`)."""
    zero_stage: Literal[1, 2, 3] = 2
    """What `deepspeed` shares out: 1 masters and moments, 2 gradients too, 3 weights too (arXiv 1910.02054; 2 sends no more than `ddp`)."""
    processes: int = Field(default=1, ge=1, le=1024)
    """Processes on each machine, one for each GPU."""
    machines: int = Field(default=1, ge=1, le=4096)
    """Machines; on all but the first, `codetextbook join RECIPE` takes part."""
    rendezvous: str = ""
    """`HOST:PORT` of the first machine, where several meet."""
    restarts: int = Field(default=3, ge=0)
    """How often all processes are started again, from the newest checkpoint, after one has died (torchrun's --max-restarts)."""
    save_every_minutes: float = Field(default=0.5, ge=0)
    """Minutes between checkpoints of a training in progress; fewer are written where that would take over 2 % of the time."""
    save_every_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps between checkpoints, whatever they cost; unset: by minutes alone."""
    sample_every_steps: int = Field(default=250, ge=0)
    """Optimizer steps between two looks at what the model writes after the beginning of the validation array; 0 is never."""
    recompute: bool = False
    """Activations inside the blocks are computed again on the way back: about a third more work for a fraction of the memory."""
    compiled: bool = False
    """Blocks go through torch.compile, on a machine with a compiler: worth its minute or two in long trainings. Dropout stays the same."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.engine == "one" and self.processes * self.machines > 1:
            raise ValueError('engine "one" is one process on one machine: use "ddp", "fsdp2" or "deepspeed"')
        if self.machines > 1 and not self.rendezvous.rpartition(":")[0]:
            raise ValueError("several machines need a rendezvous, HOST:PORT of the first one")
        return self
