"""What was read, by the facts that `read` wrote beside the texts: what parses, what is Python 2, what is defined and imported."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from codetextbook.store import Artifact

IMPORTS_SHOWN = 12


def syntax(corpus: Artifact | None) -> dict[str, Any] | None:
    """Counts of Python files, functions and imports; None where `read` wrote no such facts."""
    found, imports = Counter[str](), Counter[str]()
    for part in corpus.parts("facts") if corpus else ():
        columns = ["parses", "python2", "functions", "classes", "imports"]
        table = pq.read_table(part, columns=columns, partitioning=None)
        table = table.filter(pc.is_valid(table["parses"]))
        found["files"] += table.num_rows
        for name in columns[:-1]:
            found[name] += int(pc.sum(table[name]).as_py() or 0)
        for entry in pc.list_flatten(table["imports"]).value_counts().to_pylist():
            imports[entry["values"]] += entry["counts"]
    if not found["files"]:
        return None
    ranked = sorted(
        ((name, count) for name, count in imports.items() if name != "."), key=lambda one: (-one[1], one[0])
    )
    return {
        **{name: found[name] for name in ("files", "parses", "python2", "functions", "classes")},
        "does_not_parse": found["files"] - found["parses"] - found["python2"],
        "imports": [{"package": name, "files": count} for name, count in ranked[:IMPORTS_SHOWN]],
        "other_imports": len(ranked[IMPORTS_SHOWN:]),
    }
