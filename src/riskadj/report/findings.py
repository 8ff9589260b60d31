"""What a report may say: the tables of a run after disclosure control, in one frozen record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import pandas as pd

from riskadj.cohort.rates import RATE_COLUMNS
from riskadj.episodes.columns import Column
from riskadj.expected.evaluate import CURVE_COLUMNS
from riskadj.explain.pairs import PAIR_COLUMNS
from riskadj.explain.shap_values import PART_COLUMNS, ROLE_COLUMNS
from riskadj.fairness.assess import no_drift, no_groups
from riskadj.fairness.fair import no_fair
from riskadj.fairness.gaming import no_gaming
from riskadj.fairness.social import no_graded, no_slopes, no_social
from riskadj.followup.follow import (
    BALANCE_COLUMNS,
    FOLLOW_UP_COLUMNS,
    SUMMARY_COLUMNS,
    nobody,
)
from riskadj.study import Study
from riskadj.value.profile import no_summary, no_values

no_roles = partial(pd.DataFrame, columns=ROLE_COLUMNS)
no_feature_folds = partial(pd.DataFrame, columns=PART_COLUMNS)
no_pairs = partial(pd.DataFrame, columns=PAIR_COLUMNS)


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
    unused : tuple of Column
        Columns of the data that it may hold, and does not.
    flow : DataFrame
        `outcome, station, reason, left, remaining`: who left, in order.
    metrics : mapping
        outcome -> learner -> figures on held-out episodes.
    calibration : DataFrame
        The columns of `expected.evaluate.CURVE_COLUMNS`, of everybody, in the unit of the score.
    subgroups : DataFrame
        The columns of `expected.evaluate.SUBGROUP_COLUMNS`; null where suppressed.
    curves : DataFrame
        The columns of `expected.evaluate.CURVE_COLUMNS`: calibration of subgroups, by fifth.
    tuned : DataFrame
        `outcome, learner, member, trials, settings, start, loss`: what searches for settings found.
    ceiling, slopes, differences, validation : DataFrame
        As in `Evaluation`: the share at the best score, what slopes within providers move,
        learners against each other, and how far figures carry over.
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
        What the fits behind the analyses warned of, which of these were left out, and who has
        nobody to be compared with.
    features : DataFrame
        `outcome, learner, feature, theme, mean_absolute, share, role`: how much each column moves
        expectations.
    provider_features : DataFrame
        The rows of `shap_providers.csv`.
    roles, feature_folds, interactions : DataFrame
        The rows of `shap_roles.csv`, `shap_folds.csv` and `shap_interactions.csv`.
    unexplained : mapping
        outcome -> learner -> why its expectations have no parts by column.
    missing : DataFrame
        `outcome, column, share`: case mix that was not recorded.
    provenance : mapping
        What `provenance.json` holds.
    rates, follow_up, balance : DataFrame
        The rows of `rates.csv`, `follow_up.csv` and `balance.csv`.
    follow_up_summary : DataFrame
        By outcome and learner: how many answered, and how many flags hang on the others.
    follow_up_told : mapping of str to str
        By outcome: why missing follow-up could not be analysed.
    follow_up_warnings : tuple of str
        What its fits warned of, and whose response is not known.
    groups, drift : DataFrame
        The rows of `groups.csv` and `drift.csv`.
    social, graded, social_slopes, fair, gaming : DataFrame
        The rows of `social.csv`, `graded.csv`, `social_slopes.csv`, `fair.csv` and `gaming.csv`.
    fairness_told : tuple of str
        Which of these could not be worked out, and why.
    value : DataFrame
        The rows of `value.csv`: outcome and cost together.
    value_summary : DataFrame
        As in `Values`.
    value_warnings : tuple of str
        Which pairs of learners could not be compared by outcome and cost, and why.
    """

    study: Study
    casemix: tuple[Column, ...]
    refused: tuple[Column, ...]
    flow: pd.DataFrame
    metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]
    calibration: pd.DataFrame
    subgroups: pd.DataFrame
    tuned: pd.DataFrame
    ceiling: pd.DataFrame
    slopes: pd.DataFrame
    differences: pd.DataFrame
    validation: pd.DataFrame
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
    unused: tuple[Column, ...] = ()
    rates: pd.DataFrame = field(default_factory=partial(nobody, RATE_COLUMNS))
    follow_up: pd.DataFrame = field(default_factory=partial(nobody, FOLLOW_UP_COLUMNS))
    balance: pd.DataFrame = field(default_factory=partial(nobody, BALANCE_COLUMNS))
    follow_up_summary: pd.DataFrame = field(default_factory=partial(nobody, SUMMARY_COLUMNS))
    follow_up_told: Mapping[str, str] = field(default_factory=dict)
    follow_up_warnings: tuple[str, ...] = ()
    curves: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=CURVE_COLUMNS))
    roles: pd.DataFrame = field(default_factory=no_roles)
    feature_folds: pd.DataFrame = field(default_factory=no_feature_folds)
    interactions: pd.DataFrame = field(default_factory=no_pairs)
    unexplained: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    groups: pd.DataFrame = field(default_factory=no_groups)
    drift: pd.DataFrame = field(default_factory=no_drift)
    social: pd.DataFrame = field(default_factory=no_social)
    graded: pd.DataFrame = field(default_factory=no_graded)
    social_slopes: pd.DataFrame = field(default_factory=no_slopes)
    fair: pd.DataFrame = field(default_factory=no_fair)
    gaming: pd.DataFrame = field(default_factory=no_gaming)
    fairness_told: tuple[str, ...] = ()
    value: pd.DataFrame = field(default_factory=no_values)
    value_summary: pd.DataFrame = field(default_factory=no_summary)
    value_warnings: tuple[str, ...] = ()

    @cached_property
    def answers(self) -> dict[tuple[str, ...], Any]:
        """What was worked out of these tables already, by question: see `lookup.once`."""
        return {}
