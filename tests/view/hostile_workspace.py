"""A workspace whose every text is an attack: on the page, on a terminal, on the eye, on patience."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from codetextbook.nouns import COMPLETION, DOCUMENT, EXERCISE, GRADE, PAGE
from codetextbook.stages.curate import SCORE
from codetextbook.stages.decontaminate import MATCH, PROBLEM
from codetextbook.stages.dedup import DUPLICATE
from codetextbook.store import Store, Writer

SHORT = "</pre></script><script>window.pwned=1</script><img src=x onerror=window.pwned=2>\" onmouseover='window.pwned=3' {{ 7 * 7 }}"
SIGNS = "\x1b[31m\x1b]0;owned\x07 \u202egnp.exe\u202c \u2066\u2069\u200b\u2028\ufeff\U000e0041 \x9b2J"
LONG = "x = '" + "A" * 3_000_000 + "'"
TEXT = f"# {SHORT}\n# {SIGNS}\r\n{LONG}\n" + "\n".join(f"line_{number} = {number}  # ok" for number in range(50_000))
NAMED = f"{SHORT} {SIGNS}"


def hostile_workspace(work: Path) -> Path:
    """A row of each kind, all of them hostile."""
    store = Store(work / "store")
    _made(store, "read", 1, {"documents": [_row(DOCUMENT, id="d")]}, {}, schemas={"documents": DOCUMENT})
    pair = _row(DUPLICATE, id="e", keeper="d", similarity=0.9, detail=5 * NAMED + "THE END", text=TEXT + "\nmore")
    _made(
        store,
        "dedup",
        2,
        {"documents": [_row(DOCUMENT, id="d")], "rejected": [pair]},
        {"documents": _id(1)},
        schemas={"documents": DOCUMENT, "rejected": DUPLICATE},
    )
    grades = {"grades": [_row(GRADE, document_id="d", score=4.0, dollars=0.0)]}
    _made(store, "annotate", 3, grades, {"documents": _id(2)}, schemas={"grades": GRADE})
    score = _row(SCORE, document_id="d", quality=0.5, kept=True, grade=4.0, out_of_fold=0.4, characters=len(TEXT))
    _made(store, "curate", 4, {"scores": [score]}, {"documents": _id(2), "grades": _id(3)}, schemas={"scores": SCORE})
    tables = {
        "pages": [_row(PAGE, id="p", words=[NAMED])],
        "exercises": [_row(EXERCISE, id="x", verified=True)],
        "documents": [_row(DOCUMENT, id="d")],
        "problems": [_row(PROBLEM)],
        "matches": [
            _row(MATCH, document_id="d", kind="document", detector="ast", score=1.0, removed=False, false_alarm=False)
        ],
    }
    schemas = {"pages": PAGE, "exercises": EXERCISE, "matches": MATCH, "documents": DOCUMENT, "problems": PROBLEM}
    _made(store, "decontaminate", 5, tables, {"filtered": _id(4)}, schemas=schemas)
    _made(store, "evaluate", 6, {"completions": [_row(COMPLETION, sample=0)]}, {}, schemas={"completions": COMPLETION})
    return work


def _row(schema: pa.Schema, **values: Any) -> dict[str, Any]:
    long = {"text", "prompt", "solution", "tests", "raw", "extracted", "text_excerpt", "benchmark_excerpt"}
    long |= {"reference"}
    return {name: TEXT if name in long else NAMED for name in schema.names} | {"quality": None} | values


def _made(
    store: Store,
    stage: str,
    number: int,
    tables: dict[str, list[dict[str, Any]]],
    inputs: dict[str, str],
    schemas: dict[str, pa.Schema],
) -> None:
    out = Writer(store.folder(stage, _id(number)))
    for name, rows in tables.items():
        kept = [{key: row[key] for key in schemas[name].names} for row in rows]
        out.table(name, 0, pa.Table.from_pylist(kept, schema=schemas[name]))
    out.flow(rows_in=2, unit="rows", rows_kept=1, rejected={NAMED: 1})
    out.finish({"id": _id(number), "stage": stage, "version": 1, "config": {"note": NAMED}, "inputs": inputs}, 1.0)


def _id(number: int) -> str:
    return f"{number:016x}"
