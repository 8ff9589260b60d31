"""One analysis: a method and limits, applied to the episodes of one outcome and learner."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskadj.profile.estimates import Estimates, Sample, estimate
from riskadj.profile.flags import cut_of, places_from_z
from riskadj.profile.limits import Yardstick, yardstick
from riskadj.profile.scale import Scale
from riskadj.stats import Z95, FitWarning, reference_effect
from riskadj.stats.arrays import Floats
from riskadj.stats.links import link_named
from riskadj.study.profile import ProfileRules


@dataclass(frozen=True)
class Analysis:
    """Providers under one method and one set of limits.

    Attributes
    ----------
    method, limits : str
    table : DataFrame
        One row per provider that has enough episodes and peers, by provider: `adjusted`, what the
        reference population would have had there; `error`, the standard error of its effect;
        `ci_lower`, `ci_upper`, its 95 % interval; `centre`, what it is compared with; `middle`,
        where a provider that is not to be flagged would be; `inner_lower`, `inner_upper`,
        `outer_lower`, `outer_upper`, how far from it is not out; `z`, its distance from the middle
        in spreads; `place`, above 0 when better.
    centre : float
        The adjusted result that providers are compared with; NaN when peer groups differ in it.
    measured : Yardstick
        What their distances from it are measured with.
    warnings : tuple of FitWarning
    """

    method: str
    limits: str
    table: pd.DataFrame
    centre: float
    measured: Yardstick
    warnings: tuple[FitWarning, ...]


def analyse(
    sample: Sample,
    rules: ProfileRules,
    mean: float,
    peers: pd.Series | None = None,
    method: str | None = None,
    limits: str | None = None,
    better: int = 1,
) -> Analysis:
    """Estimate the effects of providers and hold them against their limits.

    Providers with fewer episodes than `minimum_n`, and those without another in their peer group
    that has as many, are not compared, and limits learn nothing from them. Effects, and what is
    estimated together with them, as well as the mean or median effect that is the reference, rest
    on all providers: the small ones are part of the population.

    Parameters
    ----------
    sample : Sample
    rules : ProfileRules
        Its `method` and `limits` apply where no other is given.
    mean : float
        Result of the reference population: an effect of 0 is adjusted to it.
    peers : Series, optional
        Peer group of each provider.
    method, limits : str, optional
    better : {1, -1}
        Whether more is better, or less.
    """
    method, limits = method or rules.method, limits or rules.limits
    return hold(estimate(method, sample), sample, rules, mean, peers, method, limits, better)


def hold(
    found: Estimates,
    sample: Sample,
    rules: ProfileRules,
    mean: float,
    peers: pd.Series | None,
    method: str,
    limits: str,
    better: int,
) -> Analysis:
    """Hold effects against their limits, however they were estimated; as in `analyse`."""
    scale = Scale(link_named(found.link), mean)
    effect = pd.Series(found.effect, index=found.providers)
    n = pd.Series(sample.provider).value_counts().reindex(effect.index)
    target = _target(effect, _volumes(sample, n), rules, scale, peers)
    enough = (n >= rules.minimum_n).to_numpy() & ~n.index.isin(without_peers(n, rules, peers))
    own, goal, error = found.effect[enough], target[enough], found.error[enough]
    held = yardstick(limits, own - goal, error, (cut_of(rules.levels[0]), cut_of(rules.levels[1])))
    middle, spread = goal + held.middle(error), held.spread(error)
    z = (own - middle) / spread
    table = pd.DataFrame(
        {
            "adjusted": scale.shown(own),
            "error": error,
            "centre": scale.shown(goal),
            "middle": scale.shown(middle),
            **scale.around("ci", own, Z95 * error),
            **scale.around("inner", middle, held.inner * spread),
            **scale.around("outer", middle, held.outer * spread),
            "z": z,
            "place": places_from_z(better * z, held.inner, held.outer),
        },
        index=effect.index[enough],
    )
    centre = float(scale.shown(target[:1])[0]) if (target == target[0]).all() else float("nan")
    return Analysis(method, limits, table, centre, held, found.warnings)


def without_peers(n: pd.Series, rules: ProfileRules, peers: pd.Series | None) -> pd.Index:
    """Return providers with enough episodes that nobody else in their peer group has.

    Parameters
    ----------
    n : Series of int
        Episodes by provider.
    rules : ProfileRules
    peers : Series or None
        Peer group of each provider; None: there are no groups, and nobody is without.
    """
    enough = n.index[n >= rules.minimum_n]
    if peers is None:
        return enough[:0]
    group = peers.reindex(enough)
    return enough[~group.duplicated(keep=False)]


def _volumes(sample: Sample, n: pd.Series) -> pd.Series:
    """Return what providers count for in a mean: episodes; of costs, what is expected of them."""
    if sample.family != "gamma":
        return n
    return pd.Series(sample.expected).groupby(sample.provider).sum().reindex(n.index)


def _target(
    effect: pd.Series, volume: pd.Series, rules: ProfileRules, scale: Scale, peers: pd.Series | None
) -> Floats:
    """Return the effect that each provider is compared with."""
    if not isinstance(rules.reference, str):
        return np.full(len(effect), scale.effect_of(rules.reference))
    group = None if peers is None else peers.reindex(effect.index).to_numpy()
    # The mean of ratios, not of their logarithms: then all providers together are at 1.
    ratios = scale.link.name == "log"
    shown = np.exp(effect.to_numpy()) if ratios else effect.to_numpy()
    target = reference_effect(shown, volume.to_numpy(), rules.reference, group)
    return np.array(np.broadcast_to(np.log(target) if ratios else target, len(effect)))
