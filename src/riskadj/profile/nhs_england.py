"""NHS England's way of comparing providers on patient-reported outcomes.

Adjusted gain: the reference population's mean gain plus the provider's mean residual, residuals
recentred so that their mean over the reference population is 0. Limits: 1.96 and 3.0902 standard
errors, with the reference population's standard deviation of residuals and no allowance for
over-dispersion. Under 30 modelled records nothing is adjusted (NHS England, A Guide to PROMs
Methodology, version 12; CSV footnotes 2018/19).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from riskadj.stats import Z95, Z998

NOT_FLAGGED = "Not an outlier"
TOO_FEW = "Insufficient records"
NONE = "No procedures"

_CUTS: Sequence[tuple[float, str]] = ((Z998, "99.8%"), (Z95, "95%"))
_SIDES = ("Positive", "Negative")

FLAGS: tuple[str, ...] = (
    *(f"{side} outlier ({level})" for _, level in reversed(_CUTS) for side in _SIDES),
    NOT_FLAGGED,
    TOO_FEW,
    NONE,
)
"""The labels, as published."""


def flag_from_z(z: ArrayLike) -> NDArray[np.object_]:
    """Return the published label of each z.

    Parameters
    ----------
    z : array-like of shape (n_providers,)
        Adjusted gain minus that of the reference population, in standard errors.

    Examples
    --------
    >>> flag_from_z([-3.0926, -3.0881, 1.0]).tolist()
    ['Negative outlier (99.8%)', 'Negative outlier (95%)', 'Not an outlier']
    """
    values = np.asarray(z, dtype=float)
    outside = [condition for cut, _ in _CUTS for condition in (values > cut, values < -cut)]
    labels = [f"{side} outlier ({level})" for _, level in _CUTS for side in _SIDES]
    return np.select(outside, labels, default=NOT_FLAGGED).astype(object)
