"""Writing with a model: ours beside `transformers.generate` and llama.cpp, same weights, greedy, fp32, one thread.

Four loads. `1`: one text. `64`: 64 texts of one length, the peer's best case. `64, ragged`: 192 texts that end at lengths of their own, as
exams do, in batches of 64; the peer writes on until the last of its batch ends, ours gives a finished row's place to the next text. `64,
samples`: the same with 3 prompts, 64 texts of each, as for pass@k; the peer reads a prompt for every text, ours once. The bound is what 64
texts of one length would be written at if the model's matrix products, at the speed at which this core does them, took all the time.
Rates are tokens that were asked for, per second of this process's processor time. Needs `transformers`; llama.cpp through `xllamacpp`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.frame import Outcome, arguments, seconds_of, tell, versions
from codetextbook.model.batch import Batch, Row
from codetextbook.model.config import PhiConfig
from codetextbook.model.folder import Loaded
from codetextbook.model.gguf import write_gguf
from codetextbook.model.hf import public_config, to_public
from codetextbook.model.phi import Phi
from codetextbook.model.sampling import Sampling
from codetextbook.nouns import END_OF_TEXT
from codetextbook.text.vocabulary import learn

SIZES = {
    "laptop's": PhiConfig(vocabulary=2048, layers=4, hidden=192, heads=3, mlp=768, context=512),
    "28M": PhiConfig(vocabulary=4096, layers=8, hidden=512, heads=8, mlp=2048, context=512),
}
PROMPT_TOKENS, WRITTEN_TOKENS, BATCH = 48, 64, 64


def drawn(config: PhiConfig) -> Loaded:
    """Random weights; the token that ends a text is never chosen, so that lengths are as asked."""
    model = Phi(config).initialise(0).eval()
    vocabulary = learn([chr(number) * 2 for number in range(33, 127)], config.vocabulary)
    end = vocabulary.token_to_id(END_OF_TEXT)
    with torch.no_grad():
        model.head.bias[[end, *range(vocabulary.get_vocab_size(), config.vocabulary)]] = -100.0
    return Loaded(model, vocabulary, end)


def prompts_of(count: int) -> list[list[int]]:
    """Ids at random, as many in each prompt."""
    return torch.randint(1, 250, (count, PROMPT_TOKENS), generator=torch.Generator().manual_seed(0)).tolist()


def lengths_of(count: int) -> list[int]:
    """Lengths from an eighth of the longest to twice it, evenly, in a drawn order."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1)).tolist()
    return [WRITTEN_TOKENS // 8 + place * (2 * WRITTEN_TOKENS - WRITTEN_TOKENS // 8) // count for place in order]


def ours(loaded: Loaded, prompts: Sequence[list[int]], lengths: Sequence[int]) -> list[list[int]]:
    """Continuous batches of at most 64."""
    rows = [Row(ids, Sampling(length)) for ids, length in zip(prompts, lengths, strict=True)]
    batch = Batch(loaded, min(BATCH, len(rows)), PROMPT_TOKENS + max(lengths))
    waiting = list(rows)
    while waiting or batch.rows:
        some = waiting[: batch.free]
        del waiting[: batch.free]
        batch.admit(some)
        batch.step()
    return [row.written for row in rows]


def of_transformers(theirs: Any, prompts: Sequence[list[int]], lengths: Sequence[int]) -> list[list[int]]:
    """Batches of at most 64, each until its longest text is done."""
    written: list[list[int]] = []
    for start in range(0, len(prompts), BATCH):
        ids, longest = torch.tensor(prompts[start : start + BATCH]), max(lengths[start : start + BATCH])
        out = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=longest, do_sample=False)
        written += [row[PROMPT_TOKENS:].tolist() for row in out]
    return [some[:length] for some, length in zip(written, lengths, strict=True)]


@torch.inference_mode()
def bound(loaded: Loaded, repeats: int) -> float:
    """Tokens a second of 64 texts of one length, were there nothing but the products of the weights."""

    def products(tokens: int, layers: Sequence[torch.nn.Module]) -> float:
        inputs = [(layer, torch.randn(tokens, layer.in_features)) for layer in layers]  # type: ignore[call-overload]
        return seconds_of(lambda: [layer(x) for layer, x in inputs], repeats=5 * repeats)

    head = loaded.model.head
    layers = [module for module in loaded.model.blocks.modules() if isinstance(module, torch.nn.Linear)]
    seconds = products(BATCH * PROMPT_TOKENS, layers) + products(BATCH, [head])
    seconds += (WRITTEN_TOKENS - 1) * products(BATCH, [*layers, head])
    return BATCH * WRITTEN_TOKENS / seconds


