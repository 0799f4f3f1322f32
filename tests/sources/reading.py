"""Read some sources as the stage does, and look at what became of each file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codetextbook.site import Site
from codetextbook.sources import AnySource
from codetextbook.stages.contract import run_stage
from codetextbook.stages.read import Read, read
from codetextbook.store import Artifact, Store

CODE = "def area(width, height):\n    return width * height  # plain and long enough to be read\n"


def made(tmp_path: Path, *sources: AnySource, **settings: Any) -> Artifact:
    """The artifact of `read`."""
    cfg = Read(sources=sources, **settings)
    return run_stage(read, cfg, store=Store(tmp_path / "store"), site=Site(workers=1))


def documents(artifact: Artifact) -> dict[str, dict[str, Any]]:
    """What was kept, by path."""
    return {row["path"]: row for row in artifact.table("documents").to_pylist()}


def rejections(artifact: Artifact) -> dict[str, str]:
    """Reasons, by path."""
    return {row["detail"].split(": ")[0]: row["reason"] for row in artifact.table("rejected").to_pylist()}
