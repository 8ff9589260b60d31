"""What may leave of why expectations of providers differ: no number of patients to be told by it.

A mean contribution of a yes or no is its coefficient times a share, so that with all of its digits
whoever has the model, or the rows of several providers, works out how many patients of a provider
have a condition. So it is told in whole groups of `below` patients, counted from the commonest
value: whether one to five patients have a condition, or none, is not told. The groups of a yes or
no are the same whatever it adds, so that several learners and outcomes tell no more than one.
"""

import numpy as np
import pandas as pd

from riskadj.explain.shap_values import COARSE

_OF_FEATURE = ["outcome", "learner", "provider_id", "feature"]
_OF_PROVIDER = ["outcome", "learner", "provider_id", "n"]


def coarse_contributions(table: pd.DataFrame, steps: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return contributions by provider in steps of as many patients as are few.

    Each is the middle of its step, or 0 where that is in the step; of the last, which may be a
    part of one, the middle of the step before. What that takes from the sum of a provider is a row
    of its own, so that `difference` stays the mean that other tables tell.

    Parameters
    ----------
    table : DataFrame
        `Explanation.providers`, of providers with `below` episodes or more.
    steps : DataFrame
        `Explanation.steps`.
    below : int
        Fewer patients than this are few; 1: contributions are returned as they are.

    Returns
    -------
    DataFrame
        The columns of `table`.

    Examples
    --------
    Of 100 patients 8 have a condition that adds 2 points, as 2 in 10 of all have:

    >>> of = {"outcome": ["ohs"], "learner": ["linear"], "provider_id": ["A"], "feature": ["gout"]}
    >>> table = pd.DataFrame({**of, "n": [100], "theme": ["illness"], "contribution": [-0.24],
    ...                       "difference": [-0.24]})
    >>> steps = pd.DataFrame({**of, "origin": [-0.4], "step": [2.0], "near": [-0.4], "far": [1.6]})
    >>> coarse_contributions(table, steps, 6)[["feature", "contribution"]].round(3)
          feature  contribution
    0        gout         -0.22
    1  (rounding)         -0.02
    """
    if table.empty or below <= 1:
        return table
    found = table.merge(steps, on=_OF_FEATURE, how="left")
    exact = found["contribution"]
    coarse = _middle(found, below).where(found["step"].abs() > 0, exact)
    sums = (exact - coarse).groupby([found[one] for one in _OF_PROVIDER], sort=False).sum()
    left = sums.rename("contribution").reset_index()
    left = left.merge(table[[*_OF_PROVIDER, "difference"]].drop_duplicates(), on=_OF_PROVIDER)
    whole = pd.concat(
        [table.assign(contribution=coarse.to_numpy()), left.assign(feature=COARSE, theme=COARSE)],
        ignore_index=True,
    )
    together = whole.groupby(_OF_PROVIDER, sort=False).ngroup().sort_values(kind="stable").index
    return whole.loc[together, list(table.columns)].reset_index(drop=True)


def _middle(found: pd.DataFrame, below: int) -> pd.Series:
    """Return the middle of the step that each contribution is in; a part of one is no step."""
    width = below * found["step"] / found["n"]
    away = found[["contribution", "near", "far"]].sub(found["origin"], axis=0).div(width, axis=0)
    first, last = np.ceil(away["near"] - _EXACT), np.floor(away["far"] + _EXACT) - 1
    lowest = np.floor(away["contribution"] + _EXACT).clip(lower=first).clip(upper=last)
    ends = [found["origin"] + (lowest + one) * width for one in (0, 1)]
    around = (np.minimum(*ends) <= 0) & (np.maximum(*ends) > 0)
    return (sum(ends) / 2).mask(around, 0.0)


_EXACT = 1e-9
"""Of a step: what is nearer to the next than this has reached it, whatever the last digits are."""
