"""Site: where and how a recipe runs. Never part of an artifact's identity.

Workers, devices, the store's place, the teacher's endpoint: change any of them and the same recipe gives the same artifacts. Keys come
from environment variables, by name; a site file never holds one.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from codetextbook.config import Config
from codetextbook.errors import ConfigError

if TYPE_CHECKING:
    from codetextbook.engine import Engine

SITE_FILE = "site.toml"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


class TeacherSite(Config):
    """An OpenAI-compatible endpoint."""

    base_url: str = "http://127.0.0.1:8000/v1"
    """Address of the server, up to and with `/v1`."""
    model: str = ""
    """Name of the model, as the server knows it."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; the key itself is never written anywhere."""
    requests_in_flight: int = Field(default=32, ge=1, le=10_000)
    """Requests under way at once."""
    timeout_seconds: float = Field(default=120.0, gt=0)
    """Seconds without an answer after which a request is tried again."""
    dollars_limit: float = Field(default=0.0, ge=0)
    """Dollars that may be spent in all; a hard stop. 0 allows only models whose price is 0."""
    tokens_limit: int | None = Field(default=None, ge=0)
    """Tokens, sent and answered, that may be used in all; a hard stop. Unset: only dollars limit."""
    dollars_per_million_input_tokens: float | None = Field(default=None, ge=0)
    """Price of what is sent. Unknown (unset) refuses to spend."""
    dollars_per_million_output_tokens: float | None = Field(default=None, ge=0)
    """Price of what is answered. Unknown (unset) refuses to spend."""


class Site(Config):
    """This machine, or cluster, and what it may use."""

    workers: int = Field(default_factory=_cores, ge=1, le=4096)
    """Processes that map over documents."""
    threads: int = Field(default_factory=_cores, ge=1, le=4096)
    """Threads of one numeric process (training, embedding, generation)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; `auto` is a GPU where there is one."""
    sandbox: Literal["require", "unsafe"] = "require"
    """`unsafe` lets model-written code run without confinement where none can be had; recorded in every result."""
    teacher: TeacherSite = TeacherSite()
    """The endpoint that `annotate`, `textbook` and `exercises` may ask."""

    @classmethod
    def load(cls, workspace: Path) -> Self:
        """The site file of a workspace, or the defaults of this machine.

        Raises:
            ConfigError: the file cannot be understood; it is named, with the key.
        """
        path = Path(workspace) / SITE_FILE
        if not path.exists():
            return cls()
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"not valid TOML: {error}", where=str(path)) from None
        return cls.parse(values, where=str(path))

    def engine(self) -> Engine:
        """The engine that maps a function over items, here."""
        from codetextbook.engine import LocalEngine

        return LocalEngine(self.workers)
