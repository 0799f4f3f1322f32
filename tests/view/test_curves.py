"""Training as it goes: what is on the page follows the log."""

from __future__ import annotations

import json
import os
from pathlib import Path

from browser import Browser
from served import Started, Viewer

from codetextbook.store import Store
from codetextbook.view.catalog import Catalog
from codetextbook.view.curves import figures, trainings


def row(step: int, **more: object) -> str:
    known = {
        "step": step,
        "tokens": step * 100,
        "loss": 9.0 - step,
        "learning_rate": 0.001,
        "gradient_norm": 1.0,
        "skipped": False,
    }
    return json.dumps(known | {"seconds_since_start": step / 10} | more) + "\n"


def test_finished_trainings_are_drawn(viewer: Viewer, store: Store) -> None:
    answer = viewer.ask("/metrics")
    for stage in ("pretrain", "finetune"):
        artifact = next(one for one in store.artifacts() if one.stage == stage)
        loss = artifact.table("metrics")["loss"][-1].as_py()
        assert f"{stage} {artifact.id} finished" in answer.words
        assert f"loss {loss:.4f}" in answer.words
    assert answer.text.count("<svg") == 10
    assert answer.text.count("loss, nats a token by step, from 1 to 6") == 2


def test_a_running_training_is_followed(tmp_path: Path, start: Started, browser: Browser) -> None:
    scratch = tmp_path / "store" / "pretrain" / ("b" * 16) / ".scratch"
    scratch.mkdir(parents=True)
    log = scratch / "metrics.jsonl"
    log.write_text(row(1) + row(2))
    with start(tmp_path) as viewer:
        browser.open(f"{viewer.address}/metrics")
        browser.wait("document.body.innerText.includes('step 2, 200 tokens, loss 7.0000')")
        assert browser.ask("document.querySelector('.tag').innerText") == "running"
        with log.open("a") as file:
            file.write(row(3) + '{"step": 4, "lo')
        browser.wait("document.body.innerText.includes('step 3, 300 tokens, loss 6.0000')")
        browser.leave()


def test_a_log_with_two_attempts_tells_each_step_once(tmp_path: Path) -> None:
    scratch = tmp_path / "store" / "finetune" / ("c" * 16) / ".scratch"
    scratch.mkdir(parents=True)
    log = scratch / "metrics.jsonl"
    log.write_text(row(1) + row(2) + row(3) + "torn\n" + row(2, loss=1.0) + row(4, loss=None, skipped=True))
    os.utime(log, (1, 1))
    [training] = trainings(Catalog(tmp_path))
    assert training.state == "stopped"
    assert [one["step"] for one in training.rows] == [1, 2, 3, 4]
    loss = figures(training)[0]
    assert loss.last == "training 6" and "from 1 to 3" in loss.svg


def test_no_training_is_said(tmp_path: Path, start: Started) -> None:
    (tmp_path / "store").mkdir()
    with start(tmp_path) as viewer:
        assert "No training yet" in viewer.ask("/metrics").words
        assert "codetextbook dedup makes it" in viewer.ask("/documents").words
        assert "no finished artifact yet" in viewer.ask("/").words
