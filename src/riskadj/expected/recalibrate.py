"""Moving expectations to the reference population, on the scale of a link."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from riskadj.errors import NoVariationError
from riskadj.stats import calibration_line, fit_fixed_effects
from riskadj.stats.links import link_named

Floats = NDArray[np.float64]
_MOST_STEPS = 50
_SETTLED = 1e-12


def recalibration(
    observed: Floats, expected: Floats, method: str, link: str = "identity"
) -> tuple[float, float]:
    """Return intercept and slope that move expectations to the reference population.

    Parameters
    ----------
    observed, expected : ndarray of shape (n_episodes,)
        Of the reference population.
    method : {"shift", "line", "none"}
        `shift` makes the mean residual 0, as NHS England publishes; `line` also makes the
        calibration slope 1.
    link : {"identity", "logit", "log"}
        On whose scale the line is: that of the expectation, its log-odds (Cox 1958, Biometrika
        45:562-565), or its logarithm. With `log` the shift is a factor, and the slope of a line is
        that of a gamma model of the observed on the log of the expected.

    Raises
    ------
    NoVariationError
        With `log`, when nothing observed is above 0.

    Examples
    --------
    >>> recalibration(np.array([3.0, 5.0]), np.array([1.0, 3.0]), "shift")
    (2.0, 1.0)
    >>> intercept, slope = recalibration(np.array([3.0, 5.0]), np.array([1.0, 3.0]), "shift", "log")
    >>> float(np.exp(intercept)), slope
    (2.0, 1.0)
    """
    if method == "none":
        return 0.0, 1.0
    return _BY_LINK[link](observed, expected, method == "line")


def _by_difference(observed: Floats, expected: Floats, with_slope: bool) -> tuple[float, float]:
    """Return the line; without a slope of its own, the mean difference."""
    shift = float(np.mean(observed - expected))
    if not with_slope:
        return shift, 1.0
    intercept, slope = calibration_line(observed, expected)
    return (intercept, slope) if np.isfinite(slope) else (shift, 1.0)


def _on_log_odds(observed: Floats, expected: Floats, with_slope: bool) -> tuple[float, float]:
    """Return the line of the log-odds; without a slope of its own, an offset of them."""
    log_odds, everybody = link_named("logit").predictor(expected), np.zeros(observed.size)
    if not with_slope:
        alone = fit_fixed_effects(
            observed, np.empty((observed.size, 0)), everybody, "binomial", offset=log_odds
        )
        return float(alone.effects[0]), 1.0
    line = fit_fixed_effects(observed, log_odds, everybody, "binomial")
    return float(line.effects[0]), float(line.coef[0])


def _by_factor(observed: Floats, expected: Floats, with_slope: bool) -> tuple[float, float]:
    """Return the line of the logarithms, its intercept such that both sum to the same."""
    total = float(observed.sum())
    if not total > 0:
        raise NoVariationError(
            f"observed: wanted a sum above 0 to recalibrate to; got {total:g}. Choose another "
            "outcome, or recalibration none."
        )
    logs = link_named("log").predictor(expected)
    slope = slope_of_logs(observed, logs) if with_slope else 1.0
    return float(np.log(total / np.exp(slope * logs).sum())), slope


def slope_of_logs(observed: Floats, logs: Floats) -> float:
    """Return the slope of a gamma model with a log link, whose variance goes with the mean squared.

    Given the slope the intercept is known, which leaves one convex function of one slope:
    log mean(y exp(-b x)) + b mean(x). Costs of 0 may be among those observed.

    Parameters
    ----------
    observed : ndarray of shape (n_episodes,)
        0 or more, not all 0.
    logs : ndarray of shape (n_episodes,)

    Examples
    --------
    >>> logs = np.log([1.0, 2.0, 4.0])
    >>> round(slope_of_logs(np.array([3.0, 12.0, 48.0]), logs), 6)
    2.0
    """
    x, some = logs - logs.mean(), observed > 0
    if np.ptp(x) == 0 or np.ptp(x[some]) == 0:
        return 1.0
    slope, log_y = 1.0, np.log(observed[some])
    for _ in range(_MOST_STEPS):
        weight = log_y - slope * x[some]
        weight = np.exp(weight - weight.max())
        weight /= weight.sum()
        mean = float(weight @ x[some])
        step = mean / float(weight @ (x[some] - mean) ** 2)
        slope += float(np.clip(step, -1.0, 1.0))
        if abs(step) < _SETTLED:
            break
    return slope


_BY_LINK: Mapping[str, Callable[[Floats, Floats, bool], tuple[float, float]]] = MappingProxyType(
    {"identity": _by_difference, "logit": _on_log_odds, "log": _by_factor}
)
