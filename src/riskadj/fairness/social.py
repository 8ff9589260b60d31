"""Four ways to deal with social circumstances, side by side: who would be flagged under which.

`none` expects from case mix alone. `adjust` expects besides what patients in like circumstances
have, as far as that holds among patients of the same provider. `stratify` compares patients in
like circumstances only, and puts strata together in the shares of the whole population.
`peer_group` expects as `none` does and compares providers with those that treat patients in like
circumstances. A study whose own case mix holds a social factor has a fifth way, `study`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.cohort import Cohort
from riskadj.errors import StudyError, TooFewProvidersError
from riskadj.expected import Expectations
from riskadj.expected.evaluate import NOT_RECORDED, levels_of
from riskadj.fairness.graded import (
    FIGURE_COLUMNS,
    GRADED_COLUMNS,
    SLOPE_COLUMNS,
    Compared,
    Comparing,
    SocialPart,
    expected_at,
    grade,
    peers_by_circumstances,
    social_part,
)
from riskadj.fairness.lessons import without_columns
from riskadj.profile.estimates import Estimates, Sample
from riskadj.profile.providers import peer_groups
from riskadj.stats.arrays import Floats
from riskadj.stats.graded import shift_to_total
from riskadj.stats.groups import group_rows
from riskadj.stats.links import link_named
from riskadj.study import Study
from riskadj.study.fairness import SocialRules
from riskadj.study.kinds import LINK_OF

MODES = ("none", "adjust", "stratify", "peer_group", "study")
"""`study`: as the study has it, with social factors in its case mix; no rows where it has none."""
MOST_STRATA = 20
TOGETHER = ""
"""The stratum of a provider's figures of all strata together."""
SOCIAL_COLUMNS = [
    "outcome", "learner", "mode", "own", "stratum", "strata", "limits", "provider_id",
    *FIGURE_COLUMNS, "peer_group",
]  # fmt: skip


@dataclass(frozen=True)
class SocialAdjustment:
    """One outcome under the four ways, and along the curve from none to all.

    Attributes
    ----------
    social : DataFrame
        The columns of `SOCIAL_COLUMNS`, a row per learner, mode and provider; of `stratify` one per
        stratum besides. `own`: whether it is the study's own way, so that the figures are those of
        its provider table: `study` where the learner's case mix holds a social factor, else
        `peer_group` where providers are compared with peers, else `none`. `strata`: in how many
        strata the provider has patients. `limits`: by which it was judged.
    graded : DataFrame
        The columns of `GRADED_COLUMNS`.
    slopes : DataFrame
        The columns of `SLOPE_COLUMNS`: what each social factor does, on the scale of the linear
        predictor. `within` providers, which is used; `pooled` and `between` providers, for
        comparison. Of a score after, in its unit; of shares, log-odds; of costs, logarithms.
    told : tuple of str
        What could not be done, and why.
    """

    social: pd.DataFrame
    graded: pd.DataFrame
    slopes: pd.DataFrame
    told: tuple[str, ...] = ()


def no_social_adjustment() -> SocialAdjustment:
    """Return what there is where a study names no social factors."""
    tables = (SOCIAL_COLUMNS, GRADED_COLUMNS, SLOPE_COLUMNS)
    return SocialAdjustment(*(pd.DataFrame(columns=one) for one in tables))


