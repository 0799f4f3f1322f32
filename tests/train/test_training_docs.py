"""docs/training.md: the program reads its site files, a linter its scripts, and its manifests are held against Kubernetes' own schema."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from codetextbook.site import Site

PAGE = (Path(__file__).parent.parent.parent / "docs" / "training.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def lint(script: str, shell: str) -> str:
    """What shellcheck finds, style included."""
    linter = Path(sys.executable).with_name("shellcheck")
    order = [linter, "--norc", f"--shell={shell}", "--severity=style", "-"]
    return subprocess.run(order, input=script, capture_output=True, text=True, check=False).stdout


def test_every_site_file_is_one() -> None:
    sites = [Site.parse(tomllib.loads(block), where="docs/training.md") for block in blocks("toml")]
    assert [site.training.machines for site in sites] == [1, 2]
    assert {site.training.processes for site in sites} == {8}


def test_the_slurm_script_is_a_script_and_runs_each_verb_once(tmp_path: Path) -> None:
    (script,) = blocks("bash")
    (tmp_path / "codetextbook").write_text('#!/bin/sh\necho "$SLURM_PROCID $1 $2 $4"\n')
    (tmp_path / "srun").write_text('#!/bin/sh\nshift\nfor SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done\n')
    for program in ("codetextbook", "srun"):
        (tmp_path / program).chmod(0o755)
    said = subprocess.run(
        ["bash", "-c", script], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == ["0 run phi1 /shared/phi1", "1 join phi1 /shared/phi1"]


def test_the_scripts_have_no_fault_that_a_linter_knows() -> None:
    (slurm,) = blocks("bash")
    (manifests,) = blocks("yaml")
    _, job = yaml.safe_load_all(manifests)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    inner = "read -r work\n" + slurm[slurm.index("bash -c '") + len("bash -c '") :].rstrip().removesuffix("'")
    assert [lint(slurm, "bash"), lint(inner, "bash"), lint(container["args"][0], "sh")] == ["", "", ""]
    assert "SC2086" in lint(inner.replace('"$work"', "$work"), "bash")


def test_the_kubernetes_manifests_are_what_kubernetes_takes() -> None:
    (text,) = blocks("yaml")
    for manifest in yaml.safe_load_all(text):
        assert kubernetes_validate.validate(manifest, "1.37", strict=True) == "1.37"
        manifest["spec"]["clutserIP"] = "None"
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_kubernetes_manifests_fit_together() -> None:
    (text,) = blocks("yaml")
    service, job = yaml.safe_load_all(text)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    pod = job["spec"]["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert job["spec"]["completionMode"] == "Indexed"
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
