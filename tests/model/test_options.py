"""What the paper leaves off: shared heads, a tied head, documents kept apart, stretched positions. Off, nothing is written or changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_model import TINY, into, random_model

from codetextbook.config import digest
from codetextbook.errors import ConfigError
from codetextbook.model.config import PhiConfig
from codetextbook.model.folder import load, save
from codetextbook.model.generate import Sampling, encode, generate
from codetextbook.model.hf import public_config, to_public
from codetextbook.model.phi import Phi

OPTIONS = {"kv_heads": 1, "tied": True, "document_end": 0, "rope_factor": 4.0}
IDS = torch.randint(1, 300, (2, 40), generator=torch.Generator().manual_seed(0))


def test_options_that_are_off_leave_no_trace() -> None:
    assert not set(OPTIONS) & set(TINY.model_dump())
    assert digest(TINY) == "d74e1b5c9f286546"
    for name, value in OPTIONS.items():
        changed = TINY.replace({name: value})
        assert changed.model_dump()[name] == value
        assert PhiConfig.parse(changed.model_dump(), where="test") == changed
        assert digest(changed) != digest(TINY)


@pytest.mark.parametrize(
    "options", [{"kv_heads": 1}, {"tied": True}, {"rope_factor": 4.0}, {"kv_heads": 2, "tied": True}]
)
def test_logits_equal_those_of_transformers(options: dict[str, object]) -> None:
    from transformers import PhiConfig as TheirConfig
    from transformers import PhiForCausalLM

    config = TINY.replace({"heads": 4, "rotary_dims": 4} | options)
    ours = random_model(config, 3).model
    theirs = PhiForCausalLM(TheirConfig(**public_config(config, 0))).eval()
    missing = theirs.load_state_dict(to_public(ours.state_dict(), config), strict=False)
    assert missing.unexpected_keys == []
    assert set(missing.missing_keys) == ({"lm_head.weight"} if config.tied else set())
    with torch.no_grad():
        torch.testing.assert_close(ours(IDS), theirs(IDS).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", [{"kv_heads": 1}, {"tied": True}])
def test_parameters_are_counted(options: dict[str, object]) -> None:
    config = TINY.replace(options)
    assert sum(parameter.numel() for parameter in Phi(config).parameters()) == config.parameters < TINY.parameters


def test_documents_kept_apart_do_not_see_each_other() -> None:
    model = random_model(TINY.replace({"document_end": 0})).model
    ids = IDS.clone()
    ids[:, 15] = 0
    with torch.no_grad():
        whole = model(ids)
        alone = model(ids[:, 15:])
        through = random_model(TINY).model(ids)
    torch.testing.assert_close(whole[:, 15:], alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(whole[:, :15], through[:, :15], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(whole[:, 15:], through[:, 15:], atol=1e-2)


def test_a_prompt_begins_at_its_last_document_where_they_are_kept_apart() -> None:
    loaded = random_model(TINY.replace({"document_end": 0}))
    assert encode(loaded, "x = 1<|endoftext|>def f", 8, "cut") == encode(loaded, "def f", 8, "cut")
    assert encode(random_model(TINY), "x<|endoftext|>y", 8, "cut").count(0) == 2


@pytest.mark.parametrize("options", [{name: value} for name, value in OPTIONS.items()])
def test_a_saved_model_keeps_its_options_and_writes_as_without_a_cache(
    options: dict[str, object], tmp_path: Path
) -> None:
    loaded = random_model(TINY.replace(options))
    save(loaded.model, loaded.tokenizer, into(tmp_path), "model")
    again = load(tmp_path / "model")
    assert again.model.config == loaded.model.config
    ids = encode(again, "def f(", 12, "cut")
    with torch.no_grad():
        for _ in range(12):
            ids.append(int(again.model(torch.tensor([ids]))[0, -1, :300].argmax()))
    written = generate(again, ["def f("], Sampling(max_tokens=12))[0]
    expected = again.tokenizer.decode(ids[-12:])
    assert expected.startswith(written.text)
    assert written.stop_reason == "end_of_text" or written.text == expected


def test_a_tied_head_learns_through_the_embedding() -> None:
    model = random_model(TINY.replace({"tied": True})).model
    model(IDS).square().mean().backward()
    unused = 300  # in no text: its row of the embedding is reached through the head alone
    assert model.embed.weight.grad is not None
    assert model.embed.weight.grad[unused].abs().sum() > 0
    assert "head.weight" not in model.state_dict()


@pytest.mark.parametrize(("name", "value"), [("kv_heads", 3), ("document_end", 320), ("rope_factor", 0.5)])
def test_options_that_cannot_be_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        TINY.replace({name: value})
