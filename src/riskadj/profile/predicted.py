"""Predicted over expected: with the provider's own shrunken effect, over the average provider's."""

import warnings

import numpy as np
import pandas as pd

from riskadj.stats import (
    FitWarning,
    bootstrap_predicted_over_expected,
    fit_random_intercept,
    predicted_over_expected,
)
from riskadj.stats.links import link_named
from riskadj.stats.log_ratios import drawn_ratios, log_ratios, shrunken_ratios
from riskadj.study.kinds import LINK_OF, Family

PREDICTED_COLUMNS = [
    "predicted", "predicted_ratio", "predicted_ratio_lower95", "predicted_ratio_upper95",
]  # fmt: skip


def predict(
    rows: pd.DataFrame, family: Family, replicates: int, seed: int
) -> tuple[pd.DataFrame, list[str]]:
    """Return what providers' own random intercepts predict, and what is to be said of the fits.

    Expectations enter as they are (an offset; of chances, their log-odds), so that providers alone
    are modelled.

    Parameters
    ----------
    rows : DataFrame
        One row per episode, of one learner: as in `Expectations.table`.
    family : {"gaussian", "binomial", "gamma"}
        `binomial`: `observed` is 1 or 0, `expected` the chance of 1. `gamma`: a cost; the log of
        each provider's ratio is drawn to the mean of all, by restricted maximum likelihood.
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
    if family == "gamma":
        return _of_ratios(rows, replicates, seed), []
    nothing, provider = np.empty((len(rows), 0)), rows["provider_id"].to_numpy()
    outcome = rows["observed"].to_numpy()
    offset = link_named(LINK_OF[family]).predictor(rows["expected"].to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        fit = fit_random_intercept(outcome, nothing, provider, family, offset=offset)
    found = predicted_over_expected(
        offset,
        provider,
        pd.Series(fit.intercept + fit.effects, fit.providers),
        fit.intercept,
        link=LINK_OF[family],
    )
    table = pd.DataFrame(
        {"predicted": found.predicted, "predicted_ratio": found.ratio}, index=found.providers
    )
    told = [f"predicted over expected: {one}" for one in fit.warnings]
    if not replicates:
        return table.reindex(columns=PREDICTED_COLUMNS), told
    drawn = bootstrap_predicted_over_expected(
        outcome, nothing, provider, family, replicates=replicates, seed=seed, offset=offset
    )
    for name, bounds in zip(PREDICTED_COLUMNS[2:], (drawn.lower, drawn.upper), strict=True):
        table[name] = pd.Series(bounds, drawn.providers)
    if drawn.failed:
        told.append(
            f"predicted over expected: {drawn.failed} of {replicates} replicates of the bootstrap "
            "had no solution and are left out."
        )
    return table, told


def _of_ratios(rows: pd.DataFrame, replicates: int, seed: int) -> pd.DataFrame:
    """Return predicted over expected of costs, and its interval where there are replicates."""
    raw = log_ratios(rows["observed"], rows["expected"], rows["provider_id"])
    ratio = np.exp(shrunken_ratios(raw.effect, raw.error)[0])
    expected = rows.groupby("provider_id")["expected"].mean()
    table = pd.DataFrame({"predicted_ratio": ratio}, index=raw.providers)
    table["predicted"] = expected * table["predicted_ratio"]
    if replicates:
        drawn = drawn_ratios(raw.effect, raw.error, replicates=replicates, seed=seed)
        table["predicted_ratio_lower95"] = drawn.lower
        table["predicted_ratio_upper95"] = drawn.upper
    return table.reindex(columns=PREDICTED_COLUMNS)
