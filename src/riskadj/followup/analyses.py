"""Three answers to missing follow-up, and how far each provider's flag is from another.

All are by NHS England's rule, with nominal limits and the study's reference: a provider's mean of
observed - expected over its standard error. Complete cases are those who answered; weighted, they
stand for everybody who is like them; imputed, those who did not answer are given what the model
has for them, several times.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.followup.everybody import Covariates, Everybody
from riskadj.profile.flags import FlagLabels, cut_of, places_from_z
from riskadj.stats import Z95, reference_effect
from riskadj.stats.arrays import Floats
from riskadj.stats.imputation import Pooled, ProviderDraws, impute, pool, pool_differences
from riskadj.stats.tipping import TippingPoints, tipping_points
from riskadj.study import Outcome
from riskadj.study.records import FollowUpRules, ProfileRules

ANALYSES = ("complete", "weighted", "imputed")
RATIO_COLUMNS = ("ratio_{}", "ratio_{}_lower95", "ratio_{}_upper95")
"""Of each analysis."""


@dataclass(frozen=True)
class Means:
    """Mean of observed - expected of each provider; NaN where it cannot be told.

    Attributes
    ----------
    effect, error : ndarray of shape (n_providers,)
    size : ndarray of shape (n_providers,)
        What a provider counts by in the mean of all.
    ratio : ndarray of shape (n_ratio_columns, n_providers)
        Observed over expected, and its 95 % interval; NaN where the expected mean cannot be told
        from 0.
    """

    effect: Floats
    error: Floats
    size: Floats
    ratio: Floats

    @classmethod
    def unknown(cls, size: Floats) -> "Means":
        """Return those of an analysis that there is none of."""
        nothing = np.full(size.size, np.nan)
        return cls(nothing, nothing, size, np.full((len(RATIO_COLUMNS), size.size), np.nan))


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
                means.effect[known], means.size[known], self.rules.reference, peers
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
        z = (means.effect - self.target(means)) / means.error
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
    away = np.stack([residual, residual - Z95 * error, residual + Z95 * error])
    ratio = 1 + _where_steady(away, expected, error)
    return Means(residual - comparing.origin, error, size, ratio)


def _where_steady(amounts: Floats, expected: Floats, error: Floats) -> Floats:
    """Divide by what is expected, but not where it cannot be told from 0."""
    steady = expected > Z95 * error
    return np.asarray(np.where(steady, amounts / np.where(steady, expected, 1.0), np.nan))


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
    )
    if comparing.outcome.reference is not None:
        of_all = comparing.sd**2 * draws.eligible.astype(float)
        draws = replace(draws, variance=np.tile(of_all, (rules.imputations, 1)))
    pooled = _pooled(draws, comparing)
    centre = draws.centre if isinstance(comparing.rules.reference, str) else 0.0
    effect = pooled.estimate + centre - comparing.origin
    eligible = draws.eligible.astype(float)
    ratio = _pooled_ratio(draws, pooled.error)
    return Imputed(draws, pooled, Means(effect, pooled.error, eligible, ratio))


def _pooled_ratio(draws: ProviderDraws, error: Floats) -> Floats:
    """Return observed over expected of everybody, pooled by Rubin's rules, with its interval."""
    mean = pool(draws.observed / draws.eligible, draws.variance / draws.eligible**2)
    amounts = np.stack([mean.estimate, *mean.interval(0.95)])
    return _where_steady(amounts, draws.expected / draws.eligible, error)


def _pooled(draws: ProviderDraws, comparing: Comparing) -> Pooled:
    """Pool distances from the mean of all, or where the reference is a given result, from it."""
    if isinstance(comparing.rules.reference, str):
        return pool_differences(draws)
    difference = (draws.observed - draws.expected) / draws.eligible
    return pool(difference, draws.variance / draws.eligible**2)


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
        cut=comparing.cuts[0],
        target=comparing.target(found.means),
        share=comparing.share(found.means),
        lowest=np.minimum(ends[0], 0.0),
        highest=np.maximum(ends[1], 0.0),
    )


_UNITS: Mapping[str, str] = {"index": "on the index", "share": "of episodes"}


def tipping_in_words(delta: float, inside: bool, missing: float, comparing: Comparing) -> str:
    """Return what would change a provider's flag, as a sentence."""
    if missing == 0:
        return "everybody answered"
    if not np.isfinite(delta):
        return "nothing that the scale allows would change the flag"
    level = f"{100 * comparing.rules.levels[0]:g} % limits"
    change = f"be outside the {level}" if inside else f"no longer be outside the {level}"
    unit = comparing.outcome.unit
    least = 0.1 if unit in ("points", "%") else 0.001
    amount = f"{abs(delta):.{1 if least == 0.1 else 3}f}"
    told = amount if abs(delta) >= least / 2 else f"less than {least:g}"
    way = "better" if delta * comparing.outcome.better > 0 else "worse"
    return (
        f"would {change} if those who did not answer were {way} than expected by {told} "
        f"{_UNITS.get(unit, unit)}"
    )


def _per(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
