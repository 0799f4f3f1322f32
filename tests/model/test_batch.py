"""Continuous batches: rows come and go without changing one another; settings, seeds and stops are each row's own."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import TINY, random_model

from codetextbook.errors import InputError
from codetextbook.model import generate as module
from codetextbook.model.batch import Batch, Row
from codetextbook.model.folder import Loaded
from codetextbook.model.generate import Sampling, encode, generate, stream
from codetextbook.model.sampling import choose

LOADED = random_model(TINY)
PROMPTS = [f"def f{number}(" + "x, " * (number % 7) for number in range(23)]


def test_refilled_rows_write_what_they_write_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(max_tokens=17)
    alone = [generate(LOADED, [prompt], sampling)[0] for prompt in PROMPTS]
    for rows in (1, 3, 8, 64):
        monkeypatch.setattr(module, "ROWS", rows)
        assert generate(LOADED, PROMPTS, sampling) == alone


def test_every_row_has_its_own_settings() -> None:
    samplings = [
        Sampling(max_tokens=3),
        Sampling(max_tokens=9, temperature=0.8, top_k=5),
        Sampling(max_tokens=12, temperature=1.0, top_p=0.9),
        Sampling(max_tokens=6, temperature=1.5),
    ]
    rows = [Row(encode(LOADED, "def f(", 12, "cut"), sampling, seed=7) for sampling in samplings]
    batch = Batch(LOADED, 4, 30)
    batch.admit(rows)
    while batch.rows:
        batch.step()
    alone = [generate(LOADED, ["def f("], sampling, [7])[0] for sampling in samplings]
    assert [(row.transcript.raw, row.stop_reason) for row in rows] == [(text.text, text.stop_reason) for text in alone]


def test_samples_of_one_prompt_read_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(max_tokens=9, temperature=1.0)
    prompts, seeds = [PROMPTS[4], PROMPTS[2]] * 5, list(range(10))
    alone = [generate(LOADED, [prompt], sampling, [seed])[0] for prompt, seed in zip(prompts, seeds, strict=True)]
    read: list[int] = []
    states = LOADED.model.hidden_states

    def counted(ids_bt: torch.Tensor, **more: object) -> torch.Tensor:
        read.extend([ids_bt.shape[1]] * len(ids_bt))
        return states(ids_bt, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(LOADED.model, "hidden_states", counted)
    assert generate(LOADED, prompts, sampling, seeds) == alone
    assert sum(tokens > 1 for tokens in read) == 2
    read.clear()
    batch = Batch(LOADED, 4, 30)
    rows = [Row(encode(LOADED, PROMPTS[4], 9, "cut"), sampling, seed) for seed in (0, 2)]
    batch.admit(rows[:1])
    batch.step()
    batch.admit(rows[1:])  # while the first is being written
    while batch.rows:
        batch.step()
    assert [row.transcript.raw for row in rows] == [alone[0].text, alone[2].text]
    assert sum(tokens > 1 for tokens in read) == 1


def test_a_row_that_is_stopped_from_outside_leaves_and_the_others_go_on() -> None:
    rows = [Row(encode(LOADED, prompt, 20, "cut"), Sampling(max_tokens=20)) for prompt in PROMPTS[:4]]
    batch = Batch(LOADED, 4, 60)
    batch.admit(rows)
    batch.step()
    rows[1].stop_reason = "cancelled"
    while batch.rows:
        batch.step()
    expected = generate(LOADED, PROMPTS[:4], Sampling(max_tokens=20))
    assert len(rows[1].written) < 20
    assert [rows[place].transcript.raw for place in (0, 2, 3)] == [expected[place].text for place in (0, 2, 3)]


def test_draws_follow_the_probabilities_and_the_cuts() -> None:
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = shares.log().expand(2000, 4)
    uniforms = [(number + 0.5) / 2000 for number in range(2000)]

    def counts(**options: float) -> dict[int, float]:
        sampling = Sampling(temperature=1.0, **options)  # type: ignore[arg-type]
        drawn = Counter(choose(logits, [sampling] * 2000, uniforms))
        return {token: count / 2000 for token, count in sorted(drawn.items())}

    assert counts() == pytest.approx({0: 0.5, 1: 0.3, 2: 0.15, 3: 0.05}, abs=1e-3)
    assert counts(top_k=2) == pytest.approx({0: 0.625, 1: 0.375}, abs=1e-3)
    assert counts(top_p=0.6) == pytest.approx({0: 0.625, 1: 0.375}, abs=1e-3)
    assert counts(top_p=0.4) == {0: 1.0}


@settings(deadline=None)
@given(st.floats(0, 0.999999999), st.floats(0.05, 3), st.integers(0, 9), st.floats(0.01, 1))
def test_a_draw_never_takes_a_token_without_probability(uniform: float, heat: float, top_k: int, top_p: float) -> None:
    logits = torch.tensor([[float("-inf"), 1.0, 0.5, float("-inf"), 0.0, float("-inf")]])
    assert choose(logits, [Sampling(temperature=heat, top_k=top_k, top_p=top_p)], [uniform])[0] in (1, 2, 4)


def test_long_prompts_are_cut_or_refused(loaded: Loaded) -> None:
    with pytest.raises(InputError, match="the prompt has 201 tokens and the context 64"):
        generate(loaded, ["0" * 200], Sampling(max_tokens=4), long_prompts="refuse")
    with pytest.raises(InputError, match="a shorter prompt"):
        list(stream(loaded, "0" * 200, Sampling(max_tokens=4), long_prompts="refuse"))
    assert generate(loaded, ["0" * 200], Sampling(max_tokens=4))[0].stop_reason == "max_tokens"


@pytest.mark.parametrize(
    "options", [{"top_p": 0.0}, {"top_k": -1}, {"temperature": -1.0}, {"max_tokens": 0}, {"stops": ("",)}]
)
def test_settings_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        Sampling(**options)  # type: ignore[arg-type]
