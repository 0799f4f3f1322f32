"""One of many training processes: `torchrun ... -m codetextbook.train.worker SCRATCH`, started by `launch.py`.

The first worker writes what has to be kept and, last, the result. What stops the training is written down for the process that waits; the
others then end too, so that torchrun starts nothing again that would fail again.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file

from codetextbook.errors import CodetextbookError
from codetextbook.model.phi import Phi
from codetextbook.store import Artifact, atomic, write_json
from codetextbook.train.launch import FAILED, RESULT, START, Job
from codetextbook.train.lesson import Lesson
from codetextbook.train.loop import Keeping, train
from codetextbook.train.precision import resolve_device


def main() -> None:
    """Train with the others."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # no worker outlives its torchrun
    scratch = Path(sys.argv[1])
    if (scratch / FAILED).exists():
        return
    job = Job.read(scratch)
    device = resolve_device(job.device)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    first = dist.get_rank() == 0
    try:
        _train(job, scratch, device, first)
    except CodetextbookError as error:
        write_json(scratch / FAILED, {"what": error.what, "where": error.where, "hint": error.hint})
        os._exit(1)  # the others may wait for this one's word
    dist.destroy_process_group()


def _train(job: Job, scratch: Path, device: str, first: bool) -> None:
    model = Phi(job.model)
    model.load_state_dict(load_file(scratch / START))
    lesson = Lesson.of(Artifact(job.packed), context=job.model.context, seed=job.settings.seed)

    def keep(step: int, current: Callable[[], Phi]) -> None:
        found = current()  # all have to ask
        if first:
            write_json(scratch / f"kept-{step:08d}.json", job.model.model_dump(mode="json"))
            with atomic(scratch / f"kept-{step:08d}.safetensors") as path:
                save_file(found.state_dict(), path)

    trained = train(
        model,
        job.settings,
        lesson.data,
        device=device,
        threads=max(1, job.threads // job.placement.processes),
        scratch=scratch,
        placement=job.placement,
        keeping=Keeping(job.keep_every_steps, keep) if job.keep_every_steps else None,
    )
    if first:
        with atomic(scratch / f"{RESULT}.safetensors") as path:
            save_file(trained.model.state_dict(), path)
        write_json(scratch / f"{RESULT}.json", trained.metrics)


if __name__ == "__main__":
    main()