def llama_cpp_rate(loaded: Loaded, repeats: int) -> float:
    """llama.cpp's own count of tokens a second at batch 1, the prompt not counted; by the wall."""
    import xllamacpp

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write_gguf(loaded, path, name="benchmark", half=False)
        params = xllamacpp.CommonParams()
        params.model.path, params.n_ctx, params.n_parallel, params.verbosity = str(path), 512, 1, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        server = xllamacpp.Server(params)
        asked = {"prompt": prompts_of(1)[0], "max_tokens": WRITTEN_TOKENS, "temperature": 0.0}
        return max(server.handle_completions(asked)["timings"]["predicted_per_second"] for _ in range(repeats))


def main() -> None:
    """Print tokens a second of each, and the ratios."""
    options = arguments(__doc__ or "")
    torch.set_num_threads(1)
    repeats = 1 if options.quick else 3
    outcome = Outcome("generate", {}, versions=versions("torch", "transformers", "xllamacpp"))
    rows: list[tuple[str, ...]] = [
        ("model", "texts", "ours", "transformers", "times as fast", "equal texts", "llama.cpp", "bound")
    ]
    for size, config in SIZES.items():
        if options.quick and size != "laptop's":
            continue
        loaded = drawn(config)
        theirs = _transformers(loaded)
        for name, count, samples in (
            ("1", 1, 1),
            ("64", BATCH, 1),
            ("64, ragged", 3 * BATCH, 1),
            ("64, samples", 3, BATCH),
        ):
            prompts = [prompt for prompt in prompts_of(count) for _ in range(samples)]
            lengths = lengths_of(len(prompts)) if "," in name else [WRITTEN_TOKENS] * count
            row = _measured(outcome, f"{size}, {name}", loaded, theirs, prompts, lengths, repeats)
            rows.append((*row, f"{bound(loaded, repeats):,.0f}" if name == "64" else ""))
    tell(outcome, rows, as_json=options.json)


def _transformers(loaded: Loaded) -> Any:
    try:
        from transformers import PhiConfig as TheirConfig
        from transformers import PhiForCausalLM
    except ImportError:
        return None
    config = loaded.model.config
    settings = public_config(config, loaded.end_of_text) | {"pad_token_id": loaded.end_of_text}
    theirs = PhiForCausalLM(TheirConfig(**settings)).eval()
    theirs.load_state_dict(to_public(loaded.model.state_dict(), config))
    return theirs


def _rate(work: Callable[[], list[list[int]]], lengths: Sequence[int], repeats: int) -> tuple[float, list[list[int]]]:
    """Tokens a second of the best run, and what was written."""
    written: list[list[list[int]]] = []
    seconds = seconds_of(lambda: written.append(work()), repeats=repeats)
    return sum(lengths) / seconds, written[-1]


def _measured(
    outcome: Outcome,
    name: str,
    loaded: Loaded,
    theirs: Any,
    prompts: Sequence[list[int]],
    lengths: Sequence[int],
    repeats: int,
) -> tuple[str, ...]:
    mine, written = _rate(lambda: ours(loaded, prompts, lengths), lengths, repeats)
    outcome.ours[name] = round(mine)
    cells = [*name.split(", ", 1), f"{mine:,.0f}"]
    if theirs is None:
        cells += ["missing", "", ""]
    else:
        rate, others = _rate(lambda: of_transformers(theirs, prompts, lengths), lengths, repeats)
        equal = sum(a == b for a, b in zip(written, others, strict=True))
        outcome.peers.setdefault("transformers", {})[name] = round(rate)
        outcome.ratios[f"transformers, {name}"] = round(mine / rate, 2)
        cells += [f"{rate:,.0f}", f"{mine / rate:.1f}", f"{equal} of {len(prompts)}"]
    if len(prompts) > 1:
        return (*cells, "")
    try:
        llama = llama_cpp_rate(loaded, repeats)
    except ImportError:
        return (*cells, "missing")
    outcome.peers.setdefault("llama.cpp", {})[name] = round(llama)
    outcome.ratios[f"llama.cpp, {name}"] = round(mine / llama, 2)
    return (*cells, f"{llama:,.0f}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
