"""Hedging: a slow request is sent a second time, the first answer wins, and what may be billed twice counts twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from journalled_teacher import PRICES, both_clients, counted, question, teacher_of
from running_server import Running

from codetextbook.errors import ConfigError, TeacherError
from codetextbook.site import TeacherSite
from codetextbook.teacher import Failure, Journal, Limits, Reply, ask_all
from codetextbook.teacher.client import MakeClient
from codetextbook.teacher.hedge import race
from codetextbook.teacher.ledger import stats, verify


def lost_in(folder: Path) -> dict[str, int]:
    journal = Journal(folder / "j.sqlite3")
    told = stats(journal).lost
    assert verify(journal) == []
    journal.close()
    return told


@both_clients
def test_a_silent_request_is_answered_by_the_second_and_both_count(
    server: Running, tmp_path: Path, client: MakeClient
) -> None:
    teacher = teacher_of(tmp_path, server, client=client, timeout=30.0, hedge=0.2)
    asked = question("[silence] a")
    (reply,) = ask_all(teacher, [asked])
    teacher.close()
    assert isinstance(reply, Reply) and reply.text == "re: [silence] a"
    assert counted(tmp_path) == server.billed.total() == 2
    assert lost_in(tmp_path) == {"hedged": 1}
    journal = Journal(tmp_path / "j.sqlite3")
    spent = journal.spent()
    journal.close()
    assert spent.dollars == PRICES.dollars(10, 5)
    assert spent.lost_dollars == PRICES.dollars(asked.most_input_tokens, asked.max_tokens)


@pytest.mark.parametrize(("hedge", "limits", "times"), [
    (None, Limits(1.0), 1),
    (20.0, Limits(1.0), 1),
    (0.05, Limits(1.0), 2),
    (0.05, Limits(1.0, requests=1), 1),
    (0.05, Limits(1.0, tokens=60), 1),
])  # fmt: skip
def test_it_is_off_by_default_and_sends_a_second_time_only_what_is_slow_and_paid_for(
    tmp_path: Path, hedge: float | None, limits: Limits, times: int
) -> None:
    slow = Running(delay_seconds=1.0)
    slow.start()
    teacher = teacher_of(tmp_path, slow, timeout=30.0, hedge=hedge, limits=limits)
    (reply,) = ask_all(teacher, [question("a")])
    teacher.close()
    slow.stop()
    assert isinstance(reply, Reply) and counted(tmp_path) == slow.asked["a"] == times
    assert TeacherSite().hedge_after_seconds is None


def test_the_second_goes_to_the_server_with_more_room(server: Running, tmp_path: Path) -> None:
    slow = Running(delay_seconds=60.0)
    slow.start()
    teacher = teacher_of(tmp_path, slow, server, timeout=50.0, hedge=0.1)
    (reply,) = ask_all(teacher, [question("a")])
    teacher.close()
    slow.stop()
    assert isinstance(reply, Reply)
    assert slow.asked["a"] == server.asked["a"] == 1 and counted(tmp_path) == 2


def test_a_request_is_sent_twice_in_all_where_both_may_be_billed(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server, timeout=1.0, hedge=0.2)
    (failed,) = ask_all(teacher, [question("[silence x9] a")])
    teacher.close()
    assert isinstance(failed, Failure) and failed.reason == "timed_out"
    assert counted(tmp_path) == server.billed.total() == 2
    assert lost_in(tmp_path) == {"hedged": 1, "timed_out": 1}


def test_a_second_that_was_turned_away_costs_nothing(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server, timeout=1.0, hedge=0.2)
    (reply,) = ask_all(teacher, [question("[silence] [429] a")])
    teacher.close()
    assert isinstance(reply, Reply) and server.asked.total() == 3
    assert counted(tmp_path) == server.billed.total() == 2
    assert lost_in(tmp_path) == {"timed_out": 1}


def test_a_refused_key_ends_the_work_and_the_silent_one_counts(server: Running, tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, server, timeout=30.0, hedge=0.2)
    with pytest.raises(TeacherError, match="OPENAI_API_KEY|refused the key"):
        ask_all(teacher, [question("[silence] [401] a")])
    teacher.close()
    assert counted(tmp_path) == server.billed.total() == 1


def test_a_request_that_waits_for_its_turn_is_not_sent_twice() -> None:
    starts = []

    async def waits(sent: Callable[[], None]) -> Reply:
        starts.append(1)
        await asyncio.sleep(0.1)
        sent()
        return Reply("late", 1, 1, 0.0, "stop", "m")

    async def reserve() -> int:
        return 2

    raced = asyncio.run(race(waits, 1, 0.02, reserve))
    assert starts == [1] and raced.other is None and raced.winner.number == 1


@pytest.mark.parametrize("values", [
    {"hedge_after_seconds": 120.0},
    {"kind": "local", "hedge_after_seconds": 5.0},
    {"kind": "batch", "client": "openai"},
])  # fmt: skip
def test_settings_that_would_do_nothing_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="hedge_after_seconds"):
        TeacherSite.parse({"model": "m"} | values, where="site.toml")
