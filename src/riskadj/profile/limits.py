"""What a provider's effect is held against: the limits that a study can choose.

`nominal` limits allow for chance alone. Providers differ for reasons that no case mix holds, so
that far more than 1 in 20 lie outside them; the others allow for it, in the ways of the field
(Spiegelhalter 2005, Stat Med 24:1185-1202), or for how many providers are looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from riskadj.errors import ArrayError, TooFewProvidersError
from riskadj.profile.flags import cut_of
from riskadj.stats import (
    benjamini_hochberg,
    between_variance,
    dispersion,
    empirical_null,
    two_sided_p,
)
from riskadj.stats.arrays import Floats


@dataclass(frozen=True)
class Yardstick:
    """What effects are measured with.

    Attributes
    ----------
    middle, spread : ndarray of shape (n_providers,)
        Mean and standard deviation of the effect of a provider that is not to be flagged.
    cuts : tuple of float
        Standard deviations at the inner and the outer limits.
    """

    middle: Floats
    spread: Floats
    cuts: tuple[float, float]


Cuts = tuple[float, float]


def _nominal(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
    return Yardstick(np.zeros_like(effect), error, cuts)


def _multiplicative(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
    found = dispersion(effect / error)
    factor = np.sqrt(found.phi) if found.over_dispersed else 1.0
    return Yardstick(np.zeros_like(effect), error * factor, cuts)


def _additive(method: str) -> Callable[[Floats, Floats, Cuts], Yardstick]:
    def measure(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
        tau2 = between_variance(effect, error, method).tau2
        return Yardstick(np.zeros_like(effect), np.sqrt(error**2 + tau2), cuts)

    return measure


def _empirical(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
    null = empirical_null(effect / error)
    return Yardstick(null.mean * error, null.sd * error, cuts)


def _false_discovery(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
    """Raise each cut to where Benjamini and Hochberg's procedure stops rejecting."""
    z = np.abs(effect / error)
    adjusted = benjamini_hochberg(two_sided_p(z))
    inner, outer = (_stop(z, adjusted, one) for one in cuts)
    return Yardstick(np.zeros_like(effect), error, (inner, outer))


def _stop(z: Floats, adjusted: Floats, cut: float) -> float:
    """Return a cut between the last z that is rejected and the first that is not."""
    rate = float(two_sided_p(cut))
    rejected, kept = z[adjusted < rate], z[adjusted >= rate]
    strictest = cut_of(1 - rate / len(z))
    highest = max(kept.max(initial=cut), cut)
    return float((rejected.min() + highest) / 2) if rejected.size else max(highest, strictest)


LIMITS: MappingProxyType[str, Callable[[Floats, Floats, Cuts], Yardstick]] = MappingProxyType(
    {
        "nominal": _nominal,
        "multiplicative": _multiplicative,
        "additive": _additive("dersimonian_laird"),
        "winsorised": _additive("winsorised"),
        "trimmed": _additive("trimmed"),
        "empirical_null": _empirical,
        "benjamini_hochberg": _false_discovery,
    }
)
"""By the name a study calls them."""


def yardstick(limits: str, effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
    """Return what effects are measured with.

    Raises
    ------
    TooFewProvidersError
        When there are too few providers to learn from how they differ.
    """
    if len(effect) < 2:
        return _nominal(effect, error, cuts)
    try:
        return LIMITS[limits](effect, error, cuts)
    except ArrayError as why:
        raise TooFewProvidersError(
            f"profile: limits {limits!r} learn from how {len(effect)} providers differ. {why} "
            "Choose nominal limits."
        ) from None
