"""The teacher's edge: what is sent, what comes back, what it costs, and what is never spent."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
from misbehaving import ANSWER, KEY
from running_server import Running

from codetextbook.errors import ConfigError, InputError, TeacherError
from codetextbook.site import TeacherSite
from codetextbook.teacher import (
    Failure,
    Journal,
    Message,
    RecordedTeacher,
    Reply,
    Request,
    ask_all,
    ask_objects,
    connect,
)
from codetextbook.teacher.flow import Lane, Lanes
from codetextbook.teacher.ledger import export, stats, take_in, verify
from codetextbook.teacher.openai import retry_after_seconds
from codetextbook.teacher.prices import quote
from codetextbook.teacher.protocol import Prices


def question(text: str, **changes: Any) -> Request:
    return Request((Message("user", text),), **({"max_tokens": 20} | changes))


def endpoint(server: Running, **changes: Any) -> TeacherSite:
    prices = {"dollars_per_million_input_tokens": 1.0, "dollars_per_million_output_tokens": 2.0}
    return TeacherSite(**({"base_url": server.url, "model": "m", "dollars_limit": 1.0} | prices | changes))


def test_answers_come_in_order_with_their_price_and_never_more_at_once_than_allowed(
    server: Running, tmp_path: Path
) -> None:
    teacher = connect(endpoint(server, requests_in_flight=3), tmp_path / "j.sqlite3")
    replies = ask_all(teacher, [question(str(k)) for k in range(12)])
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == [f"re: {k}" for k in range(12)]
    assert replies[0] == Reply("re: 0", 10, 5, 20e-6, "stop", "m")
    assert 1 < server.most <= 3
    assert set(server.keys) == {f"Bearer {KEY}"}
    teacher.close()


def test_nothing_is_paid_twice_and_what_changes_the_answer_is_told_apart(server: Running, tmp_path: Path) -> None:
    asked = [question("a"), question("a"), question("a", sample=1), question("a", temperature=0.5)]
    asked += [
        question("a", stop=("\n",)),
        question("a", answers=("Yes", "No")),
        question("a", schema={"type": "object"}),
    ]
    for _ in range(2):
        teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
        ask_all(teacher, asked)
        teacher.close()
    assert len(server.bodies) == 6
    for changes in ({"model": "another"}, {"extra_body": {"reasoning_effort": "low"}}):
        teacher = connect(endpoint(server, **changes), tmp_path / "j.sqlite3")
        ask_all(teacher, asked[:1])
        teacher.close()
    assert len(server.bodies) == 8 and server.bodies[-1]["reasoning_effort"] == "low"
    journal = Journal(tmp_path / "j.sqlite3")
    assert verify(journal) == []
    journal.close()


def test_every_parameter_is_sent_in_the_protocols_words(server: Running, tmp_path: Path) -> None:
    teacher = connect(endpoint(server, tokens_field="max_completion_tokens"), tmp_path / "j.sqlite3")
    chat = question("a", sample=7, stop=("\n\n",), answers=("Yes", "No"), temperature=0.7)
    (told,) = ask_all(teacher, [chat])
    assert server.bodies[0] == {
        "model": "m", "messages": [{"role": "user", "content": "a"}], "temperature": 0.7, "max_completion_tokens": 20,
        "seed": 7, "stop": ["\n\n"], "logprobs": True, "top_logprobs": 20,
    }  # fmt: skip
    assert isinstance(told, Reply)
    assert told.scores["Yes"] == pytest.approx(math.log(math.exp(-0.1) + math.exp(-3.0))) and told.scores["No"] == -2.5
    (text,) = ask_all(teacher, [question("def f(", form="completion")])
    assert server.bodies[1]["prompt"] == "def f(" and "messages" not in server.bodies[1]
    assert isinstance(text, Reply) and text.text == "re: def f("
    teacher.close()


def test_scores_are_kept_with_the_reply(server: Running, tmp_path: Path) -> None:
    for _ in range(2):
        teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
        (told,) = ask_all(teacher, [question("a", answers=("Yes", "No"))])
        teacher.close()
        assert isinstance(told, Reply) and set(told.scores) == {"Yes", "No"}
    assert len(server.bodies) == 1


def test_an_answer_without_the_object_gets_one_more_try_then_fails_with_its_text(
    server: Running, tmp_path: Path
) -> None:
    def read(text: str) -> int | None:
        try:
            return int(json.loads(text)["score"])
        except ValueError:
            return None

    teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
    asked = [question("a", schema={"type": "object"}), question("b"), question("[refusal] c")]
    good, bad, refused = ask_objects(teacher, asked, read, repair="Only JSON.")
    teacher.close()
    assert good.value == 3 and good.failure is None and good.dollars == pytest.approx(20e-6)
    assert bad.failure == Failure("malformed_reply", "re: Only JSON.") and bad.dollars == pytest.approx(40e-6)
    assert refused.failure is not None and refused.failure.reason == "refused"
    repaired = server.bodies[-1]["messages"]
    assert [one["role"] for one in repaired] == ["user", "assistant", "user"] and repaired[1]["content"] == "re: b"
    assert json.loads(ANSWER)["score"] == 3


def test_retry_after_is_read_in_both_its_forms() -> None:
    assert retry_after_seconds({"Retry-After": "2.5"}) == 2.5
    assert retry_after_seconds({"Retry-After": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0.0
    assert retry_after_seconds({"Retry-After": "soon"}) is None and retry_after_seconds({}) is None
    assert retry_after_seconds({"Retry-After": "nan"}) is None


def test_a_busy_lane_halves_once_a_round_and_opens_by_one_a_round() -> None:
    lane = Lane("u", 64)
    lane.did_well(2.0)
    for _ in range(64):
        lane.is_busy(100.0, None, 1.0)
    assert lane.limit == 32
    lane.is_busy(lane.paused_until + 3.0, None, 1.0)
    assert lane.limit == 16
    for _ in range(16):
        lane.did_well(2.0)
    assert 16.9 < lane.limit <= 17.0


def test_those_who_wait_for_a_paused_lane_all_get_their_turn() -> None:
    async def work() -> list[str]:
        lanes = Lanes(["u", "v"], 2)
        first = await lanes.take()
        first.is_busy(asyncio.get_running_loop().time(), 0.05, 1.0)
        lanes.give(first)
        taken = []

        async def one() -> None:
            lane = await lanes.take()
            taken.append(lane.url)
            await asyncio.sleep(0.02)
            lane.did_well(0.02)
            lanes.give(lane)

        await asyncio.gather(*(one() for _ in range(20)))
        return taken

    taken = asyncio.run(asyncio.wait_for(work(), 5))
    assert len(taken) == 20 and taken[:2] == ["v", "v"] and "u" in taken


@pytest.mark.parametrize(
    ("changes", "said"), [({"model": ""}, "no teacher"), ({"dollars_per_million_input_tokens": None}, "price")]
)
def test_nothing_is_spent_blindly(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    values = {"model": "m", "dollars_per_million_input_tokens": 1.0, "dollars_per_million_output_tokens": 1.0}
    with pytest.raises(TeacherError, match=said):
        connect(TeacherSite(**(values | changes)), tmp_path / "j.sqlite3")
    assert not (tmp_path / "j.sqlite3").exists()


def test_prices_come_from_the_site_then_a_file_of_the_users_then_the_dated_table(tmp_path: Path) -> None:
    official, none = "https://api.openai.com/v1", (None, None)
    shipped = quote("gpt-4o-mini", official, own=none)
    assert shipped.prices == (0.15, 0.60) and "2026" in shipped.source
    assert quote("gpt-4o-mini", official, own=none, batch=True).prices == Prices(0.075, 0.30)
    assert quote("gpt-4o-mini", official, own=(9.0, 9.0)).prices == (9.0, 9.0)
    with pytest.raises(TeacherError, match="not known"):
        quote("gpt-4o-mini", "http://127.0.0.1:8000/v1", own=none)
    mine = tmp_path / "prices.toml"
    mine.write_text('[us]\nas_of = "today"\n[us.models]\nm = { input = 1, output = 2 }\n')
    assert quote("m", "http://127.0.0.1:8000/v1", own=none, file=str(mine)).prices == (1.0, 2.0)
    mine.write_text("not toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        quote("m", official, own=none, file=str(mine))


def test_what_was_paid_can_be_carried_elsewhere_and_replayed(server: Running, tmp_path: Path) -> None:
    teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
    asked = [question("one\u2028line\ud800"), question("[refusal] b"), question("c", answers=("Yes",))]
    paid = ask_all(teacher, asked)
    teacher.close()
    journal = Journal(tmp_path / "j.sqlite3")
    assert export(journal, tmp_path / "replies.jsonl") == 3 and export(journal, tmp_path / "none.jsonl", model="x") == 0
    journal.close()
    replay = connect(
        TeacherSite(kind="recorded", model="m", replies=str(tmp_path / "replies.jsonl")), tmp_path / "k.sqlite3"
    )
    again = ask_all(replay, [*asked, question("unknown")])
    replay.close()
    assert isinstance(again[0], Reply) and isinstance(paid[0], Reply) and isinstance(again[2], Reply)
    assert again[0].text == paid[0].text and again[0].dollars == 0 and set(again[2].scores) == {"Yes"}
    assert isinstance(again[1], Failure) and again[1] == paid[1]
    assert isinstance(again[3], Failure) and again[3].reason == "not_recorded"
    other = Journal(tmp_path / "other.sqlite3")
    assert take_in(other, tmp_path / "replies.jsonl") == (3, 0) and take_in(other, tmp_path / "replies.jsonl") == (0, 3)
    assert verify(other) == [] and stats(other).models[0].replies == 3 and other.spent().dollars == 0
    (tmp_path / "bad.jsonl").write_text("{}\n")
    for read in (lambda path: take_in(other, path), lambda path: RecordedTeacher.read(path, "m")):
        with pytest.raises(InputError, match="not a recorded reply"):
            read(tmp_path / "bad.jsonl")
    other.close()
