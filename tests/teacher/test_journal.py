"""The journal and the budget: durable before use, never paid twice, never overrun; whoever is killed, and however many share it."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from misbehaving import KEY
from running_server import Running
from test_teacher import endpoint, question

from codetextbook.errors import InputError, TeacherError
from codetextbook.teacher import Journal, Limits, Prices, Reply, ask_all, connect
from codetextbook.teacher.journal import Room
from codetextbook.teacher.ledger import stats, verify

HERE = Path(__file__).parent
CLIENT = """
import sys
from pathlib import Path
from codetextbook.site import TeacherSite
from codetextbook.teacher import Message, Request, ask_all, connect
url, journal, number, flight = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
site = TeacherSite(base_url=url, model="m", dollars_limit=1.0, requests_in_flight=flight, dollars_per_million_input_tokens=1.0,
                   dollars_per_million_output_tokens=2.0)
teacher = connect(site, journal)
print("ready", flush=True)
ask_all(teacher, [Request((Message("user", f"question {k}"),), max_tokens=20) for k in range(number)])
teacher.close()
"""


class Outside:
    """The server as a process of its own."""

    def __init__(self, folder: Path, delay_seconds: float) -> None:
        self.counts = folder / "billed.txt"
        self.counts.touch()
        command = [sys.executable, str(HERE / "misbehaving.py"), "0", str(self.counts), str(delay_seconds)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/v1"

    def billed(self) -> Counter[str]:
        return Counter(json.loads(line) for line in self.counts.read_text().splitlines())

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


def client(server: Outside, journal: Path, number: int, flight: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CLIENT, server.url, str(journal), str(number), str(flight)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OPENAI_API_KEY": KEY})


def test_a_client_killed_again_and_again_loses_what_was_in_flight_and_repeats_nothing(tmp_path: Path) -> None:
    number, flight, kills = 150, 8, 6
    path = tmp_path / "j.sqlite3"
    server = Outside(tmp_path, 0.02)
    draw = random.Random(1)
    try:
        for _ in range(kills):
            one = client(server, path, number, flight)
            assert one.stdout is not None and one.stdout.readline() == "ready\n"
            time.sleep(draw.uniform(0.02, 0.2))
            finished = {row[0] for row in sqlite3.connect(path).execute("SELECT request FROM replies")}
            one.send_signal(signal.SIGKILL)
            one.communicate()
            left = {row[0] for row in sqlite3.connect(path).execute("SELECT request FROM replies")}
            assert finished <= left
        last = client(server, path, number, flight)
        last.communicate()
        assert last.returncode == 0
        billed = server.billed()
    finally:
        server.stop()
    journal = Journal(path)
    spent = journal.spent()
    assert verify(journal) == [] and stats(journal).models[0].replies == number == len(billed)
    journal.close()
    repeated = billed.total() - number
    assert 0 < repeated <= spent.lost_requests <= kills * flight
    assert spent.reserved_requests == 0


def test_two_processes_share_a_journal_and_ask_nothing_twice(tmp_path: Path) -> None:
    server = Outside(tmp_path, 0.02)
    try:
        both = [client(server, tmp_path / "j.sqlite3", 120, 8) for _ in range(2)]
        for one in both:
            one.communicate()
            assert one.returncode == 0
        billed = server.billed()
    finally:
        server.stop()
    assert set(billed.values()) == {1} and len(billed) == 120


OPENING = """
import sys, time
from pathlib import Path
from codetextbook.teacher import Journal
start, folder = float(sys.argv[1]), Path(sys.argv[2])
for turn in range(30):
    time.sleep(max(0.0, start + turn * 0.1 - time.time()))
    Journal(folder / f"{turn}.sqlite3").close()
