"""Why the filter kept a document or did not: its grade or predicted quality, the line and its rule, and the graded documents nearest to it.

Read from finished artifacts alone: `curate` has the judgement, and its inputs the grades and the vectors. Nothing is computed anew but
distances. Limit: the newest `curate` that judged the document answers; the ids of older ones are named by `codetextbook store ls`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from codetextbook.store import Artifact, Store

NEIGHBOURS = 5


class Neighbour(NamedTuple):
    """A graded document near to another one."""

    document_id: str
    similarity: float
    """Cosine of the two vectors."""
    score: float
    reason: str


def judgement(store: Store, document: str) -> list[str]:
    """What the newest filter says of a document, by the beginning of its id; nothing where none has judged it."""
    for curated in reversed([artifact for artifact in store.artifacts() if artifact.stage == "curate"]):
        hits = _beginning(curated.table("scores"), "document_id", document)
        if hits.num_rows:
            return _told(store, curated, hits.to_pylist()[0])
    return []


def _told(store: Store, curated: Artifact, score: dict[str, Any]) -> list[str]:
    record, identity = curated.json("quality"), score["document_id"]
    inputs = {name: store.find(stage, curated.manifest["inputs"].get(name, "")) for name, stage in _INPUTS.items()}
    grades = (
        {row["document_id"]: row for row in inputs["grades"].table("grades").to_pylist()} if inputs["grades"] else {}
    )
    good_from, own = record["graded"]["good_from"], grades.get(identity)
    lines = [f"judged by curate {curated.id}:"]
    if own is not None:
        lines.append(f"  graded {own['score']:g} by {own['teacher']}: {own['reason'] or 'no reason is known'}")
        if score["out_of_fold"] is not None:
            lines.append(
                f"  forests that had not seen this grade: {score['out_of_fold']:.3f} likely to be {good_from:g} or more"
            )
    else:
        lines.append(f"  not graded; {score['quality']:.3f} likely to be graded {good_from:g} or more")
    side = "kept: its quality of {:.4f} reaches" if score["kept"] else "not kept: its quality of {:.4f} is under"
    lines.append(f"  {side.format(score['quality'])} the threshold of {record['threshold']:.4f} ({record['rule']})")
    near = neighbours(inputs["vectors"], grades, identity) if inputs["vectors"] else []
    paths = _paths(inputs["documents"], [one.document_id for one in near])
    lines += [
        f"  near: {one.document_id[:12]}  cosine {one.similarity:.3f}  graded {one.score:g}  {paths.get(one.document_id, '')}  {one.reason}"
        for one in near
    ]
    return lines


_INPUTS = {"documents": "dedup", "grades": "annotate", "vectors": "embed"}
"""The inputs of `curate`, and the stages that make them."""


def neighbours(embedded: Artifact, grades: dict[str, dict[str, Any]], identity: str) -> list[Neighbour]:
    """The graded documents whose vectors lie nearest to a document's, itself left out."""
    table = embedded.table("vectors")
    ids = table["document_id"].to_pylist()
    if identity not in ids:
        return []
    flat = pa.concat_arrays(table["vector"].chunks)
    matrix = flat.flatten().to_numpy().reshape(len(flat), flat.type.list_size)
    others = [place for place, other in enumerate(ids) if other in grades and other != identity]
    rows = _unit(matrix[[ids.index(identity), *others]].astype(np.float32))
    cosines = rows[1:] @ rows[0]
    found = []
    for place in np.argsort(-cosines, kind="stable")[:NEIGHBOURS].tolist():
        row = grades[ids[others[place]]]
        found.append(Neighbour(row["document_id"], float(cosines[place]), row["score"], row["reason"]))
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: np.ndarray = rows / np.maximum(lengths, 1e-12)
    return result


def _paths(documents: Artifact | None, ids: list[str]) -> dict[str, str]:
    if documents is None:
        return {}
    table = documents.table("documents").select(["id", "path"])
    found = table.filter(pc.is_in(table["id"], value_set=pa.array(ids, pa.string())))
    return dict(zip(found["id"].to_pylist(), found["path"].to_pylist(), strict=True))


def _beginning(table: pa.Table, column: str, start: str) -> pa.Table:
    return table.filter(pc.starts_with(table[column], start))