def adjust_socially(expectations: Expectations, study: Study) -> SocialAdjustment:
    """Compare providers under the four modes, and along the curve of graded adjustment.

    Case mix that holds a social factor is taken without it, and its learners are taught again; a
    supplied expectation is taken as it is.

    Parameters
    ----------
    expectations : Expectations
    study : Study
        Its `fairness.social` says which factors; without it nothing is done.

    Raises
    ------
    StudyError
        As `social_coding` and `strata_of` raise, and when factors are all of the case mix.
    ArrayError
        When a factor follows from others, or from case mix.
    """
    rules = study.fairness.social
    if rules is None:
        return no_social_adjustment()
    plain = without_columns(expectations, rules.columns, study)
    comparing = Comparing(plain.cohort, study)
    adjusted = {} if plain is expectations else _taught(expectations)
    parts = [
        _of_learner(plain, learner, rows, rules, comparing, adjusted.get(learner))
        for learner, rows in plain.by_learner()
    ]
    name = plain.cohort.outcome.name
    return SocialAdjustment(
        _stacked([one.social for one in parts], name, SOCIAL_COLUMNS),
        _stacked([one.graded for one in parts], name, GRADED_COLUMNS),
        _stacked([one.slopes for one in parts], name, SLOPE_COLUMNS),
        tuple(dict.fromkeys(told for one in parts for told in one.told)),
    )


def _taught(expectations: Expectations) -> dict[str, Floats]:
    """Return what is expected by learners that are taught here, and so know of the case mix."""
    return {
        learner: rows["expected_score"].to_numpy(dtype=float)
        for learner, rows in expectations.by_learner()
        if learner in expectations.models
    }


def _stacked(tables: Sequence[pd.DataFrame], outcome: str, columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True).assign(outcome=outcome)[[*columns]]


def _of_learner(
    plain: Expectations,
    learner: str,
    rows: pd.DataFrame,
    rules: SocialRules,
    comparing: Comparing,
    adjusted: Floats | None,
) -> SocialAdjustment:
    part = social_part(plain, learner, rules.columns, comparing.study)
    expected = rows["expected_score"].to_numpy(dtype=float)
    subject = _Subject(comparing, expected, part, rules.columns, adjusted)
    tables, told = [], []
    for mode in MODES:
        own = mode == subject.own
        try:
            tables += [one.assign(mode=mode, own=own) for one in _MODES[mode](subject)]
        except TooFewProvidersError as why:
            told.append(f"{plain.cohort.outcome.name}, {learner}: {mode} left out. {why}")
    social = pd.concat(tables, ignore_index=True).assign(learner=learner)
    graded = grade(comparing, expected, part, rules.lambdas)
    return SocialAdjustment(social, graded, part.slopes, tuple(told))


# --- the four ways --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Subject:
    """What the modes are about; `adjusted` is expected by the study's own case mix, if social."""

    comparing: Comparing
    expected: Floats
    part: SocialPart
    columns: tuple[str, ...]
    adjusted: Floats | None = None

    @property
    def own(self) -> str:
        """The mode that is the study's own."""
        if self.adjusted is not None:
            return "study"
        return "none" if self.peers is None else "peer_group"

    @property
    def peers(self) -> "pd.Series[str] | None":
        """The study's own peer groups of providers."""
        column = self.comparing.study.profile.peer_group
        return None if column is None else peer_groups(self.comparing.cohort.test, column)

    @property
    def link(self) -> str:
        return LINK_OF[self.comparing.cohort.outcome.compares.family]

    @property
    def limits(self) -> str:
        return self.comparing.study.profile.limits

    def rows(self, found: Compared, **more: object) -> pd.DataFrame:
        """Return the rows of the table."""
        given = {"stratum": TOGETHER, "strata": 1, "limits": self.limits, "peer_group": ""} | more
        return found.table[FIGURE_COLUMNS].assign(**given).reset_index()

    def by(self, expected: Floats, peers: "pd.Series[str] | None" = None) -> pd.DataFrame:
        """Return the rows of providers by an expectation, held against peers or everybody."""
        found = self.comparing.by(expected, peers)
        if peers is None:
            return self.rows(found)
        return self.rows(found, peer_group=peers.reindex(found.table.index).to_numpy())


def _none(one: _Subject) -> Iterator[pd.DataFrame]:
    yield one.by(one.expected)


def _adjust(one: _Subject) -> Iterator[pd.DataFrame]:
    yield one.by(expected_at(1.0, one.expected, one.part.beyond, one.link))


