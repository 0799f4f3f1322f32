"""The paper's classifier: a random forest on vectors, its size and depth chosen by nested cross-validation (paper §2.1).

The paper publishes neither size nor depth. A forest of the largest size is taught on each inner fold; every smaller one is a prefix of
its trees, so that all sizes cost as much as the largest one. The choice is made anew within each outer fold: what is said of a document
never depends on that document's grade, not even through its size.

`probabilities` gives what scikit-learn's `predict_proba` gives, to the last bit: the same trees, summed in the same order, but over
blocks of rows that stay in the cache, and by several threads without the sum depending on which of them ends first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from codetextbook.teacher.agreement import Fold, figures, make_folds

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

ROWS_PER_BLOCK = 2_048
DIGITS_OF_A_CHOICE = 3
"""Areas that agree to so many digits are alike, and the smaller forest is taken."""


class Growing(NamedTuple):
    """How forests are grown, and among which sizes one is chosen."""

    trees: tuple[int, ...]
    depths: tuple[int, ...]
    """Greatest depths; 0 grows until the leaves are pure."""
    min_leaf: int
    folds: int
    """Inner folds, on which size and depth are chosen."""
    seed: int
    workers: int = 1


class Size(NamedTuple):
    """Trees and depth of one forest, and the area under the ROC curve that it had in the inner folds (None where nothing was chosen)."""

    trees: int
    depth: int
    auc: float | None = None


def plant(growing: Growing, size: Size) -> RandomForestClassifier:
    """A forest of a size, not yet taught."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=size.trees,
        max_depth=size.depth or None,
        min_samples_leaf=growing.min_leaf,
        class_weight="balanced",
        random_state=growing.seed,
        n_jobs=growing.workers,
    )


def sizes(growing: Growing, features: np.ndarray, good: np.ndarray, groups: Sequence[str]) -> list[Size]:
    """Every size with its area in the inner folds, the best first; alike, the smaller first."""
    candidates = [(trees, depth) for depth in growing.depths for trees in sorted(growing.trees)]
    number = min(growing.folds, int(good.sum()), int((~good).sum()))
    if len(candidates) == 1 or number < 2:
        return [Size(max(growing.trees), growing.depths[0])]
    found = []
    folds = make_folds(good, groups, number, growing.seed).folds
    for depth in growing.depths:
        by_trees = {trees: np.zeros(len(good)) for trees in growing.trees}
        for train, test in folds:
            model = plant(growing, Size(max(growing.trees), depth)).fit(features[train], good[train])
            for trees, said in _by_prefix(model, features[test], growing.trees):
                by_trees[trees][test] = said
        found += [Size(trees, depth, round(figures(good, said)[0], 4)) for trees, said in by_trees.items()]
    return sorted(found, key=lambda one: (-round(one.auc or 0.0, DIGITS_OF_A_CHOICE), one.trees, one.depth or 10**9))


def nested(
    growing: Growing, features: np.ndarray, good: np.ndarray, groups: Sequence[str], folds: Sequence[Fold]
) -> tuple[np.ndarray, list[Size]]:
    """Probability of good for each row by a forest that has not seen its fold, and the size chosen for each fold."""
    found, chosen = np.zeros(len(good)), []
    names = np.asarray(groups)
    for train, test in folds:
        size = sizes(growing, features[train], good[train], names[train].tolist())[0]
        model = plant(growing, size).fit(features[train], good[train])
        found[test] = probabilities(model, features[test])
        chosen.append(size)
    return found, chosen


def probabilities(model: RandomForestClassifier, features: np.ndarray, workers: int = 1) -> np.ndarray:
    """Probability of the second class for each row `[rows]`, equal to scikit-learn's on one thread.

    Raises:
        ValueError: a feature is not finite, which scikit-learn refuses too.
    """
    rows = np.ascontiguousarray(features, np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("a vector holds NaN or infinite numbers")
    trees = [_tables(tree.tree_) for tree in model.estimators_]
    blocks = [rows[start : start + ROWS_PER_BLOCK] for start in range(0, len(rows), ROWS_PER_BLOCK)]
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda block: _mean(trees, block), blocks))
    return np.concatenate(found) if found else np.zeros(0)


def _tables(tree: Any) -> tuple[Any, np.ndarray]:
    return tree, np.ascontiguousarray(tree.value[:, 0, 1])


def _mean(trees: Sequence[tuple[Any, np.ndarray]], block: np.ndarray) -> np.ndarray:
    total = np.zeros(len(block))
    for tree, share in trees:
        total += share[tree.apply(block)]
    return total / len(trees)


def _by_prefix(
    model: RandomForestClassifier, features: np.ndarray, counts: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """What the first so many trees of a forest say, for each count."""
    rows = np.ascontiguousarray(features, np.float32)
    total = np.zeros(len(rows))
    for number, tree in enumerate(model.estimators_, start=1):
        total += tree.tree_.value[:, 0, 1][tree.tree_.apply(rows)]
        if number in counts:
            yield number, total / number
