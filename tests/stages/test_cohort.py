"""Arms of the ablation: controls hold as much as the filtered, in what they are matched in, and are drawn blind to quality."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from codetextbook.experiments import ablation
from codetextbook.recipe import Recipe
from codetextbook.run import Nobody, Run
from codetextbook.stages.cohort import Cohort, matched, shuffled, stratum

ROW = st.tuples(st.sampled_from("ab"), st.integers(1, 60), st.booleans())


def documents(drawn: list[tuple[str, int, bool]]) -> tuple[list[dict[str, str]], dict[str, int], set[str]]:
    """Rows, tokens and the filtered among them."""
    rows = [{"id": f"{n:03d}", "source": source, "text": "x = 1\n" * size} for n, (source, size, _) in enumerate(drawn)]
    tokens = {row["id"]: size for row, (_, size, _) in zip(rows, drawn, strict=True)}
    return rows, tokens, {row["id"] for row, (_, _, good) in zip(rows, drawn, strict=True) if good}


@settings(max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=40), st.sampled_from(["random", "sources", "length", "comments"]))
def test_a_control_holds_as_much_as_the_filtered_up_to_one_document(
    drawn: list[tuple[str, int, bool]], kind: str
) -> None:
    rows, tokens, good = documents(drawn)
    cfg = Cohort(documents=kind)
    chosen = matched(rows, tokens, good, cfg)
    key = stratum(cfg.documents)
    for name in {key(row) for row in rows}:
        own = [row["id"] for row in rows if key(row) == name]
        wanted, got = (sum(tokens[i] for i in own if i in group) for group in (good, chosen))
        assert abs(wanted - got) <= max(tokens[i] for i in own) / 2 or got < wanted


def test_a_control_depends_on_the_seed_and_not_on_the_order_of_the_rows() -> None:
    rows, tokens, good = documents([("a", 10, n % 5 == 0) for n in range(100)])
    first = matched(rows, tokens, good, Cohort(documents="random"))
    assert first == matched(rows[::-1], tokens, good, Cohort(documents="random"))
    assert first != matched(rows, tokens, good, Cohort(documents="random", seed=1))
    assert len(first) == 20


def test_shuffled_solutions_are_all_there_and_none_at_its_place() -> None:
    rows = [{"id": str(n), "split": "train" if n < 8 else "heldout", "solution": str(n)} for n in range(10)]
    made = shuffled(rows, 0)
    assert Counter(row["solution"] for row in made) == Counter(row["solution"] for row in rows)
    assert all(row["solution"] != row["id"] for row in made[:8])
    assert made[8:] == rows[8:]


def test_arms_share_what_is_held_out_and_train_on_none_of_it(tiny_run: Run) -> None:
    made = {arm: tiny_run.make(f"cohort@{arm}") for arm in ("U", "R", "F", "FT")}
    held = {arm: set(one.table("heldout")["id"].to_pylist()) for arm, one in made.items()}
    assert held["U"] and held["U"] == held["R"] == held["F"] == held["FT"]
    texts = {arm: set(one.table("documents")["id"].to_pylist()) for arm, one in made.items()}
    assert not held["U"] & texts["U"]
    assert texts["F"] == texts["FT"] < texts["U"]
    assert made["FT"].rows("pages") > 0 == made["F"].rows("pages")


def test_pages_on_a_concept_can_be_left_out(tiny_run: Run, tiny: Recipe) -> None:
    from codetextbook.stages.contract import make

    step = ablation(tiny).made[next(key for key in ablation(tiny).made if key.arm == "M" and key.kind == "cohort")]
    silent = make(
        step,
        tuple(tiny_run.make(name) for name in ("decontaminate@all", "curate", "tokenizer@all")),
        store=tiny_run.store,
        site=tiny_run.site,
    )
    families = set(tiny.exercises.heldout_families)
    assert not any(families & set(row["words"]) for row in silent.table("pages").to_pylist())
    assert 0 < silent.rows("pages") < tiny_run.make("cohort@FT").rows("pages")


def test_an_experiment_is_made_in_processes_beside_each_other_and_once(tiny_run: Run) -> None:
    artifact = tiny_run.make_experiment(tiny_run.step("ablate"), Nobody())
    arms = [row["arm"] for row in artifact.json("ablation")["arms"]]
    assert arms == ["U", "R", "L", "F", "FT", "UX", "RX", "FX", "FTX"]
    assert "trained on" in artifact.file("ablation.html").read_text(encoding="utf-8")
    before = (tiny_run.work / "runs.jsonl").read_text(encoding="utf-8")
    assert tiny_run.make_experiment(tiny_run.step("ablate"), Nobody()).id == artifact.id
    assert (tiny_run.work / "runs.jsonl").read_text(encoding="utf-8") == before


def test_arms_of_a_seed_start_alike_and_take_the_same_steps(tiny: Recipe) -> None:
    made = ablation(tiny).made
    bases = [step for key, step in made.items() if key.kind == "pretrain" and key.seed == 1 and "*" not in key.arm]
    assert len(bases) == 6
    assert len({step.config for step in bases}) == 1
    assert len({step.id for step in bases}) == 6
