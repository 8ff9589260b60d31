"""Which episodes have an outcome, and what is known of all of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.errors import ArrayError
from riskadj.stats.arrays import Bools, Floats, covariate_rows, finite, is_masked
from riskadj.stats.directions import Directions, directions
from riskadj.stats.groups import Groups, group_rows

FEWEST = 3
"""Providers with responders without which a flat prior of the spread between them is improper."""


@dataclass(frozen=True)
class Incomplete:
    """All episodes as they came, and the directions in which responders' covariates vary."""

    y: Floats
    expected: Floats
    answered: Bools
    groups: Groups
    x: Floats
    span: Directions

    @property
    def here(self) -> NDArray[np.intp]:
        """Providers of responders."""
        return self.groups.codes[self.answered]

    @property
    def gone(self) -> NDArray[np.intp]:
        """Providers of everybody else."""
        return self.groups.codes[~self.answered]

    def design(self, rows: Bools) -> Floats:
        """Return a constant and the directions of some rows."""
        return np.column_stack((np.ones(int(rows.sum())), self.span.of(self.x[rows])))


def incomplete_episodes(
    observed: ArrayLike,
    expected: ArrayLike,
    provider: ArrayLike,
    covariates: ArrayLike | None,
    predictor: Callable[[Floats, Floats], Floats],
) -> Incomplete:
    """Return checked episodes.

    Parameters
    ----------
    observed, expected, provider, covariates
        As in `impute`.
    predictor : callable
        Of expected values and the outcomes there are: the first column of the model.

    Raises
    ------
    ArrayError
    """
    groups = group_rows(provider)
    n = groups.n_rows
    y, answered = _outcomes(observed, n)
    e = finite("expected", expected, (n,))
    first = predictor(e, y[answered])[:, None]
    x = first if covariates is None else np.column_stack((first, covariate_rows(covariates, n)))
    _enough(groups, answered)
    return Incomplete(y, e, answered, groups, x, directions(x[answered]))


def _outcomes(observed: ArrayLike, n: int) -> tuple[Floats, Bools]:
    """Return outcomes, 0 where missing, and who has one."""
    if is_masked(observed):
        raise ArrayError("observed: wanted NaN where missing; got a mask.")
    try:
        y = np.array(observed, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArrayError(f"observed: wanted numbers; got others ({error}).") from None
    if y.shape != (n,):
        raise ArrayError(f"observed: wanted shape {(n,)}; got {y.shape}.")
    answered = ~np.isnan(y)
    y[~answered] = 0.0
    return finite("observed", y), answered


def _enough(groups: Groups, answered: Bools) -> None:
    responders = groups.total(answered)
    some = int((responders > 0).sum())
    if some < FEWEST:
        raise ArrayError(
            f"observed: wanted at least {FEWEST} providers with outcomes, to tell how they "
            f"differ; got {some}."
        )
    if responders.max() < 2:
        raise ArrayError(
            "observed: wanted providers with several outcomes, to tell differences between them "
            "from those within; got one each."
        )


def by_provider(codes: NDArray[np.intp], rows: Floats, m: int) -> Floats:
    """Return the sum of rows of each of m providers, some of which may have none."""
    return np.bincount(codes, rows, m).astype(np.float64, copy=False)
