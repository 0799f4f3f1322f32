"""A curated file written anew is kept only where its functions still do what they did."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, fenced, recorded_site
from test_dialogue import curated

from codetextbook.errors import ConfigError, StageFailed
from codetextbook.sandbox import Limits, Sandbox
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.textbook import Textbook, textbook
from codetextbook.store import Store
from codetextbook.teacher import Request
from codetextbook.teacher.rewriting import difference, rewrite

OLD = "import numpy\n\n\ndef double_all(xs):\n    r = []\n    for x in xs:\n        r.append(x + x)\n    return r\n"
SAME = (
    'def double_all(xs):\n    """Each doubled."""\n    doubled = [x + x for x in xs]\n'
    "    size = len(doubled)\n    return doubled[:size]\n"
)


def test_what_behaves_differently_or_holds_nothing_is_refused() -> None:
    with Sandbox(workers=1, limits=Limits(cpu_seconds=2.0)) as sandbox:
        assert difference(OLD, SAME, sandbox) is None
        reasons = [
            why and why.reason
            for why in (
                difference(OLD, SAME.replace("x + x for", "x + 1 for"), sandbox),
                difference(OLD, SAME.replace("return doubled[:size]", "return sorted(doubled)"), sandbox),
                difference(OLD, "x = 3\n", sandbox),
                difference(OLD, "def f(:\n", sandbox),
            )
        ]
    assert reasons == ["behaves_differently", "behaves_differently", "no_function", "unparsable"]


def test_files_go_through_both_steps_and_are_kept_as_pages(tmp_path: Path) -> None:
    def told(request: Request) -> str:
        first = request.messages[0].content
        return fenced(SAME) if first.startswith("Make this") else fenced(OLD.replace("r = []", "r = []  # collected"))

    cfg = Textbook(count=0, recorded=False, rewritten=1)
    teacher = Scripted(told)
    with Sandbox(workers=1) as sandbox:
        made = rewrite([OLD], 0, teacher, sandbox, temperature=cfg.temperature, max_tokens=cfg.max_reply_tokens)
    assert made.dollars == pytest.approx(0.002) and "# collected" in teacher.asked[1].messages[0].content
    site = recorded_site(tmp_path, [(request, told(request)) for request in teacher.asked])
    corpus = curated(tmp_path / "c", [OLD])
    (row,) = run_stage(textbook, cfg, corpus, store=Store(tmp_path / "s"), site=site).table("pages").to_pylist()
    assert row["text"] == f"```python\n{SAME}```\n" and row["topic"] == "rewritten" and row["writer"] == "m"
    with pytest.raises(StageFailed, match="there are 1 curated"):
        run_stage(textbook, cfg.replace({"rewritten": 2}), corpus, store=Store(tmp_path / "s"), site=site)
    with pytest.raises(ConfigError, match="no curated files"):
        run_stage(textbook, cfg, store=Store(tmp_path / "s"), site=Site(workers=1))
