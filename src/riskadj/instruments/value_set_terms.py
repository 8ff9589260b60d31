"""What each term of a published EQ-5D value set stands for, and the values that terms add up to.

A value set is a regression: a starting value, a weight per dimension and level, and in some
countries terms for the state as a whole. The names of the terms are those of the tables in the
R package `eq5d` (fragla/eq5d), which carry one column per country. A term without a rule here is
refused: a value is never guessed.

EQ-5D is copyright of the EuroQol Research Foundation; only arithmetic is here.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from riskadj.errors import FileFormatError

DIMENSIONS = ("MO", "SC", "UA", "PD", "AD")
"""Mobility, self-care, usual activities, pain and discomfort, anxiety and depression."""

LEVELS = MappingProxyType({"EQ-5D-3L": 3, "EQ-5D-5L": 5})
"""How many levels a dimension has, by version."""

DECIMALS = 3
"""Value sets are published to three decimals."""

_START = MappingProxyType({"EQ-5D-3L": "FullHealth", "EQ-5D-5L": "StartValue"})
_NOISE = 9
"""Decimals beyond which a sum of weights holds nothing but binary rounding."""

Profiles = NDArray[np.int8]
Counts = NDArray[np.float64]


def _at(codes: Profiles, level: int) -> Counts:
    return np.asarray((codes == level).sum(axis=1), dtype=float)


def _beyond_first(count: Counts) -> Counts:
    return np.maximum(count - 1, 0)


def _above_best(codes: Profiles) -> Counts:
    return np.asarray((codes > 1).sum(axis=1), dtype=float)


def _product(codes: Profiles, first: str, second: str) -> Counts:
    steps = codes.astype(float) - 1
    return np.asarray(steps[:, DIMENSIONS.index(first)] * steps[:, DIMENSIONS.index(second)])


_OF_THE_STATE: Mapping[str, Mapping[str, Callable[[Profiles], Counts]]] = {
    "EQ-5D-3L": {
        "AtLeastOne2Or3": lambda codes: np.sign(_above_best(codes)),
        "AtLeastOne3": lambda codes: np.sign(_at(codes, 3)),
        # Shaw et al. 2005: moves from full health beyond the first, and levels beyond the first
        "D1": lambda codes: _beyond_first(_above_best(codes)),
        "I2": lambda codes: _beyond_first(_at(codes, 2)),
        "I2square": lambda codes: _beyond_first(_at(codes, 2)) ** 2,
        "I3": lambda codes: _beyond_first(_at(codes, 3)),
        "I3square": lambda codes: _beyond_first(_at(codes, 3)) ** 2,
        # Augustovski et al. 2009: only 2s beside the 1s, only 3s beside them, or both; Z3 counts 2s
        "O2": lambda codes: np.sign(_at(codes, 2)) * (_at(codes, 3) == 0),
        "O3": lambda codes: np.sign(_at(codes, 3)) * (_at(codes, 2) == 0),
        "Z2": lambda codes: np.sign(_at(codes, 2)) * np.sign(_at(codes, 3)),
        "Z3": lambda codes: _at(codes, 2) * np.sign(_at(codes, 3)),
        "C2square": lambda codes: _at(codes, 2) ** 2,
        "C3square": lambda codes: _at(codes, 3) ** 2,
        # Zarate et al. 2011: no dimension is left at its best
        "X5": lambda codes: np.asarray(_above_best(codes) == len(DIMENSIONS), dtype=float),
    },
    "EQ-5D-5L": {
        "Intercept": lambda codes: np.sign(_above_best(codes)),
        "N4": lambda codes: np.sign(_at(codes, 4) + _at(codes, 5)),
        "N5": lambda codes: np.sign(_at(codes, 5)),
        # Xie et al. 2016: squared number of dimensions at 4 or 5 beyond the first
        "Num45sq": lambda codes: _beyond_first(_at(codes, 4) + _at(codes, 5)) ** 2,
        # Luo et al. 2025: steps from the best level, multiplied; 55555 is then the published -0.851
        "MOAD": lambda codes: _product(codes, "MO", "AD"),
        "PDAD": lambda codes: _product(codes, "PD", "AD"),
    },
}

_LEVEL = re.compile(rf"({'|'.join(DIMENSIONS)})([1-5])")
_PAIR = re.compile(rf"({'|'.join(DIMENSIONS)})([1-5])({'|'.join(DIMENSIONS)})([1-5])")
_FOUR_OR_FIVE = re.compile(rf"({'|'.join(DIMENSIONS)})45")

_WITHOUT_WEIGHT = MappingProxyType(
    {"EQ-5D-3L/TTO/Germany": frozenset({"UA2", "UA3", "AD2"})}  # Greiner et al. 2005
)
"""Levels that a published value set gives no weight."""

_MULTIPLIED = frozenset({"EQ-5D-3L/VAS/Germany"})
"""Value sets whose terms multiply; in all others they add."""

_REPLACED: Mapping[str, Mapping[str, float]] = {
    "EQ-5D-3L/TTO/Australia": {
        "12133": 0.154, "12233": 0.101, "13133": 0.154, "13233": 0.101, "13332": 0.020,
        "13333": 0.020, "22133": 0.086, "22233": 0.033, "23133": 0.086, "23233": 0.033,
        "23332": -0.048, "23333": -0.048, "32133": -0.083, "32233": -0.136, "32333": -0.206,
        "33132": -0.045, "33133": -0.083, "33232": -0.098, "33233": -0.136, "33323": -0.199,
        "33332": -0.217, "33333": -0.217,
    },
}  # fmt: skip
"""Values that stand in the place of implausible ones.

