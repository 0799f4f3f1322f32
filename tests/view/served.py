"""A viewer that really runs, over a workspace made from the shared tiny run."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from codetextbook.run import Run


class Answer(NamedTuple):
    """What the viewer said."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def words(self) -> str:
        """The text without its tags, white space told once."""
        return " ".join(re.sub(r"<[^>]*>", " ", self.text).split())


class Viewer:
    """A viewer in a process of its own."""

    def __init__(self, address: str, work: Path) -> None:
        parts = urlsplit(address)
        self.address, self.port, self.work = f"http://127.0.0.1:{parts.port}", parts.port, work
        self.token = parts.query.removeprefix("token=")

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Answer:
        """One request, as a browser's page of the viewer would send it unless `headers` say otherwise."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Origin": self.address} if form is not None else {}
        with contextlib.closing(connection):
            body = urlencode(form) if form is not None else None
            connection.request("POST" if form is not None else method, path, body, sent | (headers or {}))
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, told, answer.read().decode("utf-8", "replace"))


@contextlib.contextmanager
def viewing(work: Path, *words: str) -> Iterator[Viewer]:
    """Start `codetextbook view` over a workspace; it is asked to stop afterwards, as Ctrl-C does."""
    command = [sys.executable, "-m", "codetextbook", "view", "--work", str(work), "--port", "0", "--as", "ada", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stdout is not None
    try:
        yield Viewer(process.stdout.readline().strip(), work)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        process.stdout.close()


def copy_of(run: Run, work: Path) -> Path:
    """The finished steps of a run, in another workspace; what else tests have made in the shared one stays there."""
    run.make("report")
    for artifact in filter(None, map(run.artifact, run.steps)):
        shutil.copytree(artifact.folder, work / "store" / artifact.stage / artifact.id)
    shutil.copy(run.work / "runs.jsonl", work / "runs.jsonl")
    return work


Started = Callable[..., contextlib.AbstractContextManager[Viewer]]
"""How a viewer is started."""
