"""Deduplication as a stage: exact and near copies go, each with its keeper; nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codetextbook.errors import InputError, StageFailed
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.dedup import Dedup, dedup
from codetextbook.stages.read import Folder, Packages, Read, Rows, read
from codetextbook.store import Artifact, Store

BODY = "".join(f"def part_{n}(x):\n    return x * {n} + offset_{n}\n\n\n" for n in range(30))


def test_copies_go_and_name_their_keeper(tmp_path: Path) -> None:
    root = tmp_path / "code"
    root.mkdir()
    (root / "a.py").write_text(BODY)
    (root / "b.py").write_text(BODY.replace("\n", "\r\n") + "\n\n")
    (root / "c.py").write_text(BODY + "def more(x):\n    return x\n")
    (root / "d.py").write_text("".join(f"class Other{n}:\n    value = {n}\n\n\n" for n in range(30)))
    store = Store(tmp_path / "store")
    corpus = run_stage(read, Read(sources=(Folder(path=str(root)),)), store=store, site=Site(workers=1))
    unique = run_stage(dedup, Dedup(threshold=0.7), corpus, store=store, site=Site(workers=1))
    assert unique.table("documents")["path"].to_pylist() == ["c.py", "d.py"]
    longest = unique.table("documents")["id"][0].as_py()
    removed = {row["reason"]: row for row in unique.table("rejected").to_pylist()}
    assert removed["near_duplicate"]["keeper"] == longest
    assert 0.7 <= removed["near_duplicate"]["similarity"] < 1
    assert removed["near_duplicate"]["detail"] == "a.py is like folder:folder c.py"
    assert removed["exact_copy"]["similarity"] == 1.0
    assert unique.manifest["facts"] == {
        "largest_cluster": 2,
        "largest_clusters": sorted(
            [{"keeper": longest, "documents": 2}, {"keeper": removed["exact_copy"]["keeper"], "documents": 2}],
            key=lambda one: one["keeper"],
        ),
        "share_removed_by_source": {"folder:folder": 0.5},
    }


def test_at_threshold_one_only_equal_token_runs_go(tmp_path: Path) -> None:
    store, site = Store(tmp_path), Site(workers=1)
    corpus = run_stage(read, Read(sources=(Packages(names=("click", "rich")),)), store=store, site=site)
    strict = run_stage(dedup, Dedup(threshold=1.0), corpus, store=store, site=site)
    loose = run_stage(dedup, Dedup(threshold=0.3), corpus, store=store, site=site)
    assert strict.rows("rejected") <= loose.rows("rejected")
    assert all(row["similarity"] == 1.0 for row in strict.table("rejected").to_pylist())


def test_the_digest_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    corpus = run_stage(
        read, Read(sources=(Packages(names=("rich",)),)), store=Store(tmp_path / "in"), site=Site(workers=1)
    )
    digests = {
        run_stage(dedup, Dedup(), corpus, store=Store(tmp_path / str(n)), site=Site(workers=n)).digest for n in (1, 2)
    }
    assert len(digests) == 1


def corpus_of(
    tmp_path: Path, name: str, texts: dict[str, str], licences: dict[str, str] | None = None
) -> tuple[Store, Artifact]:
    """Documents out of rows, each with its licence."""
    rows = [
        {"content": text, "path": path, "licenses": [(licences or {}).get(path, "MIT")]} for path, text in texts.items()
    ]
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    store = Store(tmp_path / "store")
    cfg = Read(sources=(Rows(path=str(path), name=name),), min_characters=1)
    return store, run_stage(read, cfg, store=store, site=Site(workers=1))


def test_the_best_licensed_stays_where_that_is_asked_for(tmp_path: Path) -> None:
    texts = {
        "gpl.py": BODY + "def more(x):\n    return x\n",
        "mit.py": BODY,
        "copy.py": BODY,
        "nobody.py": BODY + "\n# longest\n" * 3,
    }
    licences = {"gpl.py": "GPL-3.0-only", "mit.py": "GPL-2.0-only", "copy.py": "MIT", "nobody.py": "whatever"}
    store, corpus = corpus_of(tmp_path, "rows", texts, licences)
    longest = run_stage(dedup, Dedup(), corpus, store=store, site=Site(workers=1))
    best = run_stage(dedup, Dedup(keep="best_licensed"), corpus, store=store, site=Site(workers=1))
    assert longest.table("documents")["path"].to_pylist() == ["nobody.py"]
    assert best.table("documents")["path"].to_pylist() == ["copy.py"]
    reasons = {row["detail"].split()[0]: row["reason"] for row in best.table("rejected").to_pylist()}
    assert reasons == {"gpl.py": "near_duplicate", "mit.py": "exact_copy", "nobody.py": "near_duplicate"}


def test_a_source_that_is_wiped_out_needs_an_explicit_yes(tmp_path: Path) -> None:
    store, corpus = corpus_of(tmp_path, "copies", {f"{n}.py": f"{BODY}last = {n}\n" for n in range(150)})
    with pytest.raises(StageFailed, match=r"'rows:copies' loses 149 of 150 .*accept_wiped_out"):
        run_stage(dedup, Dedup(), corpus, store=store, site=Site(workers=1))
    unique = run_stage(dedup, Dedup(accept_wiped_out=("rows:copies",)), corpus, store=store, site=Site(workers=1))
    assert unique.rows("documents") == 1
    assert unique.manifest["facts"]["largest_clusters"][0]["documents"] == 150


def test_a_new_batch_is_compared_with_an_index_without_the_old_texts(tmp_path: Path) -> None:
    other = "".join(f"class Other{n}:\n    value = {n}\n\n\n" for n in range(30))
    third = "".join(f"for item_{n} in range({n}):\n    print(item_{n} + {n})\n" for n in range(30))
    store, first = corpus_of(tmp_path, "first", {"a.py": BODY, "a2.py": BODY + "x = 1\n", "b.py": other})
    _, second = corpus_of(
        tmp_path,
        "second",
        {
            "copy.py": other,
            "near.py": BODY + "longer_than_the_old = 1\n" * 3,
            "new.py": third,
            "new2.py": third + "y = 2\n",
        },
    )
    old = run_stage(dedup, Dedup(keep_index=True), first, store=store, site=Site(workers=1))
    assert old.rows("index") == old.rows("documents") == 2
    for folder in (old.folder, first.folder):
        for part in folder.glob("documents-*"):
            part.unlink()
    new = run_stage(dedup, Dedup(against=(old.id,)), second, store=store, site=Site(workers=1))
    assert new.table("documents")["path"].to_pylist() == ["new2.py"]
    assert {row["detail"] for row in new.table("rejected").to_pylist()} == {
        "copy.py is like rows:first b.py",
        "near.py is like rows:first a2.py",
        "new.py is like rows:second new2.py",
    }
    with pytest.raises(InputError, match="no index in dedup artifact"):
        run_stage(dedup, Dedup(against=(new.id,)), second, store=store, site=Site(workers=1))


def test_more_documents_than_a_part_and_a_cut_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import codetextbook.stages.dedup as room

    cfg = Read(sources=(Packages(names=("rich",)),))
    corpus = run_stage(read, cfg, store=Store(tmp_path / "in"), site=Site(workers=1))
    whole = run_stage(dedup, Dedup(keep_index=True), corpus, store=Store(tmp_path / "whole"), site=Site(workers=1))
    monkeypatch.setattr(room, "ROWS_PER_PART", 16)
    small = run_stage(dedup, Dedup(keep_index=True), corpus, store=Store(tmp_path / "small"), site=Site(workers=1))
    assert len(small.parts("documents")) == len(small.parts("index")) > 3
    for name in ("documents", "rejected", "index"):
        assert small.table(name).equals(whole.table(name))
