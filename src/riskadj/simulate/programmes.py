"""What a programme publishes of every provider, as files beside a world: made from the world.

England counts operations and questionnaires, and its joint registry what it holds; the agency of a
readmission program fits a model and reports ratios. The forms are theirs, the numbers ours.
"""

import warnings
from types import MappingProxyType

import numpy as np
import pandas as pd

from riskadj.episodes.columns import COMORBIDITIES
from riskadj.episodes.participation import COUNTS, NATION
from riskadj.errors import StudyError
from riskadj.simulate.latent import Floats
from riskadj.simulate.scenario import Readmissions, Registry
from riskadj.simulate.streams import stream
from riskadj.simulate.world import World
from riskadj.stats import FitWarning, fit_random_intercept, predicted_over_expected

PARTICIPATION_FILE, TABLE_FILE = "participation.csv", "provider_table.csv"
SMALL = 5
"""Counts of 1 to this many are suppressed, as in England's files."""
PEER_GROUPS = 5
"""Hospitals are compared with a fifth of all, alike in how many of their patients are deprived."""
DEPRIVED = 2
"""Deprivation deciles up to this one stand for patients who are entitled to both programmes."""
MEDICARE_AGE = 65
"""Years from which patients count."""
PAYMENT_SPREAD = 0.3
"""SD of the logarithm of a procedure's share of payments between hospitals."""

_COUNTED = MappingProxyType(
    {"HIP_PRIM": "Primary Hip Replacement", "KNEE_PRIM": "Primary Knee Replacement"}
)
_ELSEWHERE = ("err_pn", "n_pn", "median_pn", "drg_ratio_pn")
"""Of pneumonia, which is not in a world of joints: empty columns of the same report."""


def programme_tables(world: World) -> dict[str, pd.DataFrame]:
    """Return what a world's programme publishes, by file name; none without a programme.

    Parameters
    ----------
    world : World

    Returns
    -------
    dict of str to DataFrame
        With `programme.registry`: `participation.csv` in the form of NHS England's files, of the
        last period, and `provider_table.csv` with `provider_id, njr_compliance,
        njr_unknown_consent` and, of hips, `cemented_over_70`. With `programme.readmissions`:
        `provider_table.csv` with the figures of a hospital's report and `base_payments`.
    """
    asked = world.scenario.programme
    if asked is None:
        return {}
    if asked.registry:
        counts = _count_operations(world, asked.registry)
        return {
            PARTICIPATION_FILE: _as_published(counts, _COUNTED[world.scenario.procedure_group]),
            TABLE_FILE: _tell_registry(world, asked.registry, counts),
        }
    if asked.readmissions:
        return {TABLE_FILE: _report_readmissions(world, asked.readmissions)}
    return {}


# --- England --------------------------------------------------------------------------------------


def _count_operations(world: World, rules: Registry) -> pd.DataFrame:
    """Return counts of the last period by provider; everybody in the world was asked before."""
    seen = world.episodes[world.episodes["period"] == world.scenario.periods[-1]]
    names = world.truth["provider_id"].to_numpy()
    by_provider = seen.groupby("provider_id")
    asked = by_provider.size().reindex(names, fill_value=0)
    sums = by_provider[["q2_sent", "q2_returned"]].sum().reindex(names, fill_value=0)
    rng = stream(world.scenario.seed, "programme")
    left_out = _vary(rng, rules.unasked, rules.by_provider, len(names))
    unasked = rng.poisson(asked * left_out / (1 - left_out))
    counts = {"procedures": asked + unasked, "q1": asked, "linked": asked}
    return pd.DataFrame(counts | dict(sums)).astype(int)