"""


def test_processes_that_open_a_new_journal_at_once_all_get_it(tmp_path: Path) -> None:
    words = [sys.executable, "-c", OPENING, str(time.time() + 3), str(tmp_path)]
    several = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [one.communicate()[1] for one in several] == [""] * 3


@pytest.mark.parametrize("flight", [64, 512])
def test_the_budget_is_never_passed_and_used_nearly_up(server: Running, tmp_path: Path, flight: int) -> None:
    one = question(f"{0:0100}")
    most = Prices(1.0, 2.0).dollars(one.most_input_tokens, 20)
    limit = 6 * most
    teacher = connect(endpoint(server, dollars_limit=limit, requests_in_flight=flight), tmp_path / "j.sqlite3")
    with pytest.raises(TeacherError, match="budget is spent") as caught:
        ask_all(teacher, [question(f"{k:0100}") for k in range(600)])
    assert caught.value.hint and "dollars_limit" in caught.value.where
    teacher.close()
    journal = Journal(tmp_path / "j.sqlite3")
    spent = journal.spent()
    journal.close()
    assert limit - most < spent.dollars <= limit and spent.reserved_requests == 0
    assert spent.dollars == pytest.approx(server.billed.total() * 20e-6)


@pytest.mark.parametrize(("limits", "billed"), [({"tokens_limit": 90}, 2), ({"requests_limit": 3}, 3)])
def test_tokens_and_requests_are_limited_where_the_price_is_zero(
    server: Running, tmp_path: Path, limits: dict[str, int], billed: int
) -> None:
    free = {"dollars_per_million_input_tokens": 0.0, "dollars_per_million_output_tokens": 0.0, "dollars_limit": 0.0}
    teacher = connect(endpoint(server, **free, **limits), tmp_path / "j.sqlite3")
    with pytest.raises(TeacherError, match="budget"):
        ask_all(teacher, [question(f"{k:030}") for k in range(9)])
    teacher.close()
    assert server.billed.total() == billed


def test_what_was_not_awaited_counts_as_spent(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite3")
    journal.together([lambda: journal.reserve("ab" * 32, Room(0.5, 100), Limits())])
    assert journal.spent()[6:] == (1, 0.5, 100)
    journal.close()
    again = Journal(tmp_path / "j.sqlite3")
    assert again.spent() == (0, 0.0, 0, 1, 0.5, 100, 0, 0.0, 0) and stats(again).lost == {"not_awaited": 1}
    again.close()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["j.sqlite3", "j.sqlite3.opening"]  # no lock of an owner; the one for opening is nobody's


def test_a_failing_change_leaves_nothing_of_its_transaction(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.sqlite3")

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        journal.together([lambda: journal.keep("ab" * 32, {}, Reply("t", 1, 1, 1.0, "stop", "m")), fail])
    assert journal.find("ab" * 32) is None and journal.spent().requests == 0
    journal.close()


def test_verify_finds_a_changed_request_and_changed_sums(server: Running, tmp_path: Path) -> None:
    teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
    ask_all(teacher, [question("a"), question("b")])
    teacher.close()
    base = sqlite3.connect(tmp_path / "j.sqlite3")
    base.execute("UPDATE replies SET model = 'other', dollars = 7 WHERE number = 1")
    base.commit()
    base.close()
    journal = Journal(tmp_path / "j.sqlite3")
    found = [fault.what for fault in verify(journal)]
    journal.close()
    assert len(found) == 2 and "key is not that" in found[0] and "sums" in found[1]


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite3").write_text("this is no database, and it is long enough to be looked at" * 20)
    with pytest.raises(InputError, match="no journal"):
        Journal(tmp_path / "j.sqlite3")


def test_a_journal_of_a_later_version_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "j.sqlite3").close()
    base: Any = sqlite3.connect(tmp_path / "j.sqlite3")
    base.execute("PRAGMA user_version=99")
    base.close()
    with pytest.raises(InputError, match="later version"):
        Journal(tmp_path / "j.sqlite3")


def test_whoever_watches_hears_what_is_spent_of_the_limit_since_the_journal_began(
    server: Running, tmp_path: Path
) -> None:
    for asked in ("a", "b"):
        teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
        assert "sample" not in teacher.facts()
        ask_all(teacher, [question(asked)])
        told = teacher.facts()
        teacher.close()
    assert (told["dollars"], told["dollars limit"]) == (40e-6, 1.0)
    assert told["sample"] == "re: b" and told["from the journal"] == 0
