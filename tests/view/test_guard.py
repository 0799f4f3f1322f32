"""Who may call the viewer, and that nothing outside the workspace can be reached through it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from served import Started, Viewer, copy_of

from codetextbook.run import Run
from codetextbook.store import Store
from codetextbook.view.catalog import Catalog
from codetextbook.view.library import Library


@pytest.fixture(scope="module")
def open_viewer(work: Path, start: Started) -> Iterator[Viewer]:
    with start(work, "--host", "0.0.0.0") as one:
        yield one


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.7:80", "", "localhost.evil.example:8000"]
)
def test_another_name_for_this_machine_is_refused(host: str, viewer: Viewer) -> None:
    answer = viewer.ask("/documents", headers={"Host": host})
    assert answer.status == 403
    assert "lesson" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "[::1]:8000"])
def test_the_names_of_loopback_are_let_in(host: str, viewer: Viewer) -> None:
    assert viewer.ask("/", headers={"Host": host}).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
@pytest.mark.parametrize("path", ["/documents", "/review/grade", "/metrics"])
def test_another_origin_is_refused(origin: str, path: str, viewer: Viewer) -> None:
    form = {"grade": "1"} if path.endswith("grade") else None
    assert viewer.ask(path, headers={"Origin": origin}, form=form).status == 403


def test_another_site_may_link_here_and_no_more(viewer: Viewer) -> None:
    assert (
        viewer.ask("/documents", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status == 200
    )
    assert viewer.ask("/documents", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}).status == 403
    assert viewer.ask("/documents", headers={"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}).status == 403


def test_nothing_is_written_without_an_origin_or_by_a_link(viewer: Viewer) -> None:
    assert viewer.ask("/review/grade?open=x", method="POST").status == 403
    assert viewer.ask("/review/grade?open=x&grade=1").status in (404, 405)
    assert not (viewer.work / "reviews").exists()


def test_a_body_that_is_too_long_is_refused(viewer: Viewer) -> None:
    assert viewer.ask("/review/grade", form={"grade": "1" * 20_000}).status == 413


def test_every_answer_forbids_what_is_not_needed(viewer: Viewer) -> None:
    for path in ("/", "/documents", "/metrics", "/static/view.js", "/nothing", "/artifacts/x"):
        headers = viewer.ask(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    assert "script-src" not in viewer.ask("/report").headers["content-security-policy"]


def test_beyond_loopback_nobody_is_let_in_without_the_token(open_viewer: Viewer) -> None:
    assert len(open_viewer.token) >= 32
    for path in ("/", "/documents", "/static/view.css", "/?token=", "/?token=wrong"):
        answer = open_viewer.ask(path)
        assert answer.status == 401
        assert "lesson" not in answer.text
    assert open_viewer.ask("/", headers={"Cookie": "codetextbook_view=wrong"}).status == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(open_viewer: Viewer) -> None:
    answer = open_viewer.ask(f"/documents?q=add&token={open_viewer.token}")
    assert (answer.status, answer.headers["location"]) == (303, "/documents?q=add")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert open_viewer.ask("/documents", headers={"Cookie": cookie.split(";")[0]}).status == 200
    assert open_viewer.ask("/documents", headers={"Authorization": f"Bearer {open_viewer.token}"}).status == 200
    assert open_viewer.ask("/documents", headers={"Cookie": cookie.split(";")[0], "Host": "evil.example"}).status == 403


def test_the_token_leads_to_no_other_host(open_viewer: Viewer) -> None:
    assert open_viewer.ask(f"//evil.example/?token={open_viewer.token}").headers["location"] == "/evil.example/"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/artifacts/../../../etc/passwd",
        "/artifacts/%2e%2e%2f%2e%2e",
        "/..%2f..%2fetc/passwd",
        "/documents/../../etc/passwd",
    ],
)
def test_no_path_leads_out(path: str, viewer: Viewer) -> None:
    answer = viewer.ask(path)
    assert answer.status == 404
    assert "root:" not in answer.text and "def " not in answer.text


def test_an_artifact_is_found_by_its_id_alone(viewer: Viewer) -> None:
    for wanted in ("../../x", "/etc", "%00", "'; DROP TABLE x; --"):
        answer = viewer.ask(f"/documents?at={wanted}".replace(" ", "%20"))
        assert answer.status == 200
        assert "There is no artifact" in answer.words


def test_a_link_out_of_the_workspace_is_not_followed(tiny_run: Run, tmp_path: Path) -> None:
    work, secret = copy_of(tiny_run, tmp_path / "work"), tmp_path / "secret"
    store = Store(work / "store")
    pages, read = (next(one for one in store.artifacts() if one.stage == stage) for stage in ("textbook", "read"))
    part = pages.parts("pages")[0]
    part.rename(tmp_path / "outside.parquet")
    part.symlink_to(tmp_path / "outside.parquet")
    read.folder.rename(secret)
    read.folder.symlink_to(secret)
    catalog = Catalog(work)
    assert "leads out of the workspace" in catalog.shown().faults[0]
    assert catalog.find(read.id) is None
    with pytest.raises(Exception, match="leads out of the workspace"):
        catalog.parts(pages, "pages")


def test_the_database_reads_below_the_store_alone(work: Path, tmp_path: Path) -> None:
    library = Library(Catalog(work))
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    for query in (
        f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        f"SELECT * FROM read_text('{work}/store/../runs.jsonl')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            library._connection.execute(query)


def test_a_folder_that_is_no_workspace_is_said_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "codetextbook", "view", "--work", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
    assert done.returncode == 1
    assert done.stderr.startswith("✗ view: there is no workspace here. where: ")
