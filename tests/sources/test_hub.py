"""A data set by its name: a local copy of one, in each form in which people keep them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reading import CODE, documents, made

from codetextbook.errors import InputError
from codetextbook.sources import Hub

datasets = pytest.importorskip("datasets")

ROWS = [
    {"content": f"{CODE}# {n}\n", "max_stars_repo_path": f"{n}.py", "licenses": ["MIT"], "size": n} for n in range(450)
]


def as_lines(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "train-00000.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def as_parquet(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, start in enumerate((0, 200)):
        end = (200, 450)[number]
        datasets.Dataset.from_list(ROWS[start:end]).to_parquet(str(folder / f"train-{number:05d}-of-00002.parquet"))


def as_saved(folder: Path) -> None:
    datasets.Dataset.from_list(ROWS, split="train").save_to_disk(str(folder), num_shards=2)


def as_saved_splits(folder: Path) -> None:
    other = [row | {"max_stars_repo_path": "test.py"} for row in ROWS[:1]]
    splits = {"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(other)}
    datasets.DatasetDict(splits).save_to_disk(str(folder))


WRITE: list[Callable[[Path], None]] = [as_lines, as_parquet, as_saved, as_saved_splits]


@pytest.fixture(autouse=True)
def _away_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("write", WRITE)
def test_a_local_copy_of_a_data_set_is_read_as_the_hub_would_give_it(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "the-stack" / "data" / "python")
    source = Hub(dataset=str(tmp_path / "the-stack"), data_dir="data/python")
    artifact = made(tmp_path, source)
    assert artifact.table("documents")["path"].to_pylist() == [row["max_stars_repo_path"] for row in ROWS]
    found = documents(artifact)
    assert {path: row["text"] for path, row in found.items()} == {
        row["max_stars_repo_path"]: row["content"] for row in ROWS
    }
    assert (found["7.py"]["licence"], found["7.py"]["source"]) == ("MIT", "hub:the-stack")
    with pytest.raises(InputError, match="no column"):
        made(tmp_path / "2", source.model_copy(update={"text_column": "body"}))


def test_every_form_gives_the_same_artifact(tmp_path: Path) -> None:
    digests = set()
    for write in WRITE:
        write(tmp_path / write.__name__)
        digests.add(made(tmp_path / f"{write.__name__}-made", named(tmp_path / write.__name__)).digest)
    assert len(digests) == 1


def named(folder: Path, **settings: Any) -> Hub:
    """The copy under the name that the documents bear."""
    return Hub(dataset=str(folder), name="the-stack", **settings)


def test_another_split_is_read_or_named(tmp_path: Path) -> None:
    as_saved_splits(tmp_path / "several")
    assert set(documents(made(tmp_path / "1", named(tmp_path / "several", split="test")))) == {"test.py"}
    with pytest.raises(InputError, match="no split 'dev'.*split = one of test, train"):
        made(tmp_path / "2", named(tmp_path / "several", split="dev"))
    as_saved(tmp_path / "one")
    with pytest.raises(InputError, match="no split 'test'.*split = one of train"):
        made(tmp_path / "3", named(tmp_path / "one", split="test"))


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        made(tmp_path, Hub(dataset=str(tmp_path / "nowhere")))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "state.json").write_text("{")
    with pytest.raises(InputError, match="cannot be opened"):
        made(tmp_path, Hub(dataset=str(tmp_path / "broken")))
