"""How the variance of cost goes with its mean, and which family that suggests."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from riskadj.errors import ArrayError, NoVariationError
from riskadj.stats.arrays import Floats, above
from riskadj.stats.cost_fit import checked_costs
from riskadj.stats.sandwich import clusters_of, robust_sum, student

PARK_FAMILIES: Mapping[str, int] = MappingProxyType(
    {"gaussian": 0, "poisson": 1, "gamma": 2, "inverse_gaussian": 3}
)
"""Of each family, the power of the mean that its variance is proportional to."""
_STEEPEST = 1e6
"""A slope beyond which none is looked for."""


@dataclass(frozen=True)
class ParkTest:
    """How variance goes with the mean: var(y) proportional to a power of it.

    Attributes
    ----------
    slope : float
        The power.
    standard_error, lower, upper : float
        Robust by cluster; Student's t with clusters less one degrees of freedom.
    family : str
        Of `PARK_FAMILIES`, the one whose power is nearest.
    level : float
    n, n_clusters : int
    """

    slope: float
    standard_error: float
    lower: float
    upper: float
    family: str
    level: float
    n: int
    n_clusters: int


def park_test(
    y: ArrayLike, expected: ArrayLike, cluster: ArrayLike | None = None, level: float = 0.95
) -> ParkTest:
    """Return the power of the mean that the variance of cost goes with, and the family it suggests.

    Parameters
    ----------
    y, expected : array-like of shape (n_episodes,)
        Observed cost, and expected cost above 0 that differs between episodes.
    cluster : array-like of shape (n_episodes,), optional
        Providers; without them each episode counts as one.
    level : float

    Raises
    ------
    ArrayError
        When an expectation is not above 0, or residuals lie so that no slope is finite.
    NoVariationError
        When all expectations are the same, or all residuals are 0.

    Notes
    -----
    The modified Park test of Manning and Mullahy (2001, J Health Econ 20:461-494) in the form of a
    gamma model: (O - E)^2 has the mean exp(a + b log E), and b is the power. The older form, least
    squares of log (O - E)^2, has no place for a residual of 0 and lets the smallest residuals
    decide. Given b the intercept is known, so that b is where the mean of log E with weights
    (O - E)^2 / E^b is the plain mean: an equation with one root. Expectations are taken as known.
    Look at the interval too: powers between 1 and 2 are Tweedie's, and 1.5 is near no family.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> mean = np.exp(rng.normal(8, 0.5, size=20_000))
    >>> got = park_test(rng.gamma(2.0, mean / 2.0), mean)
    >>> got.family, got.lower < 2 < got.upper
    ('gamma', True)
    """
    o, e, _ = checked_costs(y, expected, None)
    x, square = np.log(above("expected", e, 0.0)), (o - e) ** 2
    if not (x.min() < x.max() and square.any()):
        raise NoVariationError(
            "expected: wanted expectations that differ, and residuals that are not 0; got the same "
            "throughout. Give expectations of a model with case mix."
        )
    groups, centred = clusters_of(cluster, o.size), x - x.mean()
    slope = _root_of_slope(centred, square)
    size = o.size * special.softmax(_log_weight(slope, centred, square))
    meat = robust_sum(groups, (centred * (size - 1))[None])[0, 0]
    found = student(
        slope, float(np.sqrt(meat) / (centred @ centred)), level, o.size, len(groups)
    )  # fmt: skip
    return ParkTest(
        slope=found.value,
        standard_error=found.standard_error,
        lower=found.lower,
        upper=found.upper,
        family=min(PARK_FAMILIES, key=lambda one: abs(slope - PARK_FAMILIES[one])),
        level=level,
        n=found.n,
        n_clusters=found.n_clusters,
    )


def _log_weight(slope: float, x: Floats, square: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(square) - slope * x


def _root_of_slope(centred: Floats, square: Floats) -> float:
    """Return the slope at which x with weights square / exp(slope x) has the mean of x, 0."""
    some = square > 0
    x, log_square = centred[some], np.log(square[some])
    if not x.min() < 0 < x.max():
        raise ArrayError(
            "y: wanted residuals on both sides of the mean of log expected; got them on one side "
            "only, so that no slope is finite. Give more episodes."
        )

    def off(slope: float) -> float:
        return float(special.softmax(log_square - slope * x) @ x)

    reach = 4.0
    while (off(-reach) < 0 or off(reach) > 0) and reach < _STEEPEST:
        reach *= 2
    if off(-reach) < 0 or off(reach) > 0:
        raise ArrayError("expected: wanted costs that differ by more; got them nearly alike.")
    return float(optimize.brentq(off, -reach, reach, xtol=1e-12, rtol=1e-14))
