"""Many processes: a training as a job that torchrun gives to workers, here and on the machines that join.

The job (settings, model, where the tokens are) and all that the workers write lie in the artifact's scratch folder, which every machine
has to see. This process waits, tells how far the first worker is, and keeps the models it is handed. When a worker dies, torchrun starts
all of them again and they go on from the newest checkpoint. When this process dies, the workers are ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

from codetextbook.errors import TrainingError
from codetextbook.model.config import PhiConfig
from codetextbook.model.phi import Phi
from codetextbook.store import atomic, write_json
from codetextbook.train.loop import Keeping, Progress, Trained
from codetextbook.train.settings import Placement, Training

JOB, START, RESULT, FAILED = "job.json", "start.safetensors", "result", "failed.json"
POLL_SECONDS = 0.2
_SIOCGIFADDR = 0x8915
"""Linux's question for an interface's address (netdevice(7))."""


class Job(NamedTuple):
    """What workers are told."""

    settings: Training
    model: PhiConfig
    packed: Path
    """Folder of the packed artifact."""
    placement: Placement
    device: str
    threads: int
    keep_every_steps: int | None

    def write(self, scratch: Path) -> None:
        """Lay it down for the workers."""
        own = {name: getattr(self.settings, name) for name in Training.model_fields}
        write_json(
            scratch / JOB,
            {
                **self._asdict(),
                "settings": Training(**own).model_dump(mode="json"),
                "model": self.model.model_dump(mode="json"),
                "placement": self.placement.model_dump(mode="json"),
                "packed": str(self.packed.resolve()),
            },
        )

    @classmethod
    def read(cls, scratch: Path) -> Job:
        """Take it up."""
        told: dict[str, Any] = json.loads((scratch / JOB).read_text(encoding="utf-8"))
        return cls(
            **told
            | {
                "settings": Training(**told["settings"]),
                "model": PhiConfig(**told["model"]),
                "placement": Placement(**told["placement"]),
                "packed": Path(told["packed"]),
            }
        )


def launch(job: Job, model: Phi, scratch: Path, progress: Progress | None, keeping: Keeping | None) -> Trained:
    """Have the job done by workers, and wait.

    Raises:
        TrainingError: what a worker raised, or that workers kept dying.
    """
    result = scratch / RESULT
    if not result.with_suffix(".json").exists():
        (scratch / FAILED).unlink(missing_ok=True)
        with atomic(scratch / START) as path:
            save_file({name: weight.contiguous() for name, weight in model.state_dict().items()}, path)
        job.write(scratch)
        order = command(scratch, job.placement, first=True)
        with subprocess.Popen(order, env=_environment(job), preexec_fn=_dies_with_parent) as agent:
            watch = _Watch(scratch, job.settings.steps, progress, keeping)
            try:
                while agent.poll() is None:
                    watch.look()
                    time.sleep(POLL_SECONDS)
            finally:
                agent.terminate()
        (scratch / JOB).unlink()
        _raise_failure(scratch, agent.returncode, job.placement)
    _Watch(scratch, job.settings.steps, None, keeping).look()
    rows = json.loads(result.with_suffix(".json").read_text(encoding="utf-8"))
    return Trained(_phi(job.model, result.with_suffix(".safetensors")), rows)


def command(scratch: Path, placement: Placement, *, first: bool) -> list[str]:
    """How a machine's workers are started."""
    order = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={placement.processes}"]
    order += [f"--max-restarts={placement.restarts}", f"--nnodes={placement.machines}"]
    if placement.machines == 1:
        order.append("--standalone")
    else:
        host, _, port = placement.rendezvous.rpartition(":")
        order += ["--rdzv-backend=c10d", f"--rdzv-endpoint={host}:{port}", f"--rdzv-id={scratch.parent.name}"]
        order += [f"--rdzv-conf=is_host={int(first)}", f"--local-addr={_address_towards(host)}"]
    return [*order, "-m", "codetextbook.train.worker", str(scratch)]


