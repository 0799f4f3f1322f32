"""Reading: every file is a document or a rejection with its reason, wherever it stands and however it is broken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from codetextbook.errors import ConfigError, InputError
from codetextbook.nouns import document_id
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.read import Folder, Packages, Read, Rows, StandardLibrary, read
from codetextbook.store import Artifact, Store

CODE = "def area(width, height):\n    return width * height  # plain and long enough to be read\n"


def make(tmp_path: Path, cfg: Read, workers: int = 1) -> Artifact:
    return run_stage(read, cfg, store=Store(tmp_path / f"store{workers}"), site=Site(workers=workers))


def folder(tmp_path: Path, **files: bytes) -> Read:
    root = tmp_path / "code"
    root.mkdir()
    for name, data in files.items():
        (root / f"{name}.py").write_bytes(data)
    return Read(sources=(Folder(path=str(root), name="mine", licence="MIT"),))


def reasons(artifact: Artifact) -> dict[str, str]:
    rows = artifact.table("rejected").to_pylist()
    return {row["detail"].split(":")[0].removesuffix(".py"): row["reason"] for row in rows}


def test_every_broken_file_has_its_reason(tmp_path: Path) -> None:
    cfg = folder(
        tmp_path,
        good=CODE.encode(),
        empty=b"",
        blank=b"\n \n",
        short=b"x = 1\n",
        latin=b"name = 'caf\xe9'\n" + CODE.encode(),
        nul=b"a = 1\0\n" + CODE.encode(),
        unknown=b"# coding: klingon\n" + CODE.encode(),
        long_line=b"x = '" + b"a" * 2_000 + b"'\n",
        huge=(CODE * 2_000).encode(),
    )
    artifact = make(tmp_path, cfg)
    assert reasons(artifact) == {
        "empty": "empty",
        "blank": "empty",
        "short": "too_short",
        "latin": "not_utf8",
        "nul": "nul_bytes",
        "unknown": "unknown_encoding",
        "long_line": "long_line",
        "huge": "too_long",
    }
    (kept,) = artifact.table("documents").to_pylist()
    assert kept == {
        "id": document_id(CODE),
        "text": CODE,
        "source": "folder:mine",
        "licence": "MIT",
        "path": "good.py",
        "quality": None,
    }


def test_declared_encodings_marks_and_newlines_are_understood(tmp_path: Path) -> None:
    cfg = folder(
        tmp_path,
        declared="# coding: latin-1\nname = 'café'\n".encode("latin-1") + CODE.encode(),
        marked=b"\xef\xbb\xbf" + CODE.encode(),
        windows=CODE.replace("\n", "\r\n").encode(),
    )
    texts = {row["path"]: row["text"] for row in make(tmp_path, cfg).table("documents").to_pylist()}
    assert "café" in texts["declared.py"]
    assert texts["marked.py"] == texts["windows.py"] == CODE


def test_links_in_loops_and_out_of_the_folder_do_no_harm(tmp_path: Path) -> None:
    cfg = folder(tmp_path, good=CODE.encode())
    root = tmp_path / "code"
    (tmp_path / "outside.py").write_text(CODE + "# outside\n")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (root / "dangling.py").symlink_to(tmp_path / "nowhere.py")
    assert make(tmp_path, cfg).table("documents")["path"].to_pylist() == ["good.py"]


def test_a_file_that_vanishes_is_rejected(tmp_path: Path) -> None:
    from codetextbook.sources import File
    from codetextbook.stages.read import judge

    row = judge(File(str(tmp_path / "gone.py"), "gone.py", "folder:mine", ""), Read())
    assert (row["reason"], row["detail"]) == ("unreadable", "gone.py: No such file or directory")


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
def test_the_stacks_layout_is_read(tmp_path: Path, ending: str) -> None:
    row = {
        "content": CODE,
        "max_stars_repo_path": "a/b.py",
        "max_stars_repo_licenses": ["MIT", "Apache-2.0"],
        "size": 9,
    }
    path = tmp_path / f"shard{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        data = (json.dumps(row) + "\n").encode()
        path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    (kept,) = make(tmp_path, Read(sources=(Rows(path=str(path), name="stack"),))).table("documents").to_pylist()
    assert (kept["text"], kept["path"], kept["licence"], kept["source"]) == (
        CODE,
        "a/b.py",
        "MIT OR Apache-2.0",
        "rows:stack",
    )


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"body": "x"}\n')
    with pytest.raises(InputError, match="no column 'content' or 'text' in row 0.*one of body"):
        make(tmp_path, Read(sources=(Rows(path=str(other)),)))
    with pytest.raises(InputError, match="no folder"):
        make(tmp_path, Read(sources=(Folder(path=str(tmp_path / "nowhere")),)))
    with pytest.raises(InputError, match="not installed: no-such-thing.*pip install no-such-thing"):
        make(tmp_path, Read(sources=(Packages(names=("no_such_thing",)),)))
    with pytest.raises(ConfigError):
        Read.parse({"sources": [{"kind": "stdlibs"}]}, where="my.toml")


def test_a_cap_draws_the_same_files_again_and_counts_the_others(tmp_path: Path) -> None:
    cfg = Read(sources=(StandardLibrary(), Packages(names=("click", "rich"))), max_files_per_source=30, max_files=50)
    artifact = make(tmp_path, cfg)
    flow = artifact.manifest["flow"]
    assert flow["rows_in"] - flow["rejected"]["over_cap"] == 50
    paths = artifact.table("documents")["path"].to_pylist()
    assert make(tmp_path / "again", cfg).digest == artifact.digest
    assert paths != make(tmp_path / "other", cfg.replace({"seed": 1})).table("documents")["path"].to_pylist()
    assert not any(path.startswith("/") for path in paths)
    by_source = {row["source"] for row in artifact.table("rejected").to_pylist() if row["reason"] == "over_cap"}
    assert {"stdlib", "package:rich"} <= by_source


def test_a_read_that_is_cut_short_goes_on_at_its_next_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import codetextbook.stages.read as stage

    monkeypatch.setattr(stage, "FILES_PER_PART", 7)
    monkeypatch.setattr(stage, "OVER_PER_PART", 5)
    cfg = Read(sources=(StandardLibrary(),), max_files=40, max_files_per_source=60)
    whole = make(tmp_path, cfg)
    names = sorted(path.name for path in whole.folder.glob("*.parquet"))
    assert len([name for name in names if name.startswith("documents")]) == 6
    again = run_stage_with(tmp_path / "cut", whole, names[:3] + [name for name in names if "rejected" in name][:3], cfg)
    assert again.digest == whole.digest


def run_stage_with(root: Path, whole: Artifact, names: list[str], cfg: Read) -> Artifact:
    """The stage where some parts of an earlier attempt stand already."""
    folder = Store(root / "store1").folder("read", whole.id)
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes((whole.folder / name).read_bytes())
    return make(root, cfg)


def test_two_workers_read_what_one_reads(tmp_path: Path) -> None:
    cfg = Read(sources=(StandardLibrary(),), max_files=150)
    assert make(tmp_path, cfg, workers=1).digest == make(tmp_path, cfg, workers=2).digest
