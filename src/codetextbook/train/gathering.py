"""From encoded files to arrays: texts of all files in one table, their tokens gathered in any order, everything counted again.

An encoded file is `00000.npy`, the tokens of its texts one after the other, and `00000.parquet`, a row for each text (`ENCODED`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from codetextbook.errors import StageFailed
from codetextbook.train.mixture import Chosen
from codetextbook.train.tokens import Tokens

ENCODED = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("draw", pa.uint64()),
        ("tokens", pa.int64()),
        ("num_bytes", pa.int64()),
    ]
)
"""An encoded text: `draw` is drawn from seed and id, `tokens` includes the `<|endoftext|>` after it and is 0 if the text is in no array."""


@dataclass(frozen=True)
class Texts:
    """The texts of all encoded files, by number."""

    rows: pa.Table
    """ENCODED."""
    part_n: np.ndarray
    """(n,) name of each text's part."""
    file_n: np.ndarray
    """(n,) number of the file each text is in."""
    start_n: np.ndarray
    """(n,) its first token there."""
    files: tuple[np.ndarray, ...]
    """Tokens of each file, mapped from disk."""

    @classmethod
    def of(cls, folder: Path, parts: Sequence[str]) -> Self:
        """The encoded files of a folder. `parts`: the part that each file is of."""
        tables = [pq.read_table(folder / f"{number:05d}.parquet", partitioning=None) for number in range(len(parts))]
        sizes = [table["tokens"].to_numpy() for table in tables]
        return cls(
            pa.concat_tables([ENCODED.empty_table(), *tables]),
            np.repeat(np.array(parts, dtype=object), [len(size) for size in sizes]).astype(str),
            np.repeat(np.arange(len(parts)), [len(size) for size in sizes]),
            np.concatenate([np.empty(0, np.int64), *(np.cumsum(size) - size for size in sizes)]),
            tuple(np.load(folder / f"{number:05d}.npy", mmap_mode="r") for number in range(len(parts))),
        )

    def column(self, name: str) -> np.ndarray:
        """A column of numbers, (n,)."""
        return self.rows[name].to_numpy()

    def of_split(self, name: str) -> np.ndarray:
        """Numbers of the texts of a split."""
        return np.flatnonzero(pc.equal(self.rows["split"], name).to_numpy())

    def in_order(self, name: str) -> Chosen:
        """Every text of a split once, in the drawn order."""
        text_n = self.of_split(name)
        text_n = text_n[np.lexsort((self.part_n[text_n], self.column("draw")[text_n]))]
        return Chosen(text_n, self.column("tokens")[text_n], np.zeros(len(text_n), np.int64))

    def gather(self, chosen: Chosen, first: int, stop: int, end: int) -> Iterator[np.ndarray]:
        """The tokens `first` to `stop` of the array that the chosen texts make. `end`: the token that a text which was cut ends with."""
        ends = np.cumsum(chosen.tokens_n)
        size_n = self.column("tokens")
        for row in range(int(np.searchsorted(ends, first, side="right")), len(ends)):
            begins = int(ends[row] - chosen.tokens_n[row])
            if begins >= stop:
                return
            text, taken = chosen.text_n[row], int(chosen.tokens_n[row])
            start = int(self.start_n[text])
            tokens = self.files[self.file_n[text]][start : start + taken]
            if taken < size_n[text]:
                tokens = np.concatenate([tokens[:-1], np.array([end], tokens.dtype)])
            yield tokens[max(0, first - begins) : stop - begins]


def reconcile(arrays: Mapping[str, Chosen], texts: Texts, written: Mapping[str, Tokens], end: int) -> dict[str, int]:
    """Count the arrays' tokens and ends on disk, and follow every encoded token: packed, or left out.

    Raises:
        StageFailed: a token was lost or made up.
    """
    size_n = texts.column("tokens")
    packed = sum(int(chosen.tokens_n.sum()) for chosen in arrays.values())
    again = sum(int(chosen.tokens_n[chosen.reading_n > 0].sum()) for chosen in arrays.values())
    left = size_n.copy()
    for chosen in arrays.values():
        once = chosen.reading_n == 0
        left[chosen.text_n[once]] -= chosen.tokens_n[once]
    counts = {"encoded": int(size_n.sum()), "packed": packed, "repeated": again, "left_out": int(left.sum())}
    on_disk = sum(len(tokens) for tokens in written.values())
    ends = sum(tokens.count(end) for tokens in written.values())
    wanted = sum(len(chosen.text_n) for chosen in arrays.values())
    lost = counts["encoded"] + again - packed - counts["left_out"]
    if lost or left.min(initial=0) < 0 or on_disk != packed or ends != wanted:
        raise StageFailed(
            f"tokens do not add up: {counts}, {on_disk:,} on disk; {wanted:,} texts, {ends:,} ends",
            where="[pack]",
            hint="this is a defect of the stage: please report it",
        )
    return counts


def text_rows(name: str, chosen: Chosen, texts: Texts, rows: range, schema: pa.Schema) -> pa.Table:
    """Rows of the table of texts: where each of these texts of an array begins."""
    some = slice(rows.start, rows.stop)
    text_n, tokens_n = chosen.text_n[some], chosen.tokens_n[some]
    taken = texts.rows.take(pa.array(text_n))
    columns: dict[str, Any] = {
        "id": taken["id"],
        "part": texts.part_n[text_n].tolist(),
        "split": [name] * len(text_n),
        "first_token": (np.cumsum(chosen.tokens_n) - chosen.tokens_n)[some],
        "tokens": tokens_n,
        "num_bytes": taken["num_bytes"],
        "reading": chosen.reading_n[some].astype(np.int32),
        "whole": tokens_n == taken["tokens"].to_numpy(),
    }
    return pa.table(columns, schema=schema)
