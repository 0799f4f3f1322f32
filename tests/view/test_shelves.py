"""The lists: what they hold, narrowed, sorted, searched and turned; and the pages of single rows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import Browser
from served import Viewer, viewing

from codetextbook.site import Site
from codetextbook.stages.contract import run_stage
from codetextbook.stages.dedup import Dedup, dedup
from codetextbook.stages.read import Folder, Read, read
from codetextbook.store import Artifact, Store
from codetextbook.view.catalog import Catalog
from codetextbook.view.items import changes
from codetextbook.view.library import ROWS_PER_PAGE, Ask, Library
from codetextbook.view.shelves import DOCUMENTS, EXERCISES, MATCHES, PAGES, SHELVES


def of(store: Store, stage: str) -> Artifact:
    return next(one for one in store.artifacts() if one.stage == stage)


def keys(answer_text: str) -> list[str]:
    return re.findall(r'class="row" href="[^"]*open=([^"&]+)', answer_text)


def test_every_list_holds_every_row(viewer: Viewer, store: Store) -> None:
    tables = {
        "documents": of(store, "dedup").rows("documents"),
        "grades": of(store, "annotate").rows("grades"),
        "review": of(store, "annotate").rows("grades"),
        "rejected": sum(one.rows("rejected") for one in store.artifacts()),
        "duplicates": of(store, "dedup").rows("rejected"),
        "pages": of(store, "decontaminate").rows("pages"),
        "exercises": of(store, "decontaminate").rows("exercises"),
        "matches": of(store, "decontaminate").rows("matches"),
        "completions": of(store, "evaluate").rows("completions"),
    }
    assert set(tables) == set(SHELVES)
    for name, number in tables.items():
        answer = viewer.ask(f"/{name}")
        assert answer.status == 200
        assert f"{number:,} {SHELVES[name].one if number == 1 else SHELVES[name].many}" in answer.words


def test_a_document_is_shown_with_all_that_the_run_says_of_it(viewer: Viewer, store: Store) -> None:
    scores = of(store, "curate").table("scores").to_pylist()
    grades = {row["document_id"]: row for row in of(store, "annotate").table("grades").to_pylist()}
    lost = next(row for row in scores if not row["kept"] and row["document_id"] in grades)
    words = viewer.ask(f"/documents?open={lost['document_id']}").words
    assert f"quality {lost['quality']:.3f}".rstrip("0") in words
    assert grades[lost["document_id"]]["reason"] in words
    assert "rejected by curate : below threshold. quality" in words
    assert "Return the sum of two numbers" in words and "你好" in words


def test_a_document_that_stays_is_not_called_rejected_for_its_copy(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("def double(x):\n    return 2 * x  # twice as much, and no more than that\n")
    store, site = Store(tmp_path / "work" / "store"), Site(workers=1)
    corpus = run_stage(read, Read(sources=(Folder(path=str(tmp_path)),)), store=store, site=site)
    unique = run_stage(dedup, Dedup(), corpus, store=store, site=site)
    with viewing(tmp_path / "work") as viewer:
        words = viewer.ask(f"/documents?open={unique.table('documents')['id'][0]}").words
    assert "def double" in words and "rejected by" not in words
    assert unique.table("rejected")["reason"].to_pylist() == ["exact_copy"]


def test_kept_and_rejected_are_told_apart(viewer: Viewer, store: Store) -> None:
    kept = {row["document_id"] for row in of(store, "curate").table("scores").to_pylist() if row["kept"]}
    assert set(keys(viewer.ask("/documents?state=kept").text)) == kept
    assert not set(keys(viewer.ask("/documents?state=rejected").text)) & kept
    for reason, number in of(store, "read").manifest["flow"]["rejected"].items():
        assert f"{number} rejected row" in viewer.ask(f"/rejected?step=read&reason={reason}").words


def test_lists_are_sorted_narrowed_and_turned(work: Path, store: Store) -> None:
    library = Library(Catalog(work))
    drills = of(store, "decontaminate")
    light = library.light(EXERCISES, drills)
    assert light is not None
    rows = drills.table("exercises").to_pylist()
    every = [key for page in range(1, 20) for key in _keys(library.rows(light, Ask(page=page)).rows)]
    assert every == [row["id"] for row in rows]
    by_name = [row["entry_point"] for row in library.rows(light, Ask(sort="-entry_point")).rows]
    assert by_name == sorted((row["entry_point"] for row in rows), reverse=True)[:ROWS_PER_PAGE]
    topic = rows[0]["topic"]
    some = library.rows(light, Ask(exact={"topic": topic, "split": "train"}))
    assert some.number == sum(row["topic"] == topic and row["split"] == "train" for row in rows)
    assert dict(next(facet.values for facet in light.facets if facet.name == "split"))["train"] == sum(
        row["split"] == "train" for row in rows
    )


def test_ranges_and_words_narrow_documents(work: Path, store: Store) -> None:
    library = Library(Catalog(work))
    light = library.light(DOCUMENTS, of(store, "dedup"))
    assert light is not None
    quality = {row["document_id"]: row["quality"] for row in of(store, "curate").table("scores").to_pylist()}
    cut = sorted(quality.values())[len(quality) // 2]
    assert library.rows(light, Ask(ranges={"quality": (cut, None)})).number == sum(
        value >= cut for value in quality.values()
    )
    assert library.rows(light, Ask(words="ÜBER")).number == 0
    assert library.rows(light, Ask(words="LEKTION_Ü03")).number == 1


def test_a_search_in_the_texts_finds_what_is_in_them(work: Path, store: Store) -> None:
    library = Library(Catalog(work))
    light = library.light(DOCUMENTS, of(store, "dedup"))
    assert light is not None
    texts = of(store, "dedup").table("documents")["text"].to_pylist()
    for words in ("part_3_2", "Grüße, 你好", "no such words", "' OR 1 = 1 --"):
        found = library.rows(light, Ask(words=words, in_texts=True))
        assert found.search is not None and found.search.done
        assert found.number == sum(words.lower() in text.lower() for text in texts)


def test_a_row_is_read_whole(work: Path, store: Store) -> None:
    library = Library(Catalog(work))
    light = library.light(PAGES, of(store, "decontaminate"))
    assert light is not None
    for row in of(store, "decontaminate").table("pages").to_pylist()[::7]:
        found = library.row(light, row["id"])
        assert found is not None and {name: found[name] for name in row} == row
    assert library.row(light, "nobody") is None


def test_what_a_later_step_says_is_seen_once_it_is_there(work: Path, store: Store, tmp_path: Path) -> None:
    for stage in ("read", "dedup"):
        shutil.copytree(of(store, stage).folder, tmp_path / "store" / stage / of(store, stage).id)
    catalog = Catalog(tmp_path)
    library = Library(catalog)
    light = library.light(DOCUMENTS, catalog.of("dedup")[0])
    assert light is not None and {row["state"] for row in library.rows(light, Ask()).rows} == {"not judged"}
    shutil.copytree(of(store, "curate").folder, tmp_path / "store" / "curate" / of(store, "curate").id)
    light = library.light(DOCUMENTS, catalog.of("dedup")[0])
    assert light is not None and {row["state"] for row in library.rows(light, Ask()).rows} == {"kept", "rejected"}


def test_an_artifact_of_an_earlier_version_lacks_columns_and_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "decontaminate" / ("a" * 16)
    folder.mkdir(parents=True)
    old = {
        "benchmark": "humaneval",
        "task_id": "HumanEval/0",
        "document_id": "d",
        "kind": "page",
        "detector": "ast",
        "score": 1.0,
        "removed": True,
    }
    pq.write_table(pa.Table.from_pylist([old]), folder / "matches-00000.parquet")
    (folder / "manifest.json").write_text(
        f'{{"id": "{"a" * 16}", "stage": "decontaminate", "inputs": {{}}, "rows": {{}}}}'
    )
    catalog = Catalog(tmp_path)
    light = Library(catalog).light(MATCHES, catalog.of("decontaminate")[0])
    assert light is not None and light.total == 1


def test_a_folder_whose_name_is_a_pattern_is_a_folder(work: Path, tmp_path: Path) -> None:
    odd = tmp_path / "wo[rk]*'s"
    odd.symlink_to(work)
    catalog = Catalog(odd)
    assert Library(catalog).light(DOCUMENTS, catalog.of("dedup")[0]) is not None


def test_a_damaged_manifest_is_named_and_the_others_are_shown(work: Path, tmp_path: Path, store: Store) -> None:
    (tmp_path / "store").mkdir()
    for one in store.artifacts()[:2]:
        target = tmp_path / "store" / one.stage / one.id
        target.mkdir(parents=True)
        (target / "manifest.json").write_text((one.folder / "manifest.json").read_text())
    (target / "manifest.json").write_text("{")
    shown = Catalog(tmp_path).shown()
    assert len(shown.artifacts) == 1
    assert shown.faults[0].startswith(f"{target.parent.name}/{target.name} is not shown")


def test_a_diff_shows_what_differs_and_little_else() -> None:
    before = [f"line {number}" for number in range(100)]
    after = [*before[:50], "another <b>", *before[51:]]
    found = changes("\n".join(before), "\n".join(after))
    assert [(one.kind, str(one.text)) for one in found if one.kind in ("gone", "kept")] == [
        ("gone", "line 50"),
        ("kept", "another &lt;b&gt;"),
    ]
    assert len(found) == 9
    assert changes("a\r\nb", "a\nb") == []


def test_an_address_says_all_and_needs_no_scripts(viewer: Viewer, store: Store) -> None:
    words = viewer.ask("/exercises?split=train&sort=-entry_point&page=2").text
    shown = keys(words)
    assert len(shown) == ROWS_PER_PAGE
    one = viewer.ask(f"/exercises?split=train&sort=-entry_point&page=2&open={shown[3]}")
    assert keys(one.text) == shown
    row = next(row for row in of(store, "decontaminate").table("exercises").to_pylist() if row["id"] == shown[3])
    assert row["entry_point"] in one.words and "Tests" in one.words
    assert 'aria-current="true"' in one.text


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=1e9",
        "page=99999999999",
        "sort=nobody",
        "sort=key;DROP",
        "quality_from=NaN",
        "nobody=1",
        "from=abc",
        "open=nobody",
        "page=700",
    ],
)
def test_an_address_that_makes_no_sense_still_has_a_page(query: str, viewer: Viewer) -> None:
    assert viewer.ask(f"/documents?{quote(query, safe='=&')}").status == 200


def test_completions_of_one_problem_are_beside_each_other(viewer: Viewer, store: Store) -> None:
    row = of(store, "evaluate").table("completions").to_pylist()[0]
    key = f"{row['model']} {row['benchmark']} {row['task_id']} {row['sample']}"
    words = viewer.ask(f"/completions?open={quote(key)}").words
    assert f"The same problem: {'base' if row['model'] == 'best' else 'best'}" in words
    assert "What the model wrote" in words


def test_the_workspace_page_leads_to_the_rows(viewer: Viewer, store: Store) -> None:
    answer = viewer.ask("/")
    for one in store.artifacts():
        assert f'href="/artifacts/{one.id}"' in answer.text
        assert one.id in viewer.ask(f"/artifacts/{one.id}").words
    assert 'href="/rejected?step=read&amp;reason=' in answer.text
    assert viewer.ask("/report").text == of(store, "report").file("report.html").read_text()


def test_typing_choosing_and_turning_in_a_browser(viewer: Viewer, browser: Browser) -> None:
    browser.open(f"{viewer.address}/exercises")
    browser.wait("window.htmx && document.querySelector('a.row')")
    first = browser.ask("document.querySelector('a.row').innerText")
    browser.press("n")
    browser.wait("location.search.includes('page=2') && document.querySelector('.pages').innerText.includes('page 2')")
    assert browser.ask("document.querySelector('a.row').innerText") != first
    choose = "s => { s.value = 'heldout'; s.dispatchEvent(new Event('change', {bubbles: true})); }"
    browser.ask(f"({choose})(document.querySelector('select[name=split]'))")
    browser.wait("location.search.includes('split=heldout') && !location.search.includes('page')")
    browser.press("/", *"zzzz")
    browser.wait(
        "location.search.includes('q=zzzz') && document.querySelector('#list').innerText.includes('0 exercises')"
    )
    browser.ask("history.back()")
    browser.wait("!location.search.includes('zzzz') && document.querySelector('a.row')")


def test_moving_by_keys_shows_each_row(viewer: Viewer, browser: Browser) -> None:
    browser.open(f"{viewer.address}/documents?sort=-quality")
    browser.wait("window.htmx && document.querySelector('a.row')")
    names = browser.ask(
        "[...document.querySelectorAll('a.row')].slice(0, 3).map(one => one.title || one.firstChild.textContent.trim())"
    )
    for key, at in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        browser.press(key)
        browser.wait(f"document.querySelector('#detail h1')?.innerText.endsWith({names[at]!r})")
        assert browser.ask("document.querySelectorAll('a.row[aria-current]').length") == 1
        assert browser.ask("new URLSearchParams(location.search).get('sort')") == "-quality"
    browser.press("?")
    browser.wait("document.querySelector('dialog').innerText.includes('next, previous row')")


@pytest.mark.parametrize("path", ["/", "/metrics", "/artifacts", *(f"/{name}" for name in SHELVES)])
def test_no_page_is_wider_than_a_phone(path: str, viewer: Viewer, browser: Browser, store: Store) -> None:
    browser.size(390, 780, dark=True)
    browser.open(viewer.address + (f"/artifacts/{of(store, 'curate').id}" if path == "/artifacts" else path))
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")


def _keys(rows: list[dict[str, object]]) -> list[object]:
    return [row["key"] for row in rows]


def test_on_a_phone_every_list_can_be_chosen_without_scrolling(viewer: Viewer, browser: Browser) -> None:
    browser.size(390, 844)
    browser.open(viewer.address)
    right = browser.ask(
        "Math.max(...[...document.querySelectorAll('nav a')].map(a => a.getBoundingClientRect().right))"
    )
    assert right <= 390


def test_where_no_report_is_the_page_says_what_makes_one(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with viewing(tmp_path) as viewer:
        answer = viewer.ask("/report")
    assert answer.status == 404 and "`codetextbook report` makes it" in answer.words
