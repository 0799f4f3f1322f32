"""Every primitive, and the families they belong to. A new primitive is one entry in a data module; nothing here changes."""

from __future__ import annotations

from codetextbook.grammar.algorithms import ALGORITHMS
from codetextbook.grammar.predicates import CROSSED
from codetextbook.grammar.primitive import Primitive
from codetextbook.grammar.scalars import SCALARS
from codetextbook.grammar.sequences import SEQUENCES
from codetextbook.grammar.texts import TEXTS
from codetextbook.grammar.values import VALUES

PRIMITIVES: tuple[Primitive, ...] = (*CROSSED, *SEQUENCES, *SCALARS, *VALUES, *TEXTS, *ALGORITHMS)

FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(primitive.family for primitive in PRIMITIVES))
"""Names of the families; one may be held out by name, with every composition that holds it."""
