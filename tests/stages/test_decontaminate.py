"""Decontaminate: leaks go or are reported by policy, no row is lost, and the result does not depend on how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import codetextbook.stages.decontaminate as module
from codetextbook.benchmarks.problems import humaneval
from codetextbook.errors import StageFailed
from codetextbook.nouns import DOCUMENT, EXERCISE, PAGE, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.decontaminate import Decontaminate, decontaminate
from codetextbook.store import Artifact, Store, Writer

LEAK = humaneval()[0]
RENAMED = "def near(values, limit):\n" + LEAK.reference.replace("numbers", "values").replace("threshold", "limit")
CLEAN = 'def double(x):\n    """Twice x."""\n    return 2 * x\n'


def document(text: str) -> dict[str, Any]:
    return {
        "id": document_id(text),
        "text": text,
        "source": "folder:x",
        "licence": "MIT",
        "path": "a.py",
        "quality": 0.9,
    }


def page(text: str) -> dict[str, Any]:
    return {"id": document_id(text), "text": text, "topic": "t", "audience": "a", "words": ["w"], "writer": "grammar"}


def exercise(prompt: str, solution: str, split: str, number: int = 0) -> dict[str, Any]:
    return dict.fromkeys(EXERCISE.names, "x") | {
        "id": f"{number:032x}",
        "prompt": prompt,
        "solution": solution,
        "writer": "grammar",
        "split": split,
        "verified": True,
    }


def artifact(store: Store, name: str, table: str, rows: list[dict[str, Any]], schema: Any) -> Artifact:
    out = Writer(store.folder(name, f"{len(rows):016x}"))
    out.table(table, 0, to_table(rows, schema))
    out.flow(rows_in=len(rows), unit=table)
    header = {"id": f"{len(rows):016x}", "stage": name, "version": 1, "config": {}, "inputs": {}}
    return out.finish(header, 0.0)


def inputs(store: Store, *, repeat: int = 1) -> tuple[Artifact, Artifact, Artifact]:
    documents = [document(RENAMED), document(LEAK.prompt + LEAK.reference)]
    documents += [document(CLEAN + f"# {number} é\n") for number in range(3 * repeat)]
    prose = page(f"A lesson.\n\n```python\n{RENAMED}```\n")
    drills = [exercise(LEAK.prompt, LEAK.reference, split, n) for n, split in enumerate(("train", "heldout"))]
    drills += [exercise('def g(x):\n    """G."""\n', "    return x\n", "validation", 2 + n) for n in range(repeat)]
    return (
        artifact(store, "curate", "documents", documents, DOCUMENT),
        artifact(store, "textbook", "pages", [prose, page("Prose alone ✓")], PAGE),
        artifact(store, "exercises", "exercises", drills, EXERCISE),
    )


def run(folder: Path, cfg: Decontaminate, workers: int = 1, repeat: int = 1) -> Artifact:
    store = Store(folder)
    return run_stage(decontaminate, cfg, *inputs(store, repeat=repeat), store=store, site=Site(workers=workers))


def test_how_much_of_the_benchmark_the_kept_texts_speak_is_told(tmp_path: Path) -> None:
    kept = run(tmp_path / "a", Decontaminate()).manifest["facts"]["coverage"]["humaneval"]
    assert set(kept) == {"document", "page", "exercise"}
    report_only = Decontaminate(docstring_ngram="report", text_ngram="report", ast="report")
    leaked = run(tmp_path / "b", report_only).manifest["facts"]["coverage"]["humaneval"]
    for kind in kept:
        assert 0 <= kept[kind]["1"] < leaked[kind]["1"] < 1 and kept[kind]["4"] < leaked[kind]["4"]


def test_leaks_are_removed_from_all_three_tables_with_reasons(tmp_path: Path) -> None:
    made = run(tmp_path, Decontaminate())
    assert {row["text"].split("#")[0] for row in made.table("documents").to_pylist()} == {CLEAN}
    assert made.table("pages")["text"].to_pylist() == ["Prose alone ✓"]
    assert made.table("exercises")["split"].to_pylist() == ["validation"]
    reasons = {row["id"]: row["reason"] for row in made.table("rejected").to_pylist()}
    assert reasons[document_id(RENAMED)] == "ast"
    assert reasons[document_id(LEAK.prompt + LEAK.reference)] == "docstring_ngram"
    assert made.manifest["flow"]["rows_in"] == 10 and made.manifest["flow"]["rows_kept"] == 5
    assert made.manifest["facts"]["removed"] == {"document": 2, "page": 1, "exercise": 2}
    assert made.manifest["facts"]["problems_in_reach"]["problems"] == 164
    assert made.manifest["facts"]["problems_in_reach"]["ast"] < 164


def test_every_text_has_its_verdict(tmp_path: Path) -> None:
    made = run(tmp_path, Decontaminate())
    rows = made.table("screened").to_pylist()
    assert len(rows) == made.manifest["flow"]["rows_in"]
    removed = {(row["document_id"], row["removed_by"]) for row in rows if row["removed_by"]}
    assert removed == {(row["id"], row["reason"]) for row in made.table("rejected").to_pylist()}
    bases = {row["document_id"]: row["basis"] for row in rows}
    assert bases[document_id("Prose alone ✓")] == "none" and bases[document_id(RENAMED)] == "tree"


def test_python_2_is_screened_by_tokens_and_the_manifest_says_so(tmp_path: Path) -> None:
    old = RENAMED + "\n\ndef main():\n    print 'x'\n"
    made = screened_alone(tmp_path, [document(old)], {})
    assert made.manifest["facts"]["not_parsed"] == {"document": 1, "page": 0, "exercise": 0}
    assert [(row["detector"], row["basis"]) for row in made.table("matches").to_pylist()] == [("ast", "tokens")]


def test_the_embedding_distance_looks_when_it_is_turned_on(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    row = {"task_id": LEAK.task_id, "prompt": LEAK.prompt, "entry_point": LEAK.entry_point, "test": ""}
    path.write_text(json.dumps({**row, "canonical_solution": LEAK.reference}) + "\n", encoding="utf-8")
    settings = {"benchmarks": (), "files": [{"name": "mine", "path": str(path)}], "text_ngram": "off"}
    off = run(tmp_path / "a", Decontaminate.parse(settings, where="test"))
    on = run(tmp_path / "b", Decontaminate.parse(settings | {"embedding": "report"}, where="test"))
    assert "embedding" not in off.table("matches")["detector"].to_pylist()
    found = [row for row in on.table("matches").to_pylist() if row["detector"] == "embedding"]
    assert {row["score"] for row in found} == {0.0} and len(found) == 3
    assert on.rows("rejected") == off.rows("rejected")
    assert "text_ngram" not in on.table("matches")["detector"].to_pylist()


def test_a_marked_false_alarm_is_shown_and_removes_nothing(tmp_path: Path) -> None:
    alarms = tmp_path / "alarms.jsonl"
    mark = {"benchmark": "humaneval", "task_id": "HumanEval/0", "detector": "ast", "by": "Ada", "why": "a common loop"}
    lines = [{**mark, "document_id": document_id(RENAMED)}, {**mark, "document_id": "f" * 32}]
    alarms.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    made = run(tmp_path, Decontaminate.parse({"false_alarms": {"path": str(alarms)}}, where="test"))
    assert document_id(RENAMED) in made.table("documents")["id"].to_pylist()
    assert document_id(LEAK.prompt + LEAK.reference) not in made.table("documents")["id"].to_pylist()
    (marked,) = (row for row in made.table("matches").to_pylist() if row["false_alarm"])
    assert marked["marked"] == "Ada: a common loop" and not marked["removed"]
    assert made.manifest["facts"]["false_alarms"] == {"marked": 2, "met": 1, "not_met": 1}
    assert made.id != run(tmp_path, Decontaminate()).id


def test_every_match_shows_both_sides(tmp_path: Path) -> None:
    rows = run(tmp_path, Decontaminate()).table("matches").to_pylist()
    assert {row["task_id"] for row in rows if row["detector"] == "ast"} == {"HumanEval/0"}
    assert all(row["text_excerpt"] and row["benchmark_excerpt"] and row["removed"] for row in rows)
    assert {(row["kind"], row["split"]) for row in rows} >= {("document", ""), ("page", ""), ("exercise", "heldout")}
    details = [row for row in rows if row["detector"] == "ast"]
    assert len(details) == 5 and all(row["score"] >= 0.95 for row in details)


def test_a_policy_of_report_keeps_the_row_and_tells(tmp_path: Path) -> None:
    made = run(tmp_path, Decontaminate(ast="report", docstring_ngram="report", text_ngram="report"))
    assert made.rows("rejected") == 0 and made.manifest["flow"]["rows_kept"] == 10
    assert made.rows("matches") > 5
    assert not any(made.table("matches")["removed"].to_pylist())
    partly = run(tmp_path, Decontaminate(ast="report"))
    assert document_id(RENAMED) in partly.table("documents")["id"].to_pylist()
    assert document_id(LEAK.prompt + LEAK.reference) not in partly.table("documents")["id"].to_pylist()


def screened_alone(folder: Path, documents: list[dict[str, Any]], settings: dict[str, Any]) -> Artifact:
    """The stage, of documents alone, which it may all remove."""
    store = Store(folder)
    return run_stage(
        decontaminate,
        Decontaminate.parse({"max_removed_share": 1.0, **settings}, where="test"),
        artifact(store, "curate", "documents", documents, DOCUMENT),
        artifact(store, "textbook", "pages", [], PAGE),
        artifact(store, "exercises", "exercises", [], EXERCISE),
        store=store,
        site=Site(workers=1),
    )


def test_every_solution_of_humaneval_is_found_without_its_prompt(tmp_path: Path) -> None:
    """Each as it stands in the benchmark: lines of a body, indented, with no `def`, name, type or docstring around them."""
    problems = humaneval()
    owners = {document_id(one.reference): one.task_id for one in problems}
    assert len(owners) == len(problems) == 164
    made = screened_alone(tmp_path, [document(one.reference) for one in problems], {})
    assert made.rows("documents") == 0 and made.rows("rejected") == 164
    met = {(row["document_id"], row["task_id"]) for row in made.table("matches").to_pylist()}
    assert met >= set(owners.items())
    assert made.manifest["facts"]["problems_in_reach"]["ast_by_spelling"] == 37


def test_removals_grow_as_tau_falls(tmp_path: Path) -> None:
    texts = [near_miss(edits) for edits in range(6)] + [CLEAN]
    removed = []
    for tau in (0.95, 0.85, 0.75):
        settings = {"tau": tau, "text_ngram": "off", "docstring_ngram": "off"}
        made = screened_alone(tmp_path / f"{tau}", [document(text) for text in texts], settings)
        removed.append({row["id"] for row in made.table("rejected").to_pylist()})
        assert document_id(CLEAN) not in removed[-1]
    assert removed[0] < removed[1] < removed[2]


def near_miss(edits: int) -> str:
    """HumanEval/0's solution with so many statements more than it has."""
    return RENAMED.replace("    return False", "    limit += 1\n" * edits + "    return False")


