"""Deduplication as a stage: exact and near copies go, each with its keeper; nothing else does."""

from __future__ import annotations

from pathlib import Path

from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.dedup import Dedup, dedup
from codetextbook.stages.read import Folder, Packages, Read, read
from codetextbook.store import Store

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
    assert unique.manifest["facts"] == {"largest_cluster": 2, "share_removed_by_source": {"folder:folder": 0.5}}


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
