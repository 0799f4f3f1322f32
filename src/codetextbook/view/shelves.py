"""What can be browsed: each shelf is one list, with its columns, what it can be narrowed by, and where its rows lie.

A shelf's rows come from one table of one artifact (`rejected`: of every step), joined with what related artifacts say about them. The join
is written here as SQL over named relations; `library` fills the names in. Texts are not among a shelf's columns: they stay in Parquet
and are read one row at a time.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["text", "path", "short", "tag", "number", "count", "key"]
"""How a column is set: `path` is its name and then its folder, `short` and `tag` are narrow, `tag` is coloured."""


class Column(NamedTuple):
    """A column of a list."""

    name: str
    label: str
    kind: Kind = "text"


class Relation(NamedTuple):
    """A table of another stage's artifact that a shelf is joined with; empty where there is none."""

    stage: str
    table: str
    columns: dict[str, str]
    """Names and DuckDB types; a column that an older artifact lacks is null."""


class Shelf(NamedTuple):
    """One list."""

    name: str
    title: str
    one: str
    """The word for one row."""
    many: str
    stages: tuple[str, ...]
    """Stages whose artifacts have the table; the first is preferred."""
    table: str
    columns: dict[str, str]
    """The table's own columns that the list needs, with their types."""
    select: str
    """Of `own`: the row's key and what the list shows."""
    shown: tuple[Column, ...]
    facets: tuple[str, ...] = ()
    """Columns that a list can be narrowed to one value of."""
    ranges: tuple[str, ...] = ()
    """Numbers that a list can be narrowed to a range of."""
    searched: tuple[str, ...] = ()
    """Columns that a search looks into."""
    texts: tuple[str, ...] = ()
    """Columns of the table, not of the list, that a search in the texts looks into."""
    joined: tuple[tuple[str, Relation], ...] = ()
    join: str = ""
    order: str = ""
    """The column that the list is sorted by at first, with `-` for downwards; the order of the table if empty."""


_DOCUMENT = {"id": "VARCHAR", "source": "VARCHAR", "licence": "VARCHAR", "path": "VARCHAR"}
_SCORES = Relation(
    "curate",
    "scores",
    {"document_id": "VARCHAR", "quality": "DOUBLE", "kept": "BOOLEAN", "out_of_fold": "DOUBLE", "characters": "BIGINT"},
)
_GRADES = Relation(
    "annotate", "grades", {"document_id": "VARCHAR", "score": "DOUBLE", "reason": "VARCHAR", "teacher": "VARCHAR"}
)
_DOCUMENTS = Relation("dedup", "documents", {"id": "VARCHAR", "source": "VARCHAR", "path": "VARCHAR"})
_WITH_SCORES = "LEFT JOIN scores ON scores.document_id = own.{key}"
_GRADED = {"document_id": "VARCHAR", "score": "DOUBLE", "reason": "VARCHAR", "teacher": "VARCHAR"}

DOCUMENTS = Shelf(
    "documents",
    "Documents",
    "document",
    "documents",
    ("dedup", "read"),
    "documents",
    _DOCUMENT,
    """own.id AS key, own.path, own.source, scores.quality, grades.score AS grade, scores.characters,
    CASE WHEN scores.kept THEN 'kept' WHEN scores.kept IS NULL THEN 'not judged' ELSE 'rejected' END AS state,
    CASE WHEN grades.score IS NULL THEN 'no' ELSE 'yes' END AS graded""",
    (
        Column("path", "path", "path"),
        Column("state", "state", "tag"),
        Column("quality", "quality", "number"),
        Column("grade", "grade", "number"),
        Column("characters", "characters", "count"),
        Column("source", "source", "short"),
    ),
    ("state", "source", "graded"),
    ("quality", "grade"),
    ("path", "source", "key"),
    ("text",),
    (("scores", _SCORES), ("grades", _GRADES)),
    _WITH_SCORES.format(key="id") + " LEFT JOIN grades ON grades.document_id = own.id",
)

GRADES = Shelf(
    "grades",
    "Grades",
    "grade",
    "grades",
    ("annotate",),
    "grades",
    _GRADED,
    """own.document_id AS key, own.score AS grade, own.reason[:300] AS reason, own.teacher, documents.path, documents.source,
    scores.quality, scores.out_of_fold, CAST(own.score AS VARCHAR) AS score""",
    (
        Column("reason", "reason"),
        Column("grade", "grade", "number"),
        Column("path", "path", "path"),
        Column("quality", "quality", "number"),
        Column("out_of_fold", "unseen", "number"),
    ),
    ("score", "teacher", "source"),
    ("grade", "quality"),
    ("reason", "path", "key"),
    (),
    (("scores", _SCORES), ("documents", _DOCUMENTS)),
    _WITH_SCORES.format(key="document_id") + " LEFT JOIN documents ON documents.id = own.document_id",
    "-grade",
)

REJECTED = Shelf(
    "rejected",
    "Rejected",
    "rejected row",
    "rejected rows",
    (),
    "rejected",
    {"id": "VARCHAR", "reason": "VARCHAR", "detail": "VARCHAR", "source": "VARCHAR"},
    """own.step || '.' || own.part || '.' || own.file_row_number AS key, own.step, own.reason, own.detail[:300] AS detail,
    own.source, own.id""",
    (
        Column("reason", "reason", "short"),
        Column("step", "step", "short"),
        Column("detail", "detail"),
        Column("source", "source", "short"),
    ),
    ("step", "reason", "source"),
    (),
    ("detail", "source", "id"),
    ("text",),
)

