"""A run killed with SIGKILL at random moments ends in the digests of one that is left alone; what the kills cost in seconds.

The whole process group dies at each kill: workers, sandboxes and the trainer with it. With the laptop recipe this takes about 25 minutes on
2 cores; `--reference WORK` takes a workspace in which the recipe has run undisturbed, and halves that.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.frame import Outcome, tell
from codetextbook.recipe import Recipe
from codetextbook.run import Run
from codetextbook.store import Artifact

STARTING_SECONDS = 1.5
"""What every life needs before it works: the interpreter and its imports."""


def command(recipe: str, work: Path) -> list[str]:
    """What a user would type."""
    return [sys.executable, "-m", "codetextbook", "run", recipe, "--work", str(work)]


def run_to_the_end(order: Sequence[str]) -> None:
    """Raises CalledProcessError where the run does not end well."""
    subprocess.run(order, check=True, stdout=subprocess.DEVNULL)


def kill_after(order: Sequence[str], seconds: float) -> bool:
    """Start, and kill the process group after so many seconds; False where the run had ended by then."""
    child = subprocess.Popen(order, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        child.wait(timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return True


def lives(seconds: float, kills: int, seed: int) -> list[float]:
    """How long each life lasts when a run of `seconds` dies at `kills` random moments."""
    draw = random.Random(seed)
    moments = sorted(draw.uniform(0.0, seconds) for _ in range(kills))
    return [later - earlier for earlier, later in zip([0.0, *moments[:-1]], moments, strict=True)]


def finished(recipe: str, work: Path) -> list[Artifact]:
    """The artifact of every step of the recipe."""
    made = Run(Recipe.load(recipe), work)
    return [artifact for artifact in map(made.artifact, made.steps) if artifact is not None]


def digests(artifacts: Sequence[Artifact]) -> list[tuple[str, str]]:
    """Identity and content of each."""
    return [(artifact.id, artifact.digest) for artifact in artifacts]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recipe", default="laptop", help="a shipped recipe or a path")
    parser.add_argument("--reference", type=Path, help="a workspace in which the recipe has run undisturbed")
    parser.add_argument("--kills", type=int, default=10, help="how many times the run is killed")
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        whole, killed = asked.reference or Path(folder) / "whole", Path(folder) / "killed"
        run_to_the_end(command(asked.recipe, whole))  # nothing is made again in a reference that is complete
        reference = finished(asked.recipe, whole)
        undisturbed = sum(artifact.manifest["seconds"] for artifact in reference)
        if (whole / "site.toml").exists():  # training repeats to the bit on one number of threads
            killed.mkdir()
            shutil.copy(whole / "site.toml", killed)
        order = command(asked.recipe, killed)
        start = time.monotonic()
        deaths = sum(kill_after(order, STARTING_SECONDS + life) for life in lives(undisturbed, asked.kills, asked.seed))
        run_to_the_end(order)
        disturbed = time.monotonic() - start
        same = digests(reference) == digests(finished(asked.recipe, killed))
    outcome = Outcome(
        name="resume",
        ours={
            "recipe": asked.recipe,
            "kills": deaths,
            "same_digests": same,
            "seconds_undisturbed": round(undisturbed, 1),
            "seconds_killed": round(disturbed, 1),
        },
    )
    rows = [("", "seconds"), ("left alone", f"{undisturbed:.1f}"), (f"killed {deaths} times", f"{disturbed:.1f}")]
    tell(outcome, [*rows, ("same digests", "yes" if same else "NO")], as_json=asked.json)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