def _as_published(counts: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return counts in the form of NHS England's participation files, small ones suppressed."""
    whole = counts.sum().to_frame(NATION).T
    shown = pd.concat([whole, counts]).astype(str)
    small = counts["procedures"].between(1, SMALL).reindex(shown.index, fill_value=False)
    shown[small] = "*"
    columns = {one: f"{group} - {name}" for one, name in COUNTS.items()}
    shown = shown[list(columns)].rename(columns=columns)
    names = pd.DataFrame({"Organisation Code": shown.index, "Organisation Name": shown.index})
    return pd.concat([names, shown.reset_index(drop=True)], axis=1)


def _tell_registry(world: World, rules: Registry, counts: pd.DataFrame) -> pd.DataFrame:
    rng = stream(world.scenario.seed, "programme")
    rng = rng.spawn(1)[0]  # apart from the counts
    volume = counts["procedures"].to_numpy()
    shares = {
        "njr_compliance": (1 - rules.unregistered, volume),
        "njr_unknown_consent": (rules.consent_unknown, volume),
    }
    if world.scenario.procedure_group == "HIP_PRIM":
        shares["cemented_over_70"] = (1 - rules.uncemented_over_70, _over_70(world, counts.index))
    table = pd.DataFrame({"provider_id": counts.index})
    for name, (share, of) in shares.items():
        own = _vary(rng, share, rules.by_provider, len(of))
        drawn = rng.binomial(of, own)
        table[name] = np.divide(drawn, of, out=np.full(len(of), np.nan), where=of > 0).round(4)
    return table


def _over_70(world: World, names: pd.Index) -> np.ndarray:
    """Return how many of each provider's patients of the last period are over 70."""
    seen = world.episodes
    old = seen[(seen["period"] == world.scenario.periods[-1]) & (seen["age_years"] > 70)]
    return np.asarray(old.groupby("provider_id").size().reindex(names, fill_value=0))


def _vary(rng: np.random.Generator, share: float, spread: float, count: int) -> Floats:
    """Return a share of each provider, about this one on the scale of log-odds."""
    draws = spread * rng.standard_normal(count)
    if share in (0, 1):
        return np.full(count, float(share))
    return np.asarray(1 / (1 + np.exp(-np.log(share / (1 - share)) - draws)))


# --- readmission ----------------------------------------------------------------------------------


def _report_readmissions(world: World, rules: Readmissions) -> pd.DataFrame:
    """Return excess ratios of readmission in 30 days of patients of 65 or more, and payments.

    Of all periods together. Predicted over expected by a logistic model with random intercepts of
    hospitals, on age, sex and comorbidity on record; peers are fifths of hospitals.
    """
    seen = world.episodes[world.episodes["age_years"] >= MEDICARE_AGE]
    if "readmitted_30d" not in seen:
        raise StudyError(f"{world.scenario.name}: wanted claims, for readmissions; got none.")
    casemix = _casemix(seen)
    provider = seen["provider_id"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        fit = fit_random_intercept(seen["readmitted_30d"], casemix, provider, "binomial")
    linear = casemix.to_numpy() @ np.asarray(fit.coef)
    own = pd.Series(fit.intercept + fit.effects, fit.providers)
    found = predicted_over_expected(linear, provider, own, fit.intercept)
    table = pd.DataFrame({"err_hk": found.ratio, "n_hk": found.n}, index=found.providers)
    table["median_hk"] = _median_of_peers(table["err_hk"], seen)
    return _with_payments(world, rules, table, seen)


def true_readmission_ratios(world: World) -> pd.DataFrame:
    """Return what a readmission program's table would say if everything were known.

    True excess ratios: the sum of chances of a readmission in 30 days at the hospital that treated
    over that at the average hospital, of the same patients as the published ratios. Chances at the
    average hospital are held to sum to those that there are. Peers are the same.

    Parameters
    ----------
    world : World
        With claims; its programme has readmissions.

    Returns
    -------
    DataFrame
        `err_hk` and `median_hk`, a row per hospital with patients of 65 or more, by name.
    """
    old = (world.episodes["age_years"] >= MEDICARE_AGE).to_numpy()
    seen, truth = world.episodes[old], world.truth_episodes[old]
    names = [f"readmission_{one}_30d" for one in ("at_provider", "expected")]
    here, average = (truth[one].groupby(seen["provider_id"]).sum() for one in names)
    ratio = here / average * (average.sum() / here.sum())
    return pd.DataFrame({"err_hk": ratio, "median_hk": _median_of_peers(ratio, seen)})


def _median_of_peers(ratio: pd.Series, seen: pd.DataFrame) -> pd.Series:
    return ratio.groupby(_peers(seen).reindex(ratio.index)).transform("median")


def _casemix(seen: pd.DataFrame) -> pd.DataFrame:
    """Return age in decades, sex and comorbidity; without what nobody has, or everybody."""
    columns = {"decades": seen["age_years"] / 10 - 7, "female": seen["sex"].eq("female")}
    columns |= {one: seen[f"comorb_{one}"].fillna(0) for one in COMORBIDITIES}
    table = pd.DataFrame(columns).astype(float)
    return table.loc[:, table.nunique() > 1]


def _peers(seen: pd.DataFrame) -> pd.Series:
    """Return the peer group of each hospital, by the share of its patients who are deprived."""
    share = (seen["deprivation_decile"] <= DEPRIVED).groupby(seen["provider_id"]).mean()
    place = share.rank(method="first") - 1
    return (PEER_GROUPS * place / len(share)).astype(int)


def _with_payments(
    world: World, rules: Readmissions, table: pd.DataFrame, seen: pd.DataFrame
) -> pd.DataFrame:
    rng = stream(world.scenario.seed, "programme")
    draws = pd.Series(rng.standard_normal(len(world.truth)), world.truth["provider_id"])
    share = rules.share_of_payments * np.exp(PAYMENT_SPREAD * draws.reindex(table.index))
    paid = seen.groupby("provider_id")["cost_index"].sum()
    empty = dict.fromkeys(_ELSEWHERE, np.nan)
    told = table.assign(
        drg_ratio_hk=share, **empty, base_payments=(paid / share).round(2)
    )  # fmt: skip
    return told.rename_axis("provider_id").reset_index()
