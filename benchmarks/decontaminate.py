"""AST match rate: exercises against HumanEval, in pairs per second, with and without the bounds; and the paper's size in hours.

The exercises are our grammar's: real programs of the length that the paper's have. All ways run on one core and give the pairs at tau or
above: the plain loop calls rapidfuzz for each pair and looks at the rate; `cdist` is rapidfuzz's own call over all pairs with its cutoff;
`ours` puts the length and histogram bounds before it. The pairs that each finds are compared: a way that is wrong is said to be so.

    python -m benchmarks.decontaminate --quick
"""

from __future__ import annotations

import sysconfig
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from benchmarks.frame import Outcome, arguments, seconds_of, tell, versions
from codetextbook.benchmarks.leaks import DETECTORS, LeakIndex, Limits, pieces_of
from codetextbook.benchmarks.problems import humaneval
from codetextbook.grammar import write_exercises, write_pages
from codetextbook.text.code_blocks import read_text
from codetextbook.text.embed import embed_batch
from codetextbook.text.embedding import Embedding, batches
from codetextbook.text.match_rate import match_rate, pairs_above
from codetextbook.text.python_ast import read_code

PAPER_EXERCISES, PAPER_PROBLEMS = 879_500, 164
TAUS = (0.95, 0.9, 0.85, 0.8)
Pairs = set[tuple[int, int]]


def plain_loop(shapes: list[str], known: list[str], tau: float) -> Pairs:
    """Every pair, one call each."""
    return {
        (row, column)
        for row, one in enumerate(shapes)
        for column, other in enumerate(known)
        if match_rate(one, other) >= tau
    }


def bound_free(shapes: list[str], known: list[str], tau: float) -> Pairs:
    """rapidfuzz's `cdist` of edit distances over blocks of all pairs, cut off at what the longest pair may have."""
    found: Pairs = set()
    lengths = np.array([len(one) for one in known])
    for start in range(0, len(shapes), 4_096):
        block = shapes[start : start + 4_096]
        longer = np.maximum(np.array([len(one) for one in block])[:, None], lengths[None, :])
        allowed = np.floor((1 - tau) * longer + 1e-9)
        edits = cdist(
            block, known, scorer=Levenshtein.distance, score_cutoff=int(allowed.max()), dtype=np.int32, workers=1
        )
        found |= {(start + row, column) for row, column in np.argwhere(edits <= allowed).tolist()}
    return found


def normalised(shapes: list[str], known: list[str], tau: float) -> Pairs:
    """rapidfuzz's `cdist` of rates with its own cutoff, as one would write it first."""
    found: Pairs = set()
    for start in range(0, len(shapes), 4_096):
        rates = cdist(
            shapes[start : start + 4_096],
            known,
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=tau,
            dtype=np.float64,
            workers=1,
        )
        found |= {(start + row, column) for row, column in np.argwhere(rates >= tau).tolist()}
    return found


def bounded(shapes: list[str], known: list[str], tau: float) -> Pairs:
    """Ours."""
    return {(pair.shape, pair.known) for pair in pairs_above(shapes, known, tau)}


WAYS: dict[str, Callable[[list[str], list[str], float], Pairs]] = {
    "plain_loop": plain_loop,
    "cdist_of_distances": bound_free,
    "cdist_of_rates": normalised,
}


def measure(
    way: Callable[[list[str], list[str], float], Pairs], shapes: list[str], known: list[str], tau: float
) -> float:
    """Pairs per second of one core."""
    return len(shapes) * len(known) / seconds_of(partial(way, shapes, known, tau), repeats=2)


def screening(texts: list[str]) -> dict[str, float]:
    """Texts per second of one core: parsing, n-grams and trees together, each detector alone, and embedding."""
    index = LeakIndex(humaneval(), Limits(13, 0.95, 20))
    index.screen(texts[:100])
    found = {"all_but_embedding": len(texts) / seconds_of(lambda: index.screen(texts), repeats=2)}
    for detector in DETECTORS[:3]:
        found[detector] = len(texts) / seconds_of(partial(index.screen, texts, [detector]), repeats=1)
    few = texts[:256]
    embed_batch(few[:32], Embedding())
    found["embedding"] = len(few) / seconds_of(
        lambda: [embed_batch([few[place] for place in batch], Embedding()) for batch in batches(few)], repeats=1
    )
    return {name: round(value, 1) for name, value in found.items()}


def laptop_texts(exercises: list[str]) -> dict[str, list[str]]:
    """As many texts as the laptop recipe has: files of the standard library, the grammar's pages, the grammar's exercises."""
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))
    paths = [path for path in paths if "site-packages" not in path.parts and path.stat().st_size < 200_000]
    return {
        "documents": [path.read_text(encoding="utf-8", errors="replace") for path in paths[:2_000]],
        "pages": [page["text"] for page in write_pages(2_000, seed=0)],
        "exercises": exercises[:20_000],
    }


