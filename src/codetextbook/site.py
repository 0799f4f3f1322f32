"""Site: where and how a recipe runs. Never part of an artifact's identity.

Workers, devices, the store's place, the teacher's endpoint: change any of them and the same recipe gives the same artifacts. Keys come
from environment variables, by name; a site file never holds one.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from codetextbook.config import Config
from codetextbook.errors import ConfigError
from codetextbook.train.settings import Placement

if TYPE_CHECKING:
    from codetextbook.engine import Engine
    from codetextbook.sandbox import Sandbox

SITE_FILE = "site.toml"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


class TeacherSite(Config):
    """Who grades and writes, and what it may cost."""

    kind: Literal["openai", "batch", "local", "vllm", "recorded"] = "openai"
    """`openai`: any compatible server. `batch`: its bulk work. `local`, `vllm`: weights on this machine. `recorded`: a file of replies."""
    base_url: str = "http://127.0.0.1:8000/v1"
    """Address of the server, up to and with `/v1`."""
    more_urls: tuple[str, ...] = ()
    """Further servers of the same model; a request goes to whichever has room, and to another when one fails."""
    model: str = ""
    """Name of the model, as the server knows it; part of every reply's key. For `local`, any name for the weights."""
    weights: str = ""
    """Where `local` and `vllm` find weights: a folder, `hub:NAME`, or `package:NAME==VERSION`; empty takes `model` as a hub's name."""
    replies: str = ""
    """File of `recorded`: what `codetextbook journal export` wrote."""
    journal: str = ""
    """File that keeps every reply; empty: `store/journal.sqlite3` in the workspace."""
    client: Literal["built-in", "openai"] = "built-in"
    """Who carries the requests of kind `openai`: our own client, or the official `openai` package (about six times the processor time)."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; the key itself is never written anywhere."""
    requests_in_flight: int = Field(default=32, ge=1, le=10_000)
    """Requests under way at once, at each server; for `local`, sequences of one batch."""
    timeout_seconds: float = Field(default=120.0, gt=0)
    """Seconds without an answer after which an attempt has failed."""
    hedge_after_seconds: float | None = Field(default=None, gt=0)
    """Seconds without an answer after which a request of kind `openai` is sent a second time; may be billed twice. Unset: never."""
    patience_seconds: float = Field(default=300.0, ge=0)
    """Seconds without any answer to anybody after which a busy or unreachable server counts as gone (ours: a vLLM restart)."""
    dollars_limit: float = Field(default=0.0, ge=0)
    """Dollars that may be spent in all; a hard stop. 0 allows only models whose price is 0."""
    tokens_limit: int | None = Field(default=None, ge=0)
    """Tokens, sent and answered, that may be used in all; a hard stop. Unset: only dollars limit."""
    requests_limit: int | None = Field(default=None, ge=0)
    """Requests that may be made in all; a hard stop. Unset: only dollars limit."""
    prices: str = ""
    """A price file of yours, in the form of the shipped `teacher/prices.toml`; empty: the shipped, dated one."""
    dollars_per_million_input_tokens: float | None = Field(default=None, ge=0)
    """Price of what is sent; goes before any table. A price that is not known refuses to spend."""
    dollars_per_million_output_tokens: float | None = Field(default=None, ge=0)
    """Price of what is answered; goes before any table. A price that is not known refuses to spend."""
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How the server calls the limit of an answer's tokens (OpenAI's reasoning models: `max_completion_tokens`)."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Fields added to every request, as in `{ reasoning_effort = "low" }`; part of every reply's key."""
    poll_seconds: float = Field(default=30.0, gt=0)
    """Seconds between two looks at a batch (a batch takes minutes to a day)."""
    json_schema: bool = True
    """Whether the server is asked to hold answers to a JSON schema; a server that refuses is asked without, by itself."""

    @field_validator("base_url", "more_urls")
    @classmethod
    def _holds_no_key(cls, value: Any) -> Any:
        if any(
            "@" in url.split("/")[2:3][0]
            for url in ([value] if isinstance(value, str) else value)
            if url.count("/") > 1
        ):
            raise ValueError("an address holds no name and no password: put the key into an environment variable")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind != "openai" and (self.client != "built-in" or self.hedge_after_seconds is not None):
            raise ValueError(f"client and hedge_after_seconds are for kind openai, not for {self.kind}")
        if self.hedge_after_seconds is not None and self.hedge_after_seconds >= self.timeout_seconds:
            raise ValueError("hedge_after_seconds is not below timeout_seconds: nothing would be sent a second time")
        return self


class Site(Config):
    """This machine, or cluster, and what it may use."""

    workers: int = Field(default_factory=_cores, ge=1, le=4096)
    """Processes that map over documents."""
    cluster: str = ""
    """Address of a Ray cluster that maps over documents in their place (`10.0.0.1:6379`, `auto`; extra `cluster`); empty: this machine."""
    threads: int = Field(default_factory=_cores, ge=1, le=4096)
    """Threads of one numeric process (training, embedding, generation)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; `auto` is a GPU where there is one."""
    sandbox: Literal["require", "wasi", "unsafe"] = "require"
    """`wasi` runs model-written code in a WebAssembly runtime (tier D, extra `wasi`), for systems without Linux's layers; `unsafe` lets it
    run without confinement where none can be had. Recorded in every result."""
    tracker: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    """Who keeps the numbers of running steps beside `metrics.jsonl`, in the workspace's folder `tracked/` (extra `trackers`)."""
    tracker_project: str = Field(default="codetextbook", min_length=1, max_length=100)
    """The project under which trackio and wandb file them."""
    training: Placement = Placement()
    """Processes that train a model together, and what they do to save memory or time."""
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

    def open_sandbox(self, *, cpu_seconds: float) -> Sandbox:
        """A sandbox of this site's workers, in the tier that the site asks for. Close it.

        Raises:
            SandboxError: untrusted code cannot be contained here.
        """
        from codetextbook.sandbox import Limits, Sandbox

        return Sandbox(
            workers=self.workers,
            limits=Limits(cpu_seconds=cpu_seconds),
            allow_unsafe=self.sandbox == "unsafe",
            strongest="D" if self.sandbox == "wasi" else "A",
        )

    def engine(self) -> Engine:
        """The engine that maps a function over items: here, or on the cluster."""
        from codetextbook.engine import LocalEngine, RayEngine

        return RayEngine(self.cluster) if self.cluster else LocalEngine(self.workers)
