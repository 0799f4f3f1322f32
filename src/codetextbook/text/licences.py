"""Licences as text: the SPDX line of a file's head, what an allow-list admits, and which licence asks the least.

Licences are expressions of SPDX (`MIT OR Apache-2.0`), or the words that a package's metadata has in their place.
"""

from __future__ import annotations

import re
from collections.abc import Collection

HEAD_CHARACTERS = 4_000
"""An SPDX line is looked for so far into a file (ours)."""

_HEADER = re.compile(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() -]+)")
_WORDS = {
    "mit license": "MIT",
    "mit": "MIT",
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "python software foundation license": "PSF-2.0",
    "isc license (iscl)": "ISC",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
_PERMISSIVE = ("mit", "apache", "bsd", "isc", "psf", "python-2", "unlicense", "cc0", "0bsd", "zlib", "wtfpl", "hpnd")
_WEAK = ("lgpl", "mpl", "epl", "cddl", "cc-by-sa", "cc-by")
_STRONG = ("agpl", "gpl", "gnu", "sspl", "eupl")


def header_licence(text: str) -> str:
    """What the head of a file says by an SPDX line; empty if it says nothing."""
    found = _HEADER.search(text, 0, HEAD_CHARACTERS)
    return " ".join(found.group(1).replace("-->", "").split()).rstrip("- ") if found else ""


def is_allowed(licence: str, allowed: Collection[str]) -> bool:
    """Whether an expression can be met with the licences of a list: one side of each OR, both of each AND. The empty text only as `""`."""
    known = {_spdx(one) for one in allowed}
    if not licence.strip():
        return "" in allowed
    plain = licence.replace("(", " ").replace(")", " ")
    whole = _spdx(licence)
    if whole in known:
        return True
    return any(all(_spdx(one) in known for one in side.split(" AND ")) for side in plain.split(" OR "))


def licence_class(licence: str) -> int:
    """0 permissive, 1 asks for changed files back, 2 for all that is built on it, 3 unknown. Of an OR the least, of an AND the most."""
    plain = licence.replace("(", " ").replace(")", " ")
    return min(max(_class_of(one) for one in side.split(" AND ")) for side in plain.split(" OR "))


def _class_of(licence: str) -> int:
    name = _spdx(licence).lower()
    for rank, names in ((1, _WEAK), (2, _STRONG), (0, _PERMISSIVE)):
        if name.startswith(names):
            return rank
    return 3


def _spdx(licence: str) -> str:
    words = " ".join(licence.split())
    return _WORDS.get(words.lower(), words)
