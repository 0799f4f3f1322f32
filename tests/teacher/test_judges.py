"""The rule, the counts, the figures of agreement, and pages taken apart."""

from __future__ import annotations

import json
import sysconfig
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from codetextbook.nouns import document_id
from codetextbook.teacher.agreement import agreement, figures, make_folds
from codetextbook.teacher.pages import NotAPage, differs, pieces
from codetextbook.teacher.rule import judge
from codetextbook.text.syntax_counts import counts

GOOD = '''"""Searching."""


def find(items: list[int], wanted: int) -> int:
    """Return the place of a number, or -1.

    >>> find([3, 5], 5)
    1
    """
    for place, item in enumerate(items):
        if item == wanted:
            return place
    return -1
'''
POOR = "from .a import b\nimport numpy\n\n\nclass C:\n    def f(self):\n        self.x = b\n\n    def g(self): ...\n"


def test_the_rule_tells_teaching_code_from_wiring_and_never_grades_what_it_cannot_read() -> None:
    good, poor = judge(GOOD), judge(POOR)
    assert good is not None and poor is not None
    assert good.score >= 4 > 2 >= poor.score and good.reason.startswith("Rule:")
    assert judge("def broken(:\n") is None and judge("x" + "+x" * 100_000) is None


def test_the_rule_agrees_with_the_recorded_grades_of_the_standard_library() -> None:
    rows = [
        json.loads(line)
        for line in (resources.files("codetextbook") / "data" / "grades.jsonl").read_text("utf-8").split("\n")
        if line
    ]
    found = []
    for row in rows:
        root = sysconfig.get_path("stdlib") if row["package"] == "stdlib" else sysconfig.get_path("purelib")
        path = Path(root, row["path"])
        if path.is_file() and document_id(text := path.read_bytes().decode("utf-8", "replace")) == row["document_id"]:
            judged = judge(text)
            if judged is not None:
                found.append((row["score"] >= 3, judged.score))
    if len(found) < 100:
        pytest.skip("the graded packages are not installed")
    truth, scores = np.array(found).T
    assert roc_auc_score(truth, scores) > 0.9


def test_counts_are_of_the_text() -> None:
    found = counts(GOOD)
    assert (found.functions, found.loops, found.branches, found.examples, found.own_imports) == (1, 1, 1, 1, 0)
    assert counts(POOR).stubs == 1 and counts(POOR).own_imports == 2
    assert counts("# only\n# comments\nx = 1\n").comment_share == pytest.approx(2 / 3)
    assert not counts("def (:").parses


@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    good, scores = rng.random(60) < 0.3, rng.integers(0, 8, 60) / 8
    area, precision, _ = figures(good, scores)
    assert area == pytest.approx(roc_auc_score(good, scores)) and precision == pytest.approx(
        average_precision_score(good, scores)
    )


def test_an_interval_holds_its_value_and_a_judge_by_chance_is_near_a_half() -> None:
    rng = np.random.default_rng(0)
    good, groups = rng.random(400) < 0.4, [str(k % 20) for k in range(400)]
    judges = {"chance": rng.random(400), "truth": good.astype(float)}
    found = agreement(good, judges, "truth", groups, resamples=100, seed=0)
    low, high = found["chance"]["auc_interval"]
    assert low < found["chance"]["auc"] < high and low < 0.5 < high
    assert found["truth"]["auc"] == 1.0


def test_folds_keep_packages_together_where_there_are_enough_and_say_so_where_not() -> None:
    good = np.arange(40) % 2 == 0
    groups = [str(k // 4) for k in range(40)]
    by_package = make_folds(good, groups, 5, seed=0)
    assert by_package.kept_together == "package"
    for train, test in by_package.folds:
        assert not {groups[k] for k in train} & {groups[k] for k in test}
    assert make_folds(good, ["one"] * 40, 5, seed=0).kept_together == "document"
    with pytest.raises(ValueError, match="cannot make"):
        make_folds(np.arange(40) < 3, groups, 5, seed=0)


PAGE = """## Sums

```python
def add(a, b):
    \"\"\"Add.

    >>> add(1, 1)
    2
    \"\"\"
    return a + b

total = add(2, 3)  # five
print(total)  # 5
```

Then:

```python
for k in range(2):
    print(k)
```

```text
0
1
```
"""


def test_a_page_is_taken_apart_into_code_and_what_it_says() -> None:
    found = pieces(PAGE)
    assert [(piece.kind, piece.says) for piece in found] == [
        ("comment", None), ("comment", "five"), ("value", "5"), ("example", "2\n"), ("fence", "0\n1\n")
    ]  # fmt: skip
    assert not differs(found[1], "") and not differs(found[2], "5\n") and differs(found[2], "6\n")
    assert differs(found[0], "surprise\n") and differs(found[4], "0\n") and differs(found[3], "")
    namespace: dict[str, object] = {}
    for piece in found[:4]:
        exec(piece.code, namespace)
    assert namespace["_shown"] == 2


@pytest.mark.parametrize(("text", "reason"), [("only prose\n", "no_code"), ("```python\nx = (\n```\n", "unparsable")])
def test_a_page_without_readable_code_is_none(text: str, reason: str) -> None:
    with pytest.raises(NotAPage) as caught:
        pieces(text)
    assert caught.value.reason == reason


def test_words_that_say_prints_may_stand_before_what_is_printed() -> None:
    code = "```python\nprint(1)\n```\n\n"
    fence = "```text\n1\n```\n"
    assert pieces(code + "It prints\n\n" + fence)[0].says == "1\n"
    assert pieces(code + "Here is a file:\n\n" + fence)[0].says is None
