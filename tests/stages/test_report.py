"""The report: all facts on one offline page, hostile text harmless, missing facts said aloud."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from codetextbook.benchmarks.passk import mcnemar
from codetextbook.charts.words import cost, utilisation
from codetextbook.charts.written import coverage, diversity, imports, modules
from codetextbook.nouns import COMPLETION, EXERCISE, PAGE
from codetextbook.shards import to_table
from codetextbook.side_by_side import markdown
from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.decontaminate import MATCH
from codetextbook.stages.dedup import DUPLICATE
from codetextbook.stages.read import FACTS
from codetextbook.stages.report import Report, both_ways, report
from codetextbook.store import Artifact, Store, Writer
from codetextbook.text.code_facts import facts_of

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}]]>&amp;\u202e\x07"
ORDER = (
    "read",
    "dedup",
    "annotate",
    "embed",
    "curate",
    "textbook",
    "exercises",
    "decontaminate",
    "tokenizer",
    "pack",
    "pretrain",
)
ORDER += ("pack", "finetune", "select", "evaluate")


def finished(
    store: Store,
    stage: str,
    number: int,
    *,
    tables: dict[str, pa.Table] | None = None,
    jsons: dict[str, Any] | None = None,
    lines: list[dict[str, Any]] | None = None,
    rejected: dict[str, int] | None = None,
    facts: dict[str, Any] | None = None,
) -> Artifact:
    key = f"{number:016x}"
    out = Writer(store.folder(stage, key))
    for name, table in (tables or {}).items():
        out.table(name, 0, table)
    for name, value in (jsons or {}).items():
        out.json(name, value)
    for name, value in (facts or {}).items():
        out.fact(name, value)
    if lines is not None:
        with out.volatile("metrics.jsonl") as path:
            path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    lost = sum((rejected or {}).values())
    out.flow(rows_in=1000 + lost, unit="documents", rows_kept=1000, rejected=rejected or {})
    return out.finish({"id": key, "stage": stage, "version": 1, "config": {"note": HOSTILE}, "inputs": {}}, 12.5)


def completion(model: str, number: int, verdict: str) -> dict[str, Any]:
    return {
        "model": model,
        "benchmark": "humaneval",
        "task_id": f"HumanEval/{number}",
        "sample": 0,
        "prompt": f'def f(x):\n    """{HOSTILE[:20]}"""\n',
        "raw": HOSTILE,
        "extracted": "    return x\n",
        "stop_reason": "stop",
        "verdict": verdict,
        "detail": HOSTILE,
    }


def scores() -> dict[str, Any]:
    one = {
        "problems": 164,
        "samples": 164,
        "passed": 2,
        "pass_at_k": {"1": 2 / 164},
        "low": 0.003,
        "high": 0.043,
        "interval": "wilson",
        "syntax_valid": 0.8,
        "bits_per_byte": 1.234,
        "verdicts": {"passed": 2, "failed": 100, "unparsable": 62},
        "families": {},
    }
    pair = mcnemar([True, True], [False, True])._asdict() | {
        "test": "McNemar",
        "detectable_difference": 0.1,
        "bootstrap_low": 0.0,
        "bootstrap_high": 1.0,
        "words": "This cannot tell best and base apart.",
    }
    return {
        "models": {"best": {"humaneval": one}, "base": {"humaneval": one | {"bits_per_byte": None}}},
        "paired": {"humaneval": pair},
        "protocol": {"k": [1]},
        "protocol_digest": "abc",
    }


def agreement(auc: float) -> dict[str, Any]:
    return {"auc": auc, "auc_interval": [auc - 0.05, auc + 0.05], "average_precision": 0.7, "f1": 0.65}


REMOVED = [
    dict.fromkeys(DUPLICATE.names, "x")
    | {"detail": f"{HOSTILE}/{n}.py is like package:a a/kept.py", "keeper": "k", "similarity": 0.9}
    for n in range(7)
]


def run_of(store: Store) -> list[Artifact]:
    """A small run with hostile text wherever text can be."""
    page = {"id": "p", "text": HOSTILE, "topic": "t", "audience": "a", "words": [], "writer": "grammar"}
    drill = dict.fromkeys(EXERCISE.names, "x") | {"verified": True, "writer": "recorded", "split": "train"}
    match = dict.fromkeys(MATCH.names, HOSTILE) | {
        "detector": "ast",
        "score": 0.97,
        "removed": True,
        "false_alarm": False,
        "kind": "exercise",
        "benchmark": "humaneval",
        "task_id": "HumanEval/40",
    }
    losses: list[dict[str, Any]] = [
        {
            "step": i,
            "loss": 9 - i / 100,
            "learning_rate": 1e-3,
            "gradient_norm": 2.0,
            "tokens": 100 * i,
            "seconds_since_start": i / 10,
        }
        for i in range(500)
    ]
    losses += [{"step": 499, "validation_loss": 5.0}]
    quality = {
        "threshold": 0.5,
        "in_words": ["That the filter beats length alone is not shown: because."],
        "kept_curve": [
            {"threshold": k / 4, "documents": 100 - 25 * k, "characters": 9, "share": 1 - k / 4} for k in range(5)
        ],
        "precision_recall": [{"threshold": k / 4, "precision": 0.5 + k / 8, "recall": 1 - k / 4} for k in range(5)],
        "agreement": {"forest": agreement(0.81), "length_alone": agreement(0.6), "syntax_tree_rule": agreement(0.9)},
    }
    sources = ["import os, numpy\n\n\ndef f():\n    pass\n", "import numpy\n", "print 'old'\n", "def (:\n"]
    read_facts = [{"id": str(number), **facts_of(text)._asdict()} for number, text in enumerate(sources)]
    extra: dict[str, dict[str, Any]] = {
        "read": {"tables": {"facts": to_table([*read_facts, {"id": "prose"}], FACTS)}},
        "dedup": {
            "rejected": {"near_duplicate": 250},
            "tables": {"rejected": pa.Table.from_pylist(REMOVED, schema=DUPLICATE)},
            "facts": {
                "largest_clusters": [{"keeper": "k", "documents": 8}],
                "share_removed_by_source": {HOSTILE: 0.25, "package:b": 0.0},
            },
        },
        "curate": {
            "tables": {"scores": pa.table({"quality": [i / 99 for i in range(100)]})},
            "jsons": {"quality": quality},
            "rejected": {"below_threshold": 500},
        },
        "decontaminate": {
            "tables": {
                "pages": pa.Table.from_pylist([page], schema=PAGE),
                "exercises": pa.Table.from_pylist([drill], schema=EXERCISE),
                "matches": pa.Table.from_pylist([match], schema=MATCH),
            }
        },
        "pretrain": {"lines": losses},
        "evaluate": {
            "tables": {
                "completions": pa.Table.from_pylist(
                    [completion(m, i, v) for m in ("best", "base") for i, v in enumerate(["failed"] * 40 + ["passed"])],
                    schema=COMPLETION,
                )
            },
            "jsons": {"scores": scores()},
        },
    }
    return [finished(store, stage, number, **extra.get(stage, {})) for number, stage in enumerate(ORDER)]


class Page(HTMLParser):
    """Tags, addresses and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += " " + data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    store = Store(tmp_path_factory.mktemp("store"))
    return run_stage(report, Report(title="Hello <b>"), *run_of(store), store=store, site=Site())


