"""Arrow-shaped systems: one dense block of coefficients, and a diagonal of provider effects.

::

    [ diag(d)  cross' ] [effects]   [a]
    [ cross    gram   ] [coef   ] = [b]

Effects are eliminated one by one, which leaves the Schur complement of the diagonal: cost is
linear in providers.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, lapack, solve_triangular

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Floats

SMALLEST_PIVOT = 1e-10
"""Share of a covariate's sum of squares that has to be its own; below, it is called collinear."""
ABOUT_MEAN = 1e-3
"""Share of a sum of squares about 0 from which that about the mean is more than rounding."""


class CollinearError(ArrayError):
    """Covariates of which some are a combination of others.

    Attributes
    ----------
    columns : ndarray of int
        Which.
    alone : bool
        Whether each of them is so without the others: it does not vary where effects are free.
    """

    def __init__(self, columns: NDArray[np.intp], alone: bool = False) -> None:
        super().__init__("X: wanted covariates none of which is a combination of others.")
        self.columns = columns
        self.alone = alone


@dataclass(frozen=True)
class Arrow:
    """An arrow system, its diagonal given by the inverse.

    Attributes
    ----------
    inverse : ndarray of shape (n_providers,)
        1 / d; 0 holds an effect where it is.
    cross : ndarray of shape (n_coef, n_providers)
    gram : ndarray of shape (n_coef, n_coef)
    copies : ndarray of shape (n_providers,) or float
        How many equal rows of the diagonal each stands for.
    complement : ndarray of shape (n_coef, n_coef) or None
        The Schur complement, where it is known without the subtraction that costs digits.
    """

    inverse: Floats
    cross: Floats
    gram: Floats
    copies: Floats | float = 1.0
    complement: Floats | None = None

    @cached_property
    def schur(self) -> Floats:
        """Information about the coefficients once the effects are eliminated."""
        if self.complement is not None:
            return self.complement
        return self.gram - (self.cross * (self.copies * self.inverse)) @ self.cross.T

    def check(self, rows: int = 1) -> None:
        """Refuse coefficients that are not apart.

        Parameters
        ----------
        rows : int
            Of the largest sum, whose rounding grows with them.

        Raises
        ------
        CollinearError
        """
        least = max(SMALLEST_PIVOT, 2 * float(np.finfo(float).eps) * rows)
        size = np.sqrt(self._squares())
        # The factorisation would take its first column however little is left of it.
        alone = np.flatnonzero(np.diag(self.schur) <= least * size**2)
        if alone.size:
            raise CollinearError(alone, alone=True)
        size[:1] *= 1 - 1e-6  # the first is kept, be it an intercept: nobody can leave it out
        _, pivots, rank, _ = lapack.dpstrf(
            self.schur / np.outer(size, size), tol=SMALLEST_PIVOT, lower=True
        )
        if rank < len(size):
            raise CollinearError(np.sort(pivots[rank:] - 1))

    def _squares(self) -> Floats:
        """Return what is compared with: sums of squares, about the mean where effects are free."""
        squares = np.diag(self.gram)
        if self.inverse.all():
            weight = self.copies / self.inverse
            mean = (self.copies * self.cross).sum(axis=1) / np.sqrt(weight.sum())
            squares = np.maximum(squares - mean**2, ABOUT_MEAN * squares)
        return np.where(squares > 0, squares, 1.0)

    @cached_property
    def _scale(self) -> Floats:
        diagonal = np.diag(self.schur)
        if not (np.isfinite(diagonal).all() and (diagonal > 0).all()):
            raise np.linalg.LinAlgError("no information about a coefficient")
        return np.sqrt(diagonal)

    @cached_property
    def _factor(self) -> Floats:
        """Return the Cholesky factor of the scaled Schur complement."""
        scaled = self.schur / np.outer(self._scale, self._scale)
        factor, failed = lapack.dpotrf(scaled, lower=True, clean=True)
        if failed:
            raise np.linalg.LinAlgError("information is not positive definite")
        return np.asarray(factor)

    @property
    def log_determinant(self) -> float:
        """Of the Schur complement."""
        return float(2 * (np.log(np.diag(self._factor)).sum() + np.log(self._scale).sum()))

    def solve(self, a: Floats, b: Floats, inverse: Floats | None = None) -> tuple[Floats, Floats]:
        """Return effects and coefficients.

        Parameters
        ----------
        a : ndarray of shape (n_providers,)
        b : ndarray of shape (n_coef,)
        inverse : ndarray of shape (n_providers,), optional
            Of a diagonal that is newer than the rest.

        Raises
        ------
        LinAlgError
        """
        inverse = self.inverse if inverse is None else inverse
        coef = self.solve_schur(b - self.cross @ (self.copies * inverse * a))
        return inverse * (a - coef @ self.cross), coef

    def solve_schur(self, b: Floats) -> Floats:
        """Return the coefficients for a right-hand side from which effects are eliminated."""
        if not b.size:
            return b
        return np.asarray(cho_solve((self._factor, True), b / self._scale)) / self._scale

    @cached_property
    def coef_covariance(self) -> Floats:
        """Inverse of the Schur complement."""
        return self.solve_schur_all(np.eye(len(self.gram)))

    def solve_schur_all(self, columns: Floats) -> Floats:
        """Return the coefficients for each column of a right-hand side."""
        if not columns.size:
            return columns
        scaled = np.asarray(cho_solve((self._factor, True), columns / self._scale[:, None]))
        return scaled / self._scale[:, None]

    def leverage(self, rows: Floats) -> Floats:
        """Return x' inverse(schur) x of each column x of `rows`."""
        half = self.half(rows)
        return np.asarray(np.einsum("ij,ij->j", half, half))

    def half(self, rows: Floats) -> Floats:
        """Return columns whose squared length is x' inverse(schur) x of each column x."""
        if not rows.size:
            return rows
        return self.root @ rows

    @cached_property
    def root(self) -> Floats:
        """By what `half` multiplies: a root of the inverse of the Schur complement."""
        if not self.gram.size:
            return self.gram
        return np.asarray(solve_triangular(self._factor, np.diag(1 / self._scale), lower=True))

    def effect_variance(self, at: Floats | None = None) -> Floats:
        """Return the variance of effects where covariates are `at`; without, 0.

        Parameters
        ----------
        at : ndarray of shape (n_coef, 1) or (n_coef, n_providers), optional
        """
        weighted_mean = self.cross * self.inverse
        if at is not None:
            weighted_mean = weighted_mean - at
        return self.inverse + self.leverage(weighted_mean)
