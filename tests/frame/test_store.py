"""The store: whole or not at all, verified, locked, and conserving rows."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pyarrow as pa
import pytest

from codetextbook.config import Config
from codetextbook.errors import StageFailed, StoreError
from codetextbook.site import Site
from codetextbook.stages.contract import STAGES, run_stage, stage
from codetextbook.store import MANIFEST, Store, Writer, atomic


class Toy(Config):
    """Settings of the toy stage."""

    rows: int = 6
    """Rows to write (test)."""
    lost: int = 0
    """Rows to lose (test)."""
    die_after: int = -1
    """Part after which the process kills itself, once (test)."""


@stage(version=1)
def toy(cfg: Toy, *, out: Writer, site: Site) -> None:
    for index in range(cfg.rows // 2):
        if not out.has(f"documents-{index:05d}"):
            out.table("documents", index, pa.table({"id": [f"{index}a"]}))
            out.table("rejected", index, pa.table({"id": [f"{index}b"], "reason": ["odd"]}))
            with out.volatile("log.txt") as path:
                path.write_text(f"pid {os.getpid()}")
        marker = out.scratch / "died"
        if index == cfg.die_after and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    out.flow(rows_in=cfg.rows + cfg.lost)


STAGES.pop("toy")


def test_an_artifact_is_found_again_and_its_digest_ignores_volatile_parts(tmp_path: Path) -> None:
    first = run_stage(toy, Toy(), store=Store(tmp_path / "a"), site=Site())
    again = run_stage(toy, Toy(), store=Store(tmp_path / "a"), site=Site())
    other = run_stage(toy, Toy(), store=Store(tmp_path / "b"), site=Site(workers=1))
    assert first.folder == again.folder
    assert first.digest == other.digest
    assert first.manifest["flow"] == {"rows_in": 6, "unit": "documents", "rows_kept": 3, "rejected": {"odd": 3}}
    (other.folder / "log.txt").write_text("changed")
    assert any("log.txt was changed" in fault for fault in Store(tmp_path / "b").verify())


def _run(root: Path, die_after: int) -> None:
    run_stage(toy, Toy(die_after=die_after), store=Store(root), site=Site())


@pytest.mark.parametrize("die_after", [0, 1, 2])
def test_killed_after_each_part_and_resumed_gives_the_same_digest(tmp_path: Path, die_after: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(tmp_path / "killed", die_after))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    resumed = run_stage(toy, Toy(die_after=die_after), store=Store(tmp_path / "killed"), site=Site())
    whole = run_stage(toy, Toy(), store=Store(tmp_path / "whole"), site=Site())
    assert resumed.digest == whole.digest
    assert Store(tmp_path / "killed").verify() == []


def test_lost_rows_fail_the_stage_and_leave_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="7 documents came in but 3 were kept and 3 rejected"):
        run_stage(toy, Toy(lost=1), store=Store(tmp_path), site=Site())
    assert list(tmp_path.rglob(MANIFEST)) == []


def test_tampering_is_found(tmp_path: Path) -> None:
    artifact = run_stage(toy, Toy(), store=Store(tmp_path), site=Site())
    assert Store(tmp_path).verify() == []
    manifest = json.loads((artifact.folder / MANIFEST).read_text())
    manifest["config"]["rows"] = 8
    (artifact.folder / MANIFEST).write_text(json.dumps(manifest))
    assert any("does not match its settings" in fault for fault in Store(tmp_path).verify())
    (artifact.folder / "documents-00000.parquet").unlink()
    assert any("is missing" in fault for fault in Store(tmp_path).verify())
    (artifact.folder / MANIFEST).write_text("{")
    assert any("cannot be read" in fault for fault in Store(tmp_path).verify())


def test_a_full_disk_is_explained_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="disk is full"), atomic(tmp_path / "part") as partial:
        partial.write_bytes(b"some")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_collect_removes_what_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = run_stage(toy, Toy(), store=store, site=Site())
    run_stage(toy, Toy(rows=4), store=store, site=Site())
    assert store.collect({kept.id}) > 0
    assert [artifact.id for artifact in store.artifacts()] == [kept.id]


def test_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    artifact = run_stage(toy, Toy(), store=Store(tmp_path), site=Site())
    with pytest.raises(StoreError, match="no table 'pages'"):
        artifact.table("pages")
