"""Which volume makes a contract fair, and how sure that is."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from riskadj.stats.arrays import Floats
from riskadj.trial.intervals import LEVEL

_POWER = 1.5
"""Of the variance of a squared error over its mean, between Poisson's and gamma's: an error of 0,
which a gate gives, is none of a gamma variable."""
_FEWEST, _ENOUGH = 10, 100
"""Provider-years for a line over volume, and for one that may bend."""
_SELDOM = 0.05
"""Of provider-years, the largest, on which no fair volume rests: a few of them bend the line."""
_TRIED = 2001
"""Volumes at which the line is held against what is wanted."""
_APART = 0.05
"""Spread of log volume under which nothing can be learned of volume."""
_BLOCKS = 20
"""Of worlds, the most that are left out one by one."""

Line = tuple[float, float, float]
"""Constant, slope and curvature over the log of volume."""
_NO_LINE: Line = (float("nan"), float("nan"), float("nan"))


class Fair(NamedTuple):
    """The volume from which on the wanted share follows the truth.

    Attributes
    ----------
    volume : float
        NaN where there is none, or it is not known.
    lower, upper : float
        Its 95 % interval. The upper end is NaN where no volume here is surely enough, the lower
        where none may be, both where nothing is known.
    line : tuple of float
        Of the log of the share that does not follow.
    least, most : float
        The volumes that anything is said of; NaN where there are none.
    """

    volume: float
    lower: float
    upper: float
    line: Line
    least: float
    most: float


def from_first_settled(measured: pd.DataFrame) -> pd.DataFrame:
    """Return providers with at least the volume of the smallest that is paid on its own results.

    Among them are those of that volume whose results are hidden or of too few answers all the same.
    """
    settled = measured.loc[measured["settled"] == 1, "volume"]
    return measured[measured["volume"] >= settled.min()] if len(settled) else measured.iloc[:0]


def find_fair(measured: pd.DataFrame, target_share: float) -> Fair:
    """Return the volume from which on so much of the money follows the truth, with its interval.

    The line has an interval at every volume: Student's t, with the standard error from leaving out
    a world at a time (Efron and Stein 1981, Ann Stat 9:586-596), or a twentieth of them where there
    are more than 20. The volume may be any at which that of the line holds what is wanted (the
    inversion of Fieller 1954, J R Stat Soc B 16:175-185), so that it is wide where worlds are few,
    and without an end where no volume is surely enough.

    Parameters
    ----------
    measured : DataFrame
        As from `riskadj.trial.measures.measure`.
    target_share : float
        Between 0 and 1.
    """
    among = from_first_settled(measured)
    line = fair_line(among)
    if among.empty or np.isnan(line[0]):
        return Fair(np.nan, np.nan, np.nan, line, np.nan, np.nan)
    volumes = among["volume"].to_numpy(dtype=float)
    tried = _volumes_tried(volumes)
    half = _half_width(among, tried)
    rest, wanted = _rest_at(line, tried), np.log1p(-target_share)
    found = (_least(tried, one > wanted) for one in (rest, rest - half, rest + half))
    value, lower, upper = found
    known = np.isfinite(half).all()
    bounds = (lower, upper) if known else (np.nan, np.nan)
    return Fair(value, *bounds, line, float(tried[0]), float(tried[-1]))


def fair_line(measured: pd.DataFrame, degree: int | None = None) -> Line:
    """Return how the share that does not follow the truth depends on volume.

    Two regressions with a log link, weighted by volume, on the log of volume and, with enough
    provider-years, its square: of the squared error of payments per episode, and of their squared
    distance from the mean. The log of the ratio of the two is a polynomial of the log of volume.

    Parameters
    ----------
    measured : DataFrame
        As from `riskadj.trial.measures.measure`.
    degree : int, optional
        1, or 2 for a line that may bend; else by the number of provider-years.

    Returns
    -------
    tuple of float
        Constant, slope and curvature; NaN where volumes are alike or payments do not differ, and
        a constant of -inf where there is no error at all.
    """
    volume = measured["volume"].to_numpy(dtype=float)
    errors = measured["squared_off"].to_numpy(dtype=float)
    spread = measured["spread_paid"].to_numpy(dtype=float)
    if len(volume) < _FEWEST or np.log(volume).std() < _APART or not spread.sum() > 0:
        return _NO_LINE
    if not errors.sum() > 0:
        return (-np.inf, 0.0, 0.0)
    terms = degree or _degree(len(volume))
    error, apart = (_log_line(volume, one / volume, terms) for one in (errors, spread))
    constant, slope, curve = (float(one) for one in np.subtract(error, apart))
    return constant, slope, curve


def fair_volume(line: Line, volumes: Floats, target_share: float) -> float:
    """Return the least volume from which on the share follows; NaN where there is none.

    Never less than the least of `volumes`, and none where the largest twentieth begins: nothing is
    said of volumes that nobody or next to nobody has.

    Examples
    --------
    >>> int(fair_volume((3.0, -1.0, 0.0), np.array([20.0, 400.0]), 0.8))
    100
    >>> fair_volume((3.0, -1.0, 0.0), np.array([20.0, 60.0]), 0.8)
    nan
    """
    if np.isnan(line[0]):
        return float("nan")
    tried = _volumes_tried(volumes)
    return _least(tried, follows_at(line, tried) < target_share)


def most_volume(volumes: Floats) -> float:
    """Return the volume at which the largest twentieth begins."""
    return float(np.quantile(volumes, 1 - _SELDOM))


def follows_at(line: Line, volume: Floats) -> Floats:
    """Return the share of the money that follows the truth at volumes, by the fitted line."""
    return np.asarray(1 - np.exp(_rest_at(line, volume)))


def fair_in_words(fair: Fair) -> str:
    """Return the volume and its interval, as a table says it.

    Examples
    --------
    >>> line = (3.0, -1.0, 0.0)
    >>> fair_in_words(Fair(99.6, 71.2, 140.8, line, 20.0, 400.0))
    '100 (72 to 141)'
    >>> fair_in_words(Fair(99.6, 71.2, float("nan"), line, 20.0, 400.0))
    '100 (72 to none within these volumes)'
    >>> fair_in_words(Fair(99.6, float("nan"), float("nan"), line, 20.0, 400.0))
    '100 (interval not known)'
    >>> fair_in_words(Fair(float("nan"), 320.4, float("nan"), line, 20.0, 400.0))
    'none within these volumes, up to 400 (321 to none within these volumes)'
    """
    if np.isnan(fair.least):
        return "not known: volumes or payments are alike"
    interval = interval_in_words(fair)
    return _value_in_words(fair) + (f" ({interval})" if interval else "")


def interval_in_words(fair: Fair, beyond: str = "none within these volumes") -> str:
    """Return the interval of a fair volume; nothing where no volume is and none may be.

    Parameters
    ----------
    fair : Fair
    beyond : str
        What is said where no volume here is surely enough.
    """
    if np.isnan(fair.lower) and np.isnan(fair.upper):
        return "interval not known" if np.isfinite(fair.volume) else ""
    upper = beyond if np.isnan(fair.upper) else _whole(fair.upper)
    return f"{_whole(fair.lower)} to {upper}"


def _value_in_words(fair: Fair) -> str:
    if np.isnan(fair.volume):
        return f"none within these volumes, up to {fair.most:.0f}"
    if fair.volume <= fair.least:
        return f"every volume here, from {fair.least:.0f}"
    return _whole(fair.volume)


def _whole(volume: float) -> str:
    return f"{np.ceil(volume):.0f}"


# --- arithmetic -----------------------------------------------------------------------------------


def _volumes_tried(volumes: Floats) -> Floats:
    return np.geomspace(volumes.min(), most_volume(volumes), _TRIED)


def _least(tried: Floats, short: np.ndarray) -> float:
    """Return the volume from which on none is short of what is wanted; NaN where the last is."""
    if short[-1]:
        return float("nan")
    return float(tried[np.flatnonzero(short)[-1] + 1]) if short.any() else float(tried[0])


def _rest_at(line: Line, volume: Floats) -> Floats:
    """Return the log of the share that does not follow."""
    logs = np.log(volume)
    return np.asarray(line[0] + line[1] * logs + line[2] * logs**2)


def _half_width(among: pd.DataFrame, tried: Floats) -> Floats:
    """Return half the interval of the line at volumes; NaN where it is not known."""
    names, world = np.unique(among["world"], return_inverse=True)
    block, degree = world % _BLOCKS, _degree(len(among))
    blocks = min(len(names), _BLOCKS)
    if blocks < 2:
        return np.full(len(tried), np.nan)
    without = (fair_line(among[block != one], degree) for one in range(blocks))
    rest = np.array([_rest_at(line, tried) for line in without])
    with np.errstate(invalid="ignore"):
        squares = ((rest - rest.mean(axis=0)) ** 2).sum(axis=0)
    error = np.sqrt((blocks - 1) / blocks * squares)
    return np.asarray(stats.t.isf((1 - LEVEL) / 2, blocks - 1) * error)


def _degree(n: int) -> int:
    return 2 if n >= _ENOUGH else 1


def _log_line(volume: Floats, y: Floats, degree: int) -> Floats:
    """Return constant, slope and curvature of the log of the mean of y, 0 or more, not all 0."""
    from sklearn.linear_model import TweedieRegressor

    x = np.log(volume)
    centre, apart, unit = x.mean(), x.std(), np.average(y, weights=volume)
    standard = (x - centre) / apart
    terms = np.column_stack([standard**power for power in range(1, degree + 1)])
    fit = TweedieRegressor(
        power=_POWER, alpha=0.0, link="log", max_iter=1000, tol=1e-8, solver="newton-cholesky"
    ).fit(terms, y / unit, sample_weight=volume / volume.mean())
    slope, curve = (*fit.coef_, 0.0)[:2]
    curve = curve / apart**2
    slope = slope / apart - 2 * curve * centre
    constant = fit.intercept_ + np.log(unit) - slope * centre - curve * centre**2
    return np.array([constant, slope, curve])
