"""What a report may say: the tables of a run after disclosure control, in one frozen record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from riskadj.episodes.columns import Column
from riskadj.study import Study


@dataclass(frozen=True)
class Findings:
    """Everything that the card and the figures are made from; no row of it is a patient.

    Attributes
    ----------
    study : Study
    casemix : tuple of Column
        The declarations of the columns adjusted for.
    refused : tuple of Column
        Columns of the data that case mix may not hold, being known too late or not the patient's.
    flow : DataFrame
        `outcome, station, reason, left, remaining`: who left, in order.
    metrics : mapping
        outcome -> learner -> figures on held-out episodes.
    calibration : DataFrame
        `outcome, learner, decile, n, expected, observed, difference`, in the unit of the score.
    subgroups : DataFrame
        `outcome, learner, column, level, n, observed, expected, difference, lower95, upper95`;
        null where suppressed.
    providers : DataFrame
        The rows of `providers.csv`.
    reference : DataFrame
        `outcome, learner, n, gain, baseline, sd, drift, mean_residual`: the population that is the
        centre of the comparison; `gain` is its mean observed gain, `sd` that of its residuals.
        `centre, inner, outer, shift, factor, tau`: what providers are held against.
    analyses : DataFrame
        The rows of `analyses.csv`: every flag under every declared analysis.
    reliability : DataFrame
        `outcome, learner, estimator, used, n_providers, tau, icc, median_reliability, volume_07,
        volume_09`.
    agreement : DataFrame
        `outcome, learner, kind, first, second, n_providers, correlation, corrected`.
    fit_warnings : tuple of str
        What the fits behind the analyses warned of.
    features : DataFrame
        `outcome, learner, feature, theme, mean_absolute, share`: how much each column moves
        expectations.
    provider_features : DataFrame
        The rows of `shap_providers.csv`.
    missing : DataFrame
        `outcome, column, share`: case mix that was not recorded.
    provenance : mapping
        What `provenance.json` holds.
    """

    study: Study
    casemix: tuple[Column, ...]
    refused: tuple[Column, ...]
    flow: pd.DataFrame
    metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]
    calibration: pd.DataFrame
    subgroups: pd.DataFrame
    providers: pd.DataFrame
    reference: pd.DataFrame
    analyses: pd.DataFrame
    reliability: pd.DataFrame
    agreement: pd.DataFrame
    fit_warnings: tuple[str, ...]
    features: pd.DataFrame
    provider_features: pd.DataFrame
    missing: pd.DataFrame
    provenance: Mapping[str, Any]
