"""Licences, secrets, personal data and facts of the syntax: off unless asked for, and counted where they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codetextbook.site import Site
from codetextbook.sources import Rows
from codetextbook.stages.contract import run_stage
from codetextbook.stages.read import Read, read
from codetextbook.store import Artifact, Store
from codetextbook.text.licences import header_licence, is_allowed, licence_class

CODE = "def area(width, height):\n    return width * height  # plain and long enough to be read\n"
KEY = "ghp_" + "a1B2" * 9


def made(tmp_path: Path, rows: dict[str, tuple[str, str]], **settings: Any) -> Artifact:
    path = tmp_path / "rows.jsonl"
    lines = [
        json.dumps({"content": text, "path": name, "licenses": [licence]}) for name, (text, licence) in rows.items()
    ]
    path.write_text("\n".join(lines))
    cfg = Read(sources=(Rows(path=str(path)),), **settings)
    return run_stage(read, cfg, store=Store(tmp_path / "store"), site=Site(workers=1))


def test_only_allowed_licences_are_read_and_a_header_counts_more(tmp_path: Path) -> None:
    header = f"# SPDX-License-Identifier: GPL-3.0-or-later\n{CODE}"
    rows = {
        "mit.py": (CODE, "MIT"),
        "gpl.py": (CODE, "GPL-3.0-only"),
        "none.py": (CODE, ""),
        "header.py": (header, "MIT"),
    }
    artifact = made(tmp_path, rows, licences=("MIT",), licence_headers=True)
    assert artifact.table("documents")["path"].to_pylist() == ["mit.py"]
    assert {row["detail"]: row["reason"] for row in artifact.table("rejected").to_pylist()} == {
        "gpl.py: GPL-3.0-only": "licence",
        "none.py: none is stated": "licence",
        "header.py: GPL-3.0-or-later": "licence",
    }
    ignored = made(tmp_path, rows, licences=("MIT", ""))
    assert ignored.table("documents")["path"].to_pylist() == ["mit.py", "none.py", "header.py"]


@pytest.mark.parametrize(
    ("licence", "allowed", "answer"),
    [
        ("MIT OR GPL-3.0-only", ("MIT",), True),
        ("MIT AND GPL-3.0-only", ("MIT",), False),
        ("(MIT AND BSD-3-Clause) OR GPL-2.0-only", ("MIT", "BSD-3-Clause"), True),
        ("MIT License", ("MIT",), True),
        ("Apache Software License", ("Apache-2.0",), True),
        ("", ("MIT",), False),
        ("", ("MIT", ""), True),
    ],
)
def test_expressions_of_licences(licence: str, allowed: tuple[str, ...], answer: bool) -> None:
    assert is_allowed(licence, allowed) is answer


def test_headers_and_classes_of_licences() -> None:
    assert header_licence("/* SPDX-License-Identifier: Apache-2.0 OR MIT */\n") == "Apache-2.0 OR MIT"
    assert header_licence("x = 1\n" * 2_000 + "# SPDX-License-Identifier: MIT\n") == ""
    ranked = ["MIT", "LGPL-3.0-only", "GPL-3.0-only", "who knows"]
    assert [licence_class(one) for one in ranked] == [0, 1, 2, 3]
    assert licence_class("GPL-3.0-only OR BSD-3-Clause") == 0
    assert licence_class("GPL-3.0-only AND BSD-3-Clause") == 2


def test_secrets_and_addresses_are_masked_and_counted(tmp_path: Path) -> None:
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc+/=\nxyz\n-----END RSA PRIVATE KEY-----"
    text = (
        f'{CODE}token = "{KEY}"\naws = "AKIAIOSFODNN7EXAMPLE"\nurl = "https://me:hunter2hunter2@host.org/x"\nkey = """{pem}"""\n'
        "# by jane.doe@university.edu and someone@example.com, from 8.8.4.4, 192.168.0.1, 2001:4860:4860::8888, v1.2.3.4.5\n"
        "at = a @ b.c\nslices = x[::2], '12:30:45'\n"
    )
    artifact = made(tmp_path, {"a.py": (text, ""), "clean.py": (CODE, "")}, secrets="mask", personal="mask")
    found = artifact.table("documents").to_pylist()[0]["text"]
    assert found == (
        f'{CODE}token = "<KEY>"\naws = "<KEY>"\nurl = "https://me:<KEY>@host.org/x"\nkey = """<KEY>"""\n'
        "# by <EMAIL> and someone@example.com, from <IP_ADDRESS>, 192.168.0.1, <IP_ADDRESS>, v1.2.3.4.5\n"
        "at = a @ b.c\nslices = x[::2], '12:30:45'\n"
    )
    assert artifact.manifest["facts"]["masked"] == {"secrets": 4, "personal": 3}
    assert artifact.table("facts")["secrets"].to_pylist() == [4, 0]
    refused = made(tmp_path, {"a.py": (text, ""), "clean.py": (CODE, "")}, secrets="reject")
    (row,) = refused.table("rejected").to_pylist()
    assert (row["reason"], row["text"]) == ("secrets", "")


def test_facts_of_the_syntax_stand_beside_the_texts(tmp_path: Path) -> None:
    good = (
        "import os.path\nfrom . import x\nfrom json import loads\n\n\n"
        'class A:\n    def one(self):\n        """Doc."""\n        return 1  # one\n'
    )
    rows = {
        "good.py": (good, ""),
        "two.py": ("import os\n\n\ndef f(x):\n    print 'hello, this is the old way', x\n    return x + 1\n", ""),
        "bad.py": ("def area(width, height):\n    return width *\n\n# and it goes on for a while after that\n", ""),
        "words.md": ("# Words\n\nProse of some length, which is no code at all but is read too.\n", ""),
    }
    artifact = made(tmp_path, rows, facts="syntax")
    facts = dict(zip(rows, artifact.table("facts").to_pylist(), strict=True))
    assert artifact.table("facts")["id"] == artifact.table("documents")["id"]
    fields = ("parses", "functions", "classes", "docstring_share", "imports", "python2")
    assert [facts["good.py"][name] for name in fields] == [True, 1, 1, 0.5, [".", "json", "os"], False]
    assert 0 < facts["good.py"]["comment_share"] < 0.1
    assert [facts["two.py"][name] for name in ("parses", "python2", "error_line")] == [False, True, 5]
    assert [facts["bad.py"][name] for name in ("parses", "python2", "error_line")] == [False, False, 2]
    assert facts["words.md"]["parses"] is None
    assert "facts" not in made(tmp_path, rows).manifest["rows"]
