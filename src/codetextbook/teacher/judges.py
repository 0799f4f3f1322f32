"""Everything that the filter must beat, judged on the same graded documents, and what the comparison says in words.

A filter can learn length or comments in the place of value. So beside the forest stand simpler judges (length, comments, facts of the
syntax tree, a fixed rule over them, a linear model on the same vectors), a stronger learner on the same vectors (gradient boosting), and
forests that were taught shuffled labels, which must stand at chance if the folds leak nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any

import numpy as np

from codetextbook.teacher import rule
from codetextbook.teacher.agreement import Fold, figures, out_of_fold, with_ranges
from codetextbook.teacher.forest import Growing, Size, plant
from codetextbook.text.syntax_counts import Counts

OWN = "forest"
SIMPLER = {
    "logistic_regression": "logistic regression on the same vectors",
    "syntax_tree_facts": "a forest on facts of the syntax tree alone",
    "syntax_tree_rule": "a fixed rule over the syntax tree",
    "comment_share_alone": "the share of comments alone",
    "length_alone": "length alone",
}
"""Judges that need less than the filter, in words."""
TREES_OF_A_SHUFFLE = 50


def rivals(
    lengths: Sequence[int],
    facts: Sequence[Counts],
    vectors: np.ndarray,
    good: np.ndarray,
    folds: Sequence[Fold],
    growing: Growing,
) -> dict[str, np.ndarray]:
    """Scores of the graded documents by each other judge, each by a model that has not seen them."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    seed = growing.seed

    def linear() -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2_000))

    def boosting() -> Any:  # no class weights: cutting bins by weight takes minutes over hundreds of features
        return HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, early_stopping=False, random_state=seed)

    shallow = partial(plant, growing, Size(50, 3))
    deep = partial(plant, growing, Size(max(growing.trees), 0))
    counted = np.array([astuple(one) for one in facts], np.float64)
    comments, sizes = np.array([[one.comment_share] for one in facts]), np.array([[length] for length in lengths])
    return {
        "gradient_boosting": out_of_fold(boosting, vectors, good, folds),
        "logistic_regression": out_of_fold(linear, vectors, good, folds),
        "syntax_tree_facts": out_of_fold(deep, counted, good, folds),
        "syntax_tree_rule": np.array([rule.weigh(one).score if one.parses else 0.0 for one in facts]),
        "comment_share_alone": out_of_fold(shallow, comments, good, folds),
        "length_alone": out_of_fold(shallow, sizes, good, folds),
    }


def shuffled_labels(
    vectors: np.ndarray, good: np.ndarray, folds: Sequence[Fold], growing: Growing, shuffles: int
) -> dict[str, Any]:
    """The control: forests taught shuffled labels, held against the true ones: chance, if the folds leak nothing. Mean, 95 % range."""
    small = partial(plant, growing, Size(min(max(growing.trees), TREES_OF_A_SHUFFLE), 0))
    draws = []
    for number in range(shuffles):
        shuffled = np.random.default_rng([growing.seed, 1, number]).permutation(good)
        draws.append(figures(good, out_of_fold(small, vectors, shuffled, folds)))
    return with_ranges(np.mean(draws, axis=0).tolist(), draws)


def in_words(agreement: Mapping[str, Mapping[str, Any]], own: str = OWN) -> list[str]:
    """Whether the filter beats length alone, and whether a simpler judge beats the filter; shown only where an interval leaves out 0."""
    length = agreement["length_alone"]
    low, high = length["lead_interval"]
    auc, against = agreement[own]["auc"], f"{length['auc']:.2f}, {_apart(length)}"
    if low > 0:
        said = [f"The filter beats length alone: AUC {auc:.2f} against {against}."]
    elif high < 0:
        said = [f"Length alone beats the filter: AUC {auc:.2f} against {against}."]
    else:
        said = [f"That the filter beats length alone is not shown: AUC {auc:.2f} against {against}."]
    simpler = {name: words for name, words in SIMPLER.items() if name in agreement}
    better = [name for name in simpler if agreement[name]["lead_interval"][1] < 0]
    alike = [name for name in simpler if agreement[name]["lead_interval"][0] <= 0 and name not in better]
    for name in better:
        said.append(
            f"A simpler judge beats it: {simpler[name]}, with an AUC of {agreement[name]['auc']:.2f} ({_apart(agreement[name])}). "
            "On these grades the vectors are not what is needed."
        )
    for name in alike:
        said.append(
            f"Not shown to be worse than the filter: {simpler[name]} ({agreement[name]['auc']:.2f}, {_apart(agreement[name])})."
        )
    if not better and not alike:
        said.append("It beats every simpler judge that was tried.")
    return said


def _apart(figures_of_one: Mapping[str, Any]) -> str:
    lead, (low, high) = figures_of_one["lead"], figures_of_one["lead_interval"]
    side = "above" if lead >= 0 else "below"
    return f"the filter's lies {abs(lead):.2f} {side}, 95 % interval {low:+.2f} to {high:+.2f}"