def _peer_group(one: _Subject) -> Iterator[pd.DataFrame]:
    """Compare with the study's own peers; without any, with fifths by circumstances."""
    peers, minimum_n = one.peers, one.comparing.study.profile.minimum_n
    if peers is None:
        peers = peers_by_circumstances(one.part.whole, one.comparing.provider, minimum_n)
    yield one.by(one.expected, peers)


def _stratify(one: _Subject) -> Iterator[pd.DataFrame]:
    strata = strata_of(one.columns, one.comparing.cohort.test)
    sample = one.comparing.sample(one.comparing.shown(_balanced(one, strata)))
    weights, count = standard_weights(sample.provider, strata)
    whole = one.comparing.held(directly_standardised(sample, weights), sample, one.limits, weights)
    yield one.rows(whole, strata=count.reindex(whole.table.index).to_numpy())
    for stratum in np.unique(strata):
        yield _one_stratum(one, sample, strata == stratum, str(stratum))


def _study(one: _Subject) -> Iterator[pd.DataFrame]:
    if one.adjusted is not None:
        yield one.by(one.adjusted, one.peers)


_MODES: Mapping[str, Callable[[_Subject], Iterator[pd.DataFrame]]] = MappingProxyType(
    {
        "none": _none,
        "adjust": _adjust,
        "stratify": _stratify,
        "peer_group": _peer_group,
        "study": _study,
    }
)


# --- strata ---------------------------------------------------------------------------------------


def strata_of(columns: Sequence[str], episodes: pd.DataFrame) -> NDArray[np.object_]:
    """Return the stratum of every episode: levels, of numbers fifths, of several columns, both.

    Raises
    ------
    StudyError
        When there are more than `MOST_STRATA`.
    """
    levels = [
        levels_of(episodes[name], episodes[name]).fillna(NOT_RECORDED).astype(str)
        for name in columns
    ]
    labels = np.array([", ".join(some) for some in zip(*levels, strict=True)], dtype=object)
    count = np.unique(labels).size
    if count > MOST_STRATA:
        raise StudyError(
            f"fairness.social.columns: wanted at most {MOST_STRATA} strata; got {count} of "
            f"{' by '.join(columns)}. Name fewer columns."
        )
    return labels


def standard_weights(
    provider: NDArray[np.object_], strata: NDArray[np.object_]
) -> tuple[Floats, "pd.Series[int]"]:
    """Return what episodes count for, so that each provider has the strata of the population.

    Parameters
    ----------
    provider, strata : ndarray of shape (n_episodes,)

    Returns
    -------
    weights : ndarray of shape (n_episodes,)
        Of each provider they sum to 1: the population's share of the stratum, over the provider's
        episodes in it; strata without any are left out, and the shares of the others raised.
    strata : Series of int
        In how many strata each provider has patients.

    Examples
    --------
    >>> provider, strata = np.array(list("aaabb")), np.array(["x", "y", "y", "x", "x"])
    >>> weights, count = standard_weights(provider, strata)
    >>> weights.round(3).tolist(), count.tolist()
    ([0.6, 0.2, 0.2, 0.5, 0.5], [2, 1])
    """
    rows = pd.DataFrame({"provider": provider, "stratum": strata})
    share = rows["stratum"].map(rows["stratum"].value_counts(normalize=True))
    alike = rows.groupby(["provider", "stratum"])["stratum"].transform("size")
    per_episode = share / alike
    weights = per_episode / per_episode.groupby(rows["provider"]).transform("sum")
    return weights.to_numpy(dtype=float), rows.groupby("provider")["stratum"].nunique()


