"""Problems from the package, from exercises and from a user's file; a bad file says which line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from codetextbook.benchmarks.problems import BenchmarkFile, from_exercises, load, problems_digest
from codetextbook.errors import BenchmarkError
from codetextbook.nouns import EXERCISE
from codetextbook.shards import to_table

ROW = {
    "task_id": "Mine/0",
    "prompt": 'def one():\n    """One."""\n',
    "entry_point": "one",
    "canonical_solution": "    return 1\n",
    "test": "def check(candidate):\n    assert candidate() == 1\n",
}
MBPP = {
    "task_id": 7,
    "text": "Write a function to double.",
    "code": "def half(x):\r\n    return x / 2\r\ndef double(x):\r\n    return 2 * x",
    "test_list": ["assert double(2) == 4", "assert double(0) == 0"],
    "test_setup_code": "import math",
}


def exercise(number: int, family: str, split: str) -> dict[str, object]:
    return {
        "id": f"{number:032x}",
        "prompt": f'def f{number}(x):\n    """Doc {number}."""\n',
        "solution": "    return x\n",
        "tests": f"assert f{number}(1) == 1\n",
        "entry_point": f"f{number}",
        "topic": "t",
        "family": family,
        "writer": "grammar",
        "split": split,
        "verified": True,
    }


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_humaneval_is_whole_and_raw() -> None:
    problems = load(["humaneval"])["humaneval"]
    assert len(problems) == 164
    assert problems[0].prompt.endswith('"""\n')
    compile(problems[0].prompt + problems[0].reference, "<reference>", "exec")


def test_a_file_in_either_form(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", ROW, MBPP)
    first, second = load([], [BenchmarkFile(name="mine", path=str(path))])["mine"]
    assert (first.task_id, first.entry_point, first.reference) == ("Mine/0", "one", "    return 1\n")
    assert (second.task_id, second.entry_point) == ("7", "double")
    assert second.prompt == '"""\nWrite a function to double.\nassert double(2) == 4\n"""\n'
    assert second.tests == "import math\nassert double(2) == 4\nassert double(0) == 0\n"
    assert "\r" not in second.reference
    packed = tmp_path / "mine.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert load([], [BenchmarkFile(name="mine", path=str(packed))])["mine"] == [first, second]


def test_another_content_is_another_setting(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", ROW)
    before = BenchmarkFile(name="mine", path=str(path))
    write(path, {**ROW, "task_id": "Mine/1"})
    assert BenchmarkFile(name="mine", path=str(path)).sha256 != before.sha256
    with pytest.raises(BenchmarkError, match="changed"):
        load([], [before])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json}\n", "not JSON Lines"),
        ('{"task_id": 1}\n', "line 1 is no problem"),
        ("[1]\n", "line 1 is no problem"),
        ("\n", "no problems"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchmarkError, match=message) as caught:
        load([], [BenchmarkFile(name="bad", path=str(path))])
    assert "bad.jsonl" in str(caught.value)


def test_unknown_names_and_missing_files_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="no benchmark 'nope'"):
        load(["nope"])
    with pytest.raises(BenchmarkError, match="no such file"):
        load([], [BenchmarkFile(name="a", path="missing.jsonl")])


def test_heldout_exercises_are_drawn_evenly_and_repeatably() -> None:
    rows = [exercise(i, "big" if i < 30 else "small", "heldout") for i in range(34)] + [exercise(99, "big", "train")]
    table = to_table(rows, EXERCISE)
    everything = load(["heldout"], exercises=table)["heldout"]
    drawn = load(["heldout"], exercises=table, heldout_cap=8, seed=1)["heldout"]
    assert len(everything) == 34
    assert [problem.family for problem in drawn].count("small") == 4
    assert drawn == load(["heldout"], exercises=table, heldout_cap=8, seed=1)["heldout"]
    assert drawn != load(["heldout"], exercises=table, heldout_cap=8, seed=2)["heldout"]
    assert problems_digest(drawn) != problems_digest(everything)
    assert [problem.task_id for problem in from_exercises(table, split="train")] == [f"{99:032x}"]
