"""A stage asks for all it wants at once, whatever its parts; nothing is asked twice; what failed is not tried again by the same process."""

from __future__ import annotations

from pathlib import Path

import pytest
from misbehaving import ANSWER
from test_teacher import endpoint, question

from codetextbook.nouns import DOCUMENT, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages import annotate as room
from codetextbook.stages.annotate import Annotate, annotate
from codetextbook.stages.contract import run_stage
from codetextbook.store import Store, Writer
from codetextbook.teacher import Failure, Reply, ask_ahead, ask_all, connect
from conftest import Running


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
    made = run_stage(annotate, cfg, documents, store=store, site=site)
    assert made.table("grades")["score"].to_pylist() == [3.0] * 24 and len(made.parts("grades")) == 8
    assert server.most > 6 and server.asked.total() == 24
    assert made.manifest["facts"]["dollars"] == pytest.approx(24 * 20e-6)