def directly_standardised(sample: Sample, weights: Floats) -> Estimates:
    """Return effects of providers whose episodes count by weights that sum to 1.

    The mean of observed - expected; of costs the logarithm of observed over expected.

    Parameters
    ----------
    sample : Sample
    weights : ndarray of shape (n_episodes,)

    Notes
    -----
    The variance is the sum of squared weights times the variance of an episode: of scores that of
    residuals, of chances p (1 - p), of costs in proportion to the squared expectation; as
    `nhs_england` has it with equal weights.
    """
    groups = group_rows(sample.provider)
    o, e = (groups.total(weights * one) for one in (sample.observed, sample.expected))
    spread = groups.total(weights**2 * _variance(sample))
    if sample.family != "gamma":
        return Estimates(groups.labels, o - e, np.sqrt(spread))
    half = np.where(o > 0, 0.0, 0.5 * e / groups.sizes)
    effect = np.log((o + half) / (e + half))
    return Estimates(groups.labels, effect, np.sqrt(spread) / e, link="log")


def _variance(sample: Sample) -> Floats:
    residual = sample.observed - sample.expected
    if sample.family == "gamma":
        phi = np.mean((residual / sample.expected) ** 2) if sample.sd is None else sample.sd**2
        return np.asarray(phi * sample.expected**2)
    if sample.family == "binomial" and sample.sd is None:
        return np.asarray(sample.expected * (1 - sample.expected))
    sd = residual.std(ddof=1) if sample.sd is None else sample.sd
    return np.full(residual.size, sd**2)


def _balanced(one: _Subject, strata: NDArray[np.object_]) -> Floats:
    """Return expectations that are right on average in every stratum."""
    scale = link_named(one.link)
    observed = one.comparing.cohort.test["observed_score"].to_numpy(dtype=float)
    expected = np.array(one.expected, copy=True)
    for stratum in np.unique(strata):
        inside = strata == stratum
        predictor = scale.predictor(expected[inside])
        total = _within_reach(float(observed[inside].sum()), int(inside.sum()), one.link)
        expected[inside] = scale.mean(predictor + shift_to_total(predictor, total, one.link))
    return expected


def _within_reach(total: float, n: int, link: str) -> float:
    """Return a total that expectations can have; with no or only events, half an event off."""
    if link == "logit":
        return float(np.clip(total, 0.5, n - 0.5))
    return max(total, np.finfo(float).tiny) if link == "log" else total


def _one_stratum(
    one: _Subject, sample: Sample, inside: NDArray[np.bool_], stratum: str
) -> pd.DataFrame:
    """Return providers by their patients in one stratum, compared with others' in the same."""
    cohort = one.comparing.cohort
    part = Comparing(_only(cohort, inside), one.comparing.study)
    some = part.sample(sample.expected[inside])
    sd = sample.sd if sample.sd is not None else _sd(sample)
    some = Sample(some.observed, some.expected, some.provider, sd, some.between, some.family)
    groups = group_rows(some.provider)
    found = directly_standardised(some, 1 / groups.at_rows(groups.sizes.astype(float)))
    try:
        held, limits = part.held(found, some, one.limits), one.limits
    except TooFewProvidersError:
        held, limits = part.held(found, some, "nominal"), "nominal"
    return one.rows(held, stratum=stratum, limits=limits)


def _sd(sample: Sample) -> float | None:
    """Return the spread of residuals of all strata together; of chances each has its own."""
    residual = sample.observed - sample.expected
    if sample.family == "gamma":
        return float(np.sqrt(np.mean((residual / sample.expected) ** 2)))
    return None if sample.family == "binomial" else float(residual.std(ddof=1))


def _only(cohort: Cohort, inside: NDArray[np.bool_]) -> Cohort:
    return replace(cohort, test=cohort.test[inside].reset_index(drop=True))


no_social = partial(pd.DataFrame, columns=SOCIAL_COLUMNS)
no_graded = partial(pd.DataFrame, columns=GRADED_COLUMNS)
no_slopes = partial(pd.DataFrame, columns=SLOPE_COLUMNS)
