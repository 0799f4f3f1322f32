"""Git repositories: one commit's files out of a bare or a checked-out repository, with nothing of it run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from reading import CODE, documents, made, rejections

from codetextbook.errors import InputError
from codetextbook.sources import Git

ENVIRONMENT = os.environ | {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@localhost",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@localhost",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "pkg").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    (root / "pkg" / "gr\u00fc\u00df e.py").write_text(CODE)
    (root / "words.md").write_text(CODE)
    (root / "latin.py").write_bytes(b"name = 'caf\xe9'\n" + CODE.encode())
    (root / "link.py").symlink_to("/etc/passwd")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    git(root, "tag", "v1")
    (root / "new.py").write_text(CODE + "# new\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "two")
    (root / "uncommitted.py").write_text(CODE + "# no\n")
    return root


def test_checked_out_and_bare_give_the_same_files(tmp_path: Path, repository: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "project.git")
    of_tree = made(tmp_path / "1", Git(path=str(repository), licence="MIT"))
    of_bare = made(tmp_path / "2", Git(path=str(tmp_path / "project.git"), licence="MIT"))
    assert set(documents(of_tree)) == {"pkg/gr\u00fc\u00df e.py", "new.py"}
    assert of_tree.digest == of_bare.digest
    assert rejections(of_tree) == {"latin.py": "not_utf8", "link.py": "link"}
    assert documents(of_tree)["new.py"]["source"] == "git:project"


def test_an_older_revision_and_a_folder_of_repositories(tmp_path: Path, repository: Path) -> None:
    assert set(documents(made(tmp_path / "1", Git(path=str(repository), revision="v1")))) == {"pkg/gr\u00fc\u00df e.py"}
    git(tmp_path, "clone", "-q", str(repository), "second")
    rows = documents(made(tmp_path / "2", Git(path=str(tmp_path), glob="**/new.py"))).values()
    assert len(list(rows)) == 1
    with pytest.raises(InputError, match="no git repository"):
        made(tmp_path / "3", Git(path=str(repository / "pkg")))


def test_hooks_filters_and_configured_programs_do_not_run(tmp_path: Path, repository: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    program.chmod(0o755)
    for hook in ("post-checkout", "pre-auto-gc", "reference-transaction", "post-index-change"):
        (repository / ".git" / "hooks" / hook).write_text(program.read_text())
        (repository / ".git" / "hooks" / hook).chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "filter.evil.smudge",
        "core.sshCommand",
        "diff.evil.textconv",
        "core.editor",
    ):
        git(repository, "config", key, str(program))
    git(repository, "config", "alias.ls-tree", f"!{program}")
    (repository / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    assert len(documents(made(tmp_path, Git(path=str(repository))))) == 2
    assert not ran.exists()


def test_a_damaged_object_and_a_damaged_repository_are_rejected(tmp_path: Path, repository: Path) -> None:
    blob = git(repository, "rev-parse", "HEAD:new.py")
    place = repository / ".git" / "objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    place.write_bytes(b"nonsense")
    artifact = made(tmp_path / "1", Git(path=str(repository)))
    assert set(documents(artifact)) == {"pkg/gr\u00fc\u00df e.py"}
    assert rejections(artifact)["new.py"] == "unreadable"
    place.unlink()
    assert rejections(made(tmp_path / "2", Git(path=str(repository))))["new.py"] == "unreadable"
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/nowhere\n")
    assert set(rejections(made(tmp_path / "3", Git(path=str(repository)))).values()) == {"broken_repository"}