DUPLICATES = Shelf(
    "duplicates",
    "Duplicates",
    "pair",
    "pairs",
    ("dedup",),
    "rejected",
    {
        "id": "VARCHAR",
        "reason": "VARCHAR",
        "detail": "VARCHAR",
        "source": "VARCHAR",
        "keeper": "VARCHAR",
        "similarity": "DOUBLE",
    },
    """own.file_index || '.' || own.file_row_number AS key, own.similarity, own.reason, own.detail[:300] AS detail, own.source,
    own.keeper""",
    (
        Column("detail", "which"),
        Column("similarity", "similarity", "number"),
        Column("reason", "kind", "short"),
    ),
    ("reason", "source"),
    ("similarity",),
    ("detail", "source", "keeper"),
    ("text",),
    order="similarity",
)

PAGES = Shelf(
    "pages",
    "Textbook pages",
    "page",
    "pages",
    ("decontaminate", "textbook"),
    "pages",
    {"id": "VARCHAR", "topic": "VARCHAR", "audience": "VARCHAR", "writer": "VARCHAR"},
    "own.id AS key, own.topic, own.audience, own.writer",
    (
        Column("topic", "topic"),
        Column("audience", "audience"),
        Column("writer", "writer", "short"),
        Column("key", "id", "key"),
    ),
    ("topic", "audience", "writer"),
    (),
    ("topic", "audience", "key"),
    ("text",),
)

EXERCISES = Shelf(
    "exercises",
    "Exercises",
    "exercise",
    "exercises",
    ("decontaminate", "exercises"),
    "exercises",
    {
        "id": "VARCHAR",
        "entry_point": "VARCHAR",
        "topic": "VARCHAR",
        "family": "VARCHAR",
        "writer": "VARCHAR",
        "split": "VARCHAR",
        "verified": "BOOLEAN",
    },
    """own.id AS key, own.entry_point, own.topic, own.family, own.writer, own.split,
    CASE WHEN own.verified THEN 'yes' ELSE 'no' END AS verified""",
    (
        Column("entry_point", "function"),
        Column("topic", "topic"),
        Column("split", "split", "short"),
        Column("writer", "writer", "short"),
        Column("verified", "verified", "number"),
    ),
    ("split", "topic", "writer", "verified"),
    (),
    ("entry_point", "topic", "family", "key"),
    ("prompt", "solution"),
)

MATCHES = Shelf(
    "matches",
    "Matches",
    "match",
    "matches",
    ("decontaminate",),
    "matches",
    {
        "benchmark": "VARCHAR",
        "task_id": "VARCHAR",
        "document_id": "VARCHAR",
        "kind": "VARCHAR",
        "split": "VARCHAR",
        "detector": "VARCHAR",
        "score": "DOUBLE",
        "removed": "BOOLEAN",
        "false_alarm": "BOOLEAN",
    },
    """concat_ws(' ', own.benchmark, own.task_id, own.document_id, own.detector) AS key, own.task_id, own.benchmark, own.detector,
    own.score, own.kind, own.document_id,
    CASE WHEN own.false_alarm THEN 'false alarm' WHEN own.removed THEN 'removed' ELSE 'kept' END AS state""",
    (
        Column("task_id", "problem"),
        Column("state", "state", "tag"),
        Column("score", "score", "number"),
        Column("detector", "detector", "short"),
        Column("kind", "found in", "short"),
        Column("document_id", "text", "key"),
    ),
    ("detector", "kind", "state", "benchmark"),
    ("score",),
    ("task_id", "document_id"),
    ("text_excerpt", "benchmark_excerpt"),
    order="-score",
)

COMPLETIONS = Shelf(
    "completions",
    "Completions",
    "completion",
    "completions",
    ("evaluate",),
    "completions",
    {
        "model": "VARCHAR",
        "benchmark": "VARCHAR",
        "task_id": "VARCHAR",
        "sample": "INTEGER",
        "stop_reason": "VARCHAR",
        "verdict": "VARCHAR",
        "detail": "VARCHAR",
    },
    """concat_ws(' ', own.model, own.benchmark, own.task_id, own.sample) AS key, own.task_id, own.model, own.benchmark, own.sample,
    own.verdict, own.stop_reason, own.detail[:300] AS detail""",
    (
        Column("task_id", "problem"),
        Column("verdict", "verdict", "tag"),
        Column("model", "model", "short"),
        Column("detail", "what happened"),
        Column("benchmark", "benchmark", "short"),
    ),
    ("model", "benchmark", "verdict", "stop_reason"),
    (),
    ("task_id", "detail"),
    ("prompt", "raw"),
)

REVIEW = Shelf(
    "review",
    "Review",
    "document",
    "documents",
    ("annotate",),
    "grades",
    _GRADED,
    """own.document_id AS key, own.score AS grade, own.reason[:300] AS reason, own.teacher, documents.path, documents.source,
    md5(own.document_id) AS shuffled""",
    (
        Column("path", "path", "path"),
        Column("yours", "you", "tag"),
        Column("theirs", "teacher", "number"),
        Column("source", "source", "short"),
    ),
    ("source",),
    (),
    ("path", "source", "key"),
    (),
    (("documents", _DOCUMENTS),),
    "LEFT JOIN documents ON documents.id = own.document_id",
    "shuffled",
)

SHELVES = {
    shelf.name: shelf
    for shelf in (DOCUMENTS, GRADES, REJECTED, DUPLICATES, PAGES, EXERCISES, MATCHES, COMPLETIONS, REVIEW)
}
