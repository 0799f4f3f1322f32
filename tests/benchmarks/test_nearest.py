"""The nearest known problem, by shape and by shared runs of words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codetextbook.benchmarks.nearest import main, nearest
from codetextbook.benchmarks.problems import humaneval, unconventional
from codetextbook.errors import BenchmarkError
from codetextbook.nouns import Problem


def test_a_renamed_copy_is_found_by_shape_and_a_reworded_one_by_words() -> None:
    known = humaneval()
    copied = replace(known[4], task_id="copy", prompt="def other(xs):\n", entry_point="other")
    copied = replace(copied, reference=known[4].reference.replace("numbers", "xs"))
    quoting = Problem("x", "quote", known[10].prompt, known[10].entry_point, "    return 1\n", "")
    shape, words = nearest([copied, quoting], known)
    assert (shape.nearest, shape.ast_rate) == ("humaneval:HumanEval/4", 1.0)
    assert words.shared_ngrams > 10
    with pytest.raises(BenchmarkError, match="nothing|no known"):
        nearest([copied], [])


def test_no_unconventional_problem_is_a_known_one(capsys: pytest.CaptureFixture[str]) -> None:
    found = nearest(unconventional(), humaneval())
    assert max(one.ast_rate for one in found) < 0.8  # the paper's loosest rate of a match
    assert sum(one.shared_ngrams for one in found) == 0
    main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 51 and lines[-1].startswith("50 problems against")
