"""What a lesson tells on the way, and keeps beside the artifact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from debug_lesson import SETTINGS, TINY, packed
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from codetextbook.model.phi import Phi
from codetextbook.store import Writer
from codetextbook.train.lesson import Lesson, keep_metrics
from codetextbook.train.settings import Placement


@pytest.mark.parametrize("engine", ["one", "fsdp2"])
def test_what_the_model_writes_is_told_in_words_and_kept(tmp_path: Path, engine: Any) -> None:
    heard: list[dict[str, Any]] = []
    out = Writer(tmp_path / "out", lambda done, total, unit, facts: heard.append(facts))
    lesson = Lesson.of(packed(tmp_path / "packed"), context=TINY.context, seed=0)
    words = Tokenizer(WordLevel({f"w{number}": number for number in range(TINY.vocabulary)}))
    cfg = SETTINGS.replace({"steps": 4, "warmup_steps": 1})
    placement = Placement(engine=engine, processes=1 if engine == "one" else 2, sample_every_steps=2)
    trained = lesson.teach(Phi(TINY).initialise(0), cfg, words, out=out, device="cpu", threads=2, placement=placement)
    keep_metrics(trained.metrics, cfg, lesson, out)
    lines = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 4 and lines[-1]["text"] in [facts.get("sample") for facts in heard]
    half = TINY.context // 2
    beginning = lesson.data.validation.at([0]).ids_bt[0, :half].tolist() if lesson.data.validation else []
    assert lines[-1]["text"].split()[:half] == [f"w{number}" for number in beginning]
    assert len(lines[-1]["text"].split()) == 2 * half