def test_the_page_is_one_file_that_asks_for_nothing(made: Artifact) -> None:
    page = Page(made.file("report.html").read_text(encoding="utf-8"))
    assert not page.tags & {"script", "link", "img", "iframe", "object", "b"}
    for name, value in page.attributes:
        assert not name.startswith("on"), name
        if name in ("href", "src", "xlink:href"):
            assert value is not None and value.startswith("#")
    assert not re.search(r"url\((?!#)|@import", made.file("report.html").read_text(encoding="utf-8"))


def test_hostile_text_is_shown_as_text(made: Artifact) -> None:
    page = Page(made.file("report.html").read_text(encoding="utf-8"))
    assert page.text.count("<script>alert(1)</script>") >= 10
    assert "{{ 7 * 7 }}" in page.text


def test_every_fact_is_on_the_page_with_its_table(made: Artifact) -> None:
    html = made.file("report.html").read_text(encoding="utf-8")
    assert "Scores both ways" in html and "1 of 1" in html
    text = " ".join(Page(html).text.split())
    for expected in (
        "near duplicate 250",
        "below threshold 500",
        "the filter: a random forest on embeddings 0.810 0.760 to 0.860",
        "length alone 0.600",
        "That the filter beats length alone is not shown: because.",
        "by rule (the grammar), no language model",
        "a language model, recorded and shipped with the package",
        "1.234",
        "This cannot tell best and base apart.",
        "bootstrap over problems 0.0 % to 100.0 %; McNemar)",
        "50.6 %",
        "12.19 %",
        "not comparable",
        "Not recorded by finetune in this run.",
        "12.5 s",
    ):
        assert expected in text, expected
    assert html.count("<svg") == 10
    identifiers = re.findall(r'\bid="([^"]+)"', html)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(identifiers)


