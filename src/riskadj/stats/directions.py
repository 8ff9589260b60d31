"""Which directions covariates vary in, collinear ones counted once."""

from dataclasses import dataclass

import numpy as np

from riskadj.stats.arrays import Floats
from riskadj.stats.groups import Groups
from riskadj.stats.threads import one_thread

SAME = 1e-9
"""Share of the variation of standardised covariates below which a direction says nothing new."""


@dataclass(frozen=True)
class Directions:
    """Covariates as uncorrelated directions; what says nothing new is left out.

    Attributes
    ----------
    mean : ndarray of shape (n_covariates,)
    basis : ndarray of shape (n_covariates, n_directions)
        A direction is (x - mean) @ basis.
    """

    mean: Floats
    basis: Floats

    def of(self, X: Floats) -> Floats:
        """Return the directions of some rows of covariates."""
        return np.asarray((X - self.mean) @ self.basis)


def directions(X: Floats, within: Groups | None = None) -> Directions:
    """Return uncorrelated directions of unit variance that span the covariates.

    Collinear covariates (a column for every level of a category) and constant ones are no fault
    here: fitted values do not depend on which of them is left out.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_covariates)
    within : Groups, optional
        Keep only what varies within groups.
    """
    mean = X.mean(axis=0)
    apart = X - (mean if within is None else within.at_rows(within.mean(X.T)).T)
    scale = apart.std(axis=0)
    # What is left of a constant after its mean is rounding, not variation.
    varies = scale > SAME * np.abs(X).max(axis=0, initial=0.0)
    unit = np.where(varies, 1 / np.where(varies, scale, 1.0), 0.0)
    with one_thread():
        standard = apart * unit
        size, vectors = np.linalg.eigh(standard.T @ standard / len(X))
    kept = size > SAME * max(1, int(varies.sum()))
    return Directions(mean, unit[:, None] * vectors[:, kept] / np.sqrt(size[kept]))
