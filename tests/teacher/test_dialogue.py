"""Exercises asked in separate calls: what a bad reply is rejected for, and what each switch adds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripted import Scripted, fenced, recorded_site

from codetextbook.errors import ConfigError
from codetextbook.nouns import DOCUMENT, document_id
from codetextbook.pipeline import phi1
from codetextbook.recipe import Recipe
from codetextbook.shards import to_table
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.exercises import Exercises, exercises
from codetextbook.store import Artifact, Store, Writer
from codetextbook.teacher import Request, dialogue, drills
from codetextbook.teacher.checking import inputs_from
from codetextbook.teacher.corpus import fragments, functions_in
from codetextbook.teacher.dialogue import CRITIQUE, Ways, drawn, write
from codetextbook.teacher.drills import split_function

WAYS = Ways(seed=0, temperature=0.8, max_tokens=1_000)
BODIES = {
    "kept": "    return x + {n}\n",
    "tests_failed": "    return x - 1\n",
    "unparsable": "    return x +\n",
    "timed_out": "    while True:\n        x += 1\n",
    "import_not_allowed": "    import os\n    os.kill(os.getppid(), 9)\n    return x + {n}\n",
    "name_not_allowed": "    return eval('x') + {n}\n",
}
OTHERS = ("no_code", "several_blocks", "half_a_function", "wrong_name", "no_tests", "stub_passes", "refused")


def function(name: str, n: int, body: str) -> str:
    return f'def {name}(x: int) -> int:\n    """Add {n}.\n\n    >>> {name}(0)\n    {n}\n    """\n{body.format(n=n)}'


def asserts_of(name: str, n: int) -> str:
    return "".join(f"assert {name}({k}) == {k + n}\n" for k in range(1, 6))


def test_each_bad_reply_is_rejected_for_what_is_wrong_with_it(tmp_path: Path) -> None:
    kinds = [*BODIES, *OTHERS]
    cfg = Exercises(
        teacher_exercises=len(kinds), count=0, heldout=0, recorded=False, max_rejected_share=1.0, cpu_seconds=1.0
    )
    answered: list[tuple[Request, str]] = []
    for n, (kind, (drill, request)) in enumerate(zip(kinds, drawn(range(len(kinds)), cfg.ways), strict=True)):
        code = function("other" if kind == "wrong_name" else drill.name, n, BODIES.get(kind, BODIES["kept"]))
        text = fenced(code)
        if kind == "half_a_function":
            text = fenced(code[: code.index('"""', 60) - 4])
        elif kind == "no_code":
            text = "I would rather explain it in words."
        elif kind == "several_blocks":
            text = text + text
        if kind != "refused":
            answered.append((request, text))
        parts = split_function(code)
        if parts is not None:
            row = {"prompt": parts.prompt, "entry_point": drill.name}
            weak = f"assert {drill.name}(1) == {drill.name}(1)\n" * 5
            reply = (
                "None." if kind == "no_tests" else fenced(weak if kind == "stub_passes" else asserts_of(drill.name, n))
            )
            answered.append((dialogue.tests_request(row, n, cfg.ways), reply))
    made = run_stage(exercises, cfg, store=Store(tmp_path / "s"), site=recorded_site(tmp_path, answered))
    assert made.rows("exercises") == 1 and made.table("exercises")["writer"].to_pylist() == ["m"]
    wanted = dict.fromkeys([kind for kind in kinds if kind not in ("kept", "half_a_function", "refused")], 1)
    wanted |= {"unparsable": 2, "not_recorded": 1}
    assert made.manifest["flow"]["rejected"] == wanted


def test_what_a_model_adds_behind_the_function_is_no_part_of_it() -> None:
    code = function("double", 2, BODIES["kept"])
    for more in ("print(double(1))\n", "# Tests\nassert double(1)\n", 'if __name__ == "__main__":\n    double(2)\n'):
        assert split_function(f"{code}\n\n{more}") == split_function(code)
    above = split_function("import math\n\nLIMIT = 3\n\n\n" + code)
    assert above is not None and above.prompt.startswith("import math\n\nLIMIT = 3\n")


