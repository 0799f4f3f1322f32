"""Recipe: what to make, as one TOML file and one frozen object at once.

A recipe names every setting that changes the result and nothing else; where it runs is the Site's affair. `extends` takes another recipe
and changes some of it. Reading what was written gives an equal recipe.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Self

import tomli_w

from codetextbook.config import Config, digest
from codetextbook.errors import ConfigError
from codetextbook.stages.ablate import Ablate
from codetextbook.stages.annotate import Annotate
from codetextbook.stages.contamination import Contamination
from codetextbook.stages.curate import Curate
from codetextbook.stages.decontaminate import Decontaminate
from codetextbook.stages.dedup import Dedup
from codetextbook.stages.embed import Embed
from codetextbook.stages.exercises import Exercises
from codetextbook.stages.finetune import Finetune
from codetextbook.stages.pack import Pack
from codetextbook.stages.perplexity import Perplexity
from codetextbook.stages.pretrain import Pretrain
from codetextbook.stages.read import Read
from codetextbook.stages.report import Report
from codetextbook.stages.select import Select
from codetextbook.stages.sensitivity import Sensitivity
from codetextbook.stages.sitting import Evaluate
from codetextbook.stages.textbook import Textbook
from codetextbook.stages.tokenizer import Tokenizer

SHIPPED = (
    "laptop",
    "record",
    "ablate-laptop",
    "gpu",
    "ablate-gpu",
    "domain",
    "phi1-small",
    "ablate-phi1-small",
    "phi1",
)


class Packs(Config):
    """The two arrays of tokens."""

    pretrain: Pack = Pack(parts=("documents", "pages"))
    """CodeTextbook: filtered code and textbooks (paper §2.3)."""
    finetune: Pack = Pack(parts=("exercises",))
    """CodeExercises (paper §2.3)."""


class Recipe(Config):
    """The tree of every stage's settings."""

    name: str
    """What the recipe is called; a label, not part of any artifact's identity."""
    read: Read = Read()
    """Sources of real code (paper §2.1)."""
    dedup: Dedup = Dedup()
    """What counts as the same file."""
    annotate: Annotate = Annotate()
    """The sample that is graded, and by whom (paper §2.1)."""
    embed: Embed = Embed()
    """The model that turns a file into a vector (paper §2.1, §5: CodeGen-350M)."""
    curate: Curate = Curate()
    """Forest and threshold (paper §2.1)."""
    textbook: Textbook = Textbook()
    """Synthetic textbooks (paper §2.2)."""
    exercises: Exercises = Exercises()
    """Synthetic exercises (paper §2.2)."""
    decontaminate: Decontaminate = Decontaminate()
    """What is compared with which benchmarks, and removed when (paper §5)."""
    tokenizer: Tokenizer = Tokenizer()
    """The vocabulary."""
    pack: Packs = Packs()
    """How texts become arrays of tokens (paper §2.3)."""
    pretrain: Pretrain = Pretrain()
    """Model and training on CodeTextbook (paper §2.3)."""
    finetune: Finetune = Finetune()
    """Training on CodeExercises (paper §2.3)."""
    select: Select = Select()
    """Which checkpoint is best."""
    evaluate: Evaluate = Evaluate()
    """The exams (paper §3, §4)."""
    contamination: Contamination = Contamination()
    """The ablation of `codetextbook contamination` (paper §5); no part of the run itself."""
    ablate: Ablate = Ablate()
    """Seeds and controls of `codetextbook ablate` and `spikes` (paper Fig 2.1, §3); no part of the run itself."""
    perplexity: Perplexity = Perplexity()
    """What the models of those experiments are measured on; no part of the run itself."""
    sensitivity: Sensitivity = Sensitivity()
    """How the prompts of `codetextbook sensitivity` are altered (paper, appendix B); no part of the run itself."""
    report: Report = Report()
    """What is told."""

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """A shipped recipe by name, or one of the user's own by path.

        Raises:
            ConfigError: no such recipe; not TOML; an unknown key or a value out of range (named with the file); `extends` in a circle.
        """
        values, where = _read_toml(str(name_or_path), seen=())
        return cls.parse(values, where=where)

    def dump(self) -> str:
        """The whole recipe as TOML, every setting written out; reading it gives an equal recipe."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))

    @property
    def digest(self) -> str:
        """Digest of everything but the name."""
        return digest(self.model_dump(exclude={"name"}))


def _read_toml(name: str, seen: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    if name in seen:
        raise ConfigError(f"recipes extend each other in a circle: {' -> '.join([*seen, name])}", where=name)
    if name in SHIPPED:
        text = resources.files("codetextbook").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")
    else:
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"no recipe {name!r}", hint=f"a path, or one of {', '.join(SHIPPED)}")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"not UTF-8 at byte {error.start}", where=name, hint="save the file as UTF-8") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=name) from None
    base = values.pop("extends", None)
    if base is None:
        return values, name
    if base not in SHIPPED and not Path(base).is_absolute():
        base = str(Path(name).parent / base)
    under, _ = _read_toml(base, (*seen, name))
    return _merge(under, values), name


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both_tables else value
    return merged


def _without_none(value: Any) -> Any:
    """TOML has no null: a setting that is not set is not written."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