def take_part(scratch: Path, done: Callable[[], object]) -> None:
    """Be one of the other machines of a job: wait for it, work on it, until it is done."""
    while not done():
        if (scratch / JOB).exists() and not (scratch / RESULT).with_suffix(".json").exists():
            job = Job.read(scratch)
            order = command(scratch, job.placement, first=False)
            subprocess.run(order, env=_environment(job), preexec_fn=_dies_with_parent, check=False)
        time.sleep(5 * POLL_SECONDS)


class _Watch:
    """Follows what the first worker writes."""

    def __init__(self, scratch: Path, steps: int, progress: Progress | None, keeping: Keeping | None) -> None:
        self.scratch, self.steps, self.progress, self.keeping = scratch, steps, progress, keeping
        self.log = scratch / "metrics.jsonl"
        self.read = self.log.stat().st_size if self.log.exists() else 0
        self.began: tuple[int, float] | None = None

    def look(self) -> None:
        """Tell the newest step, and keep the models that are there."""
        for path in sorted(self.scratch.glob("kept-*.safetensors")):
            if self.keeping is not None:
                config = PhiConfig(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
                self.keeping.keep(int(path.stem.partition("-")[2]), partial(_phi, config, path))
            path.unlink()
        if self.progress is None or not self.log.exists():
            return
        with self.log.open(encoding="utf-8") as file:
            file.seek(self.read)
            lines = [line for line in file if line.endswith("\n")]
        if not lines:
            return
        self.read += sum(len(line.encode()) for line in lines)
        row, now = json.loads(lines[-1]), time.monotonic()
        samples = [json.loads(line)["sample"] for line in lines if '"sample"' in line]
        self.began = self.began or (row["tokens"], now)
        rate = (row["tokens"] - self.began[0]) / max(now - self.began[1], 1e-9)
        facts = {"loss": row["loss"], "tokens/s": rate} | ({"sample": samples[-1]} if samples else {})
        self.progress(row["step"], self.steps, facts)


def _phi(config: PhiConfig, path: Path) -> Phi:
    with torch.device("meta"):
        model = Phi(config)
    model.load_state_dict(load_file(path), assign=True)
    return model.eval()


def _raise_failure(scratch: Path, code: int, placement: Placement) -> None:
    failed = scratch / FAILED
    if failed.exists():
        told = json.loads(failed.read_text(encoding="utf-8"))
        failed.unlink()
        raise TrainingError(told["what"], where=told["where"], hint=told["hint"])
    if code or not (scratch / f"{RESULT}.json").exists():
        raise TrainingError(
            f"the training processes ended without a result (torchrun: {code})",
            where=f"engine {placement.engine}, {placement.machines} x {placement.processes} processes",
            hint="read what they wrote above; run again to go on from the newest checkpoint",
        )


def _environment(job: Job) -> dict[str, str]:
    """Of torchrun: processes that start again meet in a store of their own, where no address of those that died is left."""
    threads = str(max(1, job.threads // job.placement.processes))
    own = {"OMP_NUM_THREADS": threads, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    if job.placement.machines > 1 and sys.platform == "linux":
        own |= _gloo_interface(job.placement.rendezvous.rpartition(":")[0])
    return os.environ | own


def _address_towards(host: str) -> str:
    """This machine's address as that host sees it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


def _gloo_interface(host: str) -> dict[str, str]:
    """Which network gloo is to use: the one towards that host. By itself it takes that of this machine's name, which is often loopback."""
    if "GLOO_SOCKET_IFNAME" in os.environ:
        return {}
    address = socket.inet_aton(_address_towards(host))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an address
                if fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()))[20:24] == address:
                    return {"GLOO_SOCKET_IFNAME": name}
    return {}


def _dies_with_parent() -> None:
    """Ask Linux to end this process when the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
        if os.getppid() == 1:
            os._exit(1)
