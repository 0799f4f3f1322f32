"""Did better data make a better model? The paper's Fig 2.1 (§2) as an experiment over seeds, with the controls that it lacks.

Arms that share a seed start from the same weights and take the same number of steps of the same size. What they are trained on differs:
raw code (U), filtered code (F), filtered code and textbooks (FT), and controls drawn blind to quality with as many tokens as F (R by
source, L by length). With X they are then finetuned on the same exercises, since format alone explains much of a score.

Everything below was written down before any arm was trained: the measure (bits per byte of HumanEval's reference solutions given the
prompt, lower is better), the orders U, F, FT and UX, FX, FTX (Page's test), the steps that are compared, and what counts as shown: a 95 %
interval over seeds and items that lies wholly on one side of 0 (after the first run it was made stricter: of five seeds or more). Other
measures stand beside it. Raw held-out code is the check on the rest: there U should not lose. Results that go against the paper stay.

Limits: with five seeds no permutation test falls below 0.0625, so verdicts rest on intervals; and what holds for small models and few
tokens need not hold for large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from pydantic import Field, model_validator

from codetextbook.benchmarks.arms import TOLD, Key, costs, parsed, solved
from codetextbook.benchmarks.passk import Interval
from codetextbook.benchmarks.seeds import (
    Scores,
    effect,
    equivalent_tokens,
    holm,
    in_words,
    mean_interval,
    page_test,
    share_interval,
)
from codetextbook.config import Config
from codetextbook.site import Site
from codetextbook.stages.contract import stage
from codetextbook.store import Artifact, Writer

BASES = ("U", "R", "L", "F", "FT")
TUNED = ("UX", "RX", "FX", "FTX")
ORDERS = (("U", "F", "FT"), ("UX", "FX", "FTX"))
COMPARED = (("U", "F"), ("R", "F"), ("L", "F"), ("F", "FT"), ("UX", "FX"), ("RX", "FX"), ("FX", "FTX"), ("FT", "FTX"))
SETS = ("humaneval", "heldout", "curated", "raw")
PRIMARY = "humaneval"
BASELINE = "U"


class Ablate(Config):
    """How often each arm is trained, and what is held out."""

    seeds: tuple[int, ...] = Field(default=(0, 1, 2, 3, 4), min_length=2, max_length=16)
    """Seeds of weights and order, each of them used by every arm (ours: 3 to 8 tell an order from chance)."""
    scaling: tuple[float, ...] = (0.5, 2.0)
    """Lengths at which U is trained besides, as multiples of the arms' steps: what else could have been bought for the gain (ours)."""
    scaling_seeds: int = Field(default=3, ge=1)
    """Seeds of those, the first ones."""
    spike_seeds: int = Field(default=3, ge=2)
    """Seeds of the arms that `codetextbook spikes` adds, the first ones."""
    heldout_share: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Share of the documents that no arm is trained on (ours)."""
    seed: int = Field(default=0, ge=0)
    """Seed of what is held out and of what the controls draw."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds) or len(set(self.scaling)) != len(self.scaling):
            raise ValueError("each seed and each multiple once")
        if max(self.scaling_seeds, self.spike_seeds) > len(self.seeds):
            raise ValueError(f"scaling_seeds and spike_seeds are among the {len(self.seeds)} seeds")
        return self

    @property
    def wanted(self) -> list[Key]:
        """What the experiment gathers, in order."""
        keys = [Key(arm, 0, "cohort") for arm in BASES]
        for seed in self.seeds:
            keys += [Key(arm, seed, kind) for arm in BASES for kind in ("pretrain", "perplexity")]
            keys += [Key(arm, seed, kind) for arm in TUNED for kind in ("perplexity", "select", "examine")]
        lengths = [f"{BASELINE}*{multiple:g}" for multiple in self.scaling]
        return keys + [
            Key(arm, seed, kind)
            for arm in lengths
            for seed in self.seeds[: self.scaling_seeds]
            for kind in ("pretrain", "perplexity")
        ]


Made = Mapping[Key, Artifact]


def arms_of(cfg: Ablate, made: Made) -> list[dict[str, Any]]:
    """A row for each arm: what it read, and each measure with its interval."""
    return [_arm(cfg, made, name) for name in (*BASES, *TUNED)]


