"""Machines that allow less: the tier falls as far as documented and no further, says so, and the attacks still fail."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import codetextbook

SOURCE = str(Path(codetextbook.__file__).parents[1])

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="the outer filter knows the numbers of these"
)


def _inside(limits: str, step: int) -> tuple[dict[str, Any], str]:
    """What a sandbox under an outer filter said, and what it wrote to standard error."""
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{here}"}
    done = subprocess.run(
        [sys.executable, str(here / "outer.py"), limits, str(step)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_under_no_outer_filter_the_same_program_takes_the_strongest_tier() -> None:
    """Control: what the others lose is the filter's doing."""
    told, words = _inside("nothing", 16)
    assert told == {"tiers": ["A"], "weaker_because": "", "honest": "passed", "passed": []}
    assert words == ""


@pytest.mark.parametrize(
    ("limits", "step", "tier", "reasons"),
    [
        ("Docker", 1, "B", ["tier A: namespaces are not allowed here"]),
        ("no user namespaces", 16, "B", ["tier A: namespaces are not allowed here"]),
        ("Ubuntu, namespaces without rights", 16, "B", ["tier A: [Errno 13]"]),
        (
            "kernel before Landlock",
            16,
            "C",
            ["tier A: this kernel has no Landlock", "tier B: this kernel has no Landlock"],
        ),
        (
            "Landlock switched off",
            16,
            "C",
            ["tier A: this kernel has no Landlock", "tier B: this kernel has no Landlock"],
        ),
        ("Docker on a kernel before Landlock", 1, "C", ["tier B: this kernel has no Landlock"]),
    ],
)
def test_the_tier_falls_as_documented_and_says_so(limits: str, step: int, tier: str, reasons: list[str]) -> None:
    told, words = _inside(limits, step)
    assert (told["tiers"], told["honest"], told["passed"]) == ([tier], "passed", [])
    for reason in reasons:
        assert reason in told["weaker_because"]
    assert words == f"sandbox: tier {tier}, because {told['weaker_because']}\n"
