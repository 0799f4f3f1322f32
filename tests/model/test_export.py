"""Exports are loaded by those they are for: transformers with equal logits and ids, llama.cpp with equal greedy tokens; imports too."""

from __future__ import annotations

import json
from pathlib import Path

import llama_cpp
import pytest
import torch
from tiny_model import TINY, random_model

from codetextbook import export
from codetextbook.errors import InputError
from codetextbook.model.batch import Batch, Row
from codetextbook.model.folder import Loaded, load, save
from codetextbook.model.generate import encode
from codetextbook.model.sampling import Sampling
from codetextbook.model.transcript import spell
from codetextbook.nouns import END_OF_TEXT
from codetextbook.run import Run
from codetextbook.store import atomic
from codetextbook.text.vocabulary import codegen

NASTY = "def größe(x):\n\t\t\treturn  x   # 你好 ☃\r\n" + " " * 37 + "y = 12345\n\n\n  'don't'"
IDS = torch.randint(1, 300, (2, 40), generator=torch.Generator().manual_seed(0))


def with_codegen() -> Loaded:
    """Random weights under phi's own vocabulary, with rows to spare."""
    made = random_model(TINY.replace({"vocabulary": 50_304, "context": 128}))
    vocabulary = codegen()
    return Loaded(made.model, vocabulary, vocabulary.token_to_id(END_OF_TEXT))


def in_ascii(loaded: Loaded) -> Loaded:
    """The same model, never writing part of a character: llama.cpp's server reports ids of whole ones only."""
    with torch.no_grad():
        for token, piece in enumerate(spell(loaded.tokenizer)):
            if not piece or not piece.isascii():
                loaded.model.head.bias[token] = -50.0
    return loaded


def kept(loaded: Loaded, folder: Path) -> Path:
    save(loaded.model, loaded.tokenizer, lambda name: atomic(folder / name), ".")
    return folder


