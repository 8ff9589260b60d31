"""Predicted over expected: with the provider's own shrunken effect, over the average provider's."""

import warnings

import numpy as np
import pandas as pd

from riskadj.stats import FitWarning, bootstrap_predicted_over_expected, fit_random_intercept

PREDICTED_COLUMNS = [
    "predicted", "predicted_ratio", "predicted_ratio_lower95", "predicted_ratio_upper95",
]  # fmt: skip


def predict(rows: pd.DataFrame, replicates: int, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Return what providers' own random intercepts predict, and what is to be said of the fits.

    Expectations enter as they are (an offset), so that providers alone are modelled.

    Parameters
    ----------
    rows : DataFrame
        One row per episode, of one learner: as in `Expectations.table`.
    replicates : int
        Of the provider bootstrap; 0 leaves the bounds empty.
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        By provider, the columns of `PREDICTED_COLUMNS`.
    list of str
        What the fit warned of, and how many replicates had no solution.
    """
    nothing, provider = np.empty((len(rows), 0)), rows["provider_id"].to_numpy()
    outcome, offset = rows["observed"].to_numpy(), rows["expected"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        fit = fit_random_intercept(outcome, nothing, provider, offset=offset)
    effect = pd.Series(fit.effects, index=fit.providers)
    average = rows.groupby("provider_id")["expected"].mean().reindex(effect.index) + fit.intercept
    table = pd.DataFrame({"predicted": average + effect, "predicted_ratio": 1 + effect / average})
    told = [f"predicted over expected: {one}" for one in fit.warnings]
    if not replicates:
        return table.reindex(columns=PREDICTED_COLUMNS), told
    drawn = bootstrap_predicted_over_expected(
        outcome, nothing, provider, "gaussian", replicates=replicates, seed=seed, offset=offset
    )
    for name, bounds in zip(PREDICTED_COLUMNS[2:], (drawn.lower, drawn.upper), strict=True):
        table[name] = pd.Series(bounds, drawn.providers)
    if drawn.failed:
        told.append(
            f"predicted over expected: {drawn.failed} of {replicates} replicates of the bootstrap "
            "had no solution and are left out."
        )
    return table, told
