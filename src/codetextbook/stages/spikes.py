"""Does finetuning on exercises improve what the exercises do not hold? The paper's §3, with controls.

The paper shows single prompts: after finetuning, phi-1 uses libraries that no exercise imports. Here a concept is a family of the grammar
that textbooks explain and no exercise touches, held out by construction; the measure is what solutions of such a family cost the model.

Five questions, each over seeds. Does finetuning on the other exercises help (FT to FTX)? Does it help more than the mere form of an
exercise (FTS to FTX: the same exercises with each other's solutions)? Does the textbook help (M to FT: pages silent on the concept), and
after finetuning still (MX to FTX)? And what a spike is: does finetuning bring out more where the textbook had spoken (the gain of FT over
that of M)?

Limit: bits per byte stand in for skill, since so small a model solves next to nothing; and only the grammar's held-out families are asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from codetextbook.benchmarks.arms import TOLD, Key, costs, solved
from codetextbook.benchmarks.seeds import Scores, effect, holm, in_words, mean_interval
from codetextbook.config import Config
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer

CONCEPTS = "heldout"
ARMS = ("M", "MX", "FT", "FTS", "FTX")
QUESTIONS = (("FT", "FTX"), ("FTS", "FTX"), ("M", "FT"), ("MX", "FTX"))


class Spikes(Config):
    """What is gathered."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of every arm; the first of [ablate] seeds."""

    @property
    def wanted(self) -> list[Key]:
        """What the experiment gathers, in order."""
        return [
            Key(arm, seed, kind)
            for seed in self.seeds
            for arm in ARMS
            for kind in (("perplexity", "examine") if arm.endswith(("X", "S")) else ("perplexity",))
        ]


def gain(made: Mapping[Key, Artifact], base: str, tuned: str, seeds: tuple[int, ...]) -> Scores:
    """What finetuning takes off the cost of each solution, seed by seed."""
    before, after = (costs(made, arm, seeds, CONCEPTS) for arm in (base, tuned))
    return Scores(before.values - after.values, before.weights)


def answers(cfg: Spikes, made: Mapping[Key, Artifact]) -> list[dict[str, Any]]:
    """Each question with its effect; the last compares gains, so that above 0 means more gain where the textbook had spoken."""
    found = [effect(*(costs(made, arm, cfg.seeds, CONCEPTS) for arm in pair)) for pair in QUESTIONS]
    interaction = effect(gain(made, "FT", "FTX", cfg.seeds), gain(made, "M", "MX", cfg.seeds))
    names = [*QUESTIONS, ("the gain of FT", "the gain of M")]
    corrected = holm([one.permutation_p for one in (*found, interaction)])
    return [
        {"from": pair[0], "to": pair[1], "holm_p": p, "words": in_words(one, pair, p)} | one._asdict()
        for pair, one, p in zip(names, (*found, interaction), corrected, strict=True)
    ]


@stage(version=1)
def spikes(cfg: Spikes, *measured: Artifact, out: Writer, site: Site) -> None:
    """Answer the questions."""
    from codetextbook.charts.ablation import spikes_markdown

    made = dict(zip(cfg.wanted, measured, strict=True))
    arms = []
    for arm in ARMS:
        scores = costs(made, arm, cfg.seeds, CONCEPTS)
        low, high = mean_interval(scores)
        row: dict[str, Any] = {
            "arm": arm,
            "told": TOLD[arm],
            "mean": float(scores.by_seed.mean()),
            "low": low,
            "high": high,
        }
        if arm.endswith(("X", "S")):
            row["pass_at_1"] = float(np.mean(solved(made, arm, cfg.seeds, CONCEPTS).by_seed))
        arms.append(row)
    facts = {"seeds": list(cfg.seeds), "arms": arms, "questions": answers(cfg, made)}
    out.json("spikes", facts)
    with out.file("spikes.md") as path:
        path.write_text(spikes_markdown(facts), encoding="utf-8")
    out.flow(rows_in=len(measured), unit="artifacts", rows_kept=len(measured), rejected={})
