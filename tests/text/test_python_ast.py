"""Shapes: blind to names, comments, docstrings and literals; not to structure. What does not parse has tokens, and says so."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codetextbook.benchmarks.problems import humaneval
from codetextbook.text.match_rate import match_rate
from codetextbook.text.python_ast import read_code, read_tokens

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
@cached
def summe(zahlen: list[int]) -> int:  # same thing
    """Other words, 你好."""
    gesamt: int = -1
    for z in zahlen:
        "a remark"
        if z > 99:
            gesamt += z
    return gesamt
'''
COMPREHENSION = "def total(values):\n    return sum(value for value in values if value > 0)\n"
PYTHON_2 = PLAIN + "\n\ndef main():\n    print 'total', total([1, 2])\n"


def test_names_hints_docstrings_comments_and_literals_do_not_matter() -> None:
    first, second = read_code(PLAIN), read_code(RENAMED)
    assert first.functions[0].shape == second.functions[0].shape
    assert first.shape == second.shape
    assert (first.functions[0].name, first.functions[0].docstring) == ("total", "Add them up.")


@pytest.mark.parametrize("text", [one.prompt + one.reference for one in humaneval()[:60]])
def test_an_unparsed_program_keeps_its_shape(text: str) -> None:
    """`ast.unparse` drops comments and spells everything anew."""
    assert read_code(ast.unparse(ast.parse(text))).shape == read_code(text).shape


def test_another_structure_has_another_shape() -> None:
    rate = match_rate(read_code(PLAIN).functions[0].shape, read_code(COMPREHENSION).functions[0].shape)
    assert rate < 0.7
    assert rate == match_rate(read_code(COMPREHENSION).functions[0].shape, read_code(PLAIN).functions[0].shape)


def test_nesting_is_part_of_the_shape() -> None:
    inside = "for a in b:\n    c = 1\n    d = 2\n"
    outside = "for a in b:\n    c = 1\nd = 2\n"
    assert read_code(inside).shape != read_code(outside).shape


def test_methods_and_nested_functions_are_found_in_order_with_their_own_shapes() -> None:
    text = (
        'class A:\n    """Doc of A."""\n    def one(self):\n        def two():\n            pass\n        return two\n\n'
        "def three():\n    return 3\n"
    )
    code = read_code('"""Doc of the file."""\n' + text)
    assert [function.name for function in code.functions] == ["one", "two", "three"]
    assert code.functions[2].source == "def three():\n    return 3\n"
    assert code.docstrings == ["Doc of the file.", "Doc of A."]
    for function in code.functions:
        alone = read_code(function.source if function.name == "three" else _dedent(function.source))
        assert alone.functions[0].shape == function.shape, function.name


def test_form_feeds_and_separators_do_not_shift_the_source() -> None:
    text = "x = 'a\u2028b'\n\x0c\ndef f():\r\n    return 1\r\n\ndef g():\n    return 2\n"
    assert [function.source for function in read_code(text).functions] == [
        "def f():\n    return 1\n",
        "def g():\n    return 2\n",
    ]


def test_python_2_falls_back_to_tokens_and_says_so() -> None:
    code = read_code(PYTHON_2)
    assert code.basis == "tokens"
    assert [function.name for function in code.functions] == ["total", "main"]
    own, other = (
        code.functions[0],
        read_tokens(RENAMED.replace('        "a remark"\n', "").replace(": int = -1", " = 1")).functions[0],
    )
    assert own.docstring == "Add them up."
    assert match_rate(own.shape, other.shape) > 0.95
    assert own.source.strip() == PLAIN.strip()


def test_token_functions_end_where_the_indentation_falls_back() -> None:
    text = "class A:\n  def one(self, a=(1,\n2)):\n    print 1\n\n    return 2\n  def two(self): return 3\nx = 1\n"
    code = read_code(text)
    assert [function.source for function in code.functions] == [
        "  def one(self, a=(1,\n2)):\n    print 1\n\n    return 2\n",
        "  def two(self): return 3\n",
    ]


@pytest.mark.parametrize(
    "text", ["", "   \n", "Prose, and nothing else.", "print 'python 2'", "x = '\0'", "(" * 5000, "def f(:"]
)
def test_no_code_is_said_to_be_none(text: str) -> None:
    code = read_code(text)
    assert code.functions == [] or code.basis == "tokens"
    assert code.basis in ("none", "tokens")


def test_a_megabyte_gets_an_answer() -> None:
    text = PLAIN * (1_000_000 // len(PLAIN))
    assert len(read_code(text).functions) == 1_000_000 // len(PLAIN)
    assert read_code(text + "print 'x'\n").basis == "tokens"
    deep = "x = " + "-(" * 150 + "1" + ")" * 150
    assert read_code(deep).basis == "tree"


@given(st.text(max_size=80))
def test_any_text_gets_an_answer(text: str) -> None:
    code = read_code(text)
    assert code.basis in ("tree", "tokens", "none")
    assert read_tokens(text).basis in ("tokens", "none")


def _dedent(source: str) -> str:
    lines = source.splitlines(keepends=True)
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "".join(line[indent:] for line in lines)
