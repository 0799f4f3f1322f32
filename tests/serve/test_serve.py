"""The server as its users meet it: a process of its own, asked by the real openai client, and stopped by a signal."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from codetextbook.model.folder import load, save
from codetextbook.model.generate import Sampling, generate
from codetextbook.model.phi import Phi
from codetextbook.store import atomic
from codetextbook.text.vocabulary import learn

TEXTS = ["def add(a, b):\n    return a + b\n", "for x in range(3):\n    print('größer', x)\n"] * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from codetextbook.model.config import PhiConfig

    place = tmp_path_factory.mktemp("serve") / "tiny"
    config = PhiConfig(vocabulary=300, layers=2, hidden=32, heads=2, mlp=64, rotary_dims=8, context=256)
    save(Phi(config).initialise(1), learn(TEXTS, 300), lambda name: atomic(place / name), ".")
    return place


@dataclass
class Running:
    process: subprocess.Popen[str]
    address: str

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/v1", api_key="none", max_retries=0, timeout=120)

    def health(self) -> dict[str, object]:
        with urllib.request.urlopen(f"{self.address}/health", timeout=30) as answer:
            return json.loads(answer.read())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def begin(*words: str) -> Running:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "codetextbook", "serve", "--model", str(folder), "--port", str(port), *words]
        running = Running(subprocess.Popen(command, stdout=subprocess.PIPE, text=True), f"http://127.0.0.1:{port}")
        started.append(running)
        for _ in range(600):
            try:
                running.health()
                return running
            except OSError:
                assert running.process.poll() is None
                time.sleep(0.1)
        raise AssertionError("the server did not answer")

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


def test_64_requests_at_once_get_what_each_would_get_alone(start: Callable[..., Running], folder: Path) -> None:
    running = start("--rows", "8")
    prompts = [f"def f{number}(" + "x, " * (number % 5) for number in range(64)]

    def ask(number: int) -> str:
        options = {"model": "tiny", "prompt": prompts[number], "max_tokens": 8 + number % 9, "temperature": 0.0}
        if number % 2:
            return running.client.completions.create(**options).choices[0].text  # type: ignore[call-overload]
        stream = running.client.completions.create(**options, stream=True)  # type: ignore[call-overload]
        return "".join(chunk.choices[0].text for chunk in stream)

    with ThreadPoolExecutor(64) as clients:
        texts = list(clients.map(ask, range(64)))
    loaded = load(folder)
    alone = [
        generate(loaded, [prompt], Sampling(max_tokens=8 + number % 9))[0].text for number, prompt in enumerate(prompts)
    ]
    assert texts == alone
    assert running.health() == {"status": "ok", "running": 0, "waiting": 0}
    assert running.stop() == 0


def test_one_server_answers_what_openais_interface_has(start: Callable[..., Running]) -> None:
    client = start().client
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "codetextbook"
    one = client.completions.create(model="tiny", prompt="def f(", max_tokens=12, temperature=1.0, seed=5)
    again = client.completions.create(model="tiny", prompt="def f(", max_tokens=12, temperature=1.0, seed=5)
    other = client.completions.create(model="tiny", prompt="def f(", max_tokens=12, temperature=1.0, seed=6)
    assert one.choices[0].text == again.choices[0].text != other.choices[0].text
    assert one.usage is not None
    assert one.usage.completion_tokens == 12
    assert one.choices[0].finish_reason == "length"
    many = client.completions.create(model="tiny", prompt=["a", "b"], n=2, max_tokens=3, echo=True, temperature=0.0)
    assert [choice.index for choice in many.choices] == [0, 1, 2, 3]
    assert [choice.text[0] for choice in many.choices] == ["a", "a", "b", "b"]
    for options, status in (
        ({"model": "gpt"}, 404),
        ({"prompt": "x" * 5000}, 400),
        ({"logprobs": 3}, 400),
        ({"suffix": "end"}, 400),
        ({"temperature": -1}, 400),
        ({"stop": ""}, 400),
        ({"extra_body": {"nonsense": 1}}, 400),
    ):
        asked = {"model": "tiny", "prompt": "x", "max_tokens": 2} | options
        with pytest.raises(openai.APIStatusError) as refused:
            client.completions.create(**asked)  # type: ignore[call-overload]
        assert refused.value.status_code == status
        assert refused.value.body


def test_what_exceeds_the_queue_or_the_time_is_told_so(start: Callable[..., Running]) -> None:
    running = start("--rows", "1", "--waiting", "2", "--seconds", "0.001")
    with pytest.raises(openai.RateLimitError):
        running.client.completions.create(model="tiny", prompt="x", n=4, max_tokens=2)
    with pytest.raises(openai.InternalServerError, match="time limit") as late:
        running.client.completions.create(model="tiny", prompt="x", max_tokens=200)
    assert late.value.status_code == 504
    for _ in range(100):
        if running.health()["running"] == 0:
            break
        time.sleep(0.1)
    assert running.health() == {"status": "ok", "running": 0, "waiting": 0}


def test_a_client_that_leaves_frees_its_row(start: Callable[..., Running]) -> None:
    running = start("--rows", "1")
    stream = running.client.completions.create(model="tiny", prompt="x", max_tokens=200, stream=True)
    next(iter(stream))
    stream.close()
    again = running.client.completions.create(model="tiny", prompt="x", max_tokens=2)
    assert again.choices[0].finish_reason == "length"
    assert running.stop() == 0


def test_a_request_under_way_is_finished_before_the_end(start: Callable[..., Running]) -> None:
    running = start()
    stream = iter(
        running.client.completions.create(model="tiny", prompt="x", max_tokens=200, temperature=0.0, stream=True)
    )
    next(stream)
    running.process.send_signal(signal.SIGTERM)
    assert list(stream)[-1].choices[0].finish_reason in ("length", "stop")
    assert running.process.wait(60) == 0


def test_the_machine_alone_is_listened_on(start: Callable[..., Running]) -> None:
    running = start()
    port = running.address.rpartition(":")[2]
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.2:{port}/health", timeout=5)
