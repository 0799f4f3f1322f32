"""What the stage removes at the configured threshold, against comparing all pairs of about 1,000 real files and edits of them.

The oracle shares nothing with the stage but the definition: its own tokens, its own sets, every two of them compared in whole numbers.
A removal is *false* where no survivor is at the threshold to it; a survivor is *missed* where it is at the threshold to another one.
"""

from __future__ import annotations

import random
import re
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.dedup import Dedup, dedup
from codetextbook.stages.read import Folder, Read, read
from codetextbook.store import Store

FILES, MAX_CHARACTERS, TENTHS = 1_000, 20_000, 7


def real_files() -> list[str]:
    """Files of the standard library, spread over all of it."""
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [path for path in sorted(root.rglob("*.py")) if "site-packages" not in path.parts]
    texts = dict.fromkeys(path.read_text(encoding="utf-8", errors="replace") for path in paths)
    fit = [text for text in texts if 200 < len(text) < MAX_CHARACTERS and "\0" not in text]
    return fit[:: max(1, len(fit) // FILES)][:FILES]


def edited(text: str, draw: random.Random) -> str:
    """Lines dropped, doubled, or new, in up to a tenth of the places: from nearly the same to no longer alike."""
    lines = text.splitlines(keepends=True)
    for number in range(draw.randint(1, max(1, len(lines) // 8))):
        place = draw.randrange(len(lines))
        lines[place] = draw.choice(["", lines[place] * 2, f"value_{number} = {draw.random()}\n"])
    return "".join(lines)


def shared_and_united(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of every two texts, how many 5-grams of code tokens both have, and how many either has: two matrices `[texts, texts]`."""
    number_of: dict[tuple[str, ...], int] = {}
    rows, columns = [], []
    for row, text in enumerate(texts):
        tokens = re.findall(r"\w+|[^\w\s]", text)
        length = min(5, len(tokens))
        for run in {tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1)}:
            rows.append(row)
            columns.append(number_of.setdefault(run, len(number_of)))
    ones = np.ones(len(rows), np.int64)
    matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(len(texts), len(number_of)))
    shared = (matrix @ matrix.T).toarray()
    sizes = shared.diagonal()
    return shared, sizes[:, None] + sizes[None, :] - shared


@pytest.mark.slow
def test_precision_and_recall_are_exactly_one_at_the_configured_threshold(tmp_path: Path) -> None:
    assert Dedup().threshold == TENTHS / 10
    folder, draw = tmp_path / "code", random.Random(0)
    folder.mkdir()
    for number, text in enumerate(real_files()):
        (folder / f"{number:04d}.py").write_text(text, encoding="utf-8")
        for copy in range(number % 3 == 0):
            (folder / f"{number:04d}-{copy}.py").write_text(edited(text, draw), encoding="utf-8")
        if number % 100 == 0:
            (folder / f"{number:04d}-copy.py").write_text(text.replace("\n", "\r\n") + "\n\n", encoding="utf-8")
    store, site = Store(tmp_path / "store"), Site(workers=1)
    everything = Read(sources=(Folder(path=str(folder)),), max_files_per_source=9_000, min_characters=0)
    corpus = run_stage(read, everything, store=store, site=site)
    unique = run_stage(dedup, Dedup(), corpus, store=store, site=site)

    documents = {row["id"]: row["text"] for row in corpus.table("documents").to_pylist()}
    place = {identity: number for number, identity in enumerate(documents)}
    assert len(documents) > 1_000
    shared, united = shared_and_united(list(documents.values()))
    alike = (10 * shared >= TENTHS * united) & (united > 0)
    near_misses = (10 * shared < TENTHS * united) & (10 * shared >= (TENTHS - 1) * united) & (united > 0)
    assert np.triu(alike, 1).sum() > 150 and np.triu(near_misses, 1).sum() > 15  # pairs on both sides of the threshold

    kept = np.zeros(len(documents), bool)
    kept[[place[identity] for identity in unique.table("documents")["id"].to_pylist()]] = True
    rows = [row for row in unique.table("rejected").to_pylist() if row["reason"] == "near_duplicate"]
    assert len(rows) == (~kept).sum()
    false = int((~(alike & kept[None, :]).any(axis=1) & ~kept).sum())
    missed = int(((alike & kept[None, :] & ~np.eye(len(kept), dtype=bool)).any(axis=1) & kept).sum())
    right = len(rows) - false
    assert right / len(rows) == 1.0  # precision
    assert right / (right + missed) == 1.0  # recall
    for row in rows:
        own, keeper = place[row["id"]], place[row["keeper"]]
        assert kept[keeper] and row["similarity"] == shared[own, keeper] / united[own, keeper]
    copies = [row for row in unique.table("rejected").to_pylist() if row["reason"] == "exact_copy"]
    assert len(copies) == corpus.rows("documents") - len(documents) >= 10
    assert all(kept[place[row["keeper"]]] or row["keeper"] in {one["id"] for one in rows} for row in copies)
