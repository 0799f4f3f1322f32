"""Two machines, `codetextbook finetune` on one and `codetextbook join` on the other: two network namespaces that a cable connects.

Where namespaces are forbidden the two are processes that meet on loopback; what is asserted is the same, but no address has to be found.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from debug_lesson import ROUNDING, killed_after, workers

from codetextbook.recipe import Recipe
from codetextbook.run import Run
from codetextbook.train.launch import JOB

LESSON = {"batch_sequences": 2, "micro_batch_sequences": 1, "validate_every_steps": 1}
TRAINED = ("pretrain", "finetune")


class Machines(NamedTuple):
    """How a command is started on each of two machines, and where they meet."""

    first: list[str]
    second: list[str]
    rendezvous: str


@pytest.fixture
def machines() -> Iterator[Machines]:
    """Two machines that see each other and nothing else, or this one twice."""
    spaces = [f"ctb{os.getpid()}{side}" for side in "ab"]
    cables = [f"c{os.getpid()}{side}" for side in "ab"]
    orders = [f"link add {cables[0]} type veth peer name {cables[1]}"]
    for number, (space, cable) in enumerate(zip(spaces, cables, strict=True), start=1):
        orders += [f"netns add {space}", f"link set {cable} netns {space}"]
        orders += [f"-n {space} addr add 10.77.0.{number}/24 dev {cable}"]
        orders += [f"-n {space} link set {cable} up", f"-n {space} link set lo up"]
    try:
        for order in orders:
            subprocess.run(["ip", *order.split()], check=True, capture_output=True)
        found = Machines(*(["ip", "netns", "exec", space] for space in spaces), "10.77.0.1:29500")
    except (OSError, subprocess.CalledProcessError):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            found = Machines([], [], f"127.0.0.1:{free.getsockname()[1]}")
    yield found
    with contextlib.suppress(OSError):
        for space in spaces:
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)


def workspace(folder: Path, recipe: Recipe, made: Run) -> Run:
    """A workspace that has all that the trainings need."""
    run = Run(recipe, folder)
    for name, step in run.steps.items():
        found = made.store.find(step.stage.name, step.id)
        if found is not None and name not in TRAINED:
            shutil.copytree(found.folder, run.store.folder(step.stage.name, step.id))
    return run


@pytest.mark.timeout(2_400)
def test_two_machines_train_together_even_when_a_process_of_the_second_is_killed(
    tiny: Recipe, tiny_run: Run, machines: Machines, tmp_path: Path
) -> None:
    tiny_run.make("pack_pretrain")
    tiny_run.make("pack_finetune")
    recipe = tiny.replace({f"{name}.{key}": value for name in TRAINED for key, value in LESSON.items()})
    recipe = recipe.replace({"pretrain.steps": 40, "pretrain.validation_sequences": 8})
    alone = workspace(tmp_path / "alone", recipe, tiny_run)
    alone.make("finetune")

    together = workspace(tmp_path / "together", recipe, tiny_run)
    (tmp_path / "recipe.toml").write_text(recipe.dump(), encoding="utf-8")
    (together.work / "site.toml").write_text(
        f'threads = 1\n[training]\nengine = "ddp"\nmachines = 2\nrendezvous = "{machines.rendezvous}"\n'
        "save_every_steps = 2\nrestarts = 2\n",
        encoding="utf-8",
    )
    pretrain = together.steps["pretrain"]
    scratch = together.store.scratch(pretrain.stage.name, pretrain.id)
    verbs = [
        [sys.executable, "-m", "codetextbook", verb, str(tmp_path / "recipe.toml")] for verb in ("finetune", "join")
    ]
    said = tmp_path / "said"
    with said.open("wb") as file, killed_after(scratch, steps=8):
        both = [
            subprocess.Popen([*where, *verb, "--work", str(together.work)], stdout=file, stderr=subprocess.STDOUT)
            for where, verb in zip((machines.first, machines.second), verbs, strict=True)
        ]
        try:
            ended = [both[0].wait(timeout=1_800), both[1].wait(timeout=300)]
        finally:
            for process in both:
                process.kill()
    assert ended == [0, 0], said.read_text(errors="replace")
    for name in TRAINED:
        one, two = (run.make(name).table("metrics")["loss"].to_pylist() for run in (alone, together))
        assert two == pytest.approx(one, abs=ROUNDING)
    assert workers(together.work) == []
    assert not list(together.work.rglob(JOB))
