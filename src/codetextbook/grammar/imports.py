"""The modules that the catalogue's programs use: how they are imported at the top of an exercise, and what they are when one is run."""

from __future__ import annotations

import bisect
import collections
import datetime
import functools
import itertools
import math
import re
import statistics
from typing import Any

_FROM = {
    "bisect": (bisect, ("bisect_left", "bisect_right")),
    "collections": (collections, ("Counter", "deque")),
    "datetime": (datetime, ("date", "timedelta")),
    "functools": (functools, ("reduce",)),
    "itertools": (itertools, ("accumulate", "combinations", "groupby", "permutations", "product")),
    "statistics": (statistics, ("median",)),
}
_WHOLE = {"math": math, "re": re}

NAMES: dict[str, Any] = {
    **_WHOLE,
    **{name: getattr(module, name) for module, names in _FROM.values() for name in names},
}
"""What a program of the grammar finds when it runs."""

_HOME = {name: home for home, (_, names) in _FROM.items() for name in names}
_USES = re.compile(rf"(?<![\w.'\"])(?:({'|'.join(_WHOLE)})\.|({'|'.join(sorted(_HOME))})(?:\(|\.from))")


def lines_for(code: str) -> list[str]:
    """The import lines that a function's body needs, in order."""
    whole: set[str] = set()
    named: dict[str, set[str]] = {}
    for module, name in _USES.findall(code):
        if module:
            whole.add(module)
        else:
            named.setdefault(_HOME[name], set()).add(name)
    lines = [f"import {module}" for module in sorted(whole)]
    return lines + [f"from {home} import {', '.join(sorted(names))}" for home, names in sorted(named.items())]