def laptop(texts: dict[str, list[str]], embeddings_per_second: float) -> dict[str, Any]:
    """Seconds of one core for the laptop recipe's texts by kind, and what embedding them would add."""
    index = LeakIndex(humaneval(), Limits(13, 0.95, 20))
    found: dict[str, Any] = {}
    sources: set[str] = set()
    for kind, own in texts.items():
        start = time.process_time()
        for first in range(0, len(own), 100):
            index.screen(own[first : first + 100])
        found[f"{kind}_seconds"] = round(time.process_time() - start, 1)
        found[f"{kind}_megabytes"] = round(sum(map(len, own)) / 1e6, 1)
        sources.update(text.strip() for text in own)
        sources.update(piece.source.strip() for piece in pieces_of([read_text(text) for text in own]) if piece.name)
    found["all_seconds"] = round(sum(value for key, value in found.items() if key.endswith("_seconds")), 1)
    found["texts_and_functions_to_embed"] = len(sources)
    found["embedding_seconds"] = round(len(sources) / embeddings_per_second)
    return found


def short_alarms(documents: list[str]) -> dict[str, int]:
    """Functions below `min_nodes` in code that is nobody's answer, and how many are spelt as a problem of HumanEval all the same."""
    index = LeakIndex(humaneval(), Limits(13, 0.95, 20))
    functions = [function for text in documents for function in read_code(text).functions]
    short = [function for function in functions if len(function.shape) < 20]
    screened = index.screen([function.source for function in short], ["ast"])
    spelt = [
        leak
        for function, one in zip(short, screened, strict=True)
        for leak in one.leaks
        if leak.basis == "spelling" and leak.where == function.name  # a function inside has its own turn
    ]
    return {
        "functions": len(functions),
        "short_functions": len(short),
        "spelt_as_a_problem": len(spelt),
        "problems": len({leak.task_id for leak in spelt}),
    }


def main() -> None:
    """Measure, compare, extrapolate."""
    options = arguments(__doc__ or "")
    count = 4_000 if options.quick else 20_000
    written = [exercise["prompt"] + exercise["solution"] for exercise in write_exercises(count, seed=0)]
    shapes = [function.shape for text in written for function in read_code(text).functions][:count]
    known = [function.shape for one in humaneval() for function in read_code(one.prompt + one.reference).functions]
    outcome = Outcome(
        "decontaminate",
        {"exercises": len(shapes), "distinct_shapes": len(set(shapes)), "problems_functions": len(known)},
        versions=versions("rapidfuzz", "numpy", "torch"),
    )
    rows = [("tau", "way", "pairs/s", "we are", "880K x 164 on one core", "same pairs")]
    whole = PAPER_EXERCISES * PAPER_PROBLEMS
    for tau in TAUS[::3] if options.quick else TAUS:
        ours = measure(bounded, shapes, known, tau)
        truth = plain_loop(shapes[:2_000], known, tau)
        wrong = truth ^ bounded(shapes[:2_000], known, tau)
        outcome.ours[f"pairs_per_second_at_{tau}"] = round(ours)
        rows.append(
            (f"{tau}", "ours", f"{ours:,.0f}", "", f"{whole / ours / 3600:.4f} h", "yes" if not wrong else "NO")
        )
        for name, way in WAYS.items():
            load = shapes[:2_000] if way is plain_loop else shapes
            rate = measure(way, load, known, tau)
            missed = truth ^ way(shapes[:2_000], known, tau)
            outcome.peers.setdefault(name, {})[f"pairs_per_second_at_{tau}"] = round(rate)
            outcome.ratios[f"{name}_at_{tau}"] = round(ours / rate, 2)
            rows.append(
                (
                    "",
                    name,
                    f"{rate:,.0f}",
                    f"{ours / rate:.1f} times faster",
                    f"{whole / rate / 3600:.4f} h",
                    "yes" if not missed else f"no: {len(missed)} of {len(truth)} missed",
                )
            )
    speeds = screening(written[: 1_000 if options.quick else 4_000])
    outcome.ours["texts_per_second"] = speeds
    if not options.quick:
        texts = laptop_texts(written)
        outcome.ours["laptop_recipe_one_core"] = laptop(texts, speeds["embedding"])
        print("the laptop recipe's texts on one core:", outcome.ours["laptop_recipe_one_core"])
        for kind in ("documents", "exercises"):
            outcome.ours[f"false_alarms_in_{kind}"] = short_alarms(texts[kind])
            print(f"short functions of {kind}:", outcome.ours[f"false_alarms_in_{kind}"])
    tell(outcome, rows, as_json=False)
    print("\ntexts per second of one core, exercises, the whole of the stage's work on a text")
    tell(
        outcome,
        [(name, f"{value:,.0f}", f"880K: {PAPER_EXERCISES / value / 3600:.2f} h") for name, value in speeds.items()],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
