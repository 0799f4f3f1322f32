"""The teacher's edge: nothing is paid twice, the budget holds, busy servers are asked again, keys are not told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from codetextbook.errors import InputError, TeacherError
from codetextbook.site import TeacherSite
from codetextbook.teacher import (
    Failure,
    Journal,
    Message,
    OpenAITeacher,
    Prices,
    RecordedTeacher,
    Reply,
    Request,
    ask_all,
    connect,
)
from codetextbook.teacher.openai import retry_after_seconds

KEY = "key-that-nobody-may-see"


class Server:
    """A chat-completions server on loopback that answers as told, and counts."""

    def __init__(self) -> None:
        self.script: list[tuple[int, dict[str, str]]] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.now = self.most = 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(app)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{port}/v1"
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def answer(self, request: web.Request) -> web.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("Authorization", ""))
        await asyncio.sleep(0.01)
        self.now -= 1
        if self.script:
            status, headers = self.script.pop(0)
            return web.json_response({"error": {"message": f"bad key {KEY}"}}, status=status, headers=headers)
        choice = {"message": {"content": "re: " + body["messages"][-1]["content"]}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    one = Server()
    one.start()
    yield one
    one.stop()


def question(text: str, **changes: Any) -> Request:
    return Request((Message("user", text),), max_tokens=20, **changes)


def endpoint(server: Server, **changes: Any) -> TeacherSite:
    prices = {"dollars_per_million_input_tokens": 1.0, "dollars_per_million_output_tokens": 2.0}
    return TeacherSite(**({"base_url": server.url, "model": "m", "dollars_limit": 1.0} | prices | changes))


def bare(server: Server, **changes: Any) -> OpenAITeacher:
    return OpenAITeacher(server.url, "m", prices=Prices(1.0, 2.0), first_wait_seconds=0.001, **changes)


def test_answers_come_in_order_with_their_price_and_never_more_at_once_than_allowed(
    server: Server, tmp_path: Path
) -> None:
    teacher = connect(endpoint(server, requests_in_flight=3), tmp_path / "j.sqlite3")
    replies = ask_all(teacher, [question(str(k)) for k in range(12)])
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == [f"re: {k}" for k in range(12)]
    assert replies[0] == Reply("re: 0", 10, 5, 20e-6, "stop", "m")
    assert 1 < server.most <= 3
    assert set(server.keys) == {f"Bearer {KEY}"}
    teacher.close()


def test_nothing_is_paid_twice_and_samples_are_told_apart(server: Server, tmp_path: Path) -> None:
    asked = [question("a"), question("a"), question("a", sample=1), question("a", temperature=0.5)]
    for _ in range(2):
        teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
        ask_all(teacher, asked)
        teacher.close()
    assert len(server.bodies) == 3
    teacher = connect(endpoint(server), tmp_path / "j.sqlite3", model="another")
    ask_all(teacher, asked[:1])
    teacher.close()
    assert [body["model"] for body in server.bodies] == ["m"] * 3 + ["another"]


def test_the_budget_stops_before_it_is_passed_and_what_was_paid_is_kept(server: Server, tmp_path: Path) -> None:
    one = question("x" * 100)
    most = Prices(1.0, 2.0).dollars(one.most_input_tokens, 20)
    teacher = connect(endpoint(server, dollars_limit=3 * most, requests_in_flight=8), tmp_path / "j.sqlite3")
    with pytest.raises(TeacherError, match="budget is spent") as caught:
        ask_all(teacher, [question(f"{k:0100}") for k in range(200)])
    assert caught.value.hint
    teacher.close()
    journal = Journal(tmp_path / "j.sqlite3")
    spent = journal.spent()
    assert 0 < spent.dollars <= 3 * most and spent.reserved_dollars == 0
    assert spent.dollars == pytest.approx(len(server.bodies) * 20e-6)
    journal.close()


def test_a_limit_of_tokens_holds_where_the_price_is_zero(server: Server, tmp_path: Path) -> None:
    free = endpoint(
        server,
        dollars_per_million_input_tokens=0.0,
        dollars_per_million_output_tokens=0.0,
        dollars_limit=0.0,
        tokens_limit=60,
    )
    teacher = connect(free, tmp_path / "j.sqlite3")
    ask_all(teacher, [question("a")])
    with pytest.raises(TeacherError, match="budget"):
        ask_all(teacher, [question("b" * 40)])
    teacher.close()
    assert len(server.bodies) == 1


def test_an_answer_that_never_came_counts_as_spent(server: Server, tmp_path: Path) -> None:
    teacher = connect(endpoint(server, timeout_seconds=0.001), tmp_path / "j.sqlite3")
    teacher._teacher._tries = 1  # type: ignore[attr-defined]
    with pytest.raises(TeacherError, match="no answer"):
        ask_all(teacher, [question("a")])
    teacher.close()
    journal = Journal(tmp_path / "j.sqlite3")
    assert journal.spent().reserved_dollars > 0
    journal.close()


def test_a_server_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    site = TeacherSite(
        base_url="http://127.0.0.1:9/v1", model="m", dollars_limit=1.0,
        dollars_per_million_input_tokens=1.0, dollars_per_million_output_tokens=1.0,
    )  # fmt: skip
    teacher = connect(site, tmp_path / "j.sqlite3")
    teacher._teacher._tries = 2  # type: ignore[attr-defined]
    teacher._teacher._first_wait = 0.001  # type: ignore[attr-defined]
    with pytest.raises(TeacherError, match="no answer"):
        ask_all(teacher, [question("a")])
    teacher.close()
    journal = Journal(tmp_path / "j.sqlite3")
    assert journal.spent() == (0.0, 0, 0.0, 0)
    journal.close()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Server, status: int) -> None:
    server.script = [(status, {"Retry-After": "0"}), (status, {})]
    (reply,) = ask_all(bare(server), [question("a")])
    assert isinstance(reply, Reply) and reply.text == "re: a" and len(server.bodies) == 3


def test_a_refused_request_is_its_own_failure(server: Server) -> None:
    server.script = [(400, {})]
    replies = ask_all(bare(server, in_flight=1), [question("a"), question("b")])
    assert isinstance(replies[0], Failure) and replies[0].reason == "request_refused"
    assert isinstance(replies[1], Reply)


def test_a_refused_key_ends_the_work_and_is_not_told(server: Server) -> None:
    server.script = [(401, {})]
    with pytest.raises(TeacherError) as caught:
        ask_all(bare(server, in_flight=1), [question("a"), question("b")])
    assert "OPENAI_API_KEY" in str(caught.value) and KEY not in str(caught.value)
    assert len(server.bodies) == 1


def test_retry_after_is_read_in_both_its_forms() -> None:
    assert retry_after_seconds({"Retry-After": "2.5"}) == 2.5
    assert retry_after_seconds({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0.0
    assert retry_after_seconds({"Retry-After": "soon"}) is None and retry_after_seconds({}) is None


@pytest.mark.parametrize(
    ("changes", "said"), [({"model": ""}, "no teacher"), ({"dollars_per_million_input_tokens": None}, "price")]
)
def test_nothing_is_spent_blindly(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    values = {"model": "m", "dollars_per_million_input_tokens": 1.0, "dollars_per_million_output_tokens": 1.0}
    with pytest.raises(TeacherError, match=said):
        connect(TeacherSite(**(values | changes)), tmp_path / "j.sqlite3")


def test_what_was_paid_can_be_exported_and_replayed(server: Server, tmp_path: Path) -> None:
    teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
    paid = ask_all(teacher, [question("one\u2028line")])
    teacher.close()
    journal = Journal(tmp_path / "j.sqlite3")
    assert journal.export(tmp_path / "replies.jsonl") == 1
    journal.close()
    replay = RecordedTeacher.read(tmp_path / "replies.jsonl", "m")
    again = ask_all(replay, [question("one\u2028line"), question("unknown")])
    assert isinstance(again[0], Reply) and isinstance(paid[0], Reply)
    assert again[0].text == paid[0].text and again[0].dollars == 0
    assert isinstance(again[1], Failure) and again[1].reason == "not_recorded"
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="not a recorded reply"):
        RecordedTeacher.read(tmp_path / "bad.jsonl", "m")
