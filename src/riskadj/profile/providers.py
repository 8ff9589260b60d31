"""Profiles: each provider's observed against its expected, with limits and flags."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskadj.cohort import Cohort
from riskadj.digest import digest_of_frame
from riskadj.errors import InSampleError
from riskadj.expected import Expectations
from riskadj.profile.nhs_england import NONE, TOO_FEW, flag_from_z
from riskadj.stats import Z95, Z998, limits_of_mean, z_of_mean
from riskadj.study import Study
from riskadj.study.records import ReferencePopulation

PROVIDER_COLUMNS = [
    "outcome", "learner", "provider_id", "n", "observed", "expected", "ratio", "difference",
    "adjusted", "z", "lower95", "upper95", "flag", "lower998", "upper998", "ci_lower95",
    "ci_upper95", "sd", "episodes", "note", "flag_holds_under",
]  # fmt: skip
RATIO_WITHHELD = "ratio withheld: the expected gain is within sampling error of 0"


@dataclass(frozen=True)
class Profiles:
    """Providers of one outcome, by every learner; before disclosure control.

    Attributes
    ----------
    table : DataFrame
        One row per learner and provider. `observed`, `expected`: mean gain per episode, in the
        unit of the score; `ratio`: their ratio; `difference`: observed - expected; `adjusted`:
        adjusted gain; `z`: its distance from the centre in standard errors; `lower95` ...
        `upper998`: control limits around the centre; `ci_lower95`, `ci_upper95`: interval of the
        provider's own adjusted gain; `sd`: of its residuals; `n`: episodes with both scores;
        `episodes`: all eligible ones; `flag_holds_under`: the learners, this one included, under
        which a provider that is compared has the same flag.
    reference : DataFrame
        `outcome, learner, n, gain, baseline, sd, drift`: the population compared with.
    digest : str
    """

    table: pd.DataFrame
    reference: pd.DataFrame
    digest: str


def profile_providers(expectations: Expectations, study: Study) -> Profiles:
    """Compare providers, as the study's `profile` says.

    Raises
    ------
    InSampleError
        When given anything but `Expectations`.
    """
    if not isinstance(expectations, Expectations):
        raise InSampleError(
            "profile_providers: wanted Expectations, which are never in-sample; got "
            f"{type(expectations).__name__}. Make them with cross_fit."
        )
    tables, references = [], []
    for learner, rows in expectations.by_learner():
        reference = _reference(rows, learner, expectations.cohort.outcome.reference)
        references.append(reference)
        tables.append(_profile(rows, reference, expectations.cohort, study.profile.minimum_n))
    table = _with_agreement(pd.concat(tables, ignore_index=True))
    return Profiles(table, pd.DataFrame(references), digest_of_frame(table, expectations.digest))


def _with_agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Say of every flag under which learners it holds: model choice alone moves flags."""
    learners = list(dict.fromkeys(table["learner"]))
    flags = table.pivot(index="provider_id", columns="learner", values="flag")
    compared = table.loc[table["adjusted"].notna(), ["provider_id", "flag"]]
    agreeing = [
        " ".join(one for one in learners if flags.at[provider, one] == flag)
        for provider, flag in compared.itertuples(index=False)
    ]
    held = pd.Series(agreeing, index=compared.index, dtype="str")
    return table.assign(flag_holds_under=held.reindex(table.index, fill_value=""))


def _reference(
    rows: pd.DataFrame, learner: str, given: ReferencePopulation | None
) -> dict[str, float | str]:
    residual = rows["observed"] - rows["expected"]
    return {
        "outcome": rows["outcome"].iloc[0],
        "learner": learner,
        "n": len(rows),
        "gain": given.gain if given else rows["observed"].mean(),
        "baseline": rows["baseline_score"].mean(),
        "sd": given.sd if given else residual.std(ddof=1),
        "drift": (rows["observed_score"] - rows["expected_score_raw"]).mean(),
        "mean_residual": residual.mean(),
    }


def _profile(
    rows: pd.DataFrame, reference: dict[str, float | str], cohort: Cohort, minimum_n: int
) -> pd.DataFrame:
    centre, sd = float(reference["gain"]), float(reference["sd"])
    table = _means(rows).reindex(cohort.volumes.index)
    table["episodes"] = cohort.volumes
    table["n"] = table["n"].fillna(0).astype(int)
    table["difference"] = table["observed"] - table["expected"]
    adjusted = centre + table["difference"] - float(reference["mean_residual"])
    enough = table["n"] >= minimum_n
    table["adjusted"], table["sd"] = adjusted.where(enough), table["sd"].where(enough)
    n = table["n"].where(enough)
    table["z"] = z_of_mean(table["adjusted"], n, centre, sd)
    for level, cut in (("95", Z95), ("998", Z998)):
        table[f"lower{level}"], table[f"upper{level}"] = limits_of_mean(n, centre, sd, cut)
    half = Z95 * sd / np.sqrt(n)
    table["ci_lower95"], table["ci_upper95"] = table["adjusted"] - half, table["adjusted"] + half
    table["flag"] = _flags(table, minimum_n)
    return _keyed(_with_ratio(table, sd), reference)


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    residual = rows["observed"] - rows["expected"]
    return (
        rows.assign(residual=residual)
        .groupby("provider_id")
        .agg(
            n=("observed", "size"),
            observed=("observed", "mean"),
            expected=("expected", "mean"),
            sd=("residual", "std"),
        )
    )


def _with_ratio(table: pd.DataFrame, sd: float) -> pd.DataFrame:
    """Divide, but not by an expected gain that cannot be told from 0."""
    unstable = table["expected"].abs() < Z95 * sd / np.sqrt(table["n"].where(table["n"] > 0))
    ratio = (table["observed"] / table["expected"]).where(~unstable)
    return table.assign(ratio=ratio, note=np.where(unstable, RATIO_WITHHELD, ""))


def _flags(table: pd.DataFrame, minimum_n: int) -> np.ndarray:
    return np.select(
        [table["episodes"] == 0, table["n"] < minimum_n],
        [NONE, TOO_FEW],
        default=flag_from_z(table["z"]),
    )


def _keyed(table: pd.DataFrame, reference: dict[str, float | str]) -> pd.DataFrame:
    keyed = table.rename_axis("provider_id").reset_index()
    keyed["outcome"], keyed["learner"] = reference["outcome"], reference["learner"]
    keyed["flag_holds_under"] = ""
    return keyed[PROVIDER_COLUMNS]
