"""Linear random intercepts: two looks at the episodes, then sums by provider only.

With the ratio of variances, ratio = (sigma / residual_sd)^2, given, everything else has a closed
form; its (restricted) likelihood is maximised where its slope is 0 (Laird and Ware 1982,
Biometrics 38:963-974; Bates et al. 2015, J Stat Softw 67(1), section 3.4).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow
from riskadj.stats.between import extended_arrow, extended_slope
from riskadj.stats.design import Design
from riskadj.stats.linear_sums import centre_of, first_look, look_again
from riskadj.stats.passes import Sums

GRID = (0.0, *(float(10.0**power) for power in (-4, -3, -2, -1, 0, 1, 2, 4, 8, 12, 16)))
"""Ratios between which maxima are looked for."""
LEAST_RESIDUAL = 1e-24
"""Share of the outcome's sum of squares that is no more than rounding."""


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
    degrees = design.counted - (len(between) + design.n_covariates if restricted else 0)
    if degrees < 1 or design.n == design.n_providers:
        raise ArrayError(
            "provider: wanted providers with several episodes, to tell their differences from "
            f"those within; got {design.n:,} episodes of {design.n_providers:,} providers."
        )
    pooled, sums = _around_pooled(design, between)
    model = _Profile(sums, between, degrees, restricted)
    fit = model.at(_highest(model))
    return replace(fit, coef=pooled + fit.coef, loglik=fit.loglik + design.log_weights / 2)


def _around_pooled(design: Design, between: Floats) -> tuple[Floats, Sums]:
    """Return the coefficients of one intercept for all, and the sums there."""
    centre = centre_of(design)
    sums = first_look(design, centre)
    arrow = extended_arrow(between, sums, 0.0)
    arrow.check()
    coef = arrow.solve_schur(extended_slope(between, sums))
    coef[0] += centre
    k = len(between)
    closer = look_again(design, sums, coef[k:], coef[:k] @ between)
    if closer.loglik > LEAST_RESIDUAL * sums.loglik:
        raise _no_residual()
    return coef, closer


def _no_residual() -> ArrayError:
    return ArrayError(
        "y: wanted outcomes that differ within providers beyond their covariates; got none."
    )


def _highest(model: "_Profile") -> float:
    """Return the ratio at which the likelihood is highest: 0, or where its slope is 0.

    There can be several such; the slope is looked at on a grid, and the highest is taken.
    """
    slopes = list(_slopes(model))
    found = [0.0] if slopes[0] <= 0 else []
    for low, high, before, after in zip(GRID, GRID[1:], slopes, slopes[1:], strict=False):
        if before > 0 >= after:
            found.append(float(brentq(model.slope, low, high, xtol=1e-14, rtol=1e-12)))
    if slopes[-1] > 0:
        raise _no_residual()
    return max(found, key=lambda ratio: model.at(ratio).loglik) if len(found) > 1 else found[0]


def _slopes(model: "_Profile") -> Iterator[float]:
    """Yield slopes on the grid, up to where covariates between providers lose their digits."""
    for ratio in GRID:
        try:
            yield model.slope(ratio)
        except np.linalg.LinAlgError:
            return


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
        arrow = extended_arrow(self.between, self.sums, ratio)
        inverse = arrow.inverse
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