def test_every_figure_is_told_to_who_cannot_see_it(made: Artifact) -> None:
    html = made.file("report.html").read_text(encoding="utf-8")
    heads = re.findall(r"<svg[^>]*>", html)
    roles = [re.search(r'role="(\w+)" aria-label=("[^"]{20,}"|\'[^\']{20,}\')', head) for head in heads]
    assert heads and all(roles)
    assert Counter(role.group(1) for role in roles if role) == {"img": len(heads) - 1, "group": 1}
    assert 'aria-label="pass@1, %, with 95 % interval: HumanEval, base 1.22 (0.3 to 4.3);' in html


def test_the_first_tiles_say_what_it_cost(made: Artifact) -> None:
    text = " ".join(Page(made.file("report.html").read_text(encoding="utf-8")).text.split())
    assert "$0 no teacher was paid 3 min in all, the sum of the steps" in text
    flow = [{"facts": {"dollars": 1.5}}, {"facts": {"dollars": None}}, {"facts": {"dollars": 0.25}}]
    assert cost(flow, {"read": 7_300.0}) == {
        "value": "$1.75",
        "label": "paid to the teacher",
        "note": "2.0 h in all, the sum of the steps",
    }
    assert cost([{"facts": {"dollars": 0.001}}], {"read": 1.0})["value"] == "less than $0.01"


def test_a_peak_that_nobody_recorded_is_said_to_be_unknown(made: Artifact) -> None:
    html = made.file("report.html").read_text(encoding="utf-8")
    assert (
        "Half of the time faster than 1,000 tokens a second.</p>" in html
    )  # no parameters recorded: no arithmetic told
    speed: dict[str, Any] = {"tokens": 1_000, "flops": 2e9, "machine": None}
    assert utilisation(speed) == "2 GFLOP/s of the model's own arithmetic, of an unknown peak"
    machine = {"name": "a card", "precision": "bfloat16", "peak_flop_per_second": 8e9, "peak_is": "published"}
    assert utilisation(speed | {"machine": machine}) == (
        "2 GFLOP/s of the model's own arithmetic: 25.0 % of the maker's peak (a card, bfloat16: 8 GFLOP/s)"
    )


def test_topics_of_the_curriculum_are_counted_by_area() -> None:
    found = coverage({"variables": 3, "for_loops": 1, "no topic of it": 2})
    assert found["topics"] == sum(area["topics"] for area in found["areas"]) > 500
    assert (found["met"], found["others"]) == (2, 1)
    (first,) = (area for area in found["areas"] if area["area"] == "First steps")
    assert (first["met"], first["texts"]) == (1, 3)
    assert "First steps" not in found["without"] and "Errors and testing" in found["without"]


def test_the_page_tells_which_topics_are_met(made: Artifact) -> None:
    text = " ".join(Page(made.file("report.html").read_text(encoding="utf-8")).text.split())
    assert re.search(r"Pages meet 0 of \d+ topics of the curriculum, and 1 that are the writers' own", text)
    assert "Areas of the curriculum with none: all." in text


