"""What a provider's episodes share: its intercept, and with `correlated` its mean case mix.

Covariates that are the same for all episodes of a provider need no pass over the episodes: their
sums are the provider's sums times their value.
"""

import numpy as np

from riskadj.stats.arrays import Floats
from riskadj.stats.arrow import Arrow
from riskadj.stats.design import Design
from riskadj.stats.passes import Sums


def between_covariates(design: Design, correlated: bool) -> Floats:
    """Return a row of ones, and with `correlated` the provider means of every covariate."""
    ones = np.ones((1, len(design.groups)))
    return np.vstack([ones, provider_means(design)]) if correlated else ones


def provider_means(design: Design) -> Floats:
    """Return the weighted mean of each covariate, shape (n_covariates, n_providers)."""
    totals, sizes = np.zeros((len(design.x), len(design.groups))), design.groups.sizes
    weights = design.weights
    for chunk in design.chunks():
        x = design.x[:, chunk.rows]
        weighted = x if weights is None else x * weights[chunk.rows]
        totals[:, chunk.providers] += np.add.reduceat(weighted, chunk.starts, axis=1)
    return totals / (sizes if weights is None else design.groups.total_ordered(weights))


def extended_slope(between: Floats, sums: Sums) -> Floats:
    """Return the slope of the log-likelihood in all coefficients, those between first."""
    return np.concatenate([between @ (sums.copies * sums.score), sums.slope])


def extended_arrow(between: Floats, sums: Sums, inverse: Floats) -> Arrow:
    """Return the arrow of all coefficients, those between providers first."""
    counted, weighted = between * sums.copies, between * sums.weight
    mixed = counted @ sums.cross.T
    gram = np.block([[counted @ weighted.T, mixed], [mixed.T, sums.gram]])
    return Arrow(inverse, np.vstack([weighted, sums.cross]), gram, sums.copies)
