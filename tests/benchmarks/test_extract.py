"""Extraction: references survive it whole, and what is kept always parses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codetextbook.benchmarks.extract import (
    FUNCTION_STOPS,
    PROGRAM_STOPS,
    _longest_valid,
    cut_at_stops,
    extract,
    is_program,
    parse,
    stops_for,
)
from codetextbook.benchmarks.problems import humaneval

PROMPT = 'def total(xs):\n    """Sum of xs."""\n'


def test_every_humaneval_reference_passes_through_unchanged_in_code() -> None:
    for problem in humaneval():
        assert stops_for(problem.prompt, problem.entry_point) == FUNCTION_STOPS
        found = extract(problem.prompt, problem.reference, problem.entry_point)
        assert found.complete, problem.task_id
        whole = parse(problem.prompt + problem.reference)
        kept = parse(problem.prompt + found.code)
        assert whole is not None and kept is not None
        assert [type(node) for node in kept.body] == [type(node) for node in whole.body], problem.task_id


@pytest.mark.parametrize(
    "chatter", ["\ndef main():\n    pass\n", "\n# the end\n", "\nif True:\n    x\n", "\nprint(1)\n"]
)
def test_what_follows_the_function_is_cut(chatter: str) -> None:
    found = extract(PROMPT, "    return sum(xs)" + chatter, "total")
    assert found.code == "    return sum(xs)\n"
    assert found.stop == chatter[: len(found.stop)] and found.stop in FUNCTION_STOPS


def test_a_line_cut_in_the_middle_is_dropped_and_said() -> None:
    found = extract(PROMPT, "    n = 0\n    for x in xs:\n        n += x\n    return (n", "total")
    assert found.code == "    n = 0\n    for x in xs:\n        n += x\n"
    assert not found.complete
    assert extract(PROMPT, "    return (n", "total", "stops").code == "    return (n"


def test_code_at_the_left_margin_is_not_the_body() -> None:
    found = extract(PROMPT, "    return 1\nx = 2\ny = 3\n", "total")
    assert found.code == "    return 1\n"


def test_text_that_is_not_python_leaves_nothing() -> None:
    assert extract(PROMPT, "    here is some prose\n", "total").code == ""
    assert extract(PROMPT, "    \x00\n", "total").code == ""
    assert not extract(PROMPT, "   \n", "total").complete


def test_a_docstring_prompt_is_of_the_program_form() -> None:
    prompt = '"""\nAdd.\nassert add(1, 2) == 3\n"""\n'
    assert is_program(prompt, "add")
    found = extract(prompt, "import math\ndef add(a, b):\n    return a + b\nprint(add(1, 2))\n", "add")
    assert found.code == "import math\ndef add(a, b):\n    return a + b\n"
    assert found.stop in PROGRAM_STOPS


def test_the_earliest_stop_wins() -> None:
    assert cut_at_stops("a\nprint(1)\ndef f", FUNCTION_STOPS) == ("a\n", "\nprint")


LINES = st.sampled_from(
    [
        "    x = 1\n",
        "    if xs:\n",
        "        y = (\n",
        "        1)\n",
        '    s = """a\n',
        '    """\n',
        "    try:\n",
        "    except ValueError:\n",
        "        pass\n",
        "    return x\n",
        "\n",
        "    for\n",
        "  odd\n",
        "    x = 'open\n",
        "    else:\n",
        "    @d\n",
        "    x = [1,\n",
        "    y = {1: 2\n",
        "\\\n",
        "\x0c    z = 1\r",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(LINES, max_size=9).map("".join))
def test_the_jump_finds_the_longest_run_that_parses(raw: str) -> None:
    raw = raw.replace("\r", "\n")
    lines = [line + "\n" for line in raw.split("\n")[:-1]]
    runs = ["".join(lines[:count]) for count in range(len(lines), 0, -1)]
    best = next((run for run in runs if parse(PROMPT + run) is not None), "")
    assert _longest_valid(PROMPT, raw) == best


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.lists(LINES, max_size=6).map("".join))
def test_what_is_kept_always_parses(raw: str) -> None:
    assert parse(PROMPT + extract(PROMPT, raw, "total").code) is not None
