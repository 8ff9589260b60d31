"""What a provider's episodes share: its intercept, and with `correlated` its mean case mix.

Covariates that are the same for all episodes of a provider need no pass over the episodes: their
sums are the provider's sums times their value.
"""

import numpy as np

from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow
from riskadj.stats.design import Design
from riskadj.stats.linear_sums import weighted_covariates
from riskadj.stats.passes import Sums


def between_covariates(design: Design, correlated: bool) -> Floats:
    """Return a row of ones, and with `correlated` the provider means of every covariate."""
    ones = np.ones((1, design.n_providers))
    return np.vstack([ones, provider_means(design)]) if correlated else ones


def provider_means(design: Design) -> Floats:
    """Return the weighted mean of each covariate, shape (n_covariates, n_providers)."""
    weight, cross = weighted_covariates(design)
    return cross / weight


def shrinkage(variance: float, information: Floats) -> Floats:
    """Return the posterior variance of each effect, v / (1 + v W)."""
    return variance / (1 + variance * information)


def extended_slope(between: Floats, sums: Sums) -> Floats:
    """Return the slope of the log-likelihood in all coefficients, those between first."""
    return np.concatenate([between @ (sums.copies * sums.score), sums.slope])


def extended_arrow(between: Floats, sums: Sums, variance: float) -> Arrow:
    """Return the arrow of all coefficients, those between providers first.

    What is left of the information between providers is summed as such: with providers far apart
    it is a trifle of what it is taken from.
    """
    counted, weighted = between * sums.copies, between * sums.weight
    inverse, left = shrinkage(variance, sums.weight), 1 / (1 + variance * sums.weight)
    cross = np.vstack([weighted, sums.cross])
    within = sums.gram - (sums.cross * (sums.copies * inverse)) @ sums.cross.T
    return Arrow(
        inverse,
        cross,
        _blocks(counted @ weighted.T, counted @ sums.cross.T, sums.gram),
        sums.copies,
        _blocks((counted * left) @ weighted.T, (counted * left) @ sums.cross.T, within),
    )


def _blocks(between: Floats, mixed: Floats, within: Floats) -> Floats:
    return np.block([[between, mixed], [mixed.T, within]])
