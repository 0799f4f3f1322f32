"""Shapes: blind to names, comments, docstrings and literals; not to structure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codetextbook.text.python_ast import functions, match_rate, shape

PLAIN = '''
def total(values):
    """Add them up."""
    result = 0
    for value in values:
        if value > 0:
            result += value
    return result
'''
RENAMED = '''
def summe(zahlen: list[int]) -> int:  # same thing
    """Other words, 你好."""
    gesamt: int = 1
    for z in zahlen:
        if z > 99:
            gesamt += z
    return gesamt
'''
COMPREHENSION = "def total(values):\n    return sum(value for value in values if value > 0)\n"


def test_names_hints_docstrings_comments_and_literals_do_not_matter() -> None:
    first, second = functions(PLAIN)[0], functions(RENAMED)[0]
    assert first.tree == second.tree
    assert match_rate(first.tree, second.tree) == 1.0
    assert (first.name, first.docstring) == ("total", "Add them up.")


def test_another_structure_has_another_shape() -> None:
    rate = match_rate(functions(PLAIN)[0].tree, functions(COMPREHENSION)[0].tree)
    assert rate < 0.7
    assert rate == match_rate(functions(COMPREHENSION)[0].tree, functions(PLAIN)[0].tree)


def test_nesting_is_part_of_the_shape() -> None:
    inside = "for a in b:\n    c = 1\n    d = 2\n"
    outside = "for a in b:\n    c = 1\nd = 2\n"
    assert shape(inside) != shape(outside)


def test_methods_and_nested_functions_are_found_in_order() -> None:
    text = "class A:\n    def one(self):\n        def two():\n            pass\n        return two\n\ndef three():\n    return 3\n"
    assert [function.name for function in functions(text)] == ["one", "two", "three"]
    assert functions(text)[2].source == "def three():\n    return 3\n"


def test_what_does_not_parse_has_no_functions() -> None:
    for text in ("print 'python 2'", "def f(:", "x = '\0'", "(" * 5000):
        assert functions(text) == []
        assert shape(text) is None


@given(st.text(max_size=80))
def test_any_text_gets_an_answer(text: str) -> None:
    assert shape(text) is None or match_rate(shape(text) or "", shape(text) or "") == 1.0
