"""The Batch API against a real server of its protocol: half-price replies, in any order, and never submitted twice."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from misbehaving import KEY
from test_teacher import question

from codetextbook.errors import TeacherError
from codetextbook.site import TeacherSite
from codetextbook.teacher import Failure, Journal, Reply, ask_all, connect
from codetextbook.teacher.ledger import verify


class BatchServer:
    """Files and batches, as documented; the fault of the moment is `fault`."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.looks = 0
        self.fault = ""
        self.answered: list[str] = []
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(10)

    def _run(self) -> None:
        app = web.Application(client_max_size=2**28)
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files/{name}/content", self.content)
        app.router.add_post("/v1/batches", self.make)
        app.router.add_get("/v1/batches", self.list)
        app.router.add_get("/v1/batches/{name}", self.look)
        runner = web.AppRunner(app)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1"  # type: ignore[union-attr]
        self._up.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def upload(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"message": f"bad key {KEY}"}}, status=401)
        form = await request.post()
        assert form["purpose"] == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = form["file"].file.read().decode()  # type: ignore[union-attr]
        return web.json_response({"id": name, "object": "file"})

    async def content(self, request: web.Request) -> web.Response:
        return web.Response(text=self.files[request.match_info["name"]])

    async def make(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        assert wanted["completion_window"] == "24h" and wanted["endpoint"] == "/v1/chat/completions"
        name = f"batch_{len(self.batches)}"
        self.batches[name] = {
            "id": name,
            "status": "in_progress",
            "metadata": wanted["metadata"],
            "input": wanted["input_file_id"],
        }
        if self.fault == "dies after making":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self.batches[name])

    async def list(self, request: web.Request) -> web.Response:
        every = list(self.batches.values())[::-1]
        after = [one["id"] for one in every].index(request.query["after"]) + 1 if "after" in request.query else 0
        return web.json_response({"data": every[after : after + 2], "has_more": after + 2 < len(every)})

    async def look(self, request: web.Request) -> web.Response:
        self.looks += 1
        batch = self.batches[request.match_info["name"]]
        if self.fault == "never ends":
            return web.json_response(batch)
        if self.looks % 3 == 1:
            return web.json_response({"error": "try later"}, status=503)
        if self.looks % 3 == 2 or batch["status"] != "in_progress":
            return web.json_response(batch)
        self._work(batch)
        return web.json_response(batch)

    def _work(self, batch: dict[str, Any]) -> None:
        """Answer a batch's file: backwards, one line twice, one line that is none."""
        rows = [json.loads(line) for line in self.files[batch["input"]].splitlines()]
        if self.fault == "expires":
            batch["status"], rows = "expired", rows[:1]
            self.fault = ""
        else:
            batch["status"] = "completed"
        good, bad = [], []
        for row in rows[::-1]:
            text = row["body"]["messages"][-1]["content"]
            self.answered.append(text)
            if text == "refused":
                bad.append(
                    {
                        "custom_id": row["custom_id"],
                        "response": {"status_code": 400, "body": {"error": {"message": "no"}}},
                    }
                )
                continue
            choice = {"message": {"content": f"re: {text}"}, "finish_reason": "stop"}
            body = {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
            good.append({"custom_id": row["custom_id"], "response": {"status_code": 200, "body": body}, "error": None})
        lines = [json.dumps(one) for one in [*good, *good[:1]]] + ["{not json"]
        for key, text in (("output_file_id", "\n".join(lines)), ("error_file_id", "\n".join(map(json.dumps, bad)))):
            batch[key] = f"file-{len(self.files)}"
            self.files[batch[key]] = text


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("codetextbook.teacher.batch.GATHER_SECONDS", 0.05)
    one = BatchServer()
    yield one
    one.stop()


def ask(server: BatchServer, folder: Path, texts: list[str], **changes: Any) -> list[Reply | Failure]:
    prices = {"dollars_per_million_input_tokens": 1.0, "dollars_per_million_output_tokens": 2.0}
    site = TeacherSite(
        kind="batch", base_url=server.url, model="m", dollars_limit=1.0, poll_seconds=0.02, **prices, **changes
    )
    teacher = connect(site, folder / "j.sqlite3")
    try:
        return ask_all(teacher, [question(text) for text in texts])
    finally:
        teacher.close()


def test_a_batch_brings_every_reply_to_its_request_and_is_made_once(server: BatchServer, tmp_path: Path) -> None:
    texts = [f"q{k}" for k in range(20)] + ["refused"]
    for _ in range(2):
        replies = ask(server, tmp_path, texts)
        assert [one.text for one in replies if isinstance(one, Reply)] == [f"re: q{k}" for k in range(20)]
        assert replies[-1] == Failure("request_refused", "HTTP 400: no")
    assert sorted(server.answered) == sorted([*texts, "refused"]), "what has a reply is not asked again"
    journal = Journal(tmp_path / "j.sqlite3")
    assert journal.spent() == (20, pytest.approx(20 * 20e-6), 300, 0, 0, 0, 0, 0, 0) and verify(journal) == []
    journal.close()


def test_a_batch_made_just_before_a_crash_is_found_and_not_made_again(server: BatchServer, tmp_path: Path) -> None:
    ask(server, tmp_path, ["other 1"])
    server.fault = "dies after making"
    with pytest.raises(TeacherError, match="no answer") as caught:
        ask(server, tmp_path, ["a", "b"])
    assert "never made twice" in caught.value.hint
    server.fault = ""
    (tmp_path / "elsewhere").mkdir()
    for k in range(3):
        ask(server, tmp_path / "elsewhere", [f"newer {k}"])
    replies = ask(server, tmp_path, ["a", "b"])
    assert [one.text for one in replies if isinstance(one, Reply)] == ["re: a", "re: b"]
    assert server.answered.count("a") == 1 and len(server.batches) == 5


def test_a_client_that_stops_waiting_keeps_its_reservation_and_fetches_later(
    server: BatchServer, tmp_path: Path
) -> None:
    server.fault = "never ends"
    prices = {"dollars_per_million_input_tokens": 1.0, "dollars_per_million_output_tokens": 2.0}
    site = TeacherSite(kind="batch", base_url=server.url, model="m", dollars_limit=1.0, poll_seconds=0.02, **prices)
    teacher = connect(site, tmp_path / "j.sqlite3")

    async def stop_early() -> None:
        async with teacher:
            await asyncio.wait_for(teacher.ask(question("a")), 1.0)

    with pytest.raises(TimeoutError):
        asyncio.run(stop_early())
    teacher.close()
    journal = Journal(tmp_path / "j.sqlite3")
    assert journal.spent().reserved_requests == 1 and journal.spent().lost_requests == 0
    journal.close()
    server.fault = ""
    (reply,) = ask(server, tmp_path, ["a"])
    assert isinstance(reply, Reply) and len(server.batches) == 1
    journal = Journal(tmp_path / "j.sqlite3")
    assert journal.spent().reserved_requests == 0 and journal.spent().requests == 1
    journal.close()


def test_what_an_expired_batch_left_out_is_asked_by_the_next(server: BatchServer, tmp_path: Path) -> None:
    server.fault = "expires"
    replies = ask(server, tmp_path, ["a", "b", "c"])
    assert [one.text for one in replies if isinstance(one, Reply)] == ["re: a", "re: b", "re: c"]
    assert len(server.batches) == 2 and len(server.answered) == 3


def test_a_refused_key_ends_the_work_and_is_not_told(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER", KEY + "-wrong")
    with pytest.raises(TeacherError, match="refused the key") as caught:
        ask(server, tmp_path, ["a"], api_key_env="OTHER")
    assert KEY + "-wrong" not in str(caught.value) and not server.batches
