"""A stage asks for all it wants at once, whatever its parts; nothing is asked twice; what failed is not tried again by the same process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from misbehaving import ANSWER, KEY
from running_server import Running
from test_teacher import endpoint, question

from codetextbook.nouns import DOCUMENT, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages import annotate as room
from codetextbook.stages import textbook as pages_room
from codetextbook.stages.annotate import Annotate, annotate
from codetextbook.stages.contract import _Made, make
from codetextbook.stages.textbook import Textbook, textbook
from codetextbook.store import Store, Writer
from codetextbook.teacher import Failure, Reply, ask_ahead, ask_all, connect, connect_ahead


def test_what_was_asked_ahead_is_not_asked_again_and_failures_are_remembered(server: Running, tmp_path: Path) -> None:
    teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
    texts = [*(f"good {k}" for k in range(9)), "[400 x9] bad", "[drop x9] gone"]
    heard: list[int] = []
    ask_ahead(teacher, (question(text) for text in texts), watch=heard.append)
    asked = dict(server.asked)
    replies = ask_all(teacher, [question(text) for text in texts])
    teacher.close()
    assert heard == list(range(1, 12)) and dict(server.asked) == asked
    assert asked["[drop x9] gone"] == 2 and asked["[400 x9] bad"] == 1
    assert [isinstance(one, Reply) for one in replies] == [True] * 9 + [False] * 2
    assert [one.reason for one in replies if isinstance(one, Failure)] == ["request_refused", "connection_lost"]


def test_a_later_round_is_told_of_unless_the_journal_answers_it(server: Running, tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    known, new = ([question(f"{word} {k}") for k in range(6)] for word in ("known", "new"))
    server.delay_seconds = 0.4
    with connect_ahead(
        endpoint(server, requests_in_flight=2),
        tmp_path / "j.sqlite3",
        known,
        model="",
        tell=lambda done, **rest: told.append({"done": done, **rest}),
    ) as teacher:
        assert [one["done"] for one in told] == [1, 2, 3, 4, 5, 6] and "unit" not in told[0]
        told.clear()
        ask_all(teacher, known)
        assert told == []
        ask_all(teacher, new)
        assert told[-1]["done"] == told[-1]["total"] == 6 and told[-1]["unit"] == "further replies"
    server.delay_seconds = 0.0


def test_a_repair_is_asked_ahead_too(server: Running, tmp_path: Path) -> None:
    teacher = connect(endpoint(server), tmp_path / "j.sqlite3")
    ask_ahead(teacher, [question("a"), question("b")], lambda text: None, repair="Only JSON.")
    teacher.close()
    assert server.asked == {"a": 1, "b": 1, "Only JSON.": 2}


def test_grading_fills_what_the_server_bears_over_the_borders_of_parts(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "DOCUMENTS_PER_PART", 3)
    server.delay_seconds = 0.2
    server.answer = ANSWER
    texts = [f"def f():\n    return {k}\n" for k in range(24)]
    store = Store(tmp_path / "store")
    with store.writing("read", "ab" * 16) as folder:
        out = Writer(folder)
        rows = [{"id": document_id(t), "text": t, "source": "s", "licence": "", "path": "p"} for t in texts]
        out.table("documents", 0, to_table(rows, DOCUMENT))
        out.flow(rows_in=24, kept="documents")
        documents = out.finish({"id": "ab" * 16, "stage": "read", "version": 1, "config": {}, "inputs": {}}, 0.0)
    cfg = Annotate(grader="teacher", sample_size=24, min_grades=4)
    site = Site(teacher=endpoint(server, requests_in_flight=12))
    heard: list[tuple[int, str, dict[str, Any]]] = []
    step = annotate(cfg, _Made.of(documents))
    made = make(step, (documents,), store=store, site=site, progress=lambda *told: heard.append((told[0], *told[2:])))
    assert made.table("grades")["score"].to_pylist() == [3.0] * 24 and len(made.parts("grades")) == 8
    assert server.most > 6 and server.asked.total() == 24
    assert made.manifest["facts"]["dollars"] == pytest.approx(24 * 20e-6)
    done, unit, facts = next(told for told in heard[::-1] if told[1] == "replies")
    assert (done, unit) == (24, "replies") and facts["tokens/s"] > 0
    assert (facts["dollars"], facts["dollars limit"]) == (pytest.approx(24 * 20e-6), 1.0)
    for path in store.root.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_what_pages_cost_stands_in_the_manifest_after_an_interruption_too(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = "## Sums\n\nAdd.\n\n```python\nprint(2 + 3)  # 5\n```\n"
    monkeypatch.setattr(pages_room, "PAGES_PER_PART", 2)
    cfg = Textbook(recorded=False, count=0, teacher_pages=5, words_per_page=0, max_rejected_share=1.0)
    store, site = Store(tmp_path / "store"), Site(workers=1, teacher=endpoint(server))

    def stop(done: int, total: int, unit: str, facts: dict[str, Any]) -> None:
        if (done, unit) == (4, "pages"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(textbook(cfg), (), store=store, site=site, progress=stop)
    made = make(textbook(cfg), (), store=store, site=site)
    assert made.manifest["facts"]["dollars"] == pytest.approx(5 * 20e-6) and server.billed.total() == 5
    assert made.manifest["flow"]["rejected"] == {"duplicate": 4}
