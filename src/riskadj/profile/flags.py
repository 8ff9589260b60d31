"""Flags: what a provider outside its limits is called.

A place is how far out it is: 2 above the outer limits, 1 above the inner ones, 0 within, -1 and -2
below. Labels are those of a programme: NHS England names both limits (A Guide to PROMs
Methodology, version 12; CSV footnotes 2018/19), CMS's categories only the side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from riskadj.stats import Z95, Z998
from riskadj.study.profile import ProfileRules

PLACES = (2, 1, 0, -1, -2)
"""From best to worst."""
_ROUNDED = {0.95: Z95, 0.998: Z998}


@dataclass(frozen=True)
class FlagLabels:
    """The words for every place, and for providers that have none.

    Attributes
    ----------
    of : mapping of int to str
        By place.
    too_few, none, low_response, no_peers : str
        With fewer records than the minimum, with no episode at all, with a response rate under
        the minimum, and without another provider in the peer group.
    """

    of: Mapping[int, str]
    too_few: str
    none: str
    low_response: str = "Response too low"
    no_peers: str = "No peers"

    @property
    def all(self) -> tuple[str, ...]:
        """Every label of the programme once, from best to worst; the others are ours."""
        return tuple(dict.fromkeys((*(self.of[one] for one in PLACES), self.too_few, self.none)))

    def at(self, places: ArrayLike) -> NDArray[np.object_]:
        """Return the label of each place."""
        return np.array([self.of[int(one)] for one in np.atleast_1d(places)], dtype=object)


def per_cent(level: float) -> str:
    """Return a level in per cent, without zeros that say nothing.

    Examples
    --------
    >>> per_cent(0.95), per_cent(0.998)
    ('95', '99.8')
    """
    return f"{100 * level:.6g}"


def _nhs_england(levels: Sequence[float]) -> FlagLabels:
    inner, outer = (f"{per_cent(one)}%" for one in levels)
    return FlagLabels(
        MappingProxyType(
            {
                2: f"Positive outlier ({outer})",
                1: f"Positive outlier ({inner})",
                0: "Not an outlier",
                -1: f"Negative outlier ({inner})",
                -2: f"Negative outlier ({outer})",
            }
        ),
        "Insufficient records",
        "No procedures",
    )


def _cms(_: Sequence[float]) -> FlagLabels:
    better, worse = "Better than the reference", "Worse than the reference"
    words = {2: better, 1: better, 0: "No different from the reference", -1: worse, -2: worse}
    return FlagLabels(MappingProxyType(words), "Number of cases too small", "No cases")


_LABELS = {"nhs_england": _nhs_england, "cms": _cms}


def flag_labels(labels: str, levels: Sequence[float]) -> FlagLabels:
    """Return the words of a programme for limits at two levels, the inner first.

    Examples
    --------
    >>> flag_labels("nhs_england", (0.95, 0.998)).of[-2]
    'Negative outlier (99.8%)'
    """
    return _LABELS[labels](levels)


def level_names(rules: ProfileRules) -> tuple[str, str]:
    """Return what the inner and the outer limits are called in column names: 95 and 998."""
    inner, outer = (per_cent(one).replace(".", "") for one in rules.levels)
    return inner, outer


def cut_of(level: float) -> float:
    """Return the z-score of a two-sided level: 95 and 99.8 per cent as NHS England rounds them.

    Examples
    --------
    >>> cut_of(0.95), cut_of(0.998), round(cut_of(0.9), 4)
    (1.96, 3.0902, 1.6449)
    """
    return _ROUNDED.get(level, float(ndtri((1 + level) / 2)))


def places_from_z(z: ArrayLike, inner: float = Z95, outer: float = Z998) -> NDArray[np.intp]:
    """Return the place of each z; on a limit is inside it.

    Parameters
    ----------
    z : array-like of shape (n_providers,)
        Distance from the centre in standard errors, positive when better.
    inner, outer : float
        Cuts.

    Examples
    --------
    >>> places_from_z([-3.0926, -3.0881, 1.0]).tolist()
    [-2, -1, 0]
    """
    values = np.asarray(z, dtype=float)
    outside: NDArray[np.intp] = (np.abs(values) > inner).astype(np.intp) + (np.abs(values) > outer)
    return np.where(values < 0, -outside, outside)


NHS_ENGLAND = flag_labels("nhs_england", (0.95, 0.998))
"""As published."""


def flag_from_z(z: ArrayLike) -> NDArray[np.object_]:
    """Return NHS England's label of each z, at its own cuts.

    Examples
    --------
    >>> flag_from_z([-3.0926, -3.0881, 1.0]).tolist()
    ['Negative outlier (99.8%)', 'Negative outlier (95%)', 'Not an outlier']
    """
    return NHS_ENGLAND.at(places_from_z(z))
