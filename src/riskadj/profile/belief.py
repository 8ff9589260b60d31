"""How much to believe a comparison: reliability, ranks, and whether it would come out again."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from riskadj.errors import ArrayError
from riskadj.profile.estimates import FEWEST_TO_ALLOW, residuals
from riskadj.profile.scale import Scale
from riskadj.stats import (
    between_variance,
    case_mix_overlap,
    intraclass_correlation,
    rank_probabilities,
    reliability,
    shrink,
    split_half,
    volume_needed,
    year_on_year,
)
from riskadj.stats.links import link_named
from riskadj.study.kinds import Family
from riskadj.study.profile import Between, ProfileRules

RELIABILITY_COLUMNS = [
    "estimator", "used", "n_providers", "tau", "icc", "median_reliability", "volume_07",
    "volume_09",
]  # fmt: skip
AGREEMENT_COLUMNS = [
    "kind", "first", "second", "n_providers", "correlation", "corrected",
]  # fmt: skip
BELIEF_COLUMNS = [
    "reliability", "shrunken", "shrunken_lower95", "shrunken_upper95", "rank", "rank_lower95",
    "rank_upper95", "p_best_fifth", "p_worst_fifth",
]  # fmt: skip
RANK_DRAWS = 10_000
SPLITS = 100


@dataclass(frozen=True)
class Raw:
    """Unshrunken differences of the providers compared.

    Attributes
    ----------
    effect, error : Series
        By provider: mean of observed - expected (of costs, the log of the ratio of their sums), and
        its standard error.
    sd : float
        Of single residuals.
    better : {1, -1}
        Whether more is better, or less.
    link : {"identity", "log"}
        On whose scale effects are.
    """

    effect: pd.Series
    error: pd.Series
    sd: float
    better: int = 1
    link: str = "identity"


def believe(raw: Raw, rules: ProfileRules, gain: float, seed: int) -> pd.DataFrame:
    """Return reliability, shrunken adjusted gain, and rank of each provider.

    Returns
    -------
    DataFrame
        By provider, the columns of `BELIEF_COLUMNS`; rank 1 is the best.
    """
    if len(raw.effect) < 2:
        return pd.DataFrame(index=raw.effect.index, columns=BELIEF_COLUMNS, dtype=float)
    tau2 = between_variance(raw.effect, raw.error, rules.between).tau2
    one = shrink(
        raw.effect, raw.error, tau2, allow_for_estimation=len(raw.effect) >= FEWEST_TO_ALLOW
    )
    scale = Scale(link_named(raw.link), gain)
    ranks = rank_probabilities(raw.better * one.effect, one.sd, seed=seed, draws=RANK_DRAWS)
    return pd.DataFrame(
        {
            "reliability": reliability(raw.error, tau2, estimator=rules.between).value,
            "shrunken": scale.shown(one.effect),
            "shrunken_lower95": scale.shown(one.lower),
            "shrunken_upper95": scale.shown(one.upper),
            "rank": ranks.expected,
            "rank_lower95": ranks.lower,
            "rank_upper95": ranks.upper,
            "p_best_fifth": ranks.best_group,
            "p_worst_fifth": ranks.worst_group,
        },
        index=raw.effect.index,
    )


def reliabilities(raw: Raw, rules: ProfileRules) -> pd.DataFrame:
    """Return reliability, and the episodes needed for it, by every estimator.

    Returns
    -------
    DataFrame
        `estimator, used, n_providers, tau, icc, median_reliability, volume_07, volume_09`. `used`:
        whether `providers.csv` is by it. Volumes are infinite where `tau` is 0.
    """
    rows = []
    for name in get_args(Between):
        try:
            tau2 = between_variance(raw.effect, raw.error, name).tau2
        except ArrayError:
            continue
        volumes = volume_needed([0.7, 0.9], raw.sd**2, tau2, estimator=name).n
        icc = intraclass_correlation(raw.sd**2, tau2, estimator=name).value
        median = float(np.median(reliability(raw.error, tau2, estimator=name).value))
        count = len(raw.effect)
        rows.append((name, name == rules.between, count, tau2**0.5, icc, median, *volumes))
    return pd.DataFrame(rows, columns=RELIABILITY_COLUMNS)


def agreements(
    rows: pd.DataFrame, minimum_n: int, seed: int, family: Family = "gaussian"
) -> pd.DataFrame:
    """Return how far providers keep their place in other episodes of the same providers.

    Parameters
    ----------
    rows : DataFrame
        One row per episode, of one learner: as in `Expectations.table`.
    minimum_n : int
        Providers with fewer episodes are left out, in each year for years.
    seed : int
        Of the halves.
    family : {"gaussian", "binomial", "gamma"}
        Residuals of costs are relative to what was expected.

    Returns
    -------
    DataFrame
        `kind, first, second, n_providers, correlation, corrected`. `split_half`: `correlation`
        between random halves, `corrected` to the whole (Spearman-Brown). `year_on_year`:
        `correlation` of a period with the next, `corrected` for chance in both.
    """
    observed, expected = (rows[one].to_numpy(dtype=float) for one in ("observed", "expected"))
    residual, provider = residuals(observed, expected, family), rows["provider_id"]
    found: list[tuple[str, str, str, int, float, float]] = []
    try:
        half = split_half(residual, provider, seed=seed, splits=SPLITS, minimum_n=minimum_n)
        found.append(("split_half", "", "", half.n_providers, half.correlation, half.reliability))
        years = year_on_year(residual, provider, rows["period"], minimum_n=minimum_n)
        found.extend(
            ("year_on_year", *one)
            for one in zip(
                years.first, years.second, years.n_providers, years.pearson, years.corrected,
                strict=True,
            )
        )  # fmt: skip
    except ArrayError:
        pass
    return pd.DataFrame(found, columns=AGREEMENT_COLUMNS)


def overlap(rows: pd.DataFrame) -> pd.Series:
    """Return how much of all episodes' case mix each provider's own stands for, 0 to 1."""
    found = case_mix_overlap(rows["expected"], rows["provider_id"])
    return pd.Series(found.overlap, index=found.providers, name="overlap")