def _arm(cfg: Ablate, made: Made, name: str) -> dict[str, Any]:
    base = name.removesuffix("X")
    trained = made[Key(base, cfg.seeds[0], "pretrain")].manifest["facts"]
    own = made[Key(base, 0, "cohort")].manifest["facts"]
    row: dict[str, Any] = {
        "arm": name,
        "told": TOLD[name],
        "tokens": trained["tokens"],
        "epochs": trained["epochs"],
        "distinct_tokens": own["tokens"],
        "share_also_filtered": own["share_also_filtered"],
        "bits_per_byte": {texts: _told(costs(made, name, cfg.seeds, texts), mean_interval) for texts in SETS},
    }
    if name in TUNED:
        shares = {one: solved(made, name, cfg.seeds, one) for one in ("humaneval", "heldout")}
        row["pass_at_1"] = {one: _told(share, share_interval) for one, share in shares.items()}
        row["syntax_valid"] = {
            one: float(parsed(made, name, cfg.seeds, one).mean()) for one in ("humaneval", "heldout")
        }
        chosen = [made[Key(name, seed, "select")].manifest["facts"]["checkpoints"][-1] for seed in cfg.seeds]
        row["validation_solved"] = [one["solved"] for one in chosen]
        row["validation_problems"] = chosen[0]["problems"]
    return row


def _told(scores: Scores, interval: Callable[[Scores], Interval]) -> dict[str, Any]:
    low, high = interval(scores)
    return {"mean": float(scores.by_seed.mean()), "low": low, "high": high, "by_seed": scores.by_seed.tolist()}


def orders_of(cfg: Ablate, made: Made) -> list[dict[str, Any]]:
    """Page's test of each order that was written down, on every set."""
    return [
        {
            "order": list(order),
            "set": texts,
            "p": page_test([costs(made, arm, cfg.seeds, texts).by_seed for arm in order]),
        }
        for order in ORDERS
        for texts in SETS
    ]


def steps_of(cfg: Ablate, made: Made, texts: str) -> list[dict[str, Any]]:
    """Each step that is compared, on one set, corrected for their number."""
    found = [effect(*(costs(made, arm, cfg.seeds, texts) for arm in pair)) for pair in COMPARED]
    corrected = holm([one.permutation_p for one in found])
    return [
        {"from": pair[0], "to": pair[1], "set": texts, "holm_p": p, "words": in_words(one, pair, p)} | one._asdict()
        for pair, one, p in zip(COMPARED, found, corrected, strict=True)
    ]


def equivalents_of(cfg: Ablate, made: Made) -> list[dict[str, Any]]:
    """What the other bases reached, in tokens of raw code that would have reached it too."""
    seeds = cfg.seeds[: cfg.scaling_seeds]
    lengths = [BASELINE, *(f"{BASELINE}*{multiple:g}" for multiple in cfg.scaling)]
    tokens = [made[Key(arm, seeds[0], "pretrain")].manifest["facts"]["tokens"] for arm in lengths]
    reached = [float(costs(made, arm, seeds, PRIMARY).by_seed.mean()) for arm in lengths]
    rows = []
    for arm in BASES[1:]:
        value = float(costs(made, arm, seeds, PRIMARY).by_seed.mean())
        equal = equivalent_tokens(value, tokens, reached)
        rows.append({"arm": arm, "bits_per_byte": value, "equivalent_tokens": equal})
    curve = [{"tokens": count, "bits_per_byte": value} for count, value in sorted(zip(tokens, reached, strict=True))]
    return [*rows, {"baseline": BASELINE, "curve": curve}]


@stage(version=1)
def ablate(cfg: Ablate, *measured: Artifact, out: Writer, site: Site) -> None:
    """Lay the arms side by side, test what was written down, and say it in words."""
    from codetextbook.charts.ablation import markdown, page

    made = dict(zip(cfg.wanted, measured, strict=True))
    facts = {
        "seeds": list(cfg.seeds),
        "arms": arms_of(cfg, made),
        "orders": orders_of(cfg, made),
        "steps": [step for texts in SETS for step in steps_of(cfg, made, texts)],
        "equivalents": equivalents_of(cfg, made),
    }
    out.json("ablation", facts)
    for name, text in (("ablation.md", markdown(facts)), ("ablation.html", page(facts))):
        with out.file(name) as path:
            path.write_text(text, encoding="utf-8")
    out.flow(rows_in=len(measured), unit="artifacts", rows_kept=len(measured), rejected={})


def keys_by_training(keys: Sequence[Key]) -> dict[tuple[str, int], list[Key]]:
    """Keys of each arm and seed together, an arm and its finetuned form as one: they can be made apart from the rest."""
    groups: dict[tuple[str, int], list[Key]] = {}
    for key in keys:
        groups.setdefault((key.arm.removesuffix("X").removesuffix("S"), key.seed), []).append(key)
    return groups