def test_the_section_of_contamination_shows_each_match_from_both_sides(tmp_path: Path) -> None:
    match = dict.fromkeys(MATCH.names, "") | {"benchmark": "humaneval", "removed": True, "false_alarm": False}
    match |= {"kind": "exercise", "document_id": "ab" * 16}
    shown = [
        {"detector": "ast", "score": 0.9625, "task_id": "HumanEval/1", "where": "near"},
        {"detector": "text_ngram", "score": 17.0, "task_id": "HumanEval/2", "shared": "seventeen words in common"},
        {"detector": "embedding", "score": 0.4375, "task_id": "HumanEval/3"},
        {"detector": "docstring_ngram", "score": 3.0, "task_id": "HumanEval/4"},
    ]
    excerpts = [
        {"text_excerpt": f"own {n} {HOSTILE}", "benchmark_excerpt": f"asked {n} {HOSTILE}"} for n in range(len(shown))
    ]
    rows = [match | one | sides for one, sides in zip(shown, excerpts, strict=True)]
    store = Store(tmp_path)
    steps = [
        finished(store, stage, number, tables={"matches": pa.Table.from_pylist(rows, schema=MATCH)})
        if stage == "decontaminate"
        else finished(store, stage, number)
        for number, stage in enumerate(ORDER)
    ]
    page = run_stage(report, Report(), *steps, store=store, site=Site()).file("report.html").read_text("utf-8")
    (section,) = re.findall(r'<section id="contamination">.*?</section>', page, re.DOTALL)
    found = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", section, re.DOTALL)
    told = {summary.split(":")[0]: " ".join(Page(summary + body).text.split()) for summary, body in found}
    scores_told = {"HumanEval/1": "ast 0.9625", "HumanEval/2": "text ngram 17", "HumanEval/3": "embedding 0.4375"}
    scores_told |= {"HumanEval/4": "docstring ngram 3"}
    assert set(told) == set(scores_told)
    for number, row in enumerate(rows):
        words = told[row["task_id"]]
        assert scores_told[row["task_id"]] in words
        assert f"own {number} </pre><script>alert(1)" in words and f"asked {number} </pre><script>alert(1)" in words
        assert row["shared"] in words and row["where"] in words
    assert "<script" not in section


def test_the_facts_are_small_and_do_not_hold_times(made: Artifact) -> None:
    facts = made.json("report")
    by_series = Counter(row["series"] for row in facts["training"]["pretrain"])
    assert (
        set(by_series) == {"training", "validation", "learning rate", "gradient norm"}
        and max(by_series.values()) <= 200
    )
    assert {row["verdict"] for row in facts["samples"]} == {"passed", "failed"}
    assert len(facts["samples"]) == 48
    assert "12.5" not in json.dumps(facts["flow"]) and "seconds" not in json.dumps(facts)
    assert "report.html" in made.manifest["volatile"]


def test_every_problem_has_a_cell_and_a_row(made: Artifact) -> None:
    (grid,) = made.json("report")["grid"]
    assert [(row["model"], row["letters"]) for row in grid["models"]] == [
        (name, "-" * 40 + "+") for name in ("best", "base")
    ]
    html = made.file("report.html").read_text(encoding="utf-8")
    cells = re.findall(r'<div class="grid" role="img"[^>]*>(.*?)</div>', html)
    assert [len(re.findall("<i ", row)) for row in cells] == [41, 41]
    assert "<td>HumanEval/40</td><td><code>f</code></td><td>passed</td><td>passed</td>" in html


def test_the_page_tells_what_another_threshold_would_do_and_what_the_paper_got(made: Artifact) -> None:
    text = " ".join(Page(made.file("report.html").read_text(encoding="utf-8")).text.split())
    for expected in ("0.25 75 75.0 %", "0.500 75.0 % 50.0 %", "Beside it, the paper: phi-1"):
        assert expected in text, expected


def test_choices_of_samples_are_those_that_are_there(made: Artifact) -> None:
    html = made.file("report.html").read_text(encoding="utf-8")
    assert re.findall(r'class="(verdict-\d|model-\d)"', html) == ["verdict-0", "verdict-1", "model-0", "model-1"]
    assert '#samples:has(.verdict-1:checked) details:not([data-verdict="1"])' in html
    assert len(re.findall(r'<details data-verdict="\d" data-model="\d" data-benchmark="0"', html)) == 48


def test_imports_are_counted_by_program_as_in_the_papers_figure() -> None:
    assert modules(
        "import os.path, numpy as np\nfrom collections.abc import Sequence\ndef f():\n    import math\n"
    ) == {
        "os",
        "numpy",
        "collections",
        "math",
    }
    assert modules("x = 'important'\nfrom_here = 1\n# from a to import b\n") == set()
    programs = ["import math\n"] * 12 + ["import turtle\n"] * 3 + ["import torch\n"] * 10
    found = imports(pa.table({"prompt": programs, "solution": [""] * len(programs)}))
    assert [(row["module"], row["exercises"], row["standard"]) for row in found["rows"]] == [
        ("math", 12, True),
        ("torch", 10, False),
    ]
    assert found["rare"] == 1


