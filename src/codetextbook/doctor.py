"""What this machine has, what is missing, and the line that installs it."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = {
    "laptop": "what the recipe `laptop` reads and embeds with",
    "hf": "embeddings of any Hugging Face model; models to and from transformers",
    "view": "`codetextbook view`, the workspace in a browser",
    "local": "a teacher with weights on this machine",
    "openai": "the official client, for sites that want it",
    "vllm": "vLLM's offline engine as the teacher, with GPUs",
    "codegen": "the paper's own tokenizer, for the recipes `phi1`",
    "datasets": "data sets of the Hugging Face hub",
    "stackexchange": "StackExchange dumps in .7z",
    "secrets": "patterns of keys and tokens to mask",
    "cluster": "a Ray cluster for the corpus",
    "deepspeed": "DeepSpeed as the training's engine",
    "wasi": "the sandbox where the kernel offers no isolation",
    "gguf": "export to llama.cpp's file format",
    "trackers": "TensorBoard, trackio and wandb",
    "docs": "`make docs`",
    "notebook": "examples/look.py",
}
"""What each extra is for, those of the laptop first."""


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
    return [_python(), _memory(), _disk(), _precision(), _sandbox(), *map(_extra, EXTRAS)]


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


def _extra(name: str) -> Finding:
    missing = sorted(_wanted(name) - _installed())
    found = f"missing {', '.join(missing)}" if missing else "installed"
    return Finding(f"[{name}]", not missing, f"{EXTRAS[name]}: {found}", f"pip install 'codetextbook[{name}]'")


def _wanted(extra: str) -> set[str]:
    """Distributions that an extra names, those of the extras that it names included."""
    names: set[str] = set()
    for one in map(Requirement, importlib.metadata.requires("codetextbook") or ()):
        if one.marker is None or not one.marker.evaluate({"extra": extra}):
            continue
        if canonicalize_name(one.name) == "codetextbook":
            names |= set().union(*map(_wanted, one.extras))
        else:
            names.add(canonicalize_name(one.name))
    return names


@functools.cache
def _installed() -> frozenset[str]:
    return frozenset(canonicalize_name(one.metadata["Name"]) for one in importlib.metadata.distributions())
