"""THE page: the paper as data flow. `phi1(recipe)` runs nothing; it returns the steps that `Run.make` keeps.

The paper's experiments are branches of this flow: `codetextbook.experiments`.
"""

from __future__ import annotations

from typing import NamedTuple

from codetextbook.recipe import Recipe
from codetextbook.stages.annotate import annotate
from codetextbook.stages.contract import Step
from codetextbook.stages.curate import curate
from codetextbook.stages.decontaminate import decontaminate
from codetextbook.stages.dedup import dedup
from codetextbook.stages.embed import embed
from codetextbook.stages.evaluate import evaluate
from codetextbook.stages.exercises import exercises
from codetextbook.stages.finetune import finetune
from codetextbook.stages.pack import pack
from codetextbook.stages.pretrain import pretrain
from codetextbook.stages.read import read
from codetextbook.stages.report import report
from codetextbook.stages.select import select
from codetextbook.stages.textbook import textbook
from codetextbook.stages.tokenizer import tokenizer


class Steps(NamedTuple):
    """Every promise of a recipe, in the order of the paper."""

    read: Step
    dedup: Step
    annotate: Step
    embed: Step
    curate: Step
    textbook: Step
    exercises: Step
    decontaminate: Step
    tokenizer: Step
    pack_pretrain: Step
    pretrain: Step
    pack_finetune: Step
    finetune: Step
    select: Step
    evaluate: Step
    report: Step


def phi1(r: Recipe) -> Steps:
    """Textbooks Are All You Need, as data flow. Calling it runs nothing; Run.make does."""
    corpus = read(r.read)
    unique = dedup(r.dedup, corpus)
    grades = annotate(r.annotate, unique)  # §2.1
    vectors = embed(r.embed, unique)  # §2.1
    filtered = curate(r.curate, unique, grades, vectors, *([corpus] if r.read.facts == "syntax" else []))  # §2.1
    pages = textbook(r.textbook, *([filtered] if r.textbook.rewritten else []))  # §2.2
    drills = exercises(r.exercises, *([filtered] if r.exercises.reads_corpus else []))  # §2.2
    clean = decontaminate(r.decontaminate, filtered, pages, drills)  # §5
    vocab = tokenizer(r.tokenizer, clean)
    lessons = pack(r.pack.pretrain, vocab, clean).named("pack_pretrain")  # §2.3, CodeTextbook
    base = pretrain(r.pretrain, vocab, lessons)  # §2.3
    practice = pack(r.pack.finetune, vocab, clean).named("pack_finetune")  # §2.3, CodeExercises
    tuned = finetune(r.finetune, vocab, practice, base)  # §2.3
    best = select(r.select, tuned, clean)
    scores = evaluate(r.evaluate, best, base, clean)  # §3, §4
    real = (corpus, unique, grades, vectors, filtered)
    made = (*real, pages, drills, clean, vocab, lessons, base, practice, tuned, best, scores)
    return Steps(*made, report(r.report, *made))
