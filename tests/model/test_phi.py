"""phi, exactly: published sizes, equal to transformers, causal, and the same with a cache or padding."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from tiny_model import TINY, into

from codetextbook.errors import ConfigError, InputError
from codetextbook.model.config import PhiConfig
from codetextbook.model.folder import Loaded, load, save
from codetextbook.model.generate import Sampling, bits, generate, stream
from codetextbook.model.hf import from_public, to_public
from codetextbook.model.phi import Cache, Phi


@pytest.mark.parametrize(
    ("layers", "hidden", "heads", "count"), [(24, 2048, 32, 1_418_270_720), (20, 1024, 16, 356_794_368)]
)
def test_parameter_counts_are_the_published_ones(layers: int, hidden: int, heads: int, count: int) -> None:
    config = PhiConfig(layers=layers, hidden=hidden, heads=heads, mlp=4 * hidden)
    with torch.device("meta"):
        model = Phi(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == count == config.parameters


@pytest.mark.parametrize(("hidden", "heads", "rotary"), [(32, 2, 8), (64, 1, 32), (48, 4, 12)])
def test_logits_equal_those_of_transformers(hidden: int, heads: int, rotary: int) -> None:
    from transformers import PhiConfig as TheirConfig
    from transformers import PhiForCausalLM

    from codetextbook.model.hf import public_config

    config = TINY.replace({"hidden": hidden, "heads": heads, "rotary_dims": rotary})
    ours = Phi(config).initialise(3).eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(9)) * 0.05)
    theirs = PhiForCausalLM(TheirConfig(**public_config(config, 0))).eval()
    missing = theirs.load_state_dict(to_public(ours.state_dict(), config), strict=False)
    assert missing.unexpected_keys == []
    assert missing.missing_keys == []
    ids = torch.randint(0, config.vocabulary, (3, 40), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=1e-4)


def test_names_go_both_ways_without_loss() -> None:
    model = Phi(TINY).initialise(2)
    back = from_public(to_public(model.state_dict(), TINY), TINY)
    assert back.keys() == model.state_dict().keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in model.state_dict().items())


def test_a_place_sees_nothing_that_comes_after_it(loaded: Loaded) -> None:
    ids = torch.randint(0, 300, (1, 30), generator=torch.Generator().manual_seed(0))
    changed = ids.clone()
    changed[0, 20:] = 7
    with torch.no_grad():
        first, second = loaded.model(ids), loaded.model(changed)
    torch.testing.assert_close(first[:, :20], second[:, :20])
    assert not torch.allclose(first[:, 20:], second[:, 20:])


def test_a_cache_and_padding_change_nothing(loaded: Loaded) -> None:
    ids = torch.randint(0, 300, (2, 24), generator=torch.Generator().manual_seed(0))
    model = loaded.model
    with torch.no_grad():
        whole = model(ids)
        cache = Cache(TINY, 2, 40, model.embed.weight)
        steps = []
        for part in ids.split([10, 1, 5, 1, 7], dim=1):
            steps.append(model.hidden_states(part, cache=cache))
            cache.lengths = [length + part.shape[1] for length in cache.lengths]
        torch.testing.assert_close(model.head(torch.cat(steps, dim=1)), whole, atol=1e-5, rtol=1e-4)
        padded = torch.cat([ids, torch.zeros(2, 6, dtype=torch.long)], dim=1)
        torch.testing.assert_close(model(padded)[:, :24], whole, atol=1e-5, rtol=1e-4)


def test_rows_of_a_cache_go_on_from_places_of_their_own(loaded: Loaded) -> None:
    ids = torch.randint(0, 300, (3, 24), generator=torch.Generator().manual_seed(0))
    model, begun = loaded.model, [5, 12, 9]
    cache = Cache(TINY, 4, 40, model.embed.weight)
    with torch.no_grad():
        whole = model(ids)
        model.hidden_states(ids[:, :12], cache=cache, rows=slice(1, 4))
        cache.lengths[1:] = begun
        token = torch.stack([ids[row, place] for row, place in enumerate(begun)])[:, None]
        logits = model.head(model.hidden_states(token, cache=cache, rows=slice(1, 4)))[:, 0]
    expected = torch.stack([whole[row, place] for row, place in enumerate(begun)])
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


def test_greedy_completions_do_not_depend_on_batch_mates(loaded: Loaded) -> None:
    prompts = ["def f(", "x", "for größe in range(3):\n    ", "", "return " * 6]
    sampling = Sampling(max_tokens=20)
    together = generate(loaded, prompts, sampling)
    assert together == [generate(loaded, [prompt], sampling)[0] for prompt in prompts]
    assert together[0].text == "".join(stream(loaded, prompts[0], sampling))


def test_sampling_depends_on_its_own_seed_alone(loaded: Loaded) -> None:
    sampling = Sampling(max_tokens=20, temperature=1.0, top_p=0.95)
    first = generate(loaded, ["def f(", "x = "], sampling, seeds=[5, 6])
    assert generate(loaded, ["x = "], sampling, seeds=[6]) == first[1:]
    assert generate(loaded, ["x = "], sampling, seeds=[7]) != first[1:]


def test_writing_ends_at_a_stop_and_at_the_context(loaded: Loaded) -> None:
    free = generate(loaded, ["def f("], Sampling(max_tokens=30))[0]
    stop = re.findall(r"[!-~]{2}", free.text)[-1]
    stopped = generate(loaded, ["def f("], Sampling(max_tokens=30, stops=(stop,)))[0]
    assert stopped.stop_reason == "stop"
    assert stop in stopped.text
    assert stop not in "".join(stream(loaded, "def f(", Sampling(max_tokens=30, stops=(stop,))))
    assert generate(loaded, ["a b " * 300], Sampling(max_tokens=500))[0].stop_reason == "context"


def test_bits_are_the_sum_over_tokens_and_windows_agree_with_one_pass(loaded: Loaded) -> None:
    prompt, text = "def add(a, b):\n", "    return a + b\n"
    ids = [loaded.end_of_text, *loaded.tokenizer.encode(prompt).ids]
    after = loaded.tokenizer.encode(text).ids
    with torch.no_grad():
        logits = loaded.model(torch.tensor([ids + after])).log_softmax(-1)[0]
    places = range(len(ids) - 1, len(ids) + len(after) - 1)
    expected = (
        -sum(logits[place, token].item() for place, token in zip(places, after, strict=True)) / 0.6931471805599453
    )
    assert bits(loaded, prompt, text) == pytest.approx(expected, rel=1e-4)
    assert bits(loaded, prompt, text * 40) > bits(loaded, prompt, text * 20) > 0


def test_a_folder_loads_with_equal_logits_here_and_in_transformers(loaded: Loaded, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    save(loaded.model, loaded.tokenizer, into(tmp_path), "model")
    again = load(tmp_path / "model")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32).eval()
    ids = torch.randint(0, 300, (1, 30), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(again.model(ids), loaded.model(ids))
        torch.testing.assert_close(theirs(ids).logits, loaded.model(ids), atol=1e-4, rtol=1e-4)
    assert again.tokenizer.to_str() == loaded.tokenizer.to_str()


def test_damaged_folders_are_explained(loaded: Loaded, tmp_path: Path) -> None:
    save(loaded.model, loaded.tokenizer, into(tmp_path), "model")
    folder = tmp_path / "model"
    weights, settings = (folder / "model.safetensors").read_bytes(), (folder / "phi.json").read_text()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match="the weights are damaged"):
        load(folder)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "phi.json").write_text(json.dumps(json.loads(settings) | {"mlp": 128}))
    with pytest.raises(InputError, match="settings belong to another model"):
        load(folder)
    (folder / "phi.json").write_text(json.dumps(json.loads(settings) | {"vocabulary": 100}))
    size = loaded.tokenizer.get_vocab_size()
    with pytest.raises(InputError, match=rf"the tokenizer has {size} tokens and the model 100"):
        load(folder)
    (folder / "phi.json").unlink()
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match="has no config.json"):
        load(folder)


def test_weights_that_are_not_finite_are_refused(loaded: Loaded, tmp_path: Path) -> None:
    with torch.no_grad():
        loaded.model.head.bias[3] = float("nan")
    save(loaded.model, loaded.tokenizer, into(tmp_path), "model")
    with pytest.raises(InputError, match=r"head\.bias holds values that are not finite"):
        load(tmp_path / "model")


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be a multiple of heads"):
        PhiConfig.parse({"hidden": 30, "heads": 4}, where="my.toml")
    with pytest.raises(ConfigError, match="rotary_dims"):
        PhiConfig.parse({"hidden": 32, "heads": 4, "rotary_dims": 16}, where="my.toml")
