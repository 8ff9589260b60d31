"""Three answers to missing follow-up, and how far each provider's flag is from another.

All are by NHS England's rule, with nominal limits and the study's reference: a provider's mean of
observed - expected over its standard error. Complete cases are those who answered; weighted, they
stand for everybody who is like them; imputed, those who did not answer are given what the model
has for them, several times, and the error is Rubin's, of Student's distribution: its z is the
normal score that is as far out, so that the same limits hold for all three.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.followup.everybody import Covariates, Everybody
from riskadj.profile.flags import FlagLabels, cut_of, places_from_z
from riskadj.stats import (
    Z95,
    Pooled,
    ProviderDraws,
    TippingPoints,
    impute,
    normal_score,
    pool,
    pool_differences,
    reference_effect,
    student_cut,
    tipping_points,
)
from riskadj.stats.arrays import Floats
from riskadj.study import Outcome
from riskadj.study.profile import FollowUpRules, ProfileRules

ANALYSES = ("complete", "weighted", "imputed")
RATIO_COLUMNS = ("ratio_{}", "ratio_{}_lower95", "ratio_{}_upper95")
"""Of each analysis."""


@dataclass(frozen=True)
class Means:
    """Mean of observed - expected of each provider; NaN where it cannot be told.

    Attributes
    ----------
    effect, error : ndarray of shape (n_providers,)
    df : ndarray of shape (n_providers,)
        Degrees of freedom of the error; infinite where it is taken as known.
    size : ndarray of shape (n_providers,)
        What a provider counts by in the mean of all.
    steady : ndarray of shape (n_providers,)
        Effects as they enter what providers are compared with; of imputation those of the model
        with effects from one distribution, so that a provider with many episodes and few answers
        does not shake the comparison of all others.
    ratio : ndarray of shape (n_ratio_columns, n_providers)
        Observed over expected, and its 95 % interval; NaN where the expected mean cannot be told
        from 0.
    """

    effect: Floats
    error: Floats
    df: Floats
    size: Floats
    steady: Floats
    ratio: Floats

    def z(self, target: Floats) -> Floats:
        """Return the normal score of the distance from a target; NaN where it cannot be told."""
        t = (self.effect - target) / self.error
        known, score = np.isfinite(t), np.full(t.size, np.nan)
        score[known] = normal_score(t[known], self.df[known])
        return score

    @classmethod
    def unknown(cls, size: Floats) -> "Means":
        """Return those of an analysis that there is none of."""
        nothing = np.full(size.size, np.nan)
        ratio = np.full((len(RATIO_COLUMNS), size.size), np.nan)
        return cls(nothing, nothing, nothing, size, nothing, ratio)


@dataclass(frozen=True)
class Comparing:
    """What providers are compared by, the same in all three analyses.

    Attributes
    ----------
    outcome : Outcome
    rules : ProfileRules
    labels : FlagLabels
    peers : ndarray of shape (n_providers,) or None
        Peer groups.
    flagged : ndarray of bool, shape (n_providers,)
        Who has answers enough to be flagged.
    gain, sd, origin : float
        Mean result of those who answered, or as given; standard deviation of their residuals, or
        as given; and the mean of these residuals.
    """

    outcome: Outcome
    rules: ProfileRules
    labels: FlagLabels
    peers: NDArray[np.object_] | None
    flagged: NDArray[np.bool_]
    gain: float
    sd: float
    origin: float

    @property
    def chances(self) -> bool:
        """Whether errors are those of chances rather than of one standard deviation for all."""
        return self.outcome.compares.family == "binomial" and self.outcome.reference is None

    @property
    def cuts(self) -> tuple[float, float]:
        """Of the inner and the outer limits."""
        return cut_of(self.rules.levels[0]), cut_of(self.rules.levels[1])

    def target(self, means: Means) -> Floats:
        """Return the effect that each provider is compared with."""
        target, known = np.full(means.effect.size, np.nan), np.isfinite(means.effect)
        if not known.any():
            return target
        if isinstance(self.rules.reference, str):
            peers = None if self.peers is None else self.peers[known]
            target[known] = reference_effect(
                means.steady[known], means.size[known], self.rules.reference, peers
            )
        else:
            target[known] = self.rules.reference - self.gain
        return target

    def share(self, means: Means) -> Floats:
        """Return by how much the target of each provider moves with its own effect."""
        if self.rules.reference != "volume_weighted":
            return np.zeros(means.effect.size)
        size = pd.Series(np.where(np.isfinite(means.effect), means.size, 0.0))
        whole = size.sum() if self.peers is None else size.groupby(self.peers).transform("sum")
        alone = np.asarray(size >= whole)
        return np.where(alone, 0.0, np.asarray(size / whole))

    def beside(self, means: Means, name: str) -> pd.DataFrame:
        """Return adjusted result, error, z and flag by one analysis."""
        z = means.z(self.target(means))
        shown = self.flagged & np.isfinite(z)
        places = places_from_z(self.outcome.better * np.where(shown, z, 0.0), *self.cuts)
        flag = np.where(shown, self.labels.at(places), "")
        return pd.DataFrame(
            {
                f"adjusted_{name}": np.where(shown, self.gain + means.effect, np.nan),
                f"error_{name}": np.where(shown, means.error, np.nan),
                f"z_{name}": np.where(shown, z, np.nan),
                f"flag_{name}": pd.Series(flag, dtype="str"),
                **{
                    column.format(name): np.where(shown, one, np.nan)
                    for column, one in zip(RATIO_COLUMNS, means.ratio, strict=True)
                },
            }
        )


def weighted(everybody: Everybody, weight: Floats, comparing: Comparing, size: Floats) -> Means:
    """Return weighted means of those who answered; with weights of 1, complete cases.

    Notes
    -----
    The error is sd sqrt(sum w^2) / sum w, with weights of 1 NHS England's sd / sqrt(n); of chances
    sqrt(sum w^2 e (1 - e)) / sum w.
    """
    groups, w = everybody.groups, np.where(everybody.answered, weight, 0.0)
    spread = everybody.expected * (1 - everybody.expected) if comparing.chances else comparing.sd**2
    total = groups.total(w)
    residual = _per(groups.total(w * everybody.residual), total)
    error = _per(np.sqrt(groups.total(w**2 * spread)), total)
    expected = _per(groups.total(w * everybody.expected), total)
    ratio = _ratio(residual, Z95 * error, expected)
    effect, known = residual - comparing.origin, np.full(error.size, np.inf)
    return Means(effect, error, known, size, effect, ratio)


def _ratio(residual: Floats, half: Floats, expected: Floats) -> Floats:
    """Return observed over expected and its interval; NaN where expected may as well be 0."""
    away, steady = np.stack([residual, residual - half, residual + half]), expected > half
    return np.asarray(np.where(steady, 1 + away / np.where(steady, expected, 1.0), np.nan))


@dataclass(frozen=True)
class Imputed:
    """What imputation says.

    Attributes
    ----------
    draws : ProviderDraws
    pooled : Pooled
    means : Means
    """

    draws: ProviderDraws
    pooled: Pooled
    means: Means


def imputed(
    everybody: Everybody, covariates: Covariates, comparing: Comparing, rules: FollowUpRules,
    seed: int,
) -> Imputed:  # fmt: skip
    """Return pooled means of everybody, those who did not answer imputed.

    Raises
    ------
    ArrayError
        When too few providers have answers to tell how they differ.
    """
    family = comparing.outcome.compares.family
    draws = impute(
        everybody.observed,
        everybody.expected,
        everybody.groups.labels[everybody.groups.codes],
        seed=seed,
        covariates=covariates.X,
        imputations=rules.imputations,
        family=family,
        draw=rules.draw if family == "gaussian" else "model",
        effects=rules.effects,
    )
    if comparing.outcome.reference is not None:
        of_all = comparing.sd**2 * draws.eligible.astype(float)
        variance = np.tile(of_all, (rules.imputations, 1))
        draws = replace(draws, variance=variance, complete_df=float("inf"))
    pooled = _pooled(draws, comparing)
    # Of everybody, about what is expected, whatever providers are compared with.
    residual = pooled.estimate
    residual = residual + (draws.centre if isinstance(comparing.rules.reference, str) else 0.0)
    eligible = draws.eligible.astype(float)
    half = student_cut(Z95, pooled.df) * pooled.error
    ratio = _ratio(residual, half, draws.expected / eligible)
    steady = draws.differences.mean(axis=0) / eligible - comparing.origin
    effect = residual - comparing.origin
    means = Means(effect, pooled.error, pooled.df, eligible, steady, ratio)
    return Imputed(draws, pooled, means)


def _pooled(draws: ProviderDraws, comparing: Comparing) -> Pooled:
    """Pool distances from the mean of all, or where the reference is a given result, from it."""
    if isinstance(comparing.rules.reference, str):
        return pool_differences(draws)
    difference = (draws.observed - draws.expected) / draws.eligible
    return pool(difference, draws.variance / draws.eligible**2, draws.complete_df)


def tipping(everybody: Everybody, found: Imputed, comparing: Comparing) -> TippingPoints:
    """Return how far those who did not answer must be from what is imputed to change a flag."""
    silent = ~everybody.answered
    codes, m = everybody.groups.codes[silent], len(everybody.providers)
    number = np.bincount(codes, minlength=m).astype(float)
    totals = [np.bincount(codes, one[silent], m) for one in (everybody.least, everybody.most)]
    ends = [
        np.nan_to_num(_per(np.asarray(one, dtype=float), number) - found.draws.imputed_mean)
        for one in totals
    ]
    return tipping_points(
        found.means.effect,
        found.means.error,
        found.draws.missing,
        cut=student_cut(comparing.cuts[0], found.means.df),
        target=comparing.target(found.means),
        share=comparing.share(found.means),
        lowest=np.minimum(ends[0], 0.0),
        highest=np.maximum(ends[1], 0.0),
    )


_UNITS: Mapping[str, str] = {"index": "on the index", "share": "of episodes"}


@dataclass(frozen=True)
class Place:
    """Where a provider is among its inner limits: 1 above them, 0 inside, -1 below.

    Attributes
    ----------
    imputed, complete : int
        By imputation, and by those who answered.
    """

    imputed: int
    complete: int

    def differs(self, limits: str) -> str:
        """Return where imputation puts the provider, if complete cases put it elsewhere."""
        if self.imputed == self.complete:
            return ""
        if self.imputed == 0:
            return f"by imputation inside the {limits} already"
        side = "already" if self.complete == 0 else "on the other side"
        return f"by imputation outside the {limits} {side}"


def tipping_in_words(delta: float, place: Place, missing: float, comparing: Comparing) -> str:
    """Return what would change the place of a provider by imputation, as a sentence."""
    limits = f"{100 * comparing.rules.levels[0]:g} % limits"
    differs = place.differs(limits)
    first = f"{differs}; " if differs else ""
    if missing == 0:
        return f"{first}everybody answered"
    if not np.isfinite(delta):
        what = "that" if differs else "the flag by imputation"
        return f"{first}nothing that the scale allows would change {what}"
    change = {
        (False, True): f"by imputation would be outside the {limits}",
        (False, False): f"by imputation would no longer be outside the {limits}",
        (True, True): "would be outside",
        (True, False): "would be inside",
    }[bool(differs), place.imputed == 0]
    return f"{first}{change} if those who did not answer were {_away(delta, comparing.outcome)}"


def _away(delta: float, outcome: Outcome) -> str:
    """Return how far from what is expected, in words."""
    unit, tenths = outcome.unit, outcome.unit in ("points", "%")
    least = 0.1 if tenths else 0.001
    amount = f"{abs(delta):.{1 if tenths else 3}f}"
    told = amount if abs(delta) >= least / 2 else f"less than {least:g}"
    way = "better" if delta * outcome.better > 0 else "worse"
    return f"{way} than expected by {told} {_UNITS.get(unit, unit)}"


def _per(part: Floats, whole: Floats) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio
