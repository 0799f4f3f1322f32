"""The example notebook, run over a real workspace: every cell, and what its three figures show."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from codetextbook.run import Run

NOTEBOOK = Path(__file__).parents[2] / "examples" / "look.py"


def test_every_cell_runs_and_the_figures_show_the_artifacts(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_run.make("finetune")
    monkeypatch.setenv("CODETEXTBOOK_WORK", str(tiny_run.work))
    spec = importlib.util.spec_from_file_location("look", NOTEBOOK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _, found = module.app.run()
    figures = [found[name].to_dict() for name in ("quality", "imports", "losses")]
    assert [figure["mark"]["type"] for figure in figures] == ["bar", "bar", "line"]
    rows = [next(iter(figure["datasets"].values())) for figure in figures]
    scored = tiny_run.artifact("curate")
    assert scored is not None and len(rows[0]) == scored.rows("scores")
    assert {row["training"] for row in rows[2]} == {"pretrain", "finetune"}