def test_groups_of_duplicates_name_who_stayed_and_who_went(made: Artifact) -> None:
    found = json.loads(made.file("report.json").read_text(encoding="utf-8"))["duplicates"]
    (cluster,) = found["clusters"]
    assert (cluster["stayed"], cluster["documents"], cluster["more"]) == ("package:a a/kept.py", 8, 2)
    assert cluster["gone"] == [f"{HOSTILE}/{n}.py" for n in range(5)]
    assert found["shares"] == {HOSTILE: 0.25} and found["untouched"] == 1


def test_what_was_read_is_told_by_the_facts_of_its_syntax(made: Artifact) -> None:
    assert made.json("report")["syntax"] == {
        "files": 4,
        "parses": 2,
        "python2": 1,
        "does_not_parse": 1,
        "functions": 1,
        "classes": 0,
        "imports": [{"package": "numpy", "files": 2}, {"package": "os", "files": 1}],
        "other_imports": 0,
    }
    text = Page((made.folder / "report.html").read_text(encoding="utf-8")).text
    assert "Of 4 Python files 2 parse, 1 is Python 2, and 1 does not parse for another reason." in text


def test_scores_stand_on_both_sides_of_what_matched() -> None:
    matches = [
        {"benchmark": "humaneval", "task_id": f"HumanEval/{number}", "false_alarm": number == 3}
        for number in (39, 40, 3)
    ]
    rows = [completion("best", number, verdict) for number, verdict in enumerate(["failed"] * 40 + ["passed"])]
    found = both_ways(matches, [*rows, completion("best", 39, "passed") | {"sample": 1}])
    assert [(row["matched"]["problems"], row["matched"]["solved"], row["others"]["problems"]) for row in found] == [
        (2, 1, 39)
    ]
    assert found[0]["others"]["solved"] == 0 and found[0]["matched"]["low"] < 0.5 < found[0]["matched"]["high"]
    assert both_ways([], rows) == []


def test_diversity_is_a_row_a_writer() -> None:
    measured = {"texts": 3, "compression": 2.5}
    told = {
        "diversity": {
            "grammar": measured | {"spread": {"texts": 2, "apart": 0.5, "nearest": 0.4}},
            "recorded": {"texts": 0},
        }
    }
    assert diversity({"textbook": None, "exercises": told}) == [
        {"step": "exercises", "writer": "grammar", "compression": 2.5, "apart": 0.5, "nearest": 0.4, "texts": 3}
        | {"spread": {"texts": 2, "apart": 0.5, "nearest": 0.4}}
    ]


def test_the_report_as_markdown_has_the_same_numbers_and_no_markup_from_outside(made: Artifact) -> None:
    text = markdown(made)
    for expected in (
        "| HumanEval | best | 1.2 % | 0.3 % to 4.3 % |",
        "| curate | 1,500 | 1,000 | documents | below threshold 500 |",
        "| length alone | 0.600 |",
        "not comparable",
        f"| pretrain | {10:016x} |",
    ):
        assert expected in text, expected
    assert "<script>" not in text


def test_the_same_run_gives_the_same_digest(tmp_path: Path, made: Artifact) -> None:
    again = run_stage(report, Report(title="Hello <b>"), *run_of(Store(tmp_path)), store=Store(tmp_path), site=Site())
    assert (again.id, again.digest) == (made.id, made.digest)
    fewer = run_stage(
        report, Report(max_samples=2, max_matches=0), *run_of(Store(tmp_path)), store=Store(tmp_path), site=Site()
    )
    assert len(fewer.json("report")["samples"]) == 2
    assert fewer.json("report")["contamination"]["shown"] == []


def test_a_run_that_recorded_nothing_still_has_a_page(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bare = [finished(store, stage, number) for number, stage in enumerate(ORDER)]
    page = Page(run_stage(report, Report(), *bare, store=store, site=Site()).file("report.html").read_text("utf-8"))
    text = " ".join(page.text.split())
    for stage in ("curate", "decontaminate", "pretrain", "finetune", "evaluate"):
        assert f"Not recorded by {stage} in this run." in text
