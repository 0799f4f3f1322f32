"""The page of a match: where both sides meet, and both whole, harmless, whatever became of the text."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from served import Started, Viewer

from codetextbook.benchmarks.problems import humaneval
from codetextbook.nouns import DOCUMENT, EXERCISE, PAGE, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.decontaminate import Decontaminate, decontaminate
from codetextbook.store import Artifact, Store, Writer

PROBLEM = next(one for one in humaneval() if len(one.prompt) > 1_200)
HOSTILE = "<script>window.pwned=1</script>"
FILE = "".join(f"first_{number} = {number}\n" for number in range(150)) + f"# {HOSTILE}\n"
FILE += PROBLEM.prompt + PROBLEM.reference + "".join(f"last_{number} = {number}\n" for number in range(150))
PAGE_TEXT = f"A lesson {HOSTILE}.\n\n" + "Lists are read from left to right.\n" * 60 + PROBLEM.prompt + "\nThe end.\n"


def artifact(store: Store, stage: str, table: str, rows: list[dict[str, Any]], schema: Any) -> Artifact:
    out = Writer(store.folder(stage, "0" * 16))
    out.table(table, 0, to_table(rows, schema))
    out.flow(rows_in=len(rows), unit=table)
    return out.finish({"id": "0" * 16, "stage": stage, "version": 1, "config": {}, "inputs": {}}, 0.0)


def screened(work: Path, policy: str) -> Artifact:
    """A workspace with one document, one page and one exercise, all of which match the problem."""
    store = Store(work / "store")
    document = dict.fromkeys(DOCUMENT.names, "x") | {"id": document_id(FILE), "text": FILE, "quality": 0.5}
    page = dict.fromkeys(PAGE.names, "x") | {"id": document_id(PAGE_TEXT), "text": PAGE_TEXT, "words": []}
    exercise = dict.fromkeys(EXERCISE.names, "x") | {"id": "e" * 32, "verified": True, "split": "train"}
    exercise |= {"prompt": PROBLEM.prompt, "solution": PROBLEM.reference}
    inputs = (
        artifact(store, "curate", "documents", [document], DOCUMENT),
        artifact(store, "textbook", "pages", [page], PAGE),
        artifact(store, "exercises", "exercises", [exercise], EXERCISE),
    )
    policies = dict.fromkeys(("docstring_ngram", "text_ngram", "ast"), policy)
    cfg = Decontaminate.parse({**policies, "max_removed_share": 1.0}, where="test")
    return run_stage(decontaminate, cfg, *inputs, store=store, site=Site(workers=1))


def shown(viewer: Viewer, key: str, label: str) -> str:
    """The lines of a text on a match's page, as they are read."""
    text = viewer.ask(f"/matches?{urlencode({'open': key})}").text
    (block,) = re.findall(rf'<pre class="code" aria-label="{label}"[^>]*><code>(.*?)</code></pre>', text, re.DOTALL)
    lines = re.findall(r'<span class="line"[^>]*>(.*?)</span>', block)
    return "".join(html.unescape(re.sub(r"<[^>]*>", "", line)) + "\n" for line in lines)


@pytest.mark.parametrize(("policy", "removed"), [("remove", 3), ("report", 0)])
def test_the_whole_problem_stands_beside_the_whole_text(
    policy: str, removed: int, tmp_path: Path, start: Started
) -> None:
    made = screened(tmp_path, policy)
    assert made.rows("rejected") == removed
    wholes = {"document": FILE, "page": PAGE_TEXT, "exercise": PROBLEM.prompt + PROBLEM.reference}
    rows = {row["kind"]: row for row in made.table("matches").to_pylist() if row["task_id"] == PROBLEM.task_id}
    assert set(rows) == set(wholes)
    with start(tmp_path) as viewer:
        for kind, whole in wholes.items():
            row = rows[kind]
            key = f"{row['benchmark']} {row['task_id']} {row['document_id']} {row['detector']}"
            assert shown(viewer, key, f"the whole {kind}") == whole
            assert shown(viewer, key, "the whole problem") == PROBLEM.prompt + PROBLEM.reference
            assert HOSTILE not in viewer.ask(f"/matches?{urlencode({'open': key})}").text


def test_only_problems_that_were_met_are_in_the_artifact(tmp_path: Path) -> None:
    made = screened(tmp_path, "report")
    matched = {row["task_id"] for row in made.table("matches").to_pylist()}
    assert {row["task_id"] for row in made.table("problems").to_pylist()} == matched != set()
