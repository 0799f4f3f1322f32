"""Cards as the hub reads them: its own library parses their front matter, and what they tell is what the manifests hold."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from huggingface_hub import DatasetCard, ModelCard

from codetextbook import export
from codetextbook.charts.cards import front_matter, licences, size_class
from codetextbook.cli import main
from codetextbook.errors import InputError
from codetextbook.run import Run


@pytest.fixture(scope="module")
def folder(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tiny run trains on, for the hub."""
    tiny_run.make("decontaminate")
    where = tmp_path_factory.mktemp("hub") / "data"
    done = CliRunner().invoke(main, ["export", "data", str(where), "--work", str(tiny_run.work)])
    assert done.exit_code == 0, done.output
    return where


def test_the_hub_reads_the_dataset_card_and_its_files_are_there(folder: Path) -> None:
    card = DatasetCard.load(folder / "README.md")
    assert card.data.license == "other" and card.data.size_categories == ["n<1K"]
    for config in card.data.to_dict()["configs"]:
        parts = sorted(folder.glob(config["data_files"]))
        rows = sum(pq.read_metadata(part).num_rows for part in parts)
        assert f"| {config['config_name']} | {rows:,} |" in card.text
    assert {config["config_name"] for config in card.data.to_dict()["configs"]} == {"documents", "pages", "exercises"}


def test_the_dataset_card_tells_sources_licences_leaks_and_costs(folder: Path, tiny_run: Run) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    clean = tiny_run.make("decontaminate")
    for licence, count in licences(clean).items():
        assert f"| {licence} | {count} |" in text
    sources = set(clean.table("documents")["source"].to_pylist())
    assert sources and all(f"| {source} |" in text for source in sources)
    for told in ("by rule (the grammar)", "Teachers were paid 0.00 dollars", clean.digest):
        assert told in text, told


def test_the_hub_reads_the_model_card_with_its_scores(tiny_run: Run, tmp_path: Path) -> None:
    chosen, exam = tiny_run.make("select"), tiny_run.make("evaluate")
    export.hf(chosen.file("model"), tmp_path / "out", "fp32")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.library_name == "transformers" and "python" in card.data.tags
    found = {one.dataset_name: one.metric_value for one in card.data.eval_results or []}
    scores = exam.json("scores")["models"]["best"]
    assert found["HumanEval"] == pytest.approx(scores["humaneval"]["pass_at_k"]["1"], abs=1e-4)
    assert "## Limits" in card.text and "## Costs" in card.text


def test_a_name_from_outside_cannot_leave_its_line() -> None:
    hostile = 'x"\nlicense: mit\n---\n# Title'
    lines = front_matter({"tags": [hostile]})
    assert yaml.safe_load("\n".join(lines[1:-2])) == {"tags": [hostile]}


def test_classes_of_size_are_the_hubs() -> None:
    assert [size_class(rows) for rows in (0, 999, 1_000, 99_999, 20_000_000)] == [
        "n<1K",
        "n<1K",
        "1K<n<10K",
        "10K<n<100K",
        "n>10M",
    ]


def test_nothing_to_export_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to export yet"):
        export.data(tmp_path, tmp_path / "out")
