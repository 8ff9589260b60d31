"""Linear random intercepts: one pass over the episodes, then sums by provider only.

With the ratio of variances, ratio = (sigma / residual_sd)^2, given, everything else has a closed
form; its (restricted) likelihood is maximised where its slope is 0 (Laird and Ware 1982,
Biometrics 38:963-974; Bates et al. 2015, J Stat Softw 67(1), section 3.4).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow
from riskadj.stats.between import extended_arrow, extended_slope
from riskadj.stats.design import Design
from riskadj.stats.families import FAMILIES
from riskadj.stats.passes import Sums, sum_episodes

LARGEST_RATIO = 1e12


@dataclass(frozen=True)
class LinearFit:
    """Estimates at the ratio of variances that is most likely.

    Attributes
    ----------
    ratio : float
        Variance between providers over residual variance.
    residual_variance : float
    coef : ndarray of shape (n_coef,)
        Those between providers first.
    effects : ndarray of shape (n_providers,)
    arrow : Arrow
        At unit residual variance.
    loglik : float
    """

    ratio: float
    residual_variance: float
    coef: Floats
    effects: Floats
    arrow: Arrow
    loglik: float


def fit_linear(design: Design, between: Floats, restricted: bool) -> LinearFit:
    """Maximise the (restricted) likelihood.

    Raises
    ------
    CollinearError
    ArrayError
        When residual variance and variance between providers cannot be told apart.
    """
    centre = float((design.y if design.offset is None else design.y - design.offset).mean())
    sums = _sums(design, centre)
    degrees = design.counted - (len(between) + len(design.x) if restricted else 0)
    if degrees < 1 or design.n == len(design.groups):
        raise ArrayError(
            "provider: wanted providers with several episodes, to tell their differences from "
            f"those within; got {design.n:,} episodes of {len(design.groups):,} providers."
        )
    model = _Profile(sums, between, degrees, restricted)
    fit = model.at(_root(model.slope))
    log_weights = 0.0 if design.weights is None else float(np.log(design.weights).sum())
    return LinearFit(
        fit.ratio,
        fit.residual_variance,
        np.concatenate([[fit.coef[0] + centre], fit.coef[1:]]),
        fit.effects,
        fit.arrow,
        fit.loglik + log_weights / 2,
    )


def _sums(design: Design, centre: float) -> Sums:
    """Return sums at coefficients of 0 and the mean outcome, so that little cancels."""
    return sum_episodes(
        design,
        FAMILIES["gaussian"],
        np.zeros(len(design.x)),
        np.full(len(design.groups), centre),
    )


def _root(slope: Callable[[float], float]) -> float:
    """Return the ratio at which the likelihood is highest: 0, or where its slope is 0."""
    if slope(0.0) <= 0:
        return 0.0
    low, high = 0.0, 0.1
    while slope(high) > 0:
        low, high = high, high * 10
        if high > LARGEST_RATIO:
            raise ArrayError(
                "y: wanted outcomes that differ within providers beyond their covariates; got none."
            )
    return float(brentq(slope, low, high, xtol=1e-14, rtol=1e-12))


@dataclass(frozen=True)
class _Profile:
    """The likelihood as a function of the ratio of variances alone."""

    sums: Sums
    between: Floats
    degrees: float
    restricted: bool

    def _solve(self, ratio: float) -> tuple[Arrow, Floats, Floats, float]:
        """Return the arrow, the coefficients, provider totals of residuals and their squares."""
        copies = self.sums.copies
        inverse = ratio / (1 + ratio * self.sums.weight)
        arrow = extended_arrow(self.between, self.sums, inverse)
        slope = extended_slope(self.between, self.sums)
        right = slope - arrow.cross @ (copies * inverse * self.sums.score)
        coef = arrow.solve_schur(right)
        totals = self.sums.score - coef @ arrow.cross
        squares = -2 * self.sums.loglik - coef @ right - (copies * inverse) @ self.sums.score**2
        return arrow, coef, totals, max(float(squares), np.finfo(float).tiny)

    def slope(self, ratio: float) -> float:
        """Return twice the slope of the log-likelihood in the ratio."""
        arrow, _, totals, squares = self._solve(ratio)
        by = 1 + ratio * self.sums.weight
        copies = self.sums.copies
        slope = self.degrees * float(copies @ (totals / by) ** 2) / squares
        slope -= float(copies @ (self.sums.weight / by))
        if self.restricted:
            slope += float(copies @ arrow.leverage(arrow.cross / by))
        return slope

    def at(self, ratio: float) -> LinearFit:
        """Return the estimates at a ratio."""
        arrow, coef, totals, squares = self._solve(ratio)
        variance = squares / self.degrees
        loglik = -0.5 * self.degrees * (np.log(2 * np.pi * variance) + 1)
        loglik -= 0.5 * float(self.sums.copies @ np.log1p(ratio * self.sums.weight))
        if self.restricted:
            loglik -= 0.5 * arrow.log_determinant
        return LinearFit(ratio, variance, coef, arrow.inverse * totals, arrow, float(loglik))
