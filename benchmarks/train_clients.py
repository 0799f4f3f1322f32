"""Clients of the training benchmark: `train_clients.py NAME SHAPE STEPS PRECISION` trains, and prints seconds as a line of JSON.

Each runs in a process of its own, on random tokens, in fp32 or bf16, with AdamW; the first steps are not counted. `NAME+compiled` has
torch.compile do what it can.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

WARM_STEPS = 3


class Shape(NamedTuple):
    """A model and a step."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int
    context: int
    batch: int


SHAPES = {
    "laptop": Shape(4, 128, 2, 2_048, 512, 2),
    "medium": Shape(8, 512, 8, 4_096, 512, 8),
    "phi1-small": Shape(20, 1_024, 16, 51_200, 2_048, 8),
    "phi1": Shape(24, 2_048, 32, 51_200, 2_048, 4),
}


class Times(NamedTuple):
    """Seconds of the counted steps."""

    cpu: float
    wall: float


def timed(step: Callable[[int], Any], steps: int) -> Times:
    """Time of `steps` steps after the warm ones."""
    for number in range(WARM_STEPS):
        step(number)
    _wait()
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(steps):
        step(WARM_STEPS + number)
    _wait()
    return Times(time.process_time() - cpu, time.perf_counter() - wall)


def ours(shape: Shape, steps: int, precision: str, compiled: bool, optimizer: str = "adamw") -> Times:
    """Our loop, a step at a time, with no checkpoint falling due."""
    from codetextbook.model.config import PhiConfig
    from codetextbook.model.phi import Phi
    from codetextbook.train.loader import Sequences
    from codetextbook.train.loop import Data, Keeping, train
    from codetextbook.train.settings import Placement, Training

    config = PhiConfig(
        vocabulary=shape.vocabulary, layers=shape.layers, hidden=shape.hidden, heads=shape.heads, mlp=4 * shape.hidden,
        rotary_dims=32, context=shape.context,
    )  # fmt: skip
    settings = Training(
        steps=WARM_STEPS + steps, batch_sequences=shape.batch, micro_batch_sequences=shape.batch, optimizer=optimizer,
        precision=precision, dropout=0.0, warmup_steps=1, validate_every_steps=10_000, validation_sequences=1,
    )  # fmt: skip
    marks: list[tuple[float, float]] = []

    def mark(done: int, _: Any) -> None:
        if done in (WARM_STEPS, WARM_STEPS + steps):
            _wait()
            marks.append((time.process_time(), time.perf_counter()))

    data = Data(Sequences(_tokens(shape), shape.context, 0), None, 1.0)
    with tempfile.TemporaryDirectory() as scratch:
        train(
            Phi(config).initialise(0), settings, data, device="auto", threads=_threads(), scratch=Path(scratch),
            keeping=Keeping(1, mark), placement=Placement(compiled=compiled, save_every_minutes=600),
        )  # fmt: skip
    (cpu, wall), (cpu_end, wall_end) = marks
    return Times(cpu_end - cpu, wall_end - wall)


def muon(shape: Shape, steps: int, precision: str, compiled: bool) -> Times:
    """Ours with the laptop recipe's optimizer."""
    return ours(shape, steps, precision, compiled, "muon")


def transformers(shape: Shape, steps: int, precision: str, compiled: bool) -> Times:
    """PhiForCausalLM in a plain loop: forward, backward, clip, AdamW; bf16 by autocast."""
    from transformers import PhiConfig, PhiForCausalLM

    model = PhiForCausalLM(
        PhiConfig(
            vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=4 * shape.hidden,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, max_position_embeddings=shape.context,
            attn_implementation="sdpa", resid_pdrop=0.0, embd_pdrop=0.0, attention_dropout=0.0,
        )
    ).to(_device())  # fmt: skip
    return _plain(model, lambda run, x: run(input_ids=x, labels=x).loss, shape, steps, precision, compiled)


def trainer(shape: Shape, steps: int, precision: str, compiled: bool) -> Times:
    """PhiForCausalLM under transformers' Trainer, as it comes."""
    from transformers import PhiConfig, PhiForCausalLM, Trainer, TrainerCallback, TrainingArguments

    model = PhiForCausalLM(
        PhiConfig(
            vocab_size=shape.vocabulary, hidden_size=shape.hidden, intermediate_size=4 * shape.hidden,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, max_position_embeddings=shape.context,
            attn_implementation="sdpa", resid_pdrop=0.0, embd_pdrop=0.0, attention_dropout=0.0,
        )
    )  # fmt: skip
    rows = torch.from_numpy(_tokens(shape)[: 64 * shape.context].astype(np.int64)).view(64, shape.context)
    marks: list[tuple[float, float]] = []

    class Mark(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in (WARM_STEPS, WARM_STEPS + steps):
                _wait()
                marks.append((time.process_time(), time.perf_counter()))

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, max_steps=WARM_STEPS + steps, per_device_train_batch_size=shape.batch, bf16=precision == "bf16",
            report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=_device() == "cpu",
            dataloader_pin_memory=False, torch_compile=compiled,
        )  # fmt: skip
        examples = [{"input_ids": row, "labels": row} for row in rows]
        Trainer(model=model, args=arguments, train_dataset=examples, callbacks=[Mark()]).train()
    (cpu, wall), (cpu_end, wall_end) = marks
    return Times(cpu_end - cpu, wall_end - wall)