def test_the_users_own_benchmark_is_guarded(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    row = {"task_id": "M/0", "prompt": 'def d(x):\n    """Doc."""\n', "entry_point": "d", "test": ""}
    path.write_text(json.dumps({**row, "canonical_solution": "    return 2 * x\n"}) + "\n", encoding="utf-8")
    files = ({"name": "mine", "path": str(path)},)
    made = run(tmp_path, Decontaminate.parse({"benchmarks": (), "files": files, "min_nodes": 1}, where="test"))
    assert {row["task_id"] for row in made.table("matches").to_pylist()} == {"M/0"}
    assert made.table("rejected")["reason"].to_pylist().count("ast") == 3
    assert list(made.manifest["facts"]["benchmarks"]) == ["mine"]


def test_workers_and_interruptions_do_not_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_PER_PART", 3)
    monkeypatch.setattr(module, "ROWS_PER_TASK", 2)
    whole = run(tmp_path / "a", Decontaminate(), repeat=3)
    two = run(tmp_path / "b", Decontaminate(), workers=2, repeat=3)
    assert two.digest == whole.digest

    real, calls = Writer.table, []

    def dying(self: Writer, name: str, index: int, table: Any) -> None:
        calls.append(name)
        if name in ("documents", "exercises") and calls.count("matches") in stop_at:
            stop_at.discard(calls.count("matches"))
            raise KeyboardInterrupt
        real(self, name, index, table)

    store = Store(tmp_path / "c")
    made = inputs(store, repeat=3)
    stop_at = {2, 7}
    monkeypatch.setattr(Writer, "table", dying)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_stage(decontaminate, Decontaminate(), *made, store=store, site=Site(workers=1))
    resumed = run_stage(decontaminate, Decontaminate(), *made, store=store, site=Site(workers=1))
    assert resumed.digest == whole.digest
    assert resumed.manifest["facts"] == whole.manifest["facts"]


def test_too_many_matches_stop_the_stage_and_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"5 of 10 texts match a benchmark, more than 40%.*min_nodes"):
        run(tmp_path, Decontaminate(max_removed_share=0.4))


def test_nothing_in_is_nothing_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    empty = (
        artifact(store, "curate", "documents", [], DOCUMENT),
        artifact(store, "textbook", "pages", [], PAGE),
        artifact(store, "exercises", "exercises", [], EXERCISE),
    )
    made = run_stage(decontaminate, Decontaminate(), *empty, store=store, site=Site(workers=1))
    assert [made.rows(name) for name in ("documents", "pages", "exercises", "rejected", "matches")] == [0] * 5
    assert made.table("documents").schema == DOCUMENT


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValidationError):
        Decontaminate(tau=1.5)
    with pytest.raises(ValidationError):
        Decontaminate.model_validate({"ast": "ignore"})
