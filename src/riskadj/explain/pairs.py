"""What two columns do together in boosted trees, beyond what each does by itself."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.expected import ExpectationModel, LightGBMExpectation
from riskadj.explain.forest import Forest, read_forest
from riskadj.explain.tree_shap import tree_interactions

Floats = NDArray[np.float64]

SAMPLE = 1000
"""Episodes looked at; all of them where there are fewer."""
BATCH = 100
"""Of these at a time, as each takes the square of the number of features."""
MOST = 30
PAIR_COLUMNS = ["outcome", "learner", "first", "second", "n", "mean_absolute"]


def pairs_of(model: ExpectationModel, X: Floats, fold: NDArray[np.int_], seed: int) -> pd.DataFrame:
    """Return the pairs of columns that do most together, largest first.

    Parameters
    ----------
    model : ExpectationModel
    X : ndarray of shape (n_episodes, n_features)
    fold : ndarray of int of shape (n_episodes,)
        Which member speaks of an episode.
    seed : int
        Of the sample.

    Returns
    -------
    DataFrame
        `first, second, n, mean_absolute`: the mean size of both halves of the SHAP interaction
        (Lundberg et al. 2020) in a sample of `n` episodes, in the unit of contributions. No rows
        where the learner is no boosted trees, such as a line, in which nothing acts together, or
        its trees cannot be taken apart (see `read_forest`).
    """
    if not isinstance(model.members[0], LightGBMExpectation):
        return pd.DataFrame(columns=PAIR_COLUMNS[2:])
    forests = [read_forest(one.booster_.model_to_string()) for one in model.members]
    rows = sampled(len(X), seed)
    names = [one.name for one in model.columns]
    sources = _sources(model, names)
    sums = [_sum_of(one, X[rows[fold[rows] == k]], sources) for k, one in enumerate(forests)]
    known = [one for one in sums if one is not None]
    if len(known) < len(sums):
        return pd.DataFrame(columns=PAIR_COLUMNS[2:])
    first, second = np.triu_indices(len(names), k=1)
    size = 2 * abs(model.slope) * np.sum(known, axis=0)[first, second] / max(len(rows), 1)
    found = pd.DataFrame({"first": first, "second": second, "mean_absolute": size})
    found = found.nlargest(MOST, "mean_absolute").query("mean_absolute > 0")
    named = found.assign(**{side: [names[k] for k in found[side]] for side in ("first", "second")})
    return named.assign(n=len(rows))[PAIR_COLUMNS[2:]]


def sampled(n: int, seed: int) -> NDArray[np.intp]:
    """Return which of n episodes are looked at, in order.

    Examples
    --------
    >>> sampled(3, seed=1)
    array([0, 1, 2])
    """
    return np.sort(np.random.default_rng(seed).choice(n, min(SAMPLE, n), replace=False))


def _sources(model: ExpectationModel, names: list[str]) -> Floats:
    """Return the matrix that adds features up to their columns."""
    at = [names.index(one) for one in model.encoder.sources_]
    return np.eye(len(names))[at]


def _sum_of(forest: Forest | None, X: Floats, sources: Floats) -> Floats | None:
    """Return the summed size of interactions by pair of columns; None where trees have none."""
    total = np.zeros((sources.shape[1], sources.shape[1]))
    for start in range(0, len(X), BATCH):
        found = None if forest is None else tree_interactions(forest, X[start : start + BATCH])
        if found is None:
            return None
        total += np.abs(sources.T @ found @ sources).sum(axis=0)
    return total
