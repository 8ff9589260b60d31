"""Missing follow-up of one outcome: rates, three analyses of every learner, and their balance."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from riskadj.casemix import CaseMix
from riskadj.cohort import Cohort, response_by_provider
from riskadj.cohort.rates import PAIRS_ONLY
from riskadj.digest import digest_of_frame
from riskadj.errors import ArrayError
from riskadj.expected import Expectations
from riskadj.expected.crossfit import never_in_sample
from riskadj.followup.analyses import (
    ANALYSES,
    RATIO_COLUMNS,
    Comparing,
    Imputed,
    Means,
    Place,
    imputed,
    tipping,
    tipping_in_words,
    weighted,
)
from riskadj.followup.everybody import (
    Covariates,
    Everybody,
    covariates_of,
    expected_by,
    without_expectation,
)
from riskadj.profile.flags import flag_labels
from riskadj.profile.providers import held_back, peer_groups
from riskadj.stats import FitWarning
from riskadj.stats.balance import balance
from riskadj.stats.response import ResponseModel, fit_response
from riskadj.stats.response_weights import ResponseWeights, response_weights
from riskadj.stats.tipping import place_of
from riskadj.study import Study

FOLLOW_UP_COLUMNS = [
    "outcome", "learner", "provider_id", "eligible", "answered", "response", "effective_n",
    *(f"{figure}_{one}" for one in ANALYSES for figure in ("adjusted", "error", "z", "flag")),
    *(column.format(one) for one in ANALYSES for column in RATIO_COLUMNS),
    "missing_information", "df_imputed", "tipping_down", "tipping_up", "tipping_nearest", "tipping",
]  # fmt: skip
BALANCE_COLUMNS = [
    "outcome", "covariate", "everybody", "answered", "weighted", "sd", "difference",
    "difference_weighted", "fewest",
]  # fmt: skip
SUMMARY_COLUMNS = [
    "outcome", "learner", "eligible", "answered", "response", "effective_n", "weight_least",
    "weight_most", "trimmed", "compared", "weighted_differs", "imputed_differs", "any_differs",
    "missing_information",
]  # fmt: skip
NOT_THERE = (
    "The files hold only those who returned both questionnaires, so that nothing can be said here "
    "of those who did not, but how many they were."
)
NOT_ASKED = "Nobody is asked for it: an episode has it in its records, or is left out."
ALL_ANSWERED = "Everybody who was asked and counts has a score after."
_TEXTS = ("outcome", "learner", "provider_id", "covariate", "tipping", "flag")


@dataclass(frozen=True)
class FollowUp:
    """Who answered, and what the answers of the others would have to be to matter.

    Attributes
    ----------
    rates : DataFrame
        By provider: procedures, questionnaires, and their rates, as from `provider_rates`.
    analyses : DataFrame
        A row per learner and provider: `eligible`, episodes with a score before; `answered`, those
        with a score after that counts; `response`, their share; `effective_n`, how many the
        weighted ones amount to; `adjusted`, `error`, `z`, `flag` and `ratio` (observed over
        expected, with its interval) by complete cases, weighted and imputed;
        `z_imputed` is the normal score that is as far out as the distance in errors is by Student's
        distribution with `df_imputed` degrees of freedom (NaN: infinite), of which the interval
        of the ratio and the tipping points are too;
        `missing_information`, what share of the information on the provider is missing;
        `tipping_down`, `tipping_up`, `tipping_nearest`: by how much those who did not answer
        would have to differ from what is imputed, for the provider to cross an inner limit,
        by imputation, NaN where no difference that the scale allows would do; `tipping`, the
        nearest in words, and first where imputation puts the provider, if elsewhere than complete
        cases do.
    balance : DataFrame
        By covariate: means of everybody, of those who answered, and of these weighted; their
        standardised differences; `fewest`, for a covariate of 0 and 1, the least number with
        either among those who answered and those who did not.
    summary : DataFrame
        By learner: all providers together, and how many flags differ between the analyses.
    told : str
        Why there are no analyses; empty where there are.
    warnings : tuple of str
    digest : str
    """

    rates: pd.DataFrame
    analyses: pd.DataFrame
    balance: pd.DataFrame
    summary: pd.DataFrame
    told: str
    warnings: tuple[str, ...]
    digest: str


def follow_up(expectations: Expectations, study: Study) -> FollowUp:
    """Hold the comparison of those who answered against what is known of everybody asked.

    Analyses are by NHS England's method with nominal limits, whatever the study's own are.

    Parameters
    ----------
    expectations : Expectations
    study : Study

    Raises
    ------
    InSampleError
        When given anything but `Expectations`.
    """
    never_in_sample("follow_up", expectations)
    cohort = expectations.cohort
    told = _why_not(cohort, study)
    if told:
        rows, balances, sums = map(nobody, (FOLLOW_UP_COLUMNS, BALANCE_COLUMNS, SUMMARY_COLUMNS))
        return _as_follow_up(expectations, rows, balances, sums, told, _unknown(cohort, study))
    said = _unknown(cohort, study)
    everybody, covariates = without_expectation(cohort), covariates_of(expectations.casemix)
    model = _response(everybody, covariates, said)
    rules = study.follow_up
    weights = response_weights(
        everybody.answered,
        model.probability,
        everybody.groups.labels[everybody.groups.codes],
        numerator=rules.numerator,
        trim=rules.trim,
    )
    parts = [
        _of_learner(expectations, learner, rows, everybody, covariates, weights, study, said)
        for learner, rows in expectations.by_learner()
    ]
    return _as_follow_up(
        expectations,
        pd.concat([one for one, _ in parts], ignore_index=True)[FOLLOW_UP_COLUMNS],
        _balance(expectations.casemix, everybody, covariates, weights),
        pd.DataFrame([one for _, one in parts], columns=SUMMARY_COLUMNS),
        "",
        said,
    )


def nobody(columns: list[str]) -> pd.DataFrame:
    """Return a table of these columns without rows."""
    kinds = {one: "str" if one.startswith(_TEXTS) else "float64" for one in columns}
    kinds |= {one: "float64" for one in columns if one.startswith("tipping_")}
    return pd.DataFrame(columns=columns).astype(kinds)


def _why_not(cohort: Cohort, study: Study) -> str:
    if not cohort.outcome.compares.asked:
        return NOT_ASKED
    if study.data.format in PAIRS_ONLY:
        return NOT_THERE
    return ALL_ANSWERED if cohort.unanswered.empty else ""


def _as_follow_up(
    expectations: Expectations, analyses: pd.DataFrame, balances: pd.DataFrame,
    summary: pd.DataFrame, told: str, said: list[str],
) -> FollowUp:  # fmt: skip
    cohort = expectations.cohort
    known = digest_of_frame(cohort.rates, digest_of_frame(analyses, expectations.digest))
    named = [f"{cohort.outcome.name}, {one}" for one in dict.fromkeys(said)]
    return FollowUp(cohort.rates, analyses, balances, summary, told, tuple(named), known)


def _unknown(cohort: Cohort, study: Study) -> list[str]:
    """Return how many providers cannot be held against the minimum response."""
    if study.profile.minimum_response is None or not cohort.outcome.compares.asked:
        return []
    known = response_by_provider(cohort.rates).index
    compared = pd.Index(cohort.test["provider_id"].unique())
    without = len(compared.difference(known))
    words = f"response: not known of {without} of {len(compared)} providers, which are compared"
    return [words] if without else []


def _response(everybody: Everybody, covariates: Covariates, said: list[str]) -> ResponseModel:
    labels = everybody.groups.labels[everybody.groups.codes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        model = fit_response(everybody.answered, covariates.X, labels)
    said.extend(f"response model: {one}" for one in model.warnings)
    return model


def _of_learner(
    expectations: Expectations, learner: str, rows: pd.DataFrame, everybody: Everybody,
    covariates: Covariates, weights: ResponseWeights, study: Study, said: list[str],
) -> tuple[pd.DataFrame, dict[str, Any]]:  # fmt: skip
    """Return the rows of one learner, and what they come to."""
    cohort = expectations.cohort
    known = expected_by(everybody, expectations, learner, rows, study)
    comparing = _comparing(cohort, known, study)
    eligible = known.eligible.astype(float)
    means = {
        "complete": weighted(known, known.answered.astype(float), comparing, known.n),
        "weighted": weighted(known, weights.weight, comparing, eligible),
    }
    found = _imputed(known, covariates, comparing, study, f"{learner}, imputation", said)
    means["imputed"] = found.means if found else Means.unknown(eligible)
    table = pd.DataFrame(
        {
            "outcome": cohort.outcome.name,
            "learner": learner,
            "provider_id": known.providers,
            "eligible": known.eligible,
            "answered": known.n.astype(int),
            "response": known.n / eligible,
            "effective_n": weights.effective,
        }
    )
    beside = [comparing.beside(means[name], name) for name in ANALYSES]
    last = _tipping(known, found, means["complete"], comparing)
    table = pd.concat([table, *beside, last], axis=1)
    return table, _summary(table, weights)


def _comparing(cohort: Cohort, everybody: Everybody, study: Study) -> Comparing:
    rules, given = study.profile, cohort.outcome.reference
    here = everybody.answered
    residual = (everybody.observed - everybody.expected)[here]
    low = pd.Index(everybody.providers).isin(held_back(cohort, rules))
    return Comparing(
        outcome=cohort.outcome,
        rules=rules,
        labels=flag_labels(rules.labels, rules.levels),
        peers=_peers(cohort, everybody, rules.peer_group),
        flagged=(everybody.n >= rules.minimum_n) & ~low,
        gain=given.gain if given else float(everybody.observed[here].mean()),
        sd=given.sd if given else float(residual.std(ddof=1)),
        origin=float(residual.mean()),
    )


def _peers(cohort: Cohort, everybody: Everybody, column: str | None) -> Any:
    """Return peer groups by those who answered; of a provider that nobody did, by the others."""
    if column is None:
        return None
    answered = peer_groups(cohort.test, column)
    others = cohort.unanswered[~cohort.unanswered["provider_id"].isin(answered.index)]
    alone = [peer_groups(others, column)] if len(others) else []
    return pd.concat([answered, *alone]).reindex(everybody.providers).to_numpy(dtype=object)


def _imputed(
    everybody: Everybody, covariates: Covariates, comparing: Comparing, study: Study, name: str,
    said: list[str],
) -> Imputed | None:  # fmt: skip
    if study.follow_up.imputations == 0:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)
            found = imputed(everybody, covariates, comparing, study.follow_up, study.split.seed)
    except ArrayError as why:
        said.append(f"{name}: left out. {why}")
        return None
    said.extend(f"{name}: {one}" for one in found.draws.warnings)
    return found


_NUMBERS = (
    "missing_information", "df_imputed", "tipping_down", "tipping_up", "tipping_nearest",
)  # fmt: skip


def _tipping(
    everybody: Everybody, found: Imputed | None, complete: Means, comparing: Comparing
) -> pd.DataFrame:
    if found is None:
        nothing = np.full(len(everybody.providers), np.nan)
        return pd.DataFrame(dict.fromkeys(_NUMBERS, nothing)).assign(tipping="")
    points, shown = tipping(everybody, found, comparing), comparing.flagged
    numbers = (
        found.pooled.missing_information, found.pooled.df, points.down, points.up, points.delta,
    )  # fmt: skip
    kept = {
        name: np.where(shown & np.isfinite(one), one, np.nan)
        for name, one in zip(_NUMBERS, numbers, strict=True)
    }
    z = np.nan_to_num(complete.z(comparing.target(complete)))
    places = zip(points.place, place_of(z, comparing.cuts[0]), strict=True)
    words = [
        tipping_in_words(delta, Place(*place), missing, comparing) if told else ""
        for delta, place, missing, told in zip(
            points.delta, places, found.draws.missing, shown, strict=True
        )
    ]
    return pd.DataFrame(kept).assign(tipping=pd.Series(words, dtype="str"))


def _summary(table: pd.DataFrame, weights: ResponseWeights) -> dict[str, Any]:
    flagged = table[table["flag_complete"] != ""]
    own = flagged["flag_complete"]
    differs = {
        one: (flagged[f"flag_{one}"] != own) & (flagged[f"flag_{one}"] != "") for one in ANALYSES
    }
    eligible, answered = int(table["eligible"].sum()), int(table["answered"].sum())
    return {
        "outcome": table["outcome"].iloc[0],
        "learner": table["learner"].iloc[0],
        "eligible": eligible,
        "answered": answered,
        "response": answered / eligible,
        "effective_n": weights.effective_n,
        "weight_least": weights.lower,
        "weight_most": weights.upper,
        "trimmed": weights.trimmed,
        "compared": len(flagged),
        "weighted_differs": int(differs["weighted"].sum()),
        "imputed_differs": int(differs["imputed"].sum()),
        "any_differs": int((differs["weighted"] | differs["imputed"]).sum()),
        "missing_information": float(flagged["missing_information"].mean()),
    }


def _balance(
    casemix: CaseMix, everybody: Everybody, covariates: Covariates, weights: ResponseWeights
) -> pd.DataFrame:
    """Return plain means, and differences: within providers, where weights balance those alone."""
    within = weights.numerator == "provider"
    labels = everybody.groups.labels[everybody.groups.codes] if within else None
    found = balance(covariates.X, weights.weight, labels)
    return pd.DataFrame(
        {
            "outcome": casemix.cohort.outcome.name,
            "covariate": pd.Series(covariates.names, dtype="str"),
            "everybody": found.everybody,
            "answered": found.responders,
            "weighted": found.weighted,
            "sd": found.sd,
            "difference": found.unweighted_difference,
            "difference_weighted": found.weighted_difference,
            "fewest": _fewest(covariates.X, everybody.answered),
        }
    )[BALANCE_COLUMNS]


def _fewest(X: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """Return the least number of episodes, but 0, with a 0 or a 1 on either side.

    NaN for covariates that hold more than 0 and 1, means of what is missing aside.
    """
    flags = [np.isin(np.unique(one), (0, 1)).sum() >= len(np.unique(one)) - 1 for one in X.T]
    sides = [(X[side] == value).sum(axis=0) for side in (answered, ~answered) for value in (0, 1)]
    counts = np.array(sides, dtype=float)
    counts[counts == 0] = np.inf
    return np.where(flags, counts.min(axis=0), np.nan)
