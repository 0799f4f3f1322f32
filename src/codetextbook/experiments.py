"""The paper's experiments as branches of its data flow: everything that arms can share is one artifact.

`section5` is the paper's §5, `ablation` its Fig 2.1 and §3. Nothing runs here; `Run.make` keeps the promises.
"""

from __future__ import annotations

from typing import NamedTuple

from codetextbook.benchmarks.arms import Key
from codetextbook.pipeline import phi1
from codetextbook.recipe import Recipe
from codetextbook.stages.ablate import Ablate, ablate, keys_by_training
from codetextbook.stages.cohort import Cohort, cohort
from codetextbook.stages.contamination import contamination
from codetextbook.stages.contract import Step
from codetextbook.stages.decontaminate import decontaminate
from codetextbook.stages.evaluate import evaluate, examine
from codetextbook.stages.finetune import finetune
from codetextbook.stages.pack import pack
from codetextbook.stages.perplexity import perplexity
from codetextbook.stages.pretrain import pretrain
from codetextbook.stages.prune import prune
from codetextbook.stages.select import select
from codetextbook.stages.spikes import Spikes, spikes
from codetextbook.stages.tokenizer import tokenizer


class Branch(NamedTuple):
    """One tau of Section 5: pruned, finetuned again, examined again, compared."""

    prune: Step
    pack_finetune: Step
    finetune: Step
    select: Step
    evaluate: Step
    contamination: Step


def section5(r: Recipe) -> tuple[Branch, ...]:
    """The paper's §5, one branch for each tau. None if `evaluate` does not ask its benchmark.

    The models are selected and examined on the same exercises as the run itself.
    """
    if r.contamination.benchmark not in r.evaluate.asked:
        return ()
    s = phi1(r)
    branches = []
    for near in r.contamination.each(r.evaluate.files):
        pruned = prune(near, s.decontaminate)
        practice = pack(r.pack.finetune, s.tokenizer, pruned)
        tuned = finetune(r.finetune, s.tokenizer, practice, s.pretrain)
        best = select(r.select, tuned, s.decontaminate)
        scores = evaluate(r.evaluate.only(near.benchmark), best, s.pretrain, s.decontaminate)
        row = contamination(near, pruned, s.evaluate, scores)
        made = Branch(pruned, practice, tuned, best, scores, row)._asdict()
        branches.append(Branch(**{name: step.named(f"{name}@{near.tau:g}") for name, step in made.items()}))
    return tuple(branches)


class Ablation(NamedTuple):
    """Fig 2.1 and §3 over seeds."""

    made: dict[Key, Step]
    """Every artifact of every training."""
    ablate: Step
    spikes: Step

    def trainings(self, goal: Step) -> list[list[Step]]:
        """What a goal gathers of each arm and seed: groups that can be made beside each other, once what they share is there."""
        assert isinstance(goal.config, (Ablate, Spikes))
        return [[self.made[key] for key in keys] for keys in keys_by_training(goal.config.wanted).values()]


def ablation(r: Recipe) -> Ablation:
    """Every arm on every seed. All read from one decontaminated corpus with one vocabulary, learnt from all of it."""
    s = phi1(r)
    clean = decontaminate(r.decontaminate, s.dedup, s.textbook, s.exercises).named("decontaminate@all")
    vocab = tokenizer(r.tokenizer, clean).named("tokenizer@all")
    practice = pack(r.pack.finetune, vocab, clean).named("pack_finetune@all")
    arms = {
        "U": Cohort(documents="raw"),
        "R": Cohort(documents="sources"),
        "L": Cohort(documents="length"),
        "F": Cohort(documents="filtered"),
        "FT": Cohort(documents="filtered", pages=True),
        "M": Cohort(documents="filtered", pages=True, pages_without=r.exercises.heldout_families),
        "FTS": Cohort(documents="filtered", pages=True, shuffled_solutions=True),
    }
    held = {"heldout_share": r.ablate.heldout_share, "seed": r.ablate.seed}
    texts = {arm: cohort(cfg.replace(held), clean, s.curate, vocab).named(f"cohort@{arm}") for arm, cfg in arms.items()}
    arrays = {arm: pack(r.pack.pretrain, vocab, step).named(f"pack_pretrain@{arm}") for arm, step in texts.items()}
    shuffled = pack(r.pack.finetune, vocab, texts["FTS"]).named("pack_finetune@FTS")
    made = {Key(arm, 0, "cohort"): step for arm, step in texts.items()}

    def kept(key: Key, step: Step) -> Step:
        return made.setdefault(key, step.named(f"{key.kind}@{key.arm}/{key.seed}"))

    def measured(arm: str, seed: int, model: Step) -> None:
        kept(Key(arm, seed, "perplexity"), perplexity(r.perplexity, model, texts["U"], clean))

    def base(arm: str, seed: int, multiple: float = 1.0) -> Step:
        steps = max(1, round(multiple * r.pretrain.steps))
        name = arm if multiple == 1.0 else f"{arm}*{multiple:g}"
        settings = r.pretrain.replace({"seed": seed, "steps": steps})
        model = kept(Key(name, seed, "pretrain"), pretrain(settings, vocab, arrays[arm]))
        measured(name, seed, model)
        return model

    def tuned(arm: str, seed: int, model: Step, exercises: Step) -> None:
        settings = r.finetune.replace({"seed": seed, "save_every_steps": r.finetune.steps})  # the last step, unchosen
        last = finetune(settings, vocab, exercises, model).named(f"finetune@{arm}/{seed}")
        best = kept(Key(arm, seed, "select"), select(r.select, last, clean))
        measured(arm, seed, best)
        kept(Key(arm, seed, "examine"), examine(r.evaluate, best, clean))

    for number, seed in enumerate(r.ablate.seeds):
        for arm in ("U", "R", "L", "F", "FT"):
            model = base(arm, seed)
            if arm != "L":
                tuned(f"{arm}X", seed, model, practice)
            if arm == "FT" and number < r.ablate.spike_seeds:
                tuned("FTS", seed, model, shuffled)
        if number < r.ablate.spike_seeds:
            tuned("MX", seed, base("M", seed), practice)
        for multiple in r.ablate.scaling if number < r.ablate.scaling_seeds else ():
            base("U", seed, multiple)
    spike = Spikes(seeds=r.ablate.seeds[: r.ablate.spike_seeds])
    return Ablation(
        made,
        ablate(r.ablate, *(made[key] for key in r.ablate.wanted)),
        spikes(spike, *(made[key] for key in spike.wanted)),
    )
