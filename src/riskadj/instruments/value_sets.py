"""EQ-5D value sets as a choice of policy: by country, version and way of valuing.

The same answers are worth different amounts in different countries, so a value set belongs to a
study, not to an instrument. Only the United Kingdom's time trade-off of 1997 comes with the
package. The others are read from a folder laid out as the data of the R package `eq5d`
(fragla/eq5d): `TTO.csv` and `VAS.csv` (EQ-5D-3L), `VT.csv` (EQ-5D-5L), `CW.csv.gz` (answers in 5L,
values of 3L), `RCW.csv.gz` (answers in 3L, values of 5L) and `references.csv`.

Crosswalks here are those that map a profile (van Hout et al. 2012, doi:10.1016/j.jval.2012.02.008;
van Hout and Shaw 2021, doi:10.1016/j.jval.2021.03.009). The mapping of NICE's Decision Support
Unit, which depends on age and sex (doi:10.1007/s40273-022-01218-7), rests on tables of its own that
this layout does not hold; it is not offered, and no other mapping stands in its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from riskadj.digest import digest_of_json
from riskadj.errors import FileFormatError, FileMissingError, UnknownNameError, did_you_mean
from riskadj.instruments.value_set_terms import LEVELS, checked_values, profiles, values_of_terms

if TYPE_CHECKING:
    import pandas as pd


_SHOWN = 5


@dataclass(frozen=True)
class ValueSet:
    """What every profile of an EQ-5D version is worth in one country.

    Attributes
    ----------
    id : str
        `<version>/<type>/<country>`, such as `EQ-5D-3L/TTO/UK`.
    version : str
        The questionnaire that was answered: EQ-5D-3L or EQ-5D-5L.
    type : str
        TTO (time trade-off), VAS (visual analogue scale), VT (the EuroQol valuation protocol for
        5L), CW (5L answers, 3L values) or RCW (3L answers, 5L values).
    country : str
        As its table calls it; some carry a year or a method: `Netherlands_2006`, `Japan_cTTO`.
    source : str
        DOI, PubMed number or address of its publication.
    digest : str
        SHA-256 of the values: two editions of the same name differ here.
    values : ndarray of shape (243,) or (3125,)
        Value by profile, 11111 first and 33333 or 55555 last; read-only.
    """

    id: str
    version: str
    type: str
    country: str
    source: str
    digest: str
    values: NDArray[np.float64] = field(repr=False, compare=False)

    @property
    def levels(self) -> int:
        """Levels per dimension: 3 or 5."""
        return LEVELS[self.version]

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        return float(self.values.min()), float(self.values.max())


@dataclass(frozen=True)
class ValueSets:
    """The value sets at hand, and those that could not be worked out.

    Attributes
    ----------
    place : str
        Where they are from, for messages.
    usable : mapping of str to ValueSet
        By id.
    refused : mapping of str to str
        By id, why each was refused.
    """

    place: str
    usable: Mapping[str, ValueSet]
    refused: Mapping[str, str]

    def find(self, name: str, asked_by: str = "") -> ValueSet:
        """Return the value set with this id.

        Parameters
        ----------
        name : str
        asked_by : str
            Where the id was said, such as `data.value_sets.EQ5D5L`, for messages.

        Raises
        ------
        UnknownNameError
            When there is none; the message says which may have been meant, and some of its kind.
        FileFormatError
            When it is there but was refused; the message says why.

        Examples
        --------
        >>> SHIPPED.find("EQ-5D-3L/TTO/UK").range
        (-0.594, 1.0)
        """
        where = f"{asked_by}: " if asked_by else ""
        if name in self.refused:
            raise FileFormatError(f"{where}{self.refused[name]}")
        if name not in self.usable:
            raise UnknownNameError(
                f"{where}wanted a value set of {self.place}; got {name!r}."
                f"{did_you_mean(name, self.usable)} There are {self._like(name)}."
            )
        return self.usable[name]

    def of_version(self, version: str) -> tuple[str, ...]:
        """Return the ids of those that value answers to this version.

        Examples
        --------
        >>> SHIPPED.of_version("EQ-5D-3L"), SHIPPED.of_version("EQ-5D-5L")
        (('EQ-5D-3L/TTO/UK',), ())
        """
        return tuple(one.id for one in self.usable.values() if one.version == version)

    def _like(self, name: str) -> str:
        """Return the first ids of the same version and type, or which kinds there are."""
        kind = name.rpartition("/")[0]
        kinds = dict.fromkeys(f"{one.rpartition('/')[0]}/..." for one in self.usable)
        like = [one for one in self.usable if one.rpartition("/")[0] == kind] or list(kinds)
        more = f" and {len(like) - _SHOWN} more" if len(like) > _SHOWN else ""
        return f"{', '.join(like[:_SHOWN])}{more}"


def make_value_set(
    version: str, type: str, country: str, source: str, values: NDArray[np.float64]
) -> ValueSet:
    """Return a value set whose values nobody can change any more.

    Parameters
    ----------
    version : str
        EQ-5D-3L or EQ-5D-5L.
    type, country, source : str
        As in `ValueSet`.
    values : ndarray of shape (243,) or (3125,)
        In the order of the profiles' digits.

    Raises
    ------
    UnknownNameError
        When there is no such version.
    FileFormatError
        When the number of values is another, or they cannot be those of a value set.

    Examples
    --------
    >>> mine = make_value_set("EQ-5D-3L", "TTO", "Nowhere", "none", np.linspace(1, 0, 243))
    >>> mine.id, mine.levels
    ('EQ-5D-3L/TTO/Nowhere', 3)
    """
    name = f"{version}/{type}/{country}"
    if version not in LEVELS:
        raise UnknownNameError(f"{name}: wanted {' or '.join(LEVELS)}; got {version!r}.")
    wanted = LEVELS[version] ** 5
    if values.shape != (wanted,):
        raise FileFormatError(f"{name}: wanted {wanted} values; got shape {values.shape}.")
    kept = checked_values(name, np.array(values, dtype=float))
    kept.setflags(write=False)
    return ValueSet(name, version, type, country, source, digest_of_json(kept.tolist()), kept)


def _united_kingdom() -> ValueSet:
    terms = {
        "FullHealth": 1.0, "AtLeastOne2Or3": -0.081, "AtLeastOne3": -0.269,
        "MO2": -0.069, "MO3": -0.314, "SC2": -0.104, "SC3": -0.214, "UA2": -0.036, "UA3": -0.094,
        "PD2": -0.123, "PD3": -0.386, "AD2": -0.071, "AD3": -0.236,
    }  # fmt: skip
    values = values_of_terms("EQ-5D-3L/TTO/UK", "EQ-5D-3L", terms)
    return make_value_set("EQ-5D-3L", "TTO", "UK", "Dolan 1997, Medical Care 35:1095-1108", values)


UK_TTO_1997 = _united_kingdom()
"""EQ-5D-3L, United Kingdom, time trade-off (Dolan 1997, Medical Care 35:1095-1108)."""

SHIPPED = ValueSets(
    "riskadj", MappingProxyType({UK_TTO_1997.id: UK_TTO_1997}), MappingProxyType({})
)
"""The value sets that come with the package."""


def read_value_sets(folder: str | Path) -> ValueSets:
    """Read every value set of a folder.

    Parameters
    ----------
    folder : str or Path
        Laid out as the data of the R package `eq5d`: `references.csv` and at least one of
        `TTO.csv`, `VAS.csv`, `VT.csv`, `CW.csv.gz` and `RCW.csv.gz`.

    Returns
    -------
    ValueSets
        Those that cannot be worked out from their column, or have no source in `references.csv`,
        are in `refused` and asking for one of them is an error.

    Raises
    ------
    FileMissingError
        When the folder, its references, or all of its tables are not there.
    FileFormatError
        When a file cannot be read as the table it should be.

    Notes
    -----
    Weights add up to a value (`value_set_terms`), rounded to three decimals as published. A tie
    at the fourth decimal goes to the even digit, so a value may differ from a printed table by
    0.001 where the paper rounded its weights or the tie otherwise.
    """
    place = Path(folder)
    sources = _read_sources(place / "references.csv")
    there = [(place / one[0], *one[1:]) for one in _TABLES if (place / one[0]).is_file()]
    if not there:
        raise FileMissingError(
            f"{place}: wanted one of {', '.join(one[0] for one in _TABLES)}; got none of them."
        )
    usable: dict[str, ValueSet] = {}
    refused: dict[str, str] = {}
    for path, version, kind, values_of in there:
        table = _read_table(path)
        for country in table.columns:
            name = f"{version}/{kind}/{country}"
            try:
                source = _source(name, sources)
                values = values_of(name, version, table[country])
                usable[name] = make_value_set(version, kind, country, source, values)
            except FileFormatError as fault:
                refused[name] = str(fault)
    return ValueSets(str(place), MappingProxyType(usable), MappingProxyType(refused))


# --- what the files hold --------------------------------------------------------------------------


def _from_terms(name: str, version: str, column: "pd.Series") -> NDArray[np.float64]:
    return values_of_terms(name, version, _numbers(name, column))


def _from_profiles(name: str, version: str, column: "pd.Series") -> NDArray[np.float64]:
    numbers = _numbers(name, column)
    names = ["".join(map(str, profile)) for profile in profiles(LEVELS[version]).tolist()]
    if set(numbers) != set(names):
        raise FileFormatError(
            f"{name}: wanted a value for each of the {len(names)} profiles; got "
            f"{len(numbers)} values."
        )
    return np.array([numbers[profile] for profile in names])


_TABLES: tuple[
    tuple[str, str, str, Callable[[str, str, "pd.Series"], NDArray[np.float64]]], ...
] = (
    ("TTO.csv", "EQ-5D-3L", "TTO", _from_terms),
    ("VAS.csv", "EQ-5D-3L", "VAS", _from_terms),
    ("RCW.csv.gz", "EQ-5D-3L", "RCW", _from_profiles),
    ("VT.csv", "EQ-5D-5L", "VT", _from_terms),
    ("CW.csv.gz", "EQ-5D-5L", "CW", _from_profiles),
)

_ABSENT = ("", "NA")


def _numbers(name: str, column: "pd.Series") -> dict[str, float]:
    try:
        return {row: float(cell) for row, cell in column.items() if cell not in _ABSENT}
    except ValueError as error:
        raise FileFormatError(
            f"{name}: wanted numbers or NA; got another cell ({error})."
        ) from None


def _read_table(path: Path) -> "pd.DataFrame":
    table = _read_csv(path).rename(columns={"Unnamed: 0": ""})
    names = table.iloc[:, 0]
    if not names.is_unique or "" in set(names):
        raise FileFormatError(f"{path}: wanted each row to have a name of its own; got others.")
    return table.iloc[:, 1:].set_axis(names, axis="index")


def _read_csv(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (ValueError, OSError, EOFError) as error:
        raise FileFormatError(f"{path}: wanted a CSV table in UTF-8; got {error}.") from None


_REFERENCE_COLUMNS = ("Version", "Type", "Country", "PubMed", "DOI", "ISBN", "ExternalURL")
_LABELS = MappingProxyType({"DOI": "doi:", "PubMed": "PubMed ", "ISBN": "ISBN ", "ExternalURL": ""})


def _read_sources(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise FileMissingError(
            f"{path}: wanted the sources of the value sets; got no such file. A value set without "
            "a source is not used."
        )
    table = _read_csv(path)
    lacking = [one for one in _REFERENCE_COLUMNS if one not in table.columns]
    if lacking:
        raise FileFormatError(f"{path}: wanted a column {lacking[0]}; got none.")
    return {
        f"{row['Version']}/{row['Type']}/{row['Country']}": "; ".join(
            label + row[column].rstrip(".") for column, label in _LABELS.items() if row[column]
        )
        for row in table.to_dict("records")
    }


def _source(name: str, sources: Mapping[str, str]) -> str:
    """Return where a value set is published; a row without a country is about all of its kind."""
    for_all = sources.get(f"{name.rpartition('/')[0]}/", "")
    found = "; ".join(filter(None, (sources.get(name, ""), for_all)))
    if not found:
        raise FileFormatError(f"{name}: wanted its source in references.csv; got none.")
    return found
