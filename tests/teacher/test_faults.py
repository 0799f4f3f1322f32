"""A server that misbehaves on purpose: every request ends as a reply or as a failure with a reason,
the journal's count is the server's, and the key is nowhere."""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from misbehaving import KEY
from running_server import Running

from codetextbook.errors import TeacherError
from codetextbook.site import TeacherSite
from codetextbook.teacher import (
    Failure,
    Journal,
    Journalled,
    Limits,
    Message,
    OpenAIBackend,
    Patience,
    Prices,
    Reply,
    Request,
    ask_all,
    connect,
)

PRICES = Prices(1.0, 2.0)


def question(text: str, **changes: Any) -> Request:
    return Request((Message("user", text),), **({"max_tokens": 20} | changes))


def teacher_of(
    folder: Path, *servers: Running, timeout: float = 5.0, in_flight: int = 8, **patience: Any
) -> Journalled:
    urls = [server.url for server in servers]
    backend = OpenAIBackend(
        urls, "m", prices=PRICES, in_flight=in_flight, timeout_seconds=timeout, first_wait_seconds=0.01
    )
    patient = Patience(**({"patience_seconds": 10.0} | patience))
    return Journalled(backend, Journal(folder / "j.sqlite3"), prices=PRICES, limits=Limits(1.0), patience=patient)


def counted(folder: Path) -> int:
    """Requests that the journal holds to be billed."""
    journal = Journal(folder / "j.sqlite3")
    spent = journal.spent()
    journal.close()
    assert spent.reserved_requests == 0
    return spent.requests + spent.lost_requests


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


def test_every_request_ends_and_the_journal_counts_what_the_server_bills(
    server: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts = [*FAULTS, *(f"good {k}" for k in range(30))]
    asked: list[dict[str, int]] = []
    for _ in range(2):
        teacher = teacher_of(tmp_path, server, timeout=3.0)
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


@pytest.mark.parametrize(
    ("status", "said"), [("401", "OPENAI_API_KEY"), ("403", "key"), ("404", "model"), ("4299", "money")]
)
def test_a_refused_key_an_unknown_model_and_an_empty_account_end_the_work_at_once(
    server: Running, tmp_path: Path, status: str, said: str
) -> None:
    teacher = teacher_of(tmp_path, server, in_flight=2)
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


def test_a_server_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    nobody = Running()
    nobody.port = 9
    teacher = teacher_of(tmp_path, nobody, patience_seconds=0.2)
    with pytest.raises(TeacherError, match="unreachable") as caught:
        ask_all(teacher, [question("a"), question("b")])
    teacher.close()
    assert caught.value.hint and counted(tmp_path) == 0


def test_a_server_restarted_in_the_middle_is_waited_for(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server, in_flight=4)
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


def test_when_one_server_fails_the_other_takes_its_share(server: Running, tmp_path: Path) -> None:
    second = Running(delay_seconds=0.01)
    second.start()
    teacher = teacher_of(tmp_path, server, second, in_flight=4)
    first_half = ask_all(teacher, [question(str(k)) for k in range(40)])
    assert server.billed.total() > 5 and second.billed.total() > 5
    second.stop()
    second_half = ask_all(teacher, [question(str(k)) for k in range(40, 80)])
    teacher.close()
    assert all(isinstance(reply, Reply) for reply in [*first_half, *second_half])
    assert 0 <= counted(tmp_path) - server.billed.total() - second.billed.total() <= 4


def test_a_server_that_asks_for_a_wait_is_left_alone_for_it(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server, in_flight=1)
    begin = time.monotonic()
    ask_all(teacher, [question("[4290] a")])
    teacher.close()
    assert time.monotonic() - begin >= 0.2


def test_a_server_without_schemas_is_asked_without_and_one_with_them_is_held_to_it(
    server: Running, tmp_path: Path
) -> None:
    schema = {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}
    teacher = teacher_of(tmp_path, server)
    (held,) = ask_all(teacher, [question("a", schema=schema)])
    assert isinstance(held, Reply) and held.text.startswith('{"score"')
    (free,) = ask_all(teacher, [question("[no-schema] b", schema=schema)])
    teacher.close()
    assert isinstance(free, Reply) and free.text == "re: [no-schema] b"
    assert ["response_format" in body for body in server.bodies] == [True, True, False]
    assert counted(tmp_path) == 2


def test_an_answer_sent_twice_is_no_answer_to_the_next_question(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server, in_flight=1)
    texts = [f"[twice] {k}" for k in range(30)]
    replies = ask_all(teacher, [question(text) for text in texts])
    teacher.close()
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == [f"re: {text}" for text in texts]
    assert counted(tmp_path) == server.billed.total()


def test_a_key_in_the_address_is_refused() -> None:
    from codetextbook.errors import ConfigError

    with pytest.raises(ConfigError, match="environment variable"):
        TeacherSite.parse({"base_url": f"http://me:{KEY}@127.0.0.1/v1"}, where="site.toml")


def test_a_connected_teacher_sends_the_key_of_the_named_variable(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    free = {"dollars_per_million_input_tokens": 0.0, "dollars_per_million_output_tokens": 0.0}
    teacher = connect(
        TeacherSite(base_url=server.url, model="m", api_key_env="OTHER_KEY", **free), tmp_path / "j.sqlite3"
    )
    ask_all(teacher, [question("a")])
    teacher.close()
    assert server.keys == ["Bearer sk-other"]
