"""Tobit and ordinal models of a score with a ceiling, to hold the two-part learner against.

Both are linear in the case mix, fitted by maximum likelihood with a penalty of 1/2 on the squared
slopes of standardised columns; each gives the expected score and the share at the best one.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_ndtr, ndtr
from scipy.stats import norm

MOST_LEVELS = 60


def tobit(Z, y, asked, best):
    """Return expectation and share at the ceiling (Tobin 1958; Olsen 1978's parameters)."""
    spread = y.std()
    below, at_best = (y - best) / spread, y == best
    ones = np.column_stack([np.ones(len(Z)), Z])

    def loss(theta):
        precision, slopes = np.exp(theta[0]), theta[1:]
        linear = ones @ slopes
        left = precision * below - linear
        likelihood = np.where(at_best, log_ndtr(linear), np.log(precision) - 0.5 * left**2)
        mills = np.exp(-0.5 * linear**2 - log_ndtr(linear)) / np.sqrt(2 * np.pi)
        of_slopes = ones.T @ np.where(at_best, mills, left) - np.r_[0, slopes[1:]]
        of_precision = np.where(at_best, 0, 1 - left * below * precision).sum()
        value = -likelihood.sum() + 0.5 * slopes[1:] @ slopes[1:]
        return value / len(y), -np.r_[of_precision, of_slopes] / len(y)

    found = minimize(loss, np.zeros(ones.shape[1] + 1), jac=True, method="L-BFGS-B").x
    sigma = spread / np.exp(found[0])
    mean = best + sigma * (found[1] + asked @ found[2:])
    room = (best - mean) / sigma
    expected = ndtr(room) * mean - sigma * norm.pdf(room) + ndtr(-room) * best
    return expected, ndtr(-room)


def ordinal(Z, y, asked, best):
    """Return expectation and share at the ceiling of a cumulative logit (McCullagh 1980)."""
    cuts = np.quantile(y, np.linspace(0, 1, MOST_LEVELS), method="nearest")
    levels = np.unique(np.r_[cuts, best])
    of_level = np.searchsorted(levels, y)
    k = len(levels)
    values = np.array([y[of_level == one].mean() for one in range(k)])
    shares = np.cumsum(np.bincount(of_level, minlength=k))[:-1] / len(y)
    start = np.log(shares / (1 - shares))

    def loss(theta):
        bounds, slopes = _bounds(theta, k), theta[k - 1 :]
        linear = Z @ slopes
        above = expit(np.r_[bounds, 50.0][of_level] - linear)
        under = expit(np.r_[-50.0, bounds][of_level] - linear)
        share = np.maximum(above - under, 1e-12)
        up, down = above * (1 - above) / share, under * (1 - under) / share
        of_bounds = np.bincount(of_level, up, k)[:-1] - np.bincount(of_level, down, k)[1:]
        later = np.cumsum(of_bounds[::-1])[::-1]
        of_gaps = np.r_[later[0], later[1:] * np.exp(theta[1 : k - 1])]
        of_slopes = Z.T @ (down - up) - slopes
        value = -np.log(share).sum() + 0.5 * slopes @ slopes
        return value / len(y), -np.r_[of_gaps, of_slopes] / len(y)

    begin = np.r_[start[0], np.log(np.diff(start)), np.zeros(Z.shape[1])]
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 400}).x
    reached = expit(_bounds(found, k) - (asked @ found[k - 1 :])[:, None])
    each = np.diff(np.column_stack([np.zeros(len(asked)), reached, np.ones(len(asked))]))
    return each @ values, each[:, -1]


def _bounds(theta, k):
    return np.cumsum(np.r_[theta[0], np.exp(theta[1 : k - 1])])
