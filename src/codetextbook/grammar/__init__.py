"""Writes exercises and textbook pages by rule, without a language model: typed composition of small, reviewed primitives.

The paper's exercises come from GPT-3.5 (paper §2.2); these are ours, free and verified by running, and bring volume where no teacher is
to be had. They are regular, as a rule's work is: a stronger teacher's are worth more each. Nothing was tuned on a benchmark.
"""

from codetextbook.grammar.catalog import FAMILIES, PRIMITIVES
from codetextbook.grammar.mix import Mix
from codetextbook.grammar.pages import write_pages
from codetextbook.grammar.seen import Seen
from codetextbook.grammar.writer import draw_exercise, likeness, write_exercises

__all__ = ["FAMILIES", "PRIMITIVES", "Mix", "Seen", "draw_exercise", "likeness", "write_exercises", "write_pages"]
