"""One analysis: a method and limits, applied to the episodes of one outcome and learner."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskadj.profile.estimates import Sample, estimate
from riskadj.profile.flags import cut_of, places_from_z
from riskadj.profile.limits import Yardstick, yardstick
from riskadj.stats import FitWarning, reference_effect
from riskadj.study.records import ProfileRules


@dataclass(frozen=True)
class Analysis:
    """Providers under one method and one set of limits.

    Attributes
    ----------
    method, limits : str
    table : DataFrame
        One row per provider that has enough episodes, by provider: `adjusted`, what the reference
        population would have gained there; `error`, its standard error; `middle` and `spread`,
        where a provider that is not to be flagged would be, and how far from it; `z`; `place`.
    centre : float
        The adjusted gain that providers are compared with; NaN when peer groups differ in it.
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
    gain: float,
    peers: pd.Series | None = None,
    method: str | None = None,
    limits: str | None = None,
) -> Analysis:
    """Estimate the effects of providers and hold them against their limits.

    Parameters
    ----------
    sample : Sample
    rules : ProfileRules
        Its `method` and `limits` apply where no other is given.
    gain : float
        Of the reference population: an effect of 0 is adjusted to it.
    peers : Series, optional
        Peer group of each provider.
    method, limits : str, optional
    """
    method, limits = method or rules.method, limits or rules.limits
    found = estimate(method, sample)
    table = pd.DataFrame({"effect": found.effect, "error": found.error}, index=found.providers)
    n = pd.Series(sample.provider).value_counts().reindex(table.index)
    target = _target(table["effect"], n, rules, gain, peers)
    table = table.assign(target=target)[n >= rules.minimum_n]
    cuts = (cut_of(rules.levels[0]), cut_of(rules.levels[1]))
    away = (table["effect"] - table["target"]).to_numpy()
    error = table["error"].to_numpy()
    held = yardstick(limits, away, error, cuts)
    z = (away - held.middle(error)) / held.spread(error)
    compared = table.assign(
        adjusted=gain + table["effect"],
        middle=gain + table["target"] + held.middle(error),
        spread=held.spread(error),
        z=z,
        place=places_from_z(z, held.inner, held.outer),
    ).drop(columns=["effect", "target"])
    centre = gain + float(target[0]) if (target == target[0]).all() else float("nan")
    return Analysis(method, limits, compared, centre, held, found.warnings)


def _target(
    effect: pd.Series, n: pd.Series, rules: ProfileRules, gain: float, peers: pd.Series | None
) -> np.ndarray:
    """Return the effect that each provider is compared with."""
    if not isinstance(rules.reference, str):
        return np.full(len(effect), rules.reference - gain)
    group = None if peers is None else peers.reindex(effect.index).to_numpy()
    target = reference_effect(effect.to_numpy(), n.to_numpy(), rules.reference, group)
    return np.broadcast_to(target, len(effect))
