"""Provider effects drawn towards the centre by as much as they are noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, a_number, a_row, above, tail_of


@dataclass(frozen=True)
class Shrunken:
    """Empirical Bayes estimates, in the unit of the effect.

    Attributes
    ----------
    effect, sd : ndarray of shape (n_providers,)
        Mean and standard deviation of each provider's true effect, given what was observed.
    lower, upper : ndarray of shape (n_providers,)
        Interval that holds the true effect with probability `level`.
    weight : ndarray of shape (n_providers,)
        Share of the observed effect that is kept, 0 to 1. The reliability, unless
        `allows_for_estimation`: then a little more.
    above_centre : ndarray of shape (n_providers,)
        Probability that the true effect is above the centre; 0.5 where `sd` is 0.
    centre, tau2, level : float
        What was shrunk to, the variance between providers, and the level of the interval.
    allows_for_estimation : bool
        Whether `sd` allows for the estimation of `tau2`, and of the centre where that was.
    """

    effect: Floats
    sd: Floats
    lower: Floats
    upper: Floats
    weight: Floats
    above_centre: Floats
    centre: float
    tau2: float
    level: float
    allows_for_estimation: bool


def shrink(
    effect: ArrayLike,
    standard_error: ArrayLike,
    tau2: float,
    centre: float | None = 0.0,
    level: float = 0.95,
    allow_for_estimation: bool = False,
) -> Shrunken:
    r"""Return the empirical Bayes estimate of each provider's effect.

    Parameters
    ----------
    effect : array-like of shape (n_providers,)
        Observed effects :math:`y_i`, of any unit.
    standard_error : array-like of shape (n_providers,)
        Their sampling errors :math:`s_i`, taken as known; above 0.
    tau2 : float
        Variance of the true effects between providers; 0 or more.
    centre : float or None
        Mean of the true effects, taken as known. None: the mean of the effects weighted by
        :math:`W_i = 1 / (s_i^2 + \tau^2)`, an estimate.
    level : float
        Of the interval, between 0 and 1.
    allow_for_estimation : bool
        Whether the interval allows for `tau2` (and an estimated centre) being estimates from
        these same providers. Without it intervals are too narrow when providers are few.

    Raises
    ------
    ArrayError
        When arrays are not finite or of unequal length, an error is not above 0, `tau2` is
        negative, `level` is not between 0 and 1; or when estimation is to be allowed for with
        fewer than 3 providers (4 with an estimated centre).

    Notes
    -----
    True effects are taken as normal about the centre :math:`m` with variance :math:`\tau^2`,
    observed ones as normal about the true with variance :math:`s_i^2`. With
    :math:`B_i = s_i^2 / (s_i^2 + \tau^2)` the true effect given the observed one is normal with
    mean :math:`(1 - B_i) y_i + B_i m` and variance :math:`s_i^2 (1 - B_i)`. So with `tau2` 0
    every effect is the centre and every `sd` is 0: the data show no differences. It does not
    follow that there are none; allow for estimation to see what remains possible.

    With `allow_for_estimation` (Morris 1983, JASA 78:47-55), k providers, and r = 1 when the
    centre is estimated, else 0:

    .. math::

        B_i &= \frac{k - r - 2}{k - r} \frac{s_i^2}{s_i^2 + \tau^2} \\
        \mathrm{var}_i &= s_i^2 \left(1 - \left(1 - r \frac{W_i}{\sum_j W_j}\right) B_i\right)
        + \frac{2 B_i^2}{k - r - 2} \frac{W_i}{\bar W} (y_i - m)^2

    The factor of :math:`B_i` takes out its bias upwards, the term in :math:`r` is the error of
    the centre, and the last term that of :math:`B_i`: it grows with the distance over which an
    effect is shrunk. With equal errors this is the posterior under a flat prior for `tau2` and
    the centre. Where the true variance is far below :math:`s_i^2` it is often estimated as 0, and
    coverage is off the level in either direction.

    Examples
    --------
    >>> one = shrink([2.0, -1.0], [1.0, 2.0], tau2=1.0)
    >>> one.effect.tolist(), one.weight.tolist()
    ([1.0, -0.2], [0.5, 0.2])
    >>> one.sd.round(4).tolist(), one.above_centre.round(3).tolist()
    ([0.7071, 0.8944], [0.921, 0.412])
    """
    y = a_row("effect", effect)
    s = above("standard_error", standard_error, 0.0, y.shape)
    between = a_number("tau2", tau2, 0.0)
    z = float(special.ndtri(1 - tail_of(level)))
    precision = 1 / (s**2 + between)
    middle = _centre(y, precision, centre)
    weight = between * precision
    variance = s**2 * weight
    if allow_for_estimation:
        weight, variance = _allowing(y - middle, s**2, precision, int(centre is None))
    mean, sd = middle + weight * (y - middle), np.sqrt(variance)
    return Shrunken(
        effect=mean,
        sd=sd,
        lower=mean - z * sd,
        upper=mean + z * sd,
        weight=weight,
        above_centre=_probability_above(mean - middle, sd),
        centre=middle,
        tau2=between,
        level=float(level),
        allows_for_estimation=allow_for_estimation,
    )


def _centre(y: Floats, precision: Floats, centre: float | None) -> float:
    if centre is not None:
        return a_number("centre", centre)
    return float(precision @ y / precision.sum())


def _allowing(
    distance: Floats, error2: Floats, precision: Floats, estimated: int
) -> tuple[Floats, Floats]:
    """Return weight and variance after Morris (1983)."""
    k, free = distance.size, distance.size - estimated - 2
    if free < 1:
        raise ArrayError(
            f"effect: wanted {estimated + 3} or more providers to allow for estimation; got {k}. "
            "Take tau2 and the centre as known."
        )
    shrinkage = free / (free + 2) * error2 * precision
    of_centre = estimated * precision / precision.sum()
    of_shrinkage = 2 / free * shrinkage**2 * precision / precision.mean()
    variance = error2 * (1 - (1 - of_centre) * shrinkage) + of_shrinkage * distance**2
    return 1 - shrinkage, variance


def _probability_above(distance: Floats, sd: Floats) -> NDArray[np.float64]:
    """Return P(true effect > centre); its limit, a half, where all that is left is the centre."""
    z = np.divide(distance, sd, out=np.zeros_like(distance), where=sd > 0)
    return np.asarray(special.ndtr(z))
