"""What a figure is on average where every cluster has its own, and at a further one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats, above, finite, one_of
from riskadj.stats.clusters import FEWEST
from riskadj.stats.dispersion import between_variance
from riskadj.stats.sandwich import student_half


@dataclass(frozen=True)
class PooledEstimate:
    """Estimates of clusters put together, on the scale that they came on.

    Attributes
    ----------
    value : float
        Mean over clusters, each weighted by 1 / (s^2 + tau2) on the pooling scale.
    standard_error : float
        Of the mean, on the pooling scale.
    lower, upper : float
        Interval of the mean.
    prediction_lower, prediction_upper : float
        Where the true value of a further cluster lies; NaN with fewer than 3 clusters.
    tau : float
        Standard deviation of the true values between clusters, on the pooling scale.
    scale, method : str
    level : float
    n_clusters : int
    """

    value: float
    standard_error: float
    lower: float
    upper: float
    prediction_lower: float
    prediction_upper: float
    tau: float
    scale: str
    method: str
    level: float
    n_clusters: int


def pool_estimates(
    estimate: ArrayLike,
    standard_error: ArrayLike,
    scale: str = "identity",
    method: str = "reml",
    level: float = 0.95,
) -> PooledEstimate:
    """Return the mean of clusters' estimates, and where that of a further cluster lies.

    Internal-external validation: a figure of performance in each provider or year that the model
    did not learn from (Riley and others 2016, BMJ 353:i3140).

    Parameters
    ----------
    estimate, standard_error : array-like of shape (n_clusters,)
        On their own scale; standard errors above 0.
    scale : {"identity", "logit", "log"}
        On which they are pooled: `logit` for C-statistics, `log` for ratios, `identity` for slopes
        and intercepts (Snell and others 2018, Stat Methods Med Res 27:3505-3522).
    method : str
        Of `between_variance`: "reml", "paule_mandel" or "dersimonian_laird".
    level : float

    Raises
    ------
    ArrayError
        When there are fewer than 2 clusters, or an estimate is outside its scale.

    Notes
    -----
    With w = 1 / (s^2 + tau2), the standard error is sqrt(q / sum w), q = sum w (y - mean)^2 /
    (k - 1), and the interval is Student's t with k - 1 degrees of freedom (Hartung and Knapp 2001,
    Stat Med 20:3875-3889). A q under 1 counts as 1, or the interval could be narrower than that
    without variation between clusters. Prediction interval: mean -+ t sqrt(tau2 + s^2) with k - 2
    degrees of freedom (Higgins, Thompson and Spiegelhalter 2009, J R Stat Soc A 172:137-159). A
    standard error s moves to the logit scale as s / (y (1 - y)), to the log scale as s / y.

    Examples
    --------
    >>> got = pool_estimates([0.70, 0.74, 0.72, 0.69], [0.01, 0.02, 0.01, 0.02], "logit")
    >>> round(got.value, 3), got.prediction_lower < got.lower < got.value < got.upper
    (0.711, True)
    """
    kind = _SCALES[one_of("scale", scale, _SCALES)]
    one_of("method", method, ("reml", "paule_mandel", "dersimonian_laird"))
    raw = finite("estimate", estimate)
    error = above("standard_error", standard_error, 0.0, raw.shape)
    if raw.ndim != 1 or not kind.inside(raw):
        raise ArrayError(f"estimate: wanted a row of numbers with a {scale}; got others.")
    y, error = kind.there(raw), error * kind.slope(raw)
    tau2 = between_variance(y, error, method).tau2
    weight = 1 / (error**2 + tau2)
    mean, k = float(weight @ y / weight.sum()), len(y)
    excess = max(1.0, float(weight @ (y - mean) ** 2) / (k - 1))
    spread = float(np.sqrt(excess / weight.sum()))
    half = student_half(level, k) * spread
    wide = student_half(level, k - 1) * float(np.sqrt(tau2 + spread**2)) if k > FEWEST else np.nan
    back = [float(kind.back(mean + one)) for one in (0.0, -half, half, -wide, wide)]
    return PooledEstimate(
        value=back[0],
        standard_error=spread,
        lower=back[1],
        upper=back[2],
        prediction_lower=back[3],
        prediction_upper=back[4],
        tau=float(np.sqrt(tau2)),
        scale=scale,
        method=method,
        level=level,
        n_clusters=k,
    )


class _Scale(NamedTuple):
    """A scale to pool on: which values have a place on it, how to get there and back."""

    inside: Callable[[Floats], bool]
    there: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    back: Callable[[float], float]


_SCALES = {
    "identity": _Scale(lambda _y: True, lambda y: y, np.ones_like, lambda y: y),
    "logit": _Scale(
        lambda y: bool(((y > 0) & (y < 1)).all()),
        special.logit,
        lambda y: 1 / (y * (1 - y)),
        special.expit,
    ),
    "log": _Scale(lambda y: bool((y > 0).all()), np.log, lambda y: 1 / y, np.exp),
}
