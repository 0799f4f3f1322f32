"""One row, looked at closely: what its template needs beyond the row itself.

A document's page gathers all that the run says of it; a pair of duplicates is a diff; a match has both sides, first where they meet, with
the words in common, then whole.
"""

from __future__ import annotations

import difflib
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
from markupsafe import Markup

from codetextbook.benchmarks.alarms import Alarm
from codetextbook.store import Artifact
from codetextbook.view.catalog import Catalog
from codetextbook.view.harmless import LINE_CHARACTERS, Lines, harmless, lines, signed
from codetextbook.view.library import Ask, Library, Light
from codetextbook.view.review import Alarms, Ledger
from codetextbook.view.shelves import DOCUMENTS, EXERCISES, GRADES, PAGES, REJECTED

DIFF_LINES = 1_500
"""Of either side; a comparison takes time by the product of both."""
CONTEXT_LINES = 3
_SHELF_OF = {"document": DOCUMENTS, "page": PAGES, "exercise": EXERCISES}
"""By the kind of a matched text, the shelf that it stands on if it was kept."""


class Change(NamedTuple):
    """One line of a diff."""

    kind: str
    """"same", "gone" (only in the removed text), "kept" (only in the text that stays) or "gap"."""
    text: Markup


class Desk:
    """Where rows are laid out to be looked at."""

    def __init__(self, catalog: Catalog, library: Library, ledger: Ledger, alarms: Alarms) -> None:
        self.catalog, self.library, self.ledger, self.alarms = catalog, library, ledger, alarms

    def lay_out(self, light: Light, key: str, start: int) -> dict[str, Any] | None:
        """What the template of a row is given; `start` is the first line shown of a long text. None where there is no such row."""
        row = self.library.row(light, key)
        if row is None:
            return None
        more = getattr(self, f"_{light.shelf.name}", self._plain)(light, row, start)
        return {"row": row, "key": key} | more

    def _plain(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        return {"code": lines(row["text"], start=start)} if isinstance(row.get("text"), str) else {}

    def _documents(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        return self._plain(light, row, start) | {
            "graded": self._teacher(light.artifact, row["key"]),
            "yours": self.ledger.grades().get(row["key"]),
            "refused": [
                one for one in self._refusals(row["key"]) if one["reason"] != "exact_copy"
            ],  # that was its copy
        }

    def _grades(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        document = self._document(light.artifact, row["key"])
        code = lines(document["text"], start=start) if document else None
        return {"code": code, "yours": self.ledger.grades().get(row["key"])}

    _review = _grades

    def _pages(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        return {"code": lines(row["text"], prose=True, start=start)}

    def _exercises(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        return {"program": lines(row["prompt"] + row["solution"]), "tests": lines(row["tests"])}

    def _duplicates(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        keeper = self._document(light.artifact, row["keeper"])
        if keeper is None:
            return {"changes": None}
        cut = max(text.count("\n") for text in (row["text"], keeper["text"])) > DIFF_LINES
        return {"changes": changes(row["text"], keeper["text"]), "cut": DIFF_LINES if cut else 0}

    def _matches(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        alarm = Alarm(*(row[name] for name in Alarm._fields))
        shared = row.get("shared") or ""
        return {
            "mark": self.alarms.marks().get(alarm),
            "ours": marked(row["text_excerpt"], shared),
            "theirs": marked(row["benchmark_excerpt"], shared),
            "text": self._matched_text(light.artifact, row, start),
            "problem": self._problem(light.artifact, row["benchmark"], row["task_id"]),
        }

    def _matched_text(self, artifact: Artifact | None, row: dict[str, Any], start: int) -> Lines | None:
        """The whole text of a match: kept in the artifact itself, or among what it rejected."""
        shelf = _SHELF_OF.get(row["kind"])
        kept = self.library.light(shelf, artifact) if shelf else None
        whole = self.library.row(kept, row["document_id"]) if kept else None
        if whole is None:
            rejected = self.library.light(REJECTED, None)
            refused = [one for one in self._refusals(row["document_id"]) if one["step"].startswith("decontaminate")]
            whole = self.library.row(rejected, refused[0]["key"]) if rejected and refused else None
        if whole is None:
            return None
        text = whole["text"] if "text" in whole else whole["prompt"] + whole["solution"]
        return lines(text, prose=row["kind"] == "page", start=start)

    def _problem(self, artifact: Artifact | None, benchmark: str, task_id: str) -> Lines | None:
        """The whole problem, prompt and reference; none in an artifact from before it held them."""
        wanted = (pc.field("benchmark") == benchmark) & (pc.field("task_id") == task_id)
        for part in self.catalog.parts(artifact, "problems") if artifact else ():
            for problem in pq.read_table(part, partitioning=None, filters=wanted).to_pylist():
                return lines(problem["prompt"] + problem["reference"])
        return None

    def _rejected(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        every = self.catalog.of("dedup")
        documents = self.library.light(DOCUMENTS, every[0]) if every else None
        there = documents is not None and bool(self.library.values(documents, "key", [row["id"]]))
        return self._plain(light, row, start) | {"is_document": there}

    def _completions(self, light: Light, row: dict[str, Any], start: int) -> dict[str, Any]:
        others = self.library.rows(light, Ask(exact={"benchmark": row["benchmark"], "task_id": row["task_id"]})).rows
        return {
            "prompt": lines(row["prompt"]),
            "raw": lines(row["raw"], start=start),
            "extracted": lines(row["extracted"]),
            "others": [other for other in others if other["key"] != row["key"]],
        }

    def _document(self, artifact: Artifact | None, key: str) -> dict[str, Any] | None:
        """A document of the same run, by its id."""
        found = artifact if artifact is None or artifact.stage == "dedup" else self.catalog.related(artifact, "dedup")
        light = self.library.light(DOCUMENTS, found) if found else None
        return self.library.row(light, key) if light else None

    def _teacher(self, artifact: Artifact | None, key: str) -> dict[str, Any] | None:
        """What the teacher said of a document."""
        found = self.catalog.related(artifact, "annotate") if artifact else None
        light = self.library.light(GRADES, found) if found else None
        return self.library.row(light, key) if light else None

    def _refusals(self, key: str) -> list[dict[str, Any]]:
        """Steps that rejected a document, and why."""
        light = self.library.light(REJECTED, None)
        return self.library.rows(light, Ask(exact={"id": key})).rows if light else []


def changes(removed: str, kept: str) -> list[Change]:
    """A diff by lines, with runs of equal lines cut short."""
    before, after = (_some_lines(text) for text in (removed, kept))
    found: list[Change] = []
    groups = difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(CONTEXT_LINES)
    for group in groups:
        found.append(Change("gap", Markup("removed line {}, kept line {}").format(group[0][1] + 1, group[0][3] + 1)))
        for tag, first, last, other_first, other_last in group:
            if tag == "equal":
                found += [Change("same", signed(line)) for line in before[first:last]]
            else:
                found += [Change("gone", signed(line)) for line in before[first:last]]
                found += [Change("kept", signed(line)) for line in after[other_first:other_last]]
    return found


def marked(text: str, shared: str) -> Lines:
    """Lines of an excerpt, with the words in common marked where they stand there in the same spelling."""
    place = text.find(shared) if shared else -1
    if place < 0:
        return lines(text)
    inside = harmless(text[place : place + len(shared)]).split("\n")
    before, after = text[:place], text[place + len(shared) :]
    marks = Markup("\n").join(Markup("<mark>{}</mark>").format(signed(part)) for part in inside)
    shown = (signed(before) + marks + signed(after)).split("\n")
    return Lines(1, [Markup(line) for line in shown], len(shown))


def _some_lines(text: str) -> list[str]:
    return [line[:LINE_CHARACTERS] for line in text.replace("\r\n", "\n").split("\n")[:DIFF_LINES]]
