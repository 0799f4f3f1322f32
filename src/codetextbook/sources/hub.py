"""A Hugging Face data set by its name, or a local folder of one, read as a stream by their `datasets` library (extra `datasets`).

A local folder holds JSON Lines or Parquet, as the hub has them, or what `save_to_disk` wrote, which is mapped into memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from codetextbook.errors import InputError, MissingDependency
from codetextbook.sources.file import Batch, Listed, Source, refused
from codetextbook.sources.rows import LICENCE_COLUMNS, PATH_COLUMNS, TEXT_COLUMNS, Columns, Table

_ROWS_PER_BATCH = 200
_SAVED = ("state.json", "dataset_dict.json")
"""What `save_to_disk` writes into a folder of one split, and of several."""


class Hub(Source):
    """A data set of the Hugging Face hub, or a local copy of one."""

    kind: Literal["hub"] = "hub"
    """This source."""
    dataset: str
    """Its name (`bigcode/the-stack-dedup`), or a local folder."""
    config: str = ""
    """Which of its configurations; empty: its default."""
    split: str = "train"
    """Which split."""
    data_dir: str = ""
    """Which of its folders (The Stack: `data/python`); empty: all."""
    name: str = ""
    """What the source is called in documents; empty: the last part of the data set's name."""
    text_column: str = ""
    """As for `rows`."""
    path_column: str = ""
    """As for `rows`."""
    licence_column: str = ""
    """As for `rows`."""

    def batches(self, scratch: Path) -> Iterator[Batch]:
        """Its rows, in its own order."""
        stream = self._open()
        source = f"hub:{self.name or self.dataset.rstrip('/').rsplit('/', 1)[-1]}"
        columns = Columns(
            (self.text_column,) if self.text_column else TEXT_COLUMNS,
            (self.path_column,) if self.path_column else PATH_COLUMNS,
            (self.licence_column,) if self.licence_column else LICENCE_COLUMNS,
        )
        rows, first = iter(stream), 0
        try:
            while some := list(islice(rows, _ROWS_PER_BATCH)):
                if first == 0 and not set(columns.text) & set(some[0]):
                    raise InputError(
                        f"no column {' or '.join(map(repr, columns.text))}",
                        where=self.dataset,
                        hint=f"text_column = one of {', '.join(sorted(some[0]))}",
                    )
                kept = {name for group in columns for name in group}
                trimmed = [{name: row.get(name) for name in kept} for row in some]
                yield Table(source, first, pa.RecordBatch.from_pylist(trimmed), source, columns)
                first += len(some)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever their reader raises on a damaged shard
            yield Listed((refused(source, f"{source}/{first}", "broken_file", f"after {first} rows: {error}"[:300]),))

    def _open(self) -> Any:
        try:
            import datasets
        except ImportError as error:
            raise MissingDependency(
                "the package `datasets` is not installed",
                where="[read] sources, kind hub",
                hint="pip install 'codetextbook[datasets]'",
            ) from error
        folder = Path(self.dataset).expanduser() / self.data_dir
        try:
            if any((folder / name).is_file() for name in _SAVED):
                return self._chosen(datasets.load_from_disk(str(folder)))
            return datasets.load_dataset(
                self.dataset,
                self.config or None,
                split=self.split,
                data_dir=self.data_dir or None,
                streaming=True,
            )
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"the data set cannot be opened: {error}"[:500],
                where=self.dataset,
                hint="its name, config and split; HF_TOKEN if it is gated; or a local folder",
            ) from error

    def _chosen(self, saved: Any) -> Any:
        """The split of what `save_to_disk` wrote: several splits, or one, which may say its name.

        Raises:
            InputError: it is not there.
        """
        splits = saved if isinstance(saved, dict) else {str(saved.split or self.split): saved}
        if self.split not in splits:
            raise InputError(
                f"no split {self.split!r}", where=self.dataset, hint=f"split = one of {', '.join(sorted(splits))}"
            )
        return splits[self.split]