@pytest.mark.parametrize("vocabulary", ["learnt", "codegen"])
def test_transformers_loads_an_exported_folder_with_equal_logits_and_ids(vocabulary: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = random_model(TINY) if vocabulary == "learnt" else with_codegen()
    export.hf(kept(loaded, tmp_path / "model"), tmp_path / "out", "fp32")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(IDS).logits, loaded.model(IDS), atol=1e-4, rtol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text in (NASTY, f"a{END_OF_TEXT}b", " " * 70, "\t" * 12, ""):
        ids = loaded.tokenizer.encode(text).ids
        assert tokenizer(text)["input_ids"] == ids
        assert tokenizer.decode(ids) == text
    assert tokenizer.eos_token_id == theirs.generation_config.eos_token_id == loaded.end_of_text
    assert tokenizer.model_max_length == loaded.model.config.context


@pytest.mark.parametrize(("dtype", "width"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_half_weights_are_half_and_load_again(dtype: export.Dtype, width: torch.dtype, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    loaded = random_model(TINY)
    export.hf(kept(loaded, tmp_path / "model"), tmp_path / "out", dtype)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto").dtype == width
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "out").model(IDS), loaded.model(IDS), atol=0.1, rtol=0.1)


def test_a_folder_of_transformers_comes_in_whole_or_in_parts(tmp_path: Path) -> None:
    from transformers import PhiConfig, PhiForCausalLM

    settings = PhiConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        partial_rotary_factor=0.5,
    )
    torch.manual_seed(0)
    theirs = PhiForCausalLM(settings).eval()
    vocabulary = random_model(TINY).tokenizer
    for name, size in (("whole", "1GB"), ("parts", "60KB")):
        theirs.save_pretrained(tmp_path / name, max_shard_size=size)
        vocabulary.save(str(tmp_path / name / "tokenizer.json"))
        export.bring_in(tmp_path / name, tmp_path / f"{name}-ours")
        ours = load(tmp_path / f"{name}-ours").model
        with torch.no_grad():
            torch.testing.assert_close(ours(IDS), theirs(IDS).logits, atol=1e-4, rtol=1e-4)
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    lost = sorted((tmp_path / "parts").glob("*.safetensors"))[0]
    lost.unlink()
    with pytest.raises(InputError, match=f"has no {lost.name}"):
        load(tmp_path / "parts")


def test_an_older_config_of_phi_1_is_understood(tmp_path: Path) -> None:
    folder = kept(random_model(TINY), tmp_path / "model")
    (folder / "phi.json").unlink()
    older = json.loads((folder / "config.json").read_text()) | {"num_key_value_heads": None, "rope_scaling": None}
    (folder / "config.json").write_text(json.dumps(older))
    assert load(folder).model.config == TINY


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model_type": "llama"}, "a model of type 'llama', not 'phi'"),
        ({"hidden_act": "silu"}, "hidden_act is 'silu'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "RoPE scaling of type 'yarn'"),
        ({"num_hidden_layers": 3}, "no weight 'model.layers.2"),
        ({"vocab_size": 100}, "the tokenizer has"),
        ({"vocab_size": 400}, "embed.weight is"),
    ],
)
def test_a_folder_of_another_architecture_is_refused(change: dict[str, object], complaint: str, tmp_path: Path) -> None:
    folder = kept(random_model(TINY), tmp_path / "model")
    (folder / "phi.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match=complaint) as caught:
        load(folder)
    assert str(folder) in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize("part", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_part_that_is_missing_or_cannot_be_read_is_named(part: str, tmp_path: Path) -> None:
    folder = kept(random_model(TINY), tmp_path / "model")
    (folder / "phi.json").unlink()
    (folder / part).write_bytes(b"\x00nonsense")
    with pytest.raises(InputError) as caught:
        load(folder)
    assert part in caught.value.where
    (folder / part).unlink()
    with pytest.raises(InputError, match=f"has no {part}"):
        load(folder)


@pytest.mark.parametrize("options", [{}, {"kv_heads": 1}, {"tied": True}, {"rope_factor": 2.0}])
def test_llama_cpp_writes_the_same_32_tokens(options: dict[str, object], tmp_path: Path) -> None:
    loaded = in_ascii(random_model(TINY.replace(options), noise=0.3))
    export.gguf(kept(loaded, tmp_path / "model"), tmp_path / "model.gguf", "fp32")
    ids = encode(loaded, "def f(", 32, "cut")
    written = greedy(loaded, ids)
    assert len(written) == 32
    assert llama_cpp.complete(llama_cpp.serve(tmp_path / "model.gguf", context=64), ids, 32) == written


def test_llama_cpp_cuts_text_by_codegens_vocabulary_as_we_do(tmp_path: Path) -> None:
    loaded = in_ascii(with_codegen())
    export.gguf(kept(loaded, tmp_path / "model"), tmp_path / "model.gguf", "fp32")
    server = llama_cpp.serve(tmp_path / "model.gguf", context=128)
    assert llama_cpp.complete(server, NASTY, 32) == greedy(loaded, encode(loaded, NASTY, 32, "cut"))


def greedy(loaded: Loaded, ids: list[int]) -> list[int]:
    row = Row(ids, Sampling(max_tokens=32))
    batch = Batch(loaded, 1, len(ids) + 32)
    batch.admit([row])
    while batch.rows:
        batch.step()
    return row.written


def test_the_card_tells_what_the_manifests_say(tiny_run: Run, tmp_path: Path) -> None:
    chosen, exam = tiny_run.make("select"), tiny_run.make("evaluate")
    export.hf(chosen.file("model"), tmp_path / "out", "fp32")
    told = (tmp_path / "out" / "README.md").read_text()
    for line in (
        f"| select | {chosen.id} |",
        f"| evaluate | {exam.id} |",
        f"| pretrain | {tiny_run.make('pretrain').id} |",
        "| HumanEval | best |",
        "Teachers were paid 0.00 dollars",
    ):
        assert line in told
    assert f"{tiny_run.recipe.pretrain.model.parameters:,}" in told


def test_nothing_is_written_over(tmp_path: Path) -> None:
    folder = kept(random_model(TINY), tmp_path / "model")
    with pytest.raises(InputError, match="there is something already"):
        export.hf(folder, folder, "fp32")
    with pytest.raises(InputError, match="there is something already"):
        export.gguf(folder, folder / "config.json", "fp32")
