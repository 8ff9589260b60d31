"""Control limits for the mean of a continuous outcome."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.96
"""Two-sided 95 per cent of the normal distribution, as NHS England rounds it."""
Z998 = 3.0902
"""Two-sided 99.8 per cent of the normal distribution, as NHS England rounds it."""


def z_of_mean(
    mean: ArrayLike, n: ArrayLike, centre: float, sd: float, tau: float = 0.0
) -> NDArray[np.float64]:
    """Return (mean - centre) / sqrt(sd^2 / n + tau^2).

    Parameters
    ----------
    mean : array-like of shape (n_providers,)
        Adjusted means.
    n : array-like of shape (n_providers,)
        Episodes; at least 1.
    centre, sd : float
        Of the reference population; `sd` that of single episodes.
    tau : float
        Standard deviation between providers that is not to be flagged; 0 is NHS England's rule.

    Notes
    -----
    With `tau` 0: NHS England, A Guide to PROMs Methodology, version 12; with it, the additive
    model of Spiegelhalter (2005), Stat Med 24:1185-1202.

    Examples
    --------
    >>> float(z_of_mean(21.8523, 822, centre=22.6798, sd=7.67145).round(4))
    -3.0926
    """
    error = np.sqrt(sd**2 / np.asarray(n, dtype=float) + tau**2)
    return np.asarray((np.asarray(mean, dtype=float) - centre) / error)


def limits_of_mean(
    n: ArrayLike, centre: float, sd: float, z: float, tau: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and upper control limit, centre -+ z sqrt(sd^2 / n + tau^2).

    Examples
    --------
    >>> [float(one.round(4)) for one in limits_of_mean(822, 22.6798, 7.67145, Z95)]
    [22.1554, 23.2042]
    """
    half = z * np.sqrt(sd**2 / np.asarray(n, dtype=float) + tau**2)
    return centre - half, centre + half
