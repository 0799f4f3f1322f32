"""A server that misbehaves on purpose: every request ends as a reply or as a failure with a reason,
the journal's count is the server's, and the key is nowhere."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from pathlib import Path

import pytest
from journalled_teacher import both_clients, counted, question, teacher_of
from misbehaving import KEY
from running_server import Running

from codetextbook.errors import ConfigError, TeacherError
from codetextbook.site import TeacherSite
from codetextbook.teacher import Failure, Reply, ask_all, connect
from codetextbook.teacher.client import MakeClient
from codetextbook.teacher.official import Official

FAULTS = {
    "[429] a": "re",
    "[429 x4] b": "re",
    "[4290 x2] c": "re",
    "[500 x3] d": "re",
    "[502] e": "re",
    "[503] f": "re",
    "[500 x50] g": "server_error",
    "[502 x50] h": "server_error",
    "[reset-mid-body] i": "re",
    "[reset-mid-body x9] j": "connection_lost",
    "[drop] k": "re",
    "[drop x9] l": "connection_lost",
    "[silence x9] m": "timed_out",
    "[truncated] n": "re",
    "[truncated x9] o": "malformed_response",
    "[empty-choices] p": "re",
    "[empty-choices x9] q": "malformed_response",
    "[wrong-shape x9] r": "malformed_response",
    "[html x9] s": "malformed_response",
    "[bad-utf8] t": "re",
    "[bad-utf8 x9] u": "malformed_response",
    "[long x9] v": "too_long",
    "[refusal] w": "refused",
    "[content_filter] x": "content_filter",
    "[400 x9] y": "request_refused",
    "[500] [reset-mid-body] [429] z": "re",
    "plain": "re",
    "[no-usage] aa": "re",
    "[twice] ab": "re",
    "[twice] ac": "re",
}


@both_clients
def test_every_request_ends_and_the_journal_counts_what_the_server_bills(
    server: Running, tmp_path: Path, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [*FAULTS, *(f"good {k}" for k in range(30))]
    asked: list[dict[str, int]] = []
    for _ in range(2):
        teacher = teacher_of(tmp_path, server, client=client, timeout=3.0)
        replies = ask_all(teacher, [question(text) for text in texts])
        teacher.close()
        for text, reply in zip(texts, replies, strict=True):
            wanted = FAULTS.get(text, "re")
            if wanted == "re":
                assert isinstance(reply, Reply) and reply.text == f"re: {text}", (text, reply)
            else:
                assert isinstance(reply, Failure) and reply.reason == wanted, (text, reply)
            assert KEY not in str(reply)
        assert counted(tmp_path) == server.billed.total()
        asked.append(dict(server.asked))
    again = {text for text in texts if asked[1][text] > asked[0][text]}
    assert {FAULTS[text] for text in again} == {"server_error", "connection_lost", "timed_out", "request_refused"}
    assert KEY not in caplog.text
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_an_answer_that_was_cut_says_so(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server)
    (reply,) = ask_all(teacher, [question("[length] a")])
    teacher.close()
    assert isinstance(reply, Reply) and reply.finish_reason == "length"


@both_clients
@pytest.mark.parametrize(
    ("status", "said"), [("401", "OPENAI_API_KEY"), ("403", "key"), ("404", "model"), ("4299", "money")]
)
def test_a_refused_key_an_unknown_model_and_an_empty_account_end_the_work_at_once(
    server: Running, tmp_path: Path, client: MakeClient, status: str, said: str
) -> None:
    teacher = teacher_of(tmp_path, server, client=client, in_flight=2)
    with pytest.raises(TeacherError, match=said) as caught:
        ask_all(teacher, [question("good"), *(question(f"[{status} x9] {k}") for k in range(50))])
    teacher.close()
    assert server.asked.total() <= 4
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert KEY not in told and KEY not in str(caught.value)
    assert counted(tmp_path) == server.billed.total() == 1


def test_a_server_that_breaks_down_ends_the_work_and_rejects_no_corpus(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server, tries=2)
    with pytest.raises(TeacherError, match="no answer any more"):
        ask_all(teacher, [question(f"[500 x99] {k}") for k in range(500)])
    teacher.close()
    assert server.asked.total() < 60


@both_clients
def test_a_server_that_is_not_there_costs_nothing(tmp_path: Path, client: MakeClient) -> None:
    nobody = Running()
    nobody.port = 9
    teacher = teacher_of(tmp_path, nobody, client=client, patience_seconds=0.2)
    with pytest.raises(TeacherError, match="unreachable") as caught:
        ask_all(teacher, [question("a"), question("b")])
    teacher.close()
    assert caught.value.hint and counted(tmp_path) == 0


@both_clients
def test_a_server_restarted_in_the_middle_is_waited_for(server: Running, tmp_path: Path, client: MakeClient) -> None:
    teacher = teacher_of(tmp_path, server, client=client, in_flight=4)
    restarted = []

    def watch(number: int) -> None:
        if number == 20:
            server.stop()
            server.start()
            restarted.append(number)

    replies = ask_all(teacher, [question(str(k)) for k in range(60)], watch=watch)
    teacher.close()
    assert restarted and [reply.text for reply in replies if isinstance(reply, Reply)] == [
        f"re: {k}" for k in range(60)
    ]
    assert server.billed.total() <= counted(tmp_path) <= server.billed.total() + 4


@both_clients
def test_when_one_server_fails_the_other_takes_its_share(server: Running, tmp_path: Path, client: MakeClient) -> None:
    second = Running(delay_seconds=0.01)
    second.start()
    teacher = teacher_of(tmp_path, server, second, client=client, in_flight=4)
    first_half = ask_all(teacher, [question(str(k)) for k in range(40)])
    assert server.billed.total() > 5 and second.billed.total() > 5
    second.stop()
    second_half = ask_all(teacher, [question(str(k)) for k in range(40, 80)])
    teacher.close()
    assert all(isinstance(reply, Reply) for reply in [*first_half, *second_half])
    assert 0 <= counted(tmp_path) - server.billed.total() - second.billed.total() <= 4


@both_clients
def test_a_server_that_asks_for_a_wait_is_left_alone_for_it(
    server: Running, tmp_path: Path, client: MakeClient
) -> None:
    teacher = teacher_of(tmp_path, server, client=client, in_flight=1)
    begin = time.monotonic()
    ask_all(teacher, [question("[4290] a")])
    teacher.close()
    assert time.monotonic() - begin >= 0.2


@both_clients
def test_a_server_without_schemas_is_asked_without_and_one_with_them_is_held_to_it(
    server: Running, tmp_path: Path, client: MakeClient
) -> None:
    schema = {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}
    teacher = teacher_of(tmp_path, server, client=client)
    (held,) = ask_all(teacher, [question("a", schema=schema)])
    assert isinstance(held, Reply) and held.text.startswith('{"score"')
    (free,) = ask_all(teacher, [question("[no-schema] b", schema=schema)])
    teacher.close()
    assert isinstance(free, Reply) and free.text == "re: [no-schema] b"
    assert ["response_format" in body for body in server.bodies] == [True, True, False]
    assert counted(tmp_path) == 2


@both_clients
def test_an_answer_sent_twice_is_no_answer_to_the_next_question(
    server: Running, tmp_path: Path, client: MakeClient
) -> None:
    teacher = teacher_of(tmp_path, server, client=client, in_flight=1)
    texts = [f"[twice] {k}" for k in range(30)]
    replies = ask_all(teacher, [question(text) for text in texts])
    teacher.close()
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == [f"re: {text}" for text in texts]
    assert counted(tmp_path) == server.billed.total()


def test_a_key_in_the_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="environment variable"):
        TeacherSite.parse({"base_url": f"http://me:{KEY}@127.0.0.1/v1"}, where="site.toml")


@pytest.mark.parametrize("client", ["built-in", "openai"])
@pytest.mark.parametrize(("key", "sent"), [("sk-other", ["Bearer sk-other"]), ("", [])])
def test_a_connected_teacher_sends_the_key_of_the_named_variable_and_no_other(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str, key: str, sent: list[str]
) -> None:
    monkeypatch.setenv("OTHER_KEY", key)
    values = {"base_url": server.url, "model": "m", "api_key_env": "OTHER_KEY", "client": client}
    values |= {"dollars_per_million_input_tokens": 0.0, "dollars_per_million_output_tokens": 0.0}
    teacher = connect(TeacherSite.parse(values, where="site.toml"), tmp_path / "j.sqlite3")
    ask_all(teacher, [question("a")])
    teacher.close()
    assert server.keys == sent
    assert (b"AsyncOpenAI" in server.heads[0]) == (client == "openai")


@both_clients
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(
    server: Running, tmp_path: Path, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n{KEY}")
    teacher = teacher_of(tmp_path, server, client=client)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        ask_all(teacher, [question("a")])
    teacher.close()
    told = "".join(traceback.TracebackException.from_exception(caught.value).format())
    assert KEY not in told and server.asked.total() == 0


@both_clients
def test_both_clients_send_the_same_body(server: Running, tmp_path: Path, client: MakeClient) -> None:
    teacher = teacher_of(tmp_path, server, client=client, in_flight=1)
    chat = question("é 🐍", sample=7, stop=("\n\n",), answers=("Yes", "No"), temperature=0.7)
    scored, text = ask_all(teacher, [chat, question("def f(", form="completion")])
    teacher.close()
    assert server.bodies == [
        {
            "model": "m", "messages": [{"role": "user", "content": "é 🐍"}], "temperature": 0.7, "max_tokens": 20,
            "seed": 7, "stop": ["\n\n"], "logprobs": True, "top_logprobs": 20,
        },
        {"model": "m", "prompt": "def f(", "temperature": 0.0, "max_tokens": 20},
    ]  # fmt: skip
    assert isinstance(scored, Reply) and set(scored.scores) == {"Yes", "No"}
    assert isinstance(text, Reply) and text.text == "re: def f("


@both_clients
@pytest.mark.parametrize("address", ["nowhere", "htp://127.0.0.1/v1"])
def test_an_address_that_is_none_is_named_and_costs_nothing(tmp_path: Path, client: MakeClient, address: str) -> None:
    nobody = Running()
    nobody.address = address
    teacher = teacher_of(tmp_path, nobody, client=client)
    with pytest.raises(TeacherError, match=f"no address of a server: '{address}'"):
        ask_all(teacher, [question("a")])
    teacher.close()
    assert counted(tmp_path) == 0


def test_half_a_surrogate_pair_is_one_requests_failure(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server, client=Official)
    half, whole = ask_all(teacher, [question("\ud800"), question("a")])
    teacher.close()
    assert isinstance(half, Failure) and half.reason == "request_refused"
    assert isinstance(whole, Reply) and counted(tmp_path) == server.billed.total() == 1


@both_clients
def test_a_proxy_that_the_environment_names_carries_the_request_unless_it_names_the_host_too(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: MakeClient
) -> None:
    proxy = server.url.removesuffix("/v1")
    for name, value in (("http_proxy", proxy), ("no_proxy", "")):
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(name.upper(), raising=False)
    server.address = "http://teacher.invalid/v1"
    with contextlib.closing(teacher_of(tmp_path, server, client=client)) as teacher:
        assert isinstance(ask_all(teacher, [question("by proxy")])[0], Reply)
    assert server.heads[-1].startswith(b"POST http://teacher.invalid/v1/chat/completions ")
    monkeypatch.setenv("no_proxy", "teacher.invalid")
    direct = teacher_of(tmp_path / "direct", server, client=client, patience_seconds=0.1)
    with contextlib.closing(direct), pytest.raises(TeacherError, match="unreachable"):
        ask_all(direct, [question("directly")])
    assert len(server.heads) == 1