def litgpt(shape: Shape, steps: int, precision: str, compiled: bool) -> Times:
    """litgpt's phi in a plain loop."""
    from litgpt import GPT, Config

    model = GPT(
        Config(
            name="phi-shape", block_size=shape.context, padded_vocab_size=shape.vocabulary, n_layer=shape.layers,
            n_head=shape.heads, n_embd=shape.hidden, rotary_percentage=0.5, shared_attention_norm=True,
            parallel_residual=True, lm_head_bias=True, bias=True, gelu_approximate="tanh",
        )
    ).to(_device())  # fmt: skip
    return _plain(model, lambda run, x: _cross_entropy(run(x), x), shape, steps, precision, compiled)


def nanogpt(shape: Shape, steps: int, precision: str, compiled: bool) -> Times:
    """nanoGPT's model in a plain loop; CODETEXTBOOK_NANOGPT names its folder."""
    sys.path.insert(0, os.environ["CODETEXTBOOK_NANOGPT"])
    from model import GPT, GPTConfig

    model = GPT(
        GPTConfig(
            block_size=shape.context, vocab_size=shape.vocabulary, n_layer=shape.layers, n_head=shape.heads,
            n_embd=shape.hidden, dropout=0.0, bias=True,
        )
    ).to(_device())  # fmt: skip
    return _plain(model, lambda run, x: run(x, x)[1], shape, steps, precision, compiled)


def peak(shape: Shape, steps: int, precision: str, compiled: bool) -> Times:
    """Matrix products of 1,024^3 (8,192^3 on a GPU), `steps` of them: what this machine can do."""
    del shape, compiled
    size = 8_192 if _device() == "cuda" else 1_024
    a = torch.randn(size, size, device=_device(), dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    return timed(lambda _: a @ a, steps)


def llmc(shape: Shape, steps: int, precision: str, compiled: bool) -> Times:
    """llm.c's GPT-2, C and OpenMP, in fp32, which is all that it has; CODETEXTBOOK_LLMC names its folder."""
    del precision, compiled
    sources = os.environ["CODETEXTBOOK_LLMC"]
    with tempfile.TemporaryDirectory() as folder:
        program, weights = Path(folder, "train"), Path(folder, "model.bin")
        flags = ["-Ofast", "-march=native", "-fopenmp", "-DOMP", f"-I{sources}", "-w"]
        subprocess.run(
            ["gcc", *flags, str(Path(__file__).with_name("train_llmc.c")), "-o", str(program), "-lm"], check=True
        )
        d, layers, vocabulary = shape.hidden, shape.layers, shape.vocabulary
        header = np.zeros(256, np.int32)
        header[:8] = 20240326, 3, shape.context, vocabulary, layers, shape.heads, d, vocabulary
        count = (vocabulary + shape.context) * d + layers * (12 * d * d + 13 * d) + 2 * d
        with weights.open("wb") as file:
            header.tofile(file)
            np.random.default_rng(0).normal(0, 0.02, count).astype(np.float32).tofile(file)
        done = subprocess.run(
            [program, weights, *(str(number) for number in (shape.batch, shape.context, WARM_STEPS, steps))],
            env=os.environ | {"OMP_NUM_THREADS": str(_threads())},
            capture_output=True,
            text=True,
            check=True,
        )
    return Times(**json.loads(done.stdout.splitlines()[-1]))


CLIENTS = {
    "ours": ours, "muon": muon, "transformers": transformers, "trainer": trainer, "litgpt": litgpt, "nanogpt": nanogpt,
    "llmc": llmc, "peak": peak,
}  # fmt: skip


def _plain(
    model: torch.nn.Module,
    loss: Callable[[Callable[..., Any], torch.Tensor], torch.Tensor],
    shape: Shape,
    steps: int,
    precision: str,
    compiled: bool,
) -> Times:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    forward: Any = torch.compile(model) if compiled else model
    tokens = torch.from_numpy(_tokens(shape).astype(np.int64)).to(_device())
    size = shape.batch * shape.context

    def step(number: int) -> None:
        first = number % (len(tokens) // size) * size
        some = tokens[first : first + size].view(shape.batch, shape.context)
        with torch.autocast(_device(), torch.bfloat16, enabled=precision == "bf16"):
            found = loss(forward, some)
        found.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return timed(step, steps)


def _cross_entropy(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())


def _tokens(shape: Shape) -> np.ndarray:
    return (
        np.random.default_rng(0).integers(0, shape.vocabulary, 64 * shape.context * shape.batch + 1).astype(np.uint16)
    )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _threads() -> int:
    return int(os.environ["CODETEXTBOOK_BENCH_THREADS"])


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    torch.set_num_threads(_threads())
    name, shape_name, count, wanted = sys.argv[1:5]
    client, _, extra = name.partition("+")
    times = CLIENTS[client](SHAPES[shape_name], int(count), wanted, extra == "compiled")
    print(json.dumps(times._asdict()))
