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
    """What effects are measured with: the distribution of one that is not to be flagged.

    Attributes
    ----------
    inner, outer : float
        Spreads from the middle to the limits.
    shift : float
        Its middle, in standard errors.
    factor : float
        What standard errors are multiplied by.
    tau : float
        Standard deviation between providers, in the unit of the effect.
    """

    inner: float
    outer: float
    shift: float = 0.0
    factor: float = 1.0
    tau: float = 0.0

    def middle(self, error: Floats) -> Floats:
        """Return the mean of effects with these standard errors."""
        return self.shift * error

    def spread(self, error: Floats) -> Floats:
        """Return the standard deviation of effects with these standard errors."""
        return np.sqrt((self.factor * error) ** 2 + self.tau**2)


Cuts = tuple[float, float]
FEWEST_FOR_NULL = 30
"""Providers whose middle tells how all of them spread."""


def _nominal(_effect: Floats, _error: Floats, cuts: Cuts) -> Yardstick:
    return Yardstick(*cuts)


def _multiplicative(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
    found = dispersion(effect / error)
    return Yardstick(*cuts, factor=found.phi**0.5 if found.over_dispersed else 1.0)


def _additive(method: str) -> Callable[[Floats, Floats, Cuts], Yardstick]:
    def measure(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
        return Yardstick(*cuts, tau=between_variance(effect, error, method).tau2 ** 0.5)

    return measure


def _empirical(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
    if len(effect) < FEWEST_FOR_NULL:
        raise TooFewProvidersError(
            f"profile: limits 'empirical_null': wanted {FEWEST_FOR_NULL} providers or more to "
            f"learn from how they differ; got {len(effect)} providers. Choose nominal limits."
        )
    null = empirical_null(effect / error, fewest=FEWEST_FOR_NULL)
    return Yardstick(*cuts, shift=float(null.mean[0]), factor=float(null.sd[0]))


def _false_discovery(effect: Floats, error: Floats, cuts: Cuts) -> Yardstick:
    """Raise each cut to where Benjamini and Hochberg's procedure stops rejecting."""
    z = np.abs(effect / error)
    adjusted = benjamini_hochberg(two_sided_p(z))
    return Yardstick(*(_stop(z, adjusted, one) for one in cuts))


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
