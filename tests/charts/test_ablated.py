"""The ablation in the report: that of the run's own data, in the paper's order; and what is said where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from codetextbook.charts import ablated
from codetextbook.charts.page import render
from codetextbook.store import Artifact, Store, Writer

ARMS = ("U", "R", "L", "F", "FT", "UX", "RX", "FX", "FTX")
EMPTY: dict[str, Any] = dict.fromkeys(
    ("syntax", "duplicates", "quality", "pages", "exercises", "contamination", "model", "selection", "scores")
) | {"flow": [], "training": {}, "diversity": [], "grid": [], "samples": [], "lineage": []}
EMPTY["paper"] = {"rows": [], "sentence": ""}
NO_TIMES: dict[str, Any] = {"seconds": {}, "speed": {}, "machines": {}}


def arm(name: str, bits: float) -> dict[str, Any]:
    one = {"mean": bits, "low": bits - 0.1, "high": bits + 0.1}
    row: dict[str, Any] = {"arm": name, "told": f"what {name} reads", "bits_per_byte": {"humaneval": one}}
    return row | ({"pass_at_1": {"humaneval": {"mean": 0.031}}} if name.endswith("X") else {})


FOUND: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "arms": [arm(name, 3.0 - place / 10) for place, name in enumerate(ARMS)],
    "steps": [{"set": "humaneval", "words": "F beats U: shown."}, {"set": "raw", "words": "not told here"}],
}


def made(store: Store, stage: str, key: str, inputs: dict[str, str], found: Any = None) -> Artifact:
    out = Writer(store.folder(stage, key))
    if found is not None:
        out.json("ablation", found)
    out.flow(rows_in=0, rows_kept=0, rejected={})
    return out.finish({"id": key, "stage": stage, "version": 1, "config": {}, "inputs": inputs}, 1.0)


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def run_in(store: Store) -> dict[str, Artifact]:
    return {step: made(store, step, f"{step}-id", {}) for step in ablated.SHARED}


def test_an_ablation_is_the_runs_own_if_it_was_made_from_its_data(store: Store) -> None:
    run = run_in(store)
    assert ablated.find(store, run) is None
    made(store, "decontaminate", "all", {"a": "dedup-id", "b": "textbook-id", "c": "exercises-id"})
    made(store, "cohort", "foreign", {"clean": "all", "judged": "another-curate-id"})
    made(store, "ablate", "of-another", {"measured_000": "foreign"}, FOUND)
    assert ablated.find(store, run) is None
    made(store, "cohort", "own", {"clean": "all", "judged": "curate-id"})
    made(store, "ablate", "of-this", {"measured_000": "own"}, FOUND)
    made(store, "ablate", "later-of-another", {"measured_000": "foreign"}, FOUND)
    found = ablated.find(store, run)
    assert found is not None and found["id"] == "of-this"


def test_the_page_shows_the_arms_in_the_papers_order() -> None:
    html = render(EMPTY, title="x", timing=NO_TIMES, ablation=FOUND | {"id": "abc"})
    section = html[html.index('<section id="scores">') : html.index('<section id="samples">')]
    labels = [name for name in ARMS if not name.endswith("X")]
    bases = section[section.index("<svg") : section.index("</svg>")]
    places = [bases.index(f">{name}</text>") for name in labels]
    assert places == sorted(places)
    assert section.count("<svg") == 2 and "F beats U: shown." in section and "not told here" not in section
    assert "<td>FTX</td><td>what FTX reads</td>" in section and ">3.1 %</td>" in section


def test_a_page_without_one_says_which_command_makes_it() -> None:
    html = render(EMPTY, title="x", timing=NO_TIMES)
    assert "no finished ablation on this run's data" in html and "<code>codetextbook ablate RECIPE</code>" in html
