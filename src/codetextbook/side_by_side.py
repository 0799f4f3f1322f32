"""Reports of runs that are there: found by what a person calls them, told as Markdown, and set side by side with paired tests.

A run is called by the beginning of its report's id, or by another workspace's folder (its newest report), or by both: `FOLDER:ID`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from codetextbook.charts import versus
from codetextbook.charts.versus import Pair, Side
from codetextbook.errors import CodetextbookError, InputError
from codetextbook.exams import Sat, paired
from codetextbook.store import Artifact, Store


class Reported(NamedTuple):
    """A finished run."""

    label: str
    store: Store
    report: Artifact

    @property
    def side(self) -> Side:
        """For the page of two."""
        return Side(self.label, self.report.id, self.report.json("report"))

    def made_by(self, step: str) -> Artifact | None:
        """The artifact of a step, if it is still in the store."""
        return self.artifacts().get(step)

    def artifacts(self) -> dict[str, Artifact]:
        """The artifacts that the report was made from, by step, that are still there."""
        rows: list[Mapping[str, Any]] = self.report.json("report")["lineage"]
        found = {row["step"]: self.store.find(row["stage"], row["id"]) for row in rows}
        return {step: artifact for step, artifact in found.items() if artifact is not None}


def find(work: Path, called: str) -> Reported:
    """A run by the beginning of its report's id, another workspace's folder, or FOLDER:ID.

    Raises:
        InputError: there is none, or there are several.
    """
    folder, identity = work, called
    if Path(called.rpartition(":")[0] or called).is_dir():
        before, colon, after = called.rpartition(":")
        folder, identity = (Path(before), after) if colon else (Path(called), "")
    store = Store(folder / "store")
    reports = [one for one in store.artifacts() if one.stage == "report" and one.id.startswith(identity)]
    if not reports or (identity and len(reports) > 1):
        raise InputError(
            f"{len(reports) or 'no'} reports are called {called!r}",
            where=str(store.root),
            hint="the beginning of a report's id (codetextbook store ls), or the folder of another workspace",
        )
    return Reported(called, store, reports[-1])


def pairs(first: Reported, second: Reported) -> list[Pair]:
    """Paired tests of the models that have the same place in both runs."""
    exams = [one.made_by("evaluate") for one in (first, second)]
    if exams[0] is None or exams[1] is None:
        return [Pair("best", {}, "The exams of one of the runs are not in its store any more.")]
    if exams[0].id == exams[1].id:
        return [Pair("best", {}, "Both have the same exams: the same models, settings and answers.")]
    models = [one.json("scores")["models"] for one in exams if one is not None]
    found = []
    for model in models[0]:
        if model in models[1]:
            names = (f"{model} of the first", f"{model} of the second")
            try:
                found.append(Pair(model, paired(Sat.of(exams[0], model), Sat.of(exams[1], model), names)))
            except CodetextbookError as error:  # the rest of the page still compares
                found.append(Pair(model, {}, f"{error}."))
    return found


def compare(work: Path, first: str, second: str, form: str) -> str:
    """Two runs side by side, as `md` or `html`.

    Raises:
        InputError: one of them is not there.
    """
    one, other = find(work, first), find(work, second)
    render = versus.markdown if form == "md" else versus.page
    return render(one.side, other.side, pairs(one, other))


def page(report: Artifact) -> str:
    """A finished report drawn anew: with the ablation that may have been made since."""
    from codetextbook.charts import ablated, render, timing

    reported = Reported(report.id, Store(report.folder.parent.parent), report)
    made = reported.artifacts()
    title = report.manifest["config"]["title"]
    return render(report.json("report"), title=title, timing=timing(made), ablation=ablated.find(reported.store, made))


def markdown(report: Artifact) -> str:
    """A finished report as Markdown."""
    from codetextbook.charts import summary, timing

    reported = Reported(report.id, Store(report.folder.parent.parent), report)
    title = report.manifest["config"]["title"]
    return summary.markdown(report.json("report"), title=title, timing=timing(reported.artifacts()))
