"""Remove exact and near duplicates (paper §2.1 reads The Stack after others deduplicated it; the way here is ours).

Exact: equal `id` (text after newlines and trailing space are spelt one way). Near: exact Jaccard similarity of code-token 5-grams, for
candidates that loose MinHash bands propose; greedily, the longest (or the best licensed) stays, and only what is at the threshold to
something that stays is removed. Every removal names its keeper and its similarity. Published recipes treat a shared band as proof and close
transitively; against comparing all pairs that removes up to seven unlike files for each like one (`python -m benchmarks.dedup`).

Memory is flat: texts are read part by part, shingles and bands lie on disk, and one band is sorted at a time; about 100 bytes a document
are held. With `keep_index` the artifact holds what a later batch is compared with, so that no old text is read again (`against`).

Limit: texts that are alike, yet below the threshold, are compared with each other: ten thousand variants of one template are slow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from codetextbook.config import Config
from codetextbook.errors import InputError, StageFailed
from codetextbook.nouns import DOCUMENT, REJECTED
from codetextbook.shards import to_table
from codetextbook.shelf import Shelf
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import MANIFEST, Artifact, Writer
from codetextbook.text.licences import licence_class
from codetextbook.text.minhash import HASHES, band_keys, buckets_of, hashes_per_band, near_duplicates
from codetextbook.text.shingles import Hashes, shingle_all

ROWS_PER_PART = 2_000
TEXTS_PER_TASK = 64
CLUSTERS_TOLD = 10
WIPED_OUT_FROM_DOCUMENTS = 100

DUPLICATE = REJECTED.append(pa.field("keeper", pa.string())).append(pa.field("similarity", pa.float64()))
"""A removed document, the id of the one that stays, and their Jaccard similarity (1 for exact copies)."""

INDEX = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("bands", pa.list_(pa.uint64())),
        ("shingles", pa.list_(pa.uint64())),
    ]
)
"""What a later batch needs of a kept document in order to be compared with it."""


class Dedup(Config):
    """What counts as the same file."""

    threshold: float = Field(default=0.7, ge=0.3, le=1.0)
    """Jaccard similarity of code-token 5-grams from which two files are the same (BigCode and datatrove use 0.7 to 0.85)."""
    seed: int = 0
    """Seed of the MinHash functions; it can change which pairs are compared, never the verdict on a pair."""
    keep: Literal["longest", "best_licensed"] = "longest"
    """Which of several files stays; `best_licensed`: permissive before copyleft before unknown, and the longest of these."""
    wiped_out_share: float = Field(default=0.9, ge=0.0, le=1.0)
    """A source of 100 documents or more that loses a larger share stops the run (ours: it is a broken source more often than a copy)."""
    accept_wiped_out: tuple[str, ...] = ()
    """Sources that may lose everything: the explicit yes."""
    keep_index: bool = False
    """Write the table `index` too, about as large as the texts, so that a later batch can be compared with this one."""
    against: tuple[str, ...] = ()
    """Ids of `dedup` artifacts of this store, made with `keep_index`: what is like their documents is removed, theirs stay."""


class Corpus(NamedTuple):
    """What is known of all documents at once: those of earlier artifacts first, then the ones that came in."""

    ids: NDArray[np.uint64]
    """Two columns: the 128 bits of each id."""
    classes: NDArray[np.uint8]
    """Rank of each licence, 0 where it does not matter."""
    old: int
    """How many are of earlier artifacts."""


@dataclass
class Fates:
    """For each document what it is like; -1 where it stays."""

    keeper: NDArray[np.int64]
    similarity: NDArray[np.float64]
    is_copy: NDArray[np.bool_]
    labels: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    """Id, source and path of each keeper."""


def packed(ids: Sequence[str]) -> NDArray[np.uint64]:
    """32 hexadecimal digits each as two numbers that sort as the digits do."""
    return np.frombuffer(bytearray.fromhex("".join(ids)), ">u8").reshape(len(ids), 2).astype(np.uint64)


def exact_copies(corpus: Corpus) -> NDArray[np.int64]:
    """For each document the number of the one that it repeats (the best licensed, then the first); -1 for those that repeat none."""
    numbers = np.arange(len(corpus.ids))
    order = np.lexsort((numbers, corpus.classes, numbers >= corpus.old, corpus.ids[:, 1], corpus.ids[:, 0]))
    ids = corpus.ids[order]
    is_first = np.concatenate(([True], (ids[1:] != ids[:-1]).any(axis=1)))[: len(ids)]
    firsts = order[np.flatnonzero(is_first)][np.cumsum(is_first) - 1]
    found = np.full(len(ids), -1, np.int64)
    found[order[~is_first]] = firsts[~is_first]
    return found


class _Keys:
    """Ids as numbers that can be compared."""

    def __init__(self, ids: NDArray[np.uint64]) -> None:
        self._ids = ids

    def __getitem__(self, number: int, /) -> tuple[int, ...]:
        return tuple(self._ids[number].tolist())


def _shingle(texts: list[str], seed: int, per_band: int) -> tuple[list[Hashes], NDArray[np.uint64]]:
    sets = shingle_all(texts)
    return sets, band_keys(sets, seed, per_band)


def _indices(cfg: Dedup, out: Writer) -> list[Path]:
    """The index parts of earlier artifacts."""
    found = []
    for artifact_id in cfg.against:
        folder = out.folder.parent / artifact_id
        parts = Artifact(folder).parts("index") if (folder / MANIFEST).exists() else []
        if not parts:
            raise InputError(
                f"no index in dedup artifact {artifact_id!r}",
                where="[dedup] against",
                hint="an id that `codetextbook store ls` shows, of a run with keep_index = true",
            )
        made = Artifact(folder).manifest
        theirs = made["config"]["threshold"], made["config"]["seed"], made["version"]
        if theirs != (cfg.threshold, cfg.seed, dedup.version):
            raise InputError(
                f"dedup artifact {artifact_id!r} was made with threshold {theirs[0]}, seed {theirs[1]}, version {theirs[2]}",
                where="[dedup] against",
                hint=f"the same threshold and seed for both; version {dedup.version} of the stage, made anew where it is older",
            )
        found += parts
    return found


def _corpus(cfg: Dedup, indices: Sequence[Path], parts: Sequence[Path]) -> Corpus:
    ids, classes = [np.zeros((0, 2), np.uint64)], [np.zeros(0, np.uint8)]
    for path in (*indices, *parts):
        columns = ["id", "licence"] if cfg.keep == "best_licensed" and path in parts else ["id"]
        table = pq.read_table(path, columns=columns, partitioning=None)
        ids.append(packed(table["id"].to_pylist()))
        ranks = [licence_class(one) for one in table["licence"].to_pylist()] if "licence" in columns else 0
        classes.append(np.broadcast_to(np.array(ranks, np.uint8), len(table)))
    old = sum(pq.read_metadata(path).num_rows for path in indices)
    return Corpus(np.concatenate(ids), np.concatenate(classes), old)


def _fill(
    cfg: Dedup, shelf: Shelf, indices: Sequence[Path], parts: Sequence[Path], corpus: Corpus, copies: Any, run: Any
) -> None:
    """Put every document that repeats none onto the shelf: earlier ones from their index, new ones from their text."""
    names = []
    for number, path in enumerate(indices):
        names.append(f"old-{number:05d}")
        if not shelf.has(names[-1]):
            table = pq.read_table(path, columns=["bands", "shingles"], partitioning=None)
            old = [np.array(one, np.uint64) for one in table["shingles"].to_pylist()]
            old_bands = np.array(table["bands"].to_pylist(), np.uint64).reshape(len(old), -1).T
            shelf.put(names[-1], old, np.ascontiguousarray(old_bands))
    spans = _spans(parts, corpus.old)
    new = [f"new-{number:05d}" for number in range(len(parts))]
    lacking = [place for place, name in enumerate(new) if not shelf.has(name)]
    per_band = hashes_per_band(cfg.threshold)
    done = run(
        partial(_shingle, seed=cfg.seed, per_band=per_band),
        _tasks([(parts[one], spans[one]) for one in lacking], copies),
    )
    for place in lacking:
        wanted = int((copies[spans[place].start : spans[place].stop] < 0).sum())
        sets: list[Hashes] = []
        bands = [band_keys([], cfg.seed, per_band)]
        while len(sets) < wanted:
            some, keys = next(done)
            sets += some
            bands.append(keys)
        shelf.put(new[place], sets, np.concatenate(bands, axis=1))
    shelf.open([*names, *new])


def _spans(parts: Sequence[Path], first: int) -> list[range]:
    """Numbers of the documents of each part."""
    spans = []
    for path in parts:
        count = pq.read_metadata(path).num_rows
        spans.append(range(first, first + count))
        first += count
    return spans


def _tasks(parts: Sequence[tuple[Path, range]], copies: NDArray[np.int64]) -> Iterator[list[str]]:
    for path, span in parts:
        column = pq.read_table(path, columns=["text"], partitioning=None)["text"]
        texts = column.filter(pa.array(copies[span.start : span.stop] < 0))
        for start in range(0, len(texts), TEXTS_PER_TASK):
            yield texts.slice(start, TEXTS_PER_TASK).to_pylist()


def judge(cfg: Dedup, corpus: Corpus, copies: NDArray[np.int64], shelf: Shelf) -> Fates:
    """What becomes of each document."""
    unique = np.flatnonzero((copies < 0) | (np.arange(len(copies)) < corpus.old))
    own = corpus.ids[unique]
    classes = corpus.classes[unique] if cfg.keep == "best_licensed" else np.zeros(len(unique), np.uint8)
    rank = (classes, -shelf.sizes, own[:, 0], own[:, 1])
    buckets = buckets_of(shelf.band, HASHES // hashes_per_band(cfg.threshold), len(unique))
    removals = near_duplicates(shelf, shelf.sizes, _Keys(own), buckets, rank, cfg.threshold, settled=corpus.old)
    fates = Fates(copies.copy(), np.ones(len(copies)), copies >= 0)
    fates.keeper[: corpus.old] = -1
    for removal in removals:
        fates.keeper[unique[removal.removed]] = unique[removal.keeper]
        fates.similarity[unique[removal.removed]] = removal.similarity
    return fates


def _label(fates: Fates, paths: Sequence[tuple[Path, range]]) -> None:
    """Look up what the keepers are called."""
    keepers = np.unique(fates.keeper[fates.keeper >= 0])
    for path, span in paths:
        own = keepers[np.searchsorted(keepers, span.start) : np.searchsorted(keepers, span.stop)]
        if len(own):
            table = pq.read_table(path, columns=["id", "source", "path"], partitioning=None).take(own - span.start)
            labels = zip(*(table[name].to_pylist() for name in ("id", "source", "path")), strict=True)
            fates.labels.update(zip(own.tolist(), labels, strict=True))


def _removal(document: dict[str, Any], number: int, fates: Fates) -> dict[str, Any]:
    keeper, source, path = fates.labels[int(fates.keeper[number])]
    return {
        "id": document["id"],
        "reason": "exact_copy" if fates.is_copy[number] else "near_duplicate",
        "detail": f"{document['path']} is like {source} {path}",
        "text": document["text"],
        "source": document["source"],
        "keeper": keeper,
        "similarity": float(fates.similarity[number]),
    }


class _Output:
    """Cuts what stays and what goes into parts of `ROWS_PER_PART`."""

    def __init__(self, out: Writer) -> None:
        self._out = out
        self._tables = {"documents": DOCUMENT.empty_table(), "rejected": DUPLICATE.empty_table()}
        self._index = {"documents": 0, "rejected": 0}

    def add(self, name: str, table: pa.Table) -> list[pa.Table]:
        """More rows of a table; the parts that were written."""
        table = pa.concat_tables([self._tables[name], table])
        parts = []
        while len(table) >= ROWS_PER_PART:
            parts.append(self._write(name, table.slice(0, ROWS_PER_PART)))
            table = table.slice(ROWS_PER_PART)
        self._tables[name] = table
        return parts

    def close(self, name: str) -> list[pa.Table]:
        """Write what is left; a table has at least one part."""
        left = self._tables[name]
        return [self._write(name, left)] if len(left) or self._index[name] == 0 else []

    def _write(self, name: str, part: pa.Table) -> pa.Table:
        part = part.combine_chunks()
        self._out.table(name, self._index[name], part)
        self._index[name] += 1
        return part


class _Indexer:
    """Writes the index of kept documents, part by part beside them."""

    def __init__(self, out: Writer, shelf: Shelf, kept: NDArray[np.int64], bands: int) -> None:
        self._out, self._shelf, self._kept, self._bands = out, shelf, kept, bands
        self._done = self._index = 0

    def add(self, parts: Sequence[pa.Table]) -> None:
        """The index of these documents, which are the next that were kept."""
        for part in parts:
            rows = part.select(["id", "source", "path"]).to_pylist()
            numbers = self._kept[self._done : self._done + len(rows)]
            bands = np.stack([self._shelf.band(band)[numbers] for band in range(self._bands)], axis=1)
            for row, number, own in zip(rows, numbers.tolist(), bands, strict=True):
                row |= {"bands": own, "shingles": self._shelf[number]}
            self._out.table("index", self._index, to_table(rows, INDEX))
            self._done, self._index = self._done + len(rows), self._index + 1


def told(cfg: Dedup, sources: Counter[str], removed: Counter[str], clusters: Counter[str]) -> dict[str, Any]:
    """Facts about what was removed.

    Raises:
        StageFailed: nearly all of a source went, and nobody has said yes to that.
    """
    shares = {name: removed[name] / total for name, total in sorted(sources.items())}
    for name, share in shares.items():
        large = sources[name] >= WIPED_OUT_FROM_DOCUMENTS
        if large and share > cfg.wiped_out_share and name not in cfg.accept_wiped_out:
            raise StageFailed(
                f"source {name!r} loses {removed[name]:,} of {sources[name]:,} documents as duplicates",
                where="[dedup] wiped_out_share",
                hint=f"look at its files; if it is a copy indeed: accept_wiped_out = [{name!r}]",
            )
    largest = sorted(clusters.items(), key=lambda item: (-item[1], item[0]))[:CLUSTERS_TOLD]
    return {
        "largest_cluster": 1 + max(clusters.values(), default=0),
        "largest_clusters": [{"keeper": keeper, "documents": 1 + count} for keeper, count in largest],
        "share_removed_by_source": {name: round(share, 4) for name, share in shares.items()},
    }


def _tell(cfg: Dedup, out: Writer, paths: Sequence[tuple[Path, range]], fates: Fates) -> None:
    sources: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    for path, span in paths:
        column = pq.read_table(path, columns=["source"], partitioning=None)["source"]
        sources.update(column.to_pylist())
        removed.update(column.filter(pa.array(fates.keeper[span.start : span.stop] >= 0)).to_pylist())
    counts = Counter(fates.keeper[fates.keeper >= 0].tolist())
    clusters = Counter({fates.labels[keeper][0]: count for keeper, count in counts.items()})
    for key, value in told(cfg, sources, removed, clusters).items():
        out.fact(key, value)


@stage(version=3)
def dedup(cfg: Dedup, documents: Artifact, *, out: Writer, site: Site) -> None:
    """Documents to documents that differ."""
    indices, parts = _indices(cfg, out), documents.parts("documents")
    corpus = _corpus(cfg, indices, parts)
    copies = exact_copies(corpus)
    total = len(copies) - corpus.old
    shelf = Shelf(out.scratch / "shelf")
    _fill(cfg, shelf, indices, parts, corpus, copies, site.engine().map)
    out.progress(total // 2, total, "documents")
    fates = judge(cfg, corpus, copies, shelf)
    new = list(zip(parts, _spans(parts, corpus.old), strict=True))
    _label(fates, [*zip(indices, _spans(indices, 0), strict=True), *new])
    _tell(cfg, out, new, fates)
    output = _Output(out)
    numbers = np.cumsum((copies < 0) | (np.arange(len(copies)) < corpus.old)) - 1
    kept = np.flatnonzero((fates.keeper < 0) & (np.arange(len(copies)) >= corpus.old))
    indexer = _Indexer(out, shelf, numbers[kept], HASHES // hashes_per_band(cfg.threshold)) if cfg.keep_index else None
    for path, span in new:
        table = pq.read_table(path, partitioning=None)
        gone = fates.keeper[span.start : span.stop] >= 0
        places = np.flatnonzero(gone)
        rows = zip(table.take(places).to_pylist(), (places + span.start).tolist(), strict=True)
        output.add("rejected", to_table([_removal(row, number, fates) for row, number in rows], DUPLICATE))
        written = output.add("documents", table.filter(pa.array(~gone)).cast(DOCUMENT))
        if indexer:
            indexer.add(written)
        out.progress(total // 2 + (span.stop - corpus.old) // 2, total, "documents")
    written = output.close("documents")
    output.close("rejected")
    if indexer:
        indexer.add(written)
    out.flow(rows_in=total, unit="documents")
