"""Where code is: one file for each kind of source. Adding a kind is a file here and its name in `AnySource`.

A source lists batches of files as a stream; a worker opens the files of a batch (`codetextbook.sources.file`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from codetextbook.sources.archives import Archives
from codetextbook.sources.file import Batch, File, Listed, Source
from codetextbook.sources.folder import Folder
from codetextbook.sources.git import Git
from codetextbook.sources.hub import Hub
from codetextbook.sources.installed import Packages, StandardLibrary
from codetextbook.sources.rows import Rows
from codetextbook.sources.stackexchange import StackExchange

AnySource = Annotated[
    StandardLibrary | Packages | Folder | Archives | Git | Rows | Hub | StackExchange, Field(discriminator="kind")
]

__all__ = [
    "AnySource",
    "Archives",
    "Batch",
    "File",
    "Folder",
    "Git",
    "Hub",
    "Listed",
    "Packages",
    "Rows",
    "Source",
    "StackExchange",
    "StandardLibrary",
]
