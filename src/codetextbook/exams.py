"""Exams outside a recipe's run: any model sits them, two results are compared, and what was written is scored again without a model.

Scoring again: two artifacts of one stage with the same inputs and settings, but for those of scoring, hold the same raw completions. So the
parts that cost a model's time are copied into the folder of the new artifact, and the stage goes on from there as if it had been cut
short. The result is byte for byte what a run with a model would have made.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Any

from codetextbook.benchmarks.problems import HELDOUT
from codetextbook.benchmarks.scoring import compare, compare_bits
from codetextbook.errors import InputError
from codetextbook.run import Nobody, Run, Watcher
from codetextbook.stages.contract import Step
from codetextbook.stages.evaluate import EXAM, Exam
from codetextbook.stages.sitting import SCORING
from codetextbook.store import Artifact, Store, atomic

WRITTEN_PARTS = ("references", "written")


def sit(
    run: Run,
    examinee: str,
    *,
    model: str = "",
    benchmarks: tuple[str, ...] = (),
    rescore: bool = False,
    watcher: Watcher | None = None,
) -> Artifact:
    """One model, of any origin, sits the exams of a recipe by the recipe's protocol.

    Raises:
        CodetextbookError: the model cannot be opened, a benchmark is not here, or the server does not answer.
    """
    settings = run.recipe.evaluate.model_dump(mode="json")
    settings["benchmarks"] = benchmarks or [name for name in settings["benchmarks"] if name != HELDOUT]
    cfg = Exam.parse({**settings, "examinee": examinee, "model": model}, where="exam")
    step = Step(EXAM, cfg)
    return score_again(run, step, watcher) if rescore else _watched(run, step, (), watcher)


def compared(store: Store, first: str, second: str) -> dict[str, str]:
    """What paired tests say of two models, by benchmark. Each is the beginning of an id, and `:MODEL` where an artifact has several.

    Raises:
        InputError: no such artifact or model; no benchmark in common, or not by the same protocol.
    """
    one, other = Sat.find(store, first), Sat.find(store, second)
    names = (
        (one.label, other.label) if one.label != other.label else (f"{one.label} (first)", f"{other.label} (second)")
    )
    return {benchmark: pair["words"] for benchmark, pair in paired(one, other, names).items()}


def paired(one: Sat, other: Sat, names: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Two models on the problems that both sat, by benchmark: paired tests on what they solved, and on bits per byte where both are known.

    Raises:
        InputError: no benchmark in common, or not by the same protocol.
    """
    where = f"{one.artifact.id} and {other.artifact.id}"
    if one.protocol != other.protocol:
        raise InputError(
            "the two did not sit by the same protocol, so their scores do not compare",
            where=where,
            hint="--rescore brings extraction and limits in line",
        )
    told = {}
    for benchmark in one.problems:
        if one.problems[benchmark] == other.problems.get(benchmark):
            rows = one.rows("completions", benchmark), other.rows("completions", benchmark)
            problems = sorted({row["task_id"] for row in rows[0]})
            bits = compare_bits(one.rows("references", benchmark), other.rows("references", benchmark))
            told[benchmark] = compare(problems, *rows, names=names) | {"bits_per_byte": bits}
    if not told:
        raise InputError("they sat no benchmark in common", where=where)
    return told


@dataclass(frozen=True)
class Sat:
    """One model in one artifact."""

    artifact: Artifact
    label: str
    protocol: dict[str, Any]
    problems: dict[str, Any]

    @classmethod
    def find(cls, store: Store, key: str) -> Sat:
        """By the beginning of an artifact's id, and `:MODEL` where it has several.

        Raises:
            InputError: no such artifact or model.
        """
        identity, _, model = key.partition(":")
        found = [one for one in store.artifacts() if one.id.startswith(identity) and one.stage in ("exam", "evaluate")]
        if len(found) != 1 or len(identity) < 8:
            raise InputError(
                f"{len(found)} exams have an id that begins {identity!r}",
                where=str(store.root),
                hint="8 digits or more",
            )
        return cls.of(found[0], model)

    @classmethod
    def of(cls, artifact: Artifact, model: str = "") -> Sat:
        """A model of an artifact; the first if none is named.

        Raises:
            InputError: no such model.
        """
        scores = artifact.json("scores")
        models = list(scores["models"])
        if (model or models[0]) not in models:
            raise InputError(
                f"no model {model!r} sat it", where=str(artifact.folder), hint=f"one of {', '.join(models)}"
            )
        told = dict(scores["protocol"])
        problems = told.pop("problems")
        for beside in (
            "judge",
            "dtype",
        ):  # what a model is computed in is the model's affair, who graded it the judge's
            told.pop(beside, None)
        return cls(artifact, model or models[0], told, problems)

    def rows(self, table: str, benchmark: str) -> list[dict[str, Any]]:
        """Its completions or references."""
        rows = self.artifact.table(table).to_pylist()
        return [row for row in rows if row["model"] == self.label and row["benchmark"] == benchmark]


def score_again(run: Run, step: Step, watcher: Watcher | None = None) -> Artifact:
    """The artifact of `step` from an earlier one's raw completions.

    Raises:
        InputError: no earlier artifact has them, or an input of the step is not there.
    """
    store = run.store
    found = store.find(step.stage.name, step.id)
    if found is not None:
        return found
    source = _source(step, store)
    inputs = [store.find(needed.stage.name, needed.id) for needed in step.inputs]
    if any(one is None for one in inputs):
        raise InputError(
            "what was examined is not in the store any more", where=str(store.root), hint="without --rescore"
        )
    with store.writing(step.stage.name, step.id) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        for name in WRITTEN_PARTS:
            for part in source.parts(name):
                with atomic(folder / part.name) as partial:
                    shutil.copyfile(part, partial)
    return _watched(run, step, tuple(one for one in inputs if one is not None), watcher)


def _watched(run: Run, step: Step, inputs: tuple[Artifact, ...], watcher: Watcher | None) -> Artifact:
    """Make a step that is none of the recipe's while someone, or nobody, looks on."""
    watching = watcher or Nobody()
    artifact = run.make_watched(step, inputs, watching)
    watching.finished(step, artifact, True)
    return artifact


def _source(step: Step, store: Store) -> Artifact:
    """The newest artifact whose completions are those of the step."""
    wanted = _of_writing(step.config.model_dump(mode="json"))
    for artifact in reversed(store.artifacts()):
        manifest = artifact.manifest
        if (
            artifact.stage == step.stage.name
            and manifest["inputs"] == step.input_ids
            and _of_writing(manifest["config"]) == wanted
            and artifact.parts("written")
        ):
            return artifact
    raise InputError(
        "nothing was written yet under these settings that could be scored again",
        where=str(store.root / step.stage.name),
        hint=f"without --rescore; only {', '.join(SCORING)} may differ",
    )


def _of_writing(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in SCORING}
