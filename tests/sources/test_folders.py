"""Folders, notebooks, prose, links and what is no file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from reading import CODE, documents, made, rejections

from codetextbook.sources import Folder


def test_links_and_what_is_no_file_are_rejected_with_a_reason(tmp_path: Path) -> None:
    root = tmp_path / "code"
    root.mkdir()
    (root / "good.py").write_text(CODE)
    (tmp_path / "outside.py").write_text(CODE)
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "circle.py").symlink_to(root / "circle.py")
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (root / "dangling.py").symlink_to(tmp_path / "nowhere.py")
    os.mkfifo(root / "pipe.py")
    (root / "folder.py").mkdir()
    with (root / "huge.py").open("wb") as file:
        file.truncate(60_000_000)
    artifact = made(tmp_path, Folder(path=str(root)))
    assert set(documents(artifact)) == {"good.py"}
    assert rejections(artifact) == {
        "loop": "link",
        "circle.py": "link",
        "out.py": "link",
        "dangling.py": "link",
        "pipe.py": "not_a_file",
        "huge.py": "too_large",
    }


def test_names_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    root = tmp_path / "code"
    root.mkdir()
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.py"))).write_text(CODE)
    assert list(documents(made(tmp_path, Folder(path=str(root))))) == ["caf?.py"]


def test_notebooks_and_prose_are_read(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    root.mkdir()
    cells = [
        {"cell_type": "markdown", "source": ["# A lesson on areas\n", "with words before the code"]},
        {"cell_type": "code", "source": CODE, "outputs": [{"data": {"image/png": "x" * 5_000}}]},
        {"cell_type": "code", "source": "  \n"},
    ]
    (root / "new.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells, "metadata": {}}))
    old = {"cell_type": "code", "input": CODE.splitlines(keepends=True)}
    (root / "old.ipynb").write_text(
        json.dumps({"worksheets": [{"cells": [{"cell_type": "heading", "level": 2, "source": "Old"}, old]}]})
    )
    (root / "broken.ipynb").write_text("{")
    (root / "other.ipynb").write_text("[1, 2, 3]")
    (root / "page.md").write_text("# Words\n\nProse of some length, so that it is not too short.\n")
    (root / "page.rst").write_text("Words\n=====\n\nProse of some length, so that it is not too short::\n\n    x = 1\n")
    (root / "left_out.txt").write_text("Not matched by any glob here, and long enough to be read otherwise.\n")
    artifact = made(
        tmp_path,
        Folder(path=str(root), glob="**/*.ipynb"),
        Folder(path=str(root), glob="**/*.md"),
        Folder(path=str(root), glob="*.rst"),
    )
    found = documents(artifact)
    assert set(found) == {"new.ipynb", "old.ipynb", "page.md", "page.rst"}
    assert found["new.ipynb"]["text"] == f"# A lesson on areas\nwith words before the code\n\n```python\n{CODE}```\n"
    assert found["old.ipynb"]["text"] == f"## Old\n\n```python\n{CODE}```\n"
    assert rejections(artifact) == {"broken.ipynb": "broken_notebook", "other.ipynb": "broken_notebook"}
