"""Files of the user's own that a recipe names: told apart by their content, so that another content is another artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import model_validator

from codetextbook.config import Config
from codetextbook.store import sha256


class PinnedFile(Config):
    """A file and the digest of its content."""

    path: str
    """Path of the file."""
    sha256: str = ""
    """SHA-256 of the file; filled in when the file is there, so that another content is another artifact."""

    @model_validator(mode="before")
    @classmethod
    def _know_the_content(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("sha256") and Path(str(values.get("path", ""))).is_file():
            return {**values, "sha256": sha256(Path(values["path"]))}
        return values

    @property
    def changed(self) -> bool:
        """Whether the file is no longer what its digest says."""
        return bool(self.sha256) and sha256(Path(self.path)) != self.sha256