Australia (Viney et al. 2011, Value in Health 14:928-936): where the model gives a worse state a
higher value, both get their mean; as transcribed by the R package `eq5d`.
"""


def profiles(levels: int) -> Profiles:
    """Return every profile, in the order of its digits.

    Parameters
    ----------
    levels : int
        3 or 5.

    Returns
    -------
    ndarray of shape (levels ** 5, 5)
        Codes from 1 to `levels`.

    Examples
    --------
    >>> profiles(3)[[0, 1, -1]].tolist()
    [[1, 1, 1, 1, 1], [1, 1, 1, 1, 2], [3, 3, 3, 3, 3]]
    """
    grid = np.indices((levels,) * len(DIMENSIONS), dtype=np.int8)
    return grid.reshape(len(DIMENSIONS), -1).T + np.int8(1)


def values_of_terms(name: str, version: str, terms: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the value of every profile.

    Parameters
    ----------
    name : str
        Which value set, such as `EQ-5D-3L/TTO/UK`; a few have rules of their own.
    version : str
        EQ-5D-3L or EQ-5D-5L.
    terms : mapping of str to float
        Weight by term; a term that the value set does not use is left out.

    Returns
    -------
    ndarray of shape (243,) or (3125,)
        Values to three decimals, in the order of `profiles`.

    Raises
    ------
    FileFormatError
        When a term has no rule here, a weight is missing, or the values cannot be a value set's.

    Examples
    --------
    >>> weights = {f"{dimension}{level}": -0.1 * (level - 1)
    ...            for dimension in DIMENSIONS for level in (2, 3)}
    >>> values_of_terms("mine", "EQ-5D-3L", {"FullHealth": 1.0, **weights})[[0, 1, -1]].tolist()
    [1.0, 0.9, 0.0]
    """
    _check_terms(name, version, terms)
    codes = profiles(LEVELS[version])
    start = terms[_START[version]]
    rest = [
        (weight, _occurrences(name, version, term, codes))
        for term, weight in terms.items()
        if term != _START[version]
    ]
    if name in _MULTIPLIED:
        values = start * np.prod([weight**times for weight, times in rest], axis=0)
    else:
        values = start + np.sum([weight * times for weight, times in rest], axis=0)
    return checked_values(name, _replace(name, np.round(values, _NOISE), codes))


def checked_values(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values to three decimals, or refuse them.

    Raises
    ------
    FileFormatError
        When one is not finite, is above 1, or is above that of the profile without any problem.
    """
    if not np.isfinite(values).all():
        raise FileFormatError(f"{name}: wanted a number for every profile; got one that is none.")
    if values.max() > min(values[0], 1.0):
        raise FileFormatError(
            f"{name}: wanted no value above that of 11111, and that at most 1; got "
            f"{values.max():g} and {values[0]:g}. Its terms do not add up as those of others do."
        )
    return np.round(values, DECIMALS)


def _check_terms(name: str, version: str, terms: Mapping[str, float]) -> None:
    needed = {_START[version]} | {
        f"{dimension}{level}" for dimension in DIMENSIONS for level in range(2, LEVELS[version] + 1)
    }
    missing = sorted(needed - set(terms) - _WITHOUT_WEIGHT.get(name, frozenset()))
    if missing:
        raise FileFormatError(f"{name}: wanted a weight for {', '.join(missing)}; got none.")
    endless = sorted(term for term, weight in terms.items() if not np.isfinite(weight))
    if endless:
        raise FileFormatError(f"{name}: wanted finite weights; got others for {endless[0]}.")


def _occurrences(name: str, version: str, term: str, codes: Profiles) -> Counts:
    """Return how often a term counts in each profile."""
    if term in _OF_THE_STATE[version]:
        return _OF_THE_STATE[version][term](codes)
    found = _LEVEL.fullmatch(term) or _PAIR.fullmatch(term)
    parts = found.groups() if found else ()
    if parts and max(map(int, parts[1::2])) <= LEVELS[version]:
        met = [
            codes[:, DIMENSIONS.index(dimension)] == int(level)
            for dimension, level in zip(parts[::2], parts[1::2], strict=True)
        ]
        return np.asarray(np.logical_and.reduce(met), dtype=float)
    either = _FOUR_OR_FIVE.fullmatch(term)
    if either and version == "EQ-5D-5L":
        return np.asarray(codes[:, DIMENSIONS.index(either[1])] >= 4, dtype=float)
    raise FileFormatError(
        f"{name}: wanted terms whose rule is known; got {term!r}. Leave this value set out, or "
        "give its values by profile."
    )


def _replace(name: str, values: NDArray[np.float64], codes: Profiles) -> NDArray[np.float64]:
    stand_ins = _REPLACED.get(name, {})
    places = {"".join(map(str, profile)): at for at, profile in enumerate(codes.tolist())}
    for profile, value in stand_ins.items():
        values[places[profile]] = value
    return values
