"""A whole run, killed at random moments and started again, ends in the digests of one that was left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from codetextbook.recipe import Recipe
from codetextbook.run import Run


def test_a_run_killed_at_random_moments_ends_in_the_same_digests(tiny: Recipe, tiny_run: Run, tmp_path: Path) -> None:
    tiny_run.make("report")
    (tmp_path / "tiny.toml").write_text(tiny.dump(), encoding="utf-8")
    order = [sys.executable, "-m", "benchmarks.resume", "--recipe", str(tmp_path / "tiny.toml"), "--json"]
    done = subprocess.run(
        [*order, "--kills", "4", "--seed", "1", "--reference", str(tiny_run.work)],
        cwd=Path(__file__).parent.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])["ours"]
    assert found["same_digests"]
    assert found["kills"] >= 2