def test_of_a_block_of_tests_the_assert_lines_are_taken() -> None:
    lines = 'assert f(1) == "a"\nassert f(\n    2\n) == "b"  # the second\n'
    around = f"import math\n\ndef f(x):\n    assert x\n    return x\n\n# Tests\n{lines}print('done')\n"
    assert drills.asserts_of(around) == 'assert f(1) == "a"\nassert f(\n    2\n) == "b"\n'
    assert drills.asserts_of("assert f(1) ==") == "assert f(1) =="


def answer(request: Request) -> str:
    """A right answer to each of the four questions, and to the critique."""
    first, last = request.messages[0].content, request.messages[-1].content
    if first.startswith("Write one exercise"):
        found = re.search(r"function: `(\w+)`", first)
        name = found.group(1) if found else "chosen_freely"
        return fenced(function(name, (7 if last == CRITIQUE else 3) + request.sample, BODIES["kept"]))
    name = re.findall(r"def (\w+)", first)[0]
    n = int(re.findall(r"Add (\d+)", first)[0])
    if first.startswith("Write the tests"):
        return fenced(asserts_of(name, n))
    return fenced(function(name, n, "    total = x\n    total += {n}\n    return total\n"))


def test_the_tests_are_asked_without_the_solution_and_everything_is_paid_for_once() -> None:
    teacher = Scripted(answer)
    part = write(range(6), teacher, WAYS)
    assert [one.failure for one in part.written] == [None] * 6 and part.dollars == pytest.approx(12 * 0.001)
    asked = [request.messages[0].content for request in teacher.asked]
    assert sum(text.startswith("Write the tests") for text in asked) == 6
    assert not any("return x + 3" in text for text in asked)
    assert len({one.row["topic"] for one in part.written}) == 6


def test_a_closed_topic_is_not_asked_and_says_so() -> None:
    teacher = Scripted(answer)
    topics = [drill.topic for drill, _ in drawn(range(4), WAYS)]
    part = write(range(4), teacher, WAYS, closed=topics[1:3])
    assert [one.failure and one.failure.reason for one in part.written] == [
        None,
        "cell_exhausted",
        "cell_exhausted",
        None,
    ]
    assert len(teacher.asked) == 4


def test_each_switch_changes_what_is_asked() -> None:
    teacher = Scripted(answer)
    revised = write(range(2), teacher, WAYS._replace(critique=True)).written[0].row
    assert "Add 7." in revised["prompt"] and sum(CRITIQUE in r.messages[-1].content for r in teacher.asked) == 2
    twice = write(range(2), teacher, WAYS._replace(second=True)).written[0]
    assert "total += 3" in twice.second and "total" not in twice.row["solution"]
    free = Scripted(answer)
    row = write(range(1), free, WAYS._replace(constrained=False)).written[0].row
    assert row["entry_point"] == "chosen_freely" and "Topic:" not in free.asked[0].messages[0].content
    ((drill, request),) = drawn([0], WAYS._replace(personas=True), ["total = 0\n"])
    assert drill.persona in request.messages[0].content and "```python\ntotal = 0\n```" in request.messages[0].content


def test_a_second_solution_that_disagrees_is_the_end_of_an_exercise(tmp_path: Path) -> None:
    cfg = Exercises(
        teacher_exercises=2, count=0, heldout=0, recorded=False, max_rejected_share=1.0, second_solution=True
    )
    teacher = Scripted(answer)
    write(range(2), teacher, cfg.ways)
    answered = [(request, answer(request)) for request in teacher.asked]
    place = next(k for k, (request, _) in enumerate(answered) if request.messages[0].content.startswith("Complete"))
    answered[place] = (answered[place][0], answered[place][1].replace("return total", "return total if x > 0 else 0"))
    made = run_stage(exercises, cfg, store=Store(tmp_path / "s"), site=recorded_site(tmp_path, answered))
    assert made.rows("exercises") == 1 and made.manifest["flow"]["rejected"] == {"solutions_disagree": 1}


