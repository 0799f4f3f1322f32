"""The paper's experiments as branches of its data flow: everything that arms can share is one artifact.

`section5` is the paper's §5, `altered_prompts` its appendix B, `ablation` its Fig 2.1 and §3. Nothing runs here; `Run.make` keeps the
promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from codetextbook.benchmarks.arms import Key
from codetextbook.pipeline import phi1
from codetextbook.recipe import Recipe
from codetextbook.stages.ablate import BASELINE, BASES, TUNED, Ablate, ablate, keys_by_training
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
from codetextbook.stages.sensitivity import sensitivity
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


def altered_prompts(r: Recipe) -> Step:
    """The run's best model on its own exams, told in other words (paper, appendix B)."""
    s = phi1(r)
    return sensitivity(r.sensitivity.of(r.evaluate), s.select, s.decontaminate)


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


@dataclass(frozen=True)
class _Trainings:
    """Trainings of one recipe on one clean corpus with one vocabulary, and every artifact they promise, by key."""

    r: Recipe
    clean: Step
    vocab: Step
    heldout: Step
    """A cohort, for the documents that no arm is trained on."""
    made: dict[Key, Step]

    def base(self, arm: str, seed: int, array: Step, multiple: float = 1.0) -> Step:
        """A base model of an arm, measured; its steps as a multiple of the recipe's."""
        steps = max(1, round(multiple * self.r.pretrain.steps))
        name = arm if multiple == 1.0 else f"{arm}*{multiple:g}"
        settings = self.r.pretrain.replace({"seed": seed, "steps": steps})
        model = self._kept(Key(name, seed, "pretrain"), pretrain(settings, self.vocab, array))
        self._measured(name, seed, model)
        return model

    def tuned(self, arm: str, seed: int, model: Step, exercises: Step) -> None:
        """A base finetuned, measured and examined: its last step, so that nothing is chosen."""
        settings = self.r.finetune.replace({"seed": seed, "save_every_steps": self.r.finetune.steps})
        last = finetune(settings, self.vocab, exercises, model).named(f"finetune@{arm}/{seed}")
        best = self._kept(Key(arm, seed, "select"), select(self.r.select, last, self.clean))
        self._measured(arm, seed, best)
        self._kept(Key(arm, seed, "examine"), examine(self.r.evaluate, best, self.clean))

    def _measured(self, arm: str, seed: int, model: Step) -> None:
        self._kept(Key(arm, seed, "perplexity"), perplexity(self.r.perplexity, model, self.heldout, self.clean))

    def _kept(self, key: Key, step: Step) -> Step:
        return self.made.setdefault(key, step.named(f"{key.kind}@{key.arm}/{key.seed}"))


def _cohorts(r: Recipe) -> dict[str, Cohort]:
    """What each arm is trained on; FTS has exercises of its own."""
    arms: dict[str, dict[str, Any]] = {
        "U": {"documents": "raw"},
        "R": {"documents": "sources"},
        "L": {"documents": "length"},
        "F": {},
        "FT": {"pages": True},
        "M": {"pages": True, "pages_without": r.exercises.heldout_families},
        "FTS": {"pages": True, "shuffled_solutions": True},
    }
    return {arm: Cohort(**said, heldout_share=r.ablate.heldout_share, seed=r.ablate.seed) for arm, said in arms.items()}


def ablation(r: Recipe) -> Ablation:
    """Every arm on every seed. All read from one decontaminated corpus with one vocabulary, learnt from all of it."""
    s = phi1(r)
    clean = decontaminate(r.decontaminate, s.dedup, s.textbook, s.exercises).named("decontaminate@all")
    vocab = tokenizer(r.tokenizer, clean).named("tokenizer@all")
    texts = {arm: cohort(cfg, clean, s.curate, vocab).named(f"cohort@{arm}") for arm, cfg in _cohorts(r).items()}
    arrays = {arm: pack(r.pack.pretrain, vocab, step).named(f"pack_pretrain@{arm}") for arm, step in texts.items()}
    practice = pack(r.pack.finetune, vocab, clean).named("pack_finetune@all")
    shuffled = pack(r.pack.finetune, vocab, texts["FTS"]).named("pack_finetune@FTS")
    made = {Key(arm, 0, "cohort"): step for arm, step in texts.items()}
    train = _Trainings(r, clean, vocab, texts[BASELINE], made)
    for number, seed in enumerate(r.ablate.seeds):
        bases = {arm: train.base(arm, seed, arrays[arm]) for arm in BASES}
        for arm in TUNED:
            train.tuned(arm, seed, bases[arm.removesuffix("X")], practice)
        if number < r.ablate.spike_seeds:
            train.tuned("FTS", seed, bases["FT"], shuffled)
            train.tuned("MX", seed, train.base("M", seed, arrays["M"]), practice)
        for multiple in r.ablate.scaling if number < r.ablate.scaling_seeds else ():
            train.base(BASELINE, seed, arrays[BASELINE], multiple)
    spike = Spikes(seeds=r.ablate.seeds[: r.ablate.spike_seeds])
    return Ablation(
        made,
        ablate(r.ablate, *(made[key] for key in r.ablate.wanted)),
        spikes(spike, *(made[key] for key in spike.wanted)),
    )
