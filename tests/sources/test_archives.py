"""Wheels and sdists: what they hold is read, nothing of them runs, and no trick of an archive works."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from reading import CODE, documents, made, rejections

import codetextbook.sources.archives as archives
from codetextbook.sources import Archives

ABOUT = "Metadata-Version: 2.4\nName: thing\nLicense-Expression: MIT\n\nWords\n"


def wheel(path: Path, members: dict[str, str | bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def sdist(path: Path, members: dict[str, str | tarfile.TarInfo]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, what in members.items():
            if isinstance(what, tarfile.TarInfo):
                archive.addfile(what)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(what.encode())
            archive.addfile(info, io.BytesIO(what.encode()))


def test_a_wheel_and_an_sdist_are_read_with_their_licence(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    folder.mkdir()
    wheel(
        folder / "thing-1.0-py3-none-any.whl",
        {"thing/__init__.py": CODE, "thing-1.0.dist-info/METADATA": ABOUT, "thing/data.bin": b"\0"},
    )
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w').close()\n" + CODE
    sdist(folder / "some.thing-1.0.tar.gz", {"some.thing-1.0/setup.py": setup, "some.thing-1.0/PKG-INFO": ABOUT})
    found = documents(made(tmp_path, Archives(path=str(folder))))
    assert {path: (row["source"], row["licence"]) for path, row in found.items()} == {
        "thing/__init__.py": ("archive:thing", "MIT"),
        "some.thing-1.0/setup.py": ("archive:some-thing", "MIT"),
    }
    assert not ran.exists()


def test_tricks_of_a_zip_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.py", CODE)
        for name in ("../out.py", "/etc/out.py", "a/../../out.py", "C:/out.py", "..\\out.py"):
            archive.writestr(zipfile.ZipInfo(name), CODE)
        archive.writestr("bomb.py", b"\0" * (archives.MAX_NUM_BYTES + 10))
        link = zipfile.ZipInfo("link.py")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    artifact = made(tmp_path, Archives(path=str(path)))
    assert set(documents(artifact)) == {"good.py"}
    reasons = rejections(artifact)
    assert reasons.pop("bomb.py") == "too_large"
    assert reasons.pop("link.py") == "link"
    assert len(reasons) == 5
    assert set(reasons.values()) == {"unsafe_path"}


def test_a_zip_that_lies_about_its_sizes_swells_no_further_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "liar-1.0-py3-none-any.whl"
    wheel(path, {"a.py": b"#" * (archives.MAX_NUM_BYTES + 10)})
    data = path.read_bytes()
    size = (archives.MAX_NUM_BYTES + 10).to_bytes(4, "little")
    assert data.count(size) == 2
    path.write_bytes(data.replace(size, (100).to_bytes(4, "little")))
    assert set(rejections(made(tmp_path, Archives(path=str(path)))).values()) <= {
        "too_large",
        "broken_member",
        "long_line",
    }


def test_tricks_of_a_tar_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "evil-1.0.tar.gz"
    link, hard, device = (tarfile.TarInfo(name) for name in ("link.py", "hard.py", "device.py"))
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard.type, hard.linkname = tarfile.LNKTYPE, "../../x"
    device.type = tarfile.CHRTYPE
    sdist(path, {"good.py": CODE, "../out.py": CODE, "/abs.py": CODE, "1": link, "2": hard, "3": device})
    artifact = made(tmp_path, Archives(path=str(path)))
    assert set(documents(artifact)) == {"good.py"}
    assert rejections(artifact) == {
        "../out.py": "unsafe_path",
        "/abs.py": "unsafe_path",
        "link.py": "link",
        "hard.py": "link",
        "device.py": "not_a_file",
    }


def test_a_tar_bomb_ends_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ARCHIVE_NUM_BYTES", 5_000_000)
    path = tmp_path / "bomb-1.0.tar.gz"
    filler = "# filler\n" * 1_000_000
    sdist(path, {"good.py": CODE, "filler.txt": filler, "after.py": CODE})
    artifact = made(tmp_path, Archives(path=str(path)))
    assert set(documents(artifact)) == {"good.py"}
    assert rejections(artifact) == {"bomb-1.0.tar.gz": "archive_too_large"}


def test_a_name_of_a_gigabyte_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "name-1.0.tar.gz"
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1_000_000_000
    path.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + b"a" * 1_000_000))
    assert rejections(made(tmp_path, Archives(path=str(path)))) == {"name-1.0.tar.gz": "broken_archive"}


@pytest.mark.parametrize("keep", [10, 300, -30])
def test_archives_that_are_cut_short_are_rejected_after_what_could_be_read(tmp_path: Path, keep: int) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    members = {
        f"m/{number}.py": f"{CODE}# {number}\n" + repr(list(range(number, 900 + number))).replace(",", ",\n")
        for number in range(9)
    }
    wheel(whole / "a-1.0-py3-none-any.whl", dict(members))
    sdist(whole / "b-1.0.tar.gz", dict(members))
    for path in whole.iterdir():
        (cut / path.name).write_bytes(path.read_bytes()[:keep])
    artifact = made(tmp_path, Archives(path=str(cut)))
    reasons = rejections(artifact)
    assert reasons["a-1.0-py3-none-any.whl"] == reasons["b-1.0.tar.gz"] == "broken_archive"
    assert len(documents(artifact)) < 18


def test_a_damaged_header_in_the_middle_of_a_tar_is_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "middle-1.0.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("a.py", "b.py", "c.py"):
            info = tarfile.TarInfo(name)
            info.size = len(CODE)
            archive.addfile(info, io.BytesIO(CODE.encode()))
    data = bytearray(path.read_bytes())
    data[1024 + 148 : 1024 + 156] = b"777777\0 "
    path.write_bytes(data)
    artifact = made(tmp_path, Archives(path=str(path)))
    assert set(documents(artifact)) == {"a.py"}
    assert rejections(artifact) == {"middle-1.0.tar": "broken_archive"}