def test_inputs_are_varied_and_only_literals_are_taken() -> None:
    found = inputs_from("assert f([1, 2], 'ab') == 3\nassert f(make(), 'c') == g(2)\nassert f(*a) == 1\n", "f")
    assert "[1, 2], 'ab'" in found and "[2, 1], 'ab'" in found and "[1, 2], 'abab'" in found and len(found) == 7


REAL = '''import math
import os
from collections import Counter

LIMIT = 3


def common(words, size=2):
    """The most frequent words."""
    counts = Counter(words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return ranked[:size]


def not_alone(x):
    y = x + 1
    z = y + LIMIT
    return z


def reaches_out(x):
    y = os.getcwd()
    z = y + x
    return z
'''


def curated(folder: Path, texts: list[str]) -> Artifact:
    store = Store(folder)
    with store.writing("curate", "cd" * 16) as made:
        out = Writer(made)
        rows = [{"id": document_id(t), "text": t, "source": "s", "licence": "", "path": "p"} for t in texts]
        out.table("documents", 0, to_table(rows, DOCUMENT))
        out.flow(rows_in=len(rows), kept="documents")
        return out.finish({"id": "cd" * 16, "stage": "curate", "version": 1, "config": {}, "inputs": {}}, 0.0)


def test_functions_that_stand_alone_are_found_and_fragments_drawn() -> None:
    (one,) = functions_in(REAL, ("math", "collections"))
    assert one.name == "common" and one.imports == "from collections import Counter\n"
    assert "most frequent" not in one.code and functions_in(REAL, ("math",)) == [] and functions_in("def f(", ()) == []
    assert (
        fragments([REAL, "x = 1\n"], 2, 0) == fragments(["x = 1\n", REAL], 2, 0) and len(fragments([REAL], 2, 0)) == 1
    )


def test_a_real_function_becomes_an_exercise_where_the_regenerated_body_agrees(tmp_path: Path) -> None:
    head = "from collections import Counter\n\n\ndef common(words, size=2):\n"
    docstring = head + '    """The most frequent words.\n\n    Ties by name.\n    """\n'
    same = (
        docstring + "    counts = {}\n    for word in words:\n        counts[word] = counts.get(word, 0) + 1\n"
        "    return sorted(counts, key=lambda word: (-counts[word], word))[:size]\n"
    )
    tests = "assert common(['a', 'b', 'a']) == ['a', 'b']\nassert common([]) == []\nassert common(['c'], 1) == ['c']\n"

    def told(request: Request) -> str:
        first = request.messages[0].content
        return fenced(docstring if first.startswith("Here is") else tests if first.startswith("Write the") else same)

    cfg = Exercises(reversed_functions=1, count=0, heldout=0, recorded=False)
    teacher = Scripted(told)
    part = dialogue.reverse([(0, functions_in(REAL, cfg.imports)[0])], teacher, cfg.ways)
    assert "counts = Counter(words)" in part.written[0].row["solution"] and "counts = {}" in part.written[0].second
    site = recorded_site(tmp_path, [(request, told(request)) for request in teacher.asked])
    made = run_stage(exercises, cfg, curated(tmp_path / "c", [REAL]), store=Store(tmp_path / "s"), site=site)
    (row,) = made.table("exercises").to_pylist()
    assert row["topic"] == "instruction_reversal" and "Ties by name." in row["prompt"] and row["verified"]
    with pytest.raises(ConfigError, match="no curated files"):
        run_stage(exercises, cfg, store=Store(tmp_path / "s2"), site=Site(workers=1))


def test_the_pipeline_gives_the_curated_files_only_where_a_setting_wants_them() -> None:
    plain = Recipe.load("laptop")
    assert phi1(plain).exercises.inputs == () == phi1(plain).textbook.inputs
    wanting = phi1(plain.replace({"exercises.corpus_seeds": True, "textbook.rewritten": 5}))
    assert [step.stage.name for step in (*wanting.exercises.inputs, *wanting.textbook.inputs)] == ["curate", "curate"]
    assert wanting.exercises.id != phi1(plain).exercises.id
