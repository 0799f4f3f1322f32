"""Files that are too large, too long in one line, closed, or links in loops: each is read or rejected with its reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from reading import CODE, documents, made, rejections

from codetextbook.sources import Folder
from codetextbook.sources.file import MAX_NUM_BYTES

LINE = b"x = '" + b"a" * 10_000_000 + b"'\n"


def files(tmp_path: Path, **contents: bytes) -> Path:
    root = tmp_path / "code"
    root.mkdir()
    for name, data in contents.items():
        (root / f"{name}.py").write_bytes(data)
    return root


def test_a_sparse_file_of_51_megabytes_is_too_large_and_one_of_50_is_read_and_is_no_text(tmp_path: Path) -> None:
    root = files(tmp_path, good=CODE.encode(), larger=b"", largest=b"")
    for name, num_bytes in (("larger", 51_000_000), ("largest", MAX_NUM_BYTES)):
        with (root / f"{name}.py").open("wb") as file:
            file.truncate(num_bytes)
    artifact = made(tmp_path, Folder(path=str(root)))
    assert set(documents(artifact)) == {"good.py"}
    details = {row["reason"]: row["detail"] for row in artifact.table("rejected").to_pylist()}
    assert details["too_large"] == "larger.py: larger than 50,000,000 bytes"
    assert rejections(artifact) == {"larger.py": "too_large", "largest.py": "nul_bytes"}


def test_one_line_of_10_megabytes_is_rejected_by_the_first_limit_that_it_breaks(tmp_path: Path) -> None:
    source = Folder(path=str(files(tmp_path, good=CODE.encode(), line=LINE)))
    expected = (
        ({}, "line.py: 10000007 characters", "too_long"),
        ({"max_characters": 20_000_000}, "line.py: a line of 10000006 characters", "long_line"),
    )
    for settings, detail, reason in expected:
        artifact = made(tmp_path, source, **settings)
        (row,) = artifact.table("rejected").to_pylist()
        assert (row["detail"], row["reason"], len(row["text"])) == (detail, reason, 2_000)
        assert set(documents(artifact)) == {"good.py"}
    wide = made(
        tmp_path, source, max_characters=20_000_000, max_line_characters=20_000_000, syntax="parses", facts="syntax"
    )
    assert documents(wide)["line.py"]["text"] == LINE.decode()
    assert wide.table("facts")["parses"].to_pylist() == [True, True]


WITHOUT_ROOTS_POWERS = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: with them root reads what nobody may
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

READ_CLOSED = """
import json, sys
from pathlib import Path
from reading import documents, made, rejections
from codetextbook.sources import Folder
root = Path(sys.argv[1])
try:
    (root / "code" / "closed.py").read_bytes()
except PermissionError:
    artifact = made(root, Folder(path=str(root / "code")))
    details = {row["detail"] for row in artifact.table("rejected").to_pylist()}
    print(json.dumps([sorted(documents(artifact)), rejections(artifact), sorted(details)]))
"""


def test_files_and_folders_that_may_not_be_read_are_rejected_as_unreadable(tmp_path: Path) -> None:
    root = files(tmp_path, good=CODE.encode(), closed=CODE.encode() + b"# closed\n")
    (root / "shut").mkdir()
    (root / "shut" / "inside.py").write_text(CODE + "# inside\n")
    for place in (root / "closed.py", root / "shut"):
        place.chmod(0)
    order = [sys.executable, "-c", WITHOUT_ROOTS_POWERS, "-c", READ_CLOSED, str(tmp_path)]
    try:
        done = subprocess.run(order, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    finally:
        (root / "shut").chmod(0o700)
    assert done.returncode == 0, done.stderr
    kept, reasons, details = json.loads(done.stdout)
    assert kept == ["good.py"]
    assert reasons == {"closed.py": "unreadable", "shut": "unreadable"}
    assert details == ["closed.py: Permission denied", "shut: Permission denied"]


def test_links_in_loops_are_rejected_and_a_link_to_a_neighbour_is_read(tmp_path: Path) -> None:
    root = files(tmp_path, good=CODE.encode())
    (root / "one.py").symlink_to("two.py")
    (root / "two.py").symlink_to("one.py")
    (root / "self.py").symlink_to("self.py")
    (root / "neighbour.py").symlink_to("good.py")
    for name in ("left", "right"):
        (root / name).mkdir()
        (root / name / f"{name}.py").write_text(f"{CODE}# {name}\n")
    (root / "left" / "over").symlink_to("../right", target_is_directory=True)
    (root / "right" / "back").symlink_to("../left", target_is_directory=True)
    (root / "left" / "up").symlink_to("..", target_is_directory=True)
    artifact = made(tmp_path, Folder(path=str(root)))
    assert set(documents(artifact)) == {"good.py", "neighbour.py", "left/left.py", "right/right.py"}
    assert rejections(artifact) == dict.fromkeys(
        ["one.py", "two.py", "self.py", "left/over", "right/back", "left/up"], "link"
    )
