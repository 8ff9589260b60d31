"""The import file of Norway's national portal for quality registries, and what it is refused for.

Six columns: `context, year, orgnr, ind_id, var, denominator`. The checks are those of the portal's
upload (SKDE, imongr: `upload.check` of its configuration and the functions of the same names in
`R/upload.R`), each under the portal's own name, and two of its rules that the configuration does
not check: `mixing_ind`, a function of the portal's that is not among the configured checks, and
`decimals_var`, from its guide for contributors (its database rounds to 3 decimals).

The portal knows which organisations and indicators exist. These two checks need its lists. Without
them a number is held against its own check digit by `is_organisation_number`; the portal does not
ask for that, so it is a doubt and no reason to refuse.

The file is in UTF-8 with commas between columns and decimal points. The portal's upload form
preselects semicolons and decimal commas: choose `Komma` and `Punktum` there.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from riskadj.errors import (
    ColumnError,
    EmptyCohortError,
    OutputError,
    StudyError,
    ValuesError,
    did_you_mean,
)
from riskadj.report.folder import no_formula

COLUMNS = ("context", "year", "orgnr", "ind_id", "var", "denominator")
CONTEXTS = ("caregiver", "resident")
"""Who `orgnr` is: the unit that treated, or the area that the patients live in."""
MINIMUM = 20
"""Fewest episodes of a unit that is shown, as in the registries' own code."""

_WEIGHTS = (3, 2, 7, 6, 5, 4, 3, 2, 1)
_WHOLE = 1.5e-8
"""How far from a whole number the portal still takes for one."""
_EXAMPLES = 5


class IndicatorType(NamedTuple):
    """How the portal treats an indicator.

    Attributes
    ----------
    share : bool
        `var` is a count out of `denominator`; else a computed value.
    once : bool
        One row at most for a unit, year and context.
    """

    share: bool
    once: bool


TYPES: Mapping[str, IndicatorType] = MappingProxyType(
    {
        "andel": IndicatorType(share=True, once=False),
        "dg_andel": IndicatorType(share=True, once=False),
        "dg": IndicatorType(share=True, once=False),
        "beregnet_andel": IndicatorType(share=False, once=True),
        "dg_beregnet_andel": IndicatorType(share=False, once=True),
        "antall": IndicatorType(share=False, once=False),
        "gjennomsnitt": IndicatorType(share=False, once=False),
        "median": IndicatorType(share=False, once=False),
    }
)
"""The portal's types of indicator: share, computed share, number, mean, median; `dg`: coverage."""


@dataclass(frozen=True)
class Indicator:
    """An indicator of the portal.

    Attributes
    ----------
    ind_id : str
        The portal's name of it.
    type : str
        One of `TYPES`.
    context : {"caregiver", "resident"}

    Raises
    ------
    StudyError
        When the type or the context is unknown, or the name is empty.

    Examples
    --------
    >>> Indicator("example_ndi35").type
    'andel'
    """

    ind_id: str
    type: str = "andel"
    context: str = "caregiver"

    def __post_init__(self) -> None:
        if not self.ind_id.strip():
            raise StudyError("ind_id: wanted the portal's name of the indicator; got none.")
        if no_formula(self.ind_id) != self.ind_id:
            raise StudyError(
                "ind_id: wanted the portal's name of the indicator; got what a spreadsheet would "
                f"run, {self.ind_id!r}. Give its name."
            )
        for name, value, known in (
            ("type", self.type, tuple(TYPES)),
            ("context", self.context, CONTEXTS),
        ):
            if value not in known:
                raise StudyError(
                    f"{name}: wanted one of {', '.join(known)}; got {value!r}."
                    f"{did_you_mean(value, known)}"
                )


@dataclass(frozen=True)
class PortalFault:
    """One reason for which the portal refuses a file.

    Attributes
    ----------
    check : str
        The portal's name of the check.
    column : str
        Which column, or `file`.
    wanted : str
    rows : tuple of int
        All rows at fault, 1 the first under the header; none where the file is at fault.
    found : tuple of str
        Up to five different things that were found there.
    """

    check: str
    column: str
    wanted: str
    rows: tuple[int, ...]
    found: tuple[str, ...]

    def __str__(self) -> str:
        rows = ", ".join(str(one) for one in self.rows[:_EXAMPLES])
        more = f" and {len(self.rows) - _EXAMPLES:,} more" if len(self.rows) > _EXAMPLES else ""
        where = f" in row{'s' * (len(self.rows) > 1)} {rows}{more}" if self.rows else ""
        return f"{self.column}: wanted {self.wanted}; got {', '.join(self.found)}{where}."


@dataclass(frozen=True)
class SkdeExport:
    """Rows for the portal.

    Attributes
    ----------
    table : DataFrame
        The six columns, by year and organisation.
    left_out : int
        Units and years with fewer episodes than the minimum, or hidden in the run: not in `table`.
    minimum : int
    together : mapping of int or str to tuple of str
        Organisation number -> its providers, where there are several. They are one unit: their
        episodes are added up, and the minimum is held against the sum.
    """

    table: pd.DataFrame
    left_out: int
    minimum: int
    together: Mapping[int | str, tuple[str, ...]]


def skde_table(
    providers: pd.DataFrame,
    indicator: Indicator,
    orgnr: Mapping[str, int | str],
    *,
    var: str = "responders",
    denominator: str = "n",
    year: int | None = None,
    years: Mapping[str, int] | None = None,
    minimum: int = MINIMUM,
) -> SkdeExport:
    """Return the portal's rows of one indicator.

    Parameters
    ----------
    providers : DataFrame
        A row per provider, or per provider and `period`: `provider_id`, and the columns named by
        `var` and `denominator`. Of one outcome and one learner.
    indicator : Indicator
    orgnr : mapping of str to int or str
        Provider -> organisation number; what is no number is for `portal_faults` to find.
        Providers with the same number are one unit, added up, when the indicator is a share.
    var : str
        Column of the number of responders; for other types than shares, of the computed value,
        which is rounded to 3 decimals.
    denominator : str
        Column of the number of episodes.
    year : int, optional
        Of all rows; without it there must be a column `period`.
    years : mapping of str to int, optional
        Period -> year, for periods that are no years themselves.
    minimum : int
        Units with fewer episodes, added up, are left out and counted.

    Raises
    ------
    ColumnError
        When a column is missing.
    ValuesError
        When a provider has no organisation number, a period no year, a count is none, or a
        provider comes twice in a period.
    EmptyCohortError
        When no unit has episodes enough.

    Examples
    --------
    >>> rows = pd.DataFrame({"provider_id": ["A", "B"], "responders": [60, 4], "n": [90, 9]})
    >>> made = skde_table(
    ...     rows, Indicator("odi20"), {"A": 974633574, "B": 974795787}, year=2024
    ... )
    >>> made.table.to_dict("records")[0]["var"], made.left_out
    (60, 1)
    """
    _need(providers, ["provider_id", var, denominator, *(["period"] if year is None else [])])
    rows = pd.DataFrame(
        {
            "context": indicator.context,
            "year": _years(providers, year, years or {}),
            "orgnr": _organisations(providers["provider_id"], orgnr),
            "ind_id": indicator.ind_id,
            "var": pd.to_numeric(providers[var], errors="coerce"),
            "denominator": pd.to_numeric(providers[denominator], errors="coerce"),
        }
    )
    _refuse_repeated(providers["provider_id"], rows["year"])
    share = TYPES[indicator.type].share
    units = _added_up(rows) if share else rows.round({"var": 3})
    kept = units[units["denominator"].ge(max(minimum, 1)) & units["var"].notna()]
    if kept.empty:
        raise EmptyCohortError(
            f"{indicator.ind_id}: wanted units with {minimum} episodes or more; got none. "
            "Compare longer periods."
        )
    ordered = kept.sort_values(["year", "orgnr"], kind="stable", key=_comparable)
    table = ordered.reset_index(drop=True)
    whole = ["denominator", "var"] if share else ["denominator"]
    for name in whole:
        table[name] = _counts(name, table[name])
    together = _together(providers["provider_id"], rows["orgnr"]) if share else {}
    return SkdeExport(table[list(COLUMNS)], len(units) - len(kept), minimum, together)


def is_organisation_number(number: int) -> bool:
    """Return whether a number can be one of Norway's register of legal entities.

    Nine digits. The sum of all, with weights 3, 2, 7, 6, 5, 4, 3, 2 and 1, is a multiple of 11
    (Brønnøysund Register Centre, on the organisation number: modulus 11).

    Examples
    --------
    >>> is_organisation_number(974589095), is_organisation_number(123456789)
    (True, False)
    """
    digits = str(number)
    if len(digits) != len(_WEIGHTS) or not digits.isdecimal():
        return False
    return sum(int(one) * weight for one, weight in zip(digits, _WEIGHTS, strict=True)) % 11 == 0


def responders(observed: pd.Series, n: pd.Series) -> pd.Series:
    """Return the number of responders from their share and the number of episodes.

    Parameters
    ----------
    observed : Series of float
        Share, 0 to 1; missing where hidden.
    n : Series of int

    Raises
    ------
    ValuesError
        When a share of the episodes is no whole number of them: the outcome is not a share.

    Examples
    --------
    >>> responders(pd.Series([2 / 3, 0.5]), pd.Series([30, 8])).tolist()
    [20, 4]
    """
    counts = pd.to_numeric(observed) * pd.to_numeric(n)
    away = (counts - counts.round()).abs() > 1e-6 * counts.abs().clip(lower=1.0)
    if away.any() or (pd.to_numeric(observed).dropna() > 1).any():
        row = int(np.flatnonzero(away | (pd.to_numeric(observed) > 1))[0])
        raise ValuesError(
            f"observed: wanted shares of n episodes; got {observed.iloc[row]:g} of "
            f"{n.iloc[row]:g}. Export an outcome of the kind responder."
        )
    return counts.round().astype("Int64")


def portal_faults(
    table: pd.DataFrame,
    types: Mapping[str, str] | None = None,
    organisations: Collection[int] | None = None,
) -> list[PortalFault]:
    """Return every reason for which the portal would refuse the table; none when it would not.

    Parameters
    ----------
    table : DataFrame
    types : mapping of str to str, optional
        The registry's indicators in the portal, each with its type, one of `TYPES`. Without it
        no indicator is unknown, and each is a share.
    organisations : collection of int, optional
        Organisation numbers that the portal knows; without it only numbers are asked for.

    Raises
    ------
    StudyError
        When a type is none of the portal's.

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     [["caregiver", 2024, 974633574, "odi20", 41, 40]], columns=list(COLUMNS)
    ... )
    >>> [str(one) for one in portal_faults(table)]
    ['var: wanted no more than the denominator; got 41 of 40 in row 1.']
    """
    for name, kind in (types or {}).items():
        Indicator(name, kind)  # refuses a type that the portal does not have
    rows = _Rows(table.reset_index(drop=True), types, organisations)
    return [fault for check in _CHECKS.values() for fault in check(rows)]


def write_skde(
    table: pd.DataFrame,
    path: Path,
    types: Mapping[str, str] | None = None,
    organisations: Collection[int] | None = None,
    before: Callable[[Path], object] = lambda _: None,
) -> None:
    """Write the portal's file, all of it or nothing.

    Parameters
    ----------
    table, types, organisations
        As in `portal_faults`.
    path : Path
        A file there is replaced.
    before : callable, optional
        Told of the file when it is written, before it takes its place.

    Raises
    ------
    ValuesError
        When the portal would refuse it; `faults` has every reason.
    OutputError
        When the file cannot be written.
    """
    faults = portal_faults(table, types, organisations)
    if faults:
        listed = " ".join(map(str, faults))
        error = ValuesError(f"{path} (not written): wanted rows that the portal takes. {listed}")
        error.faults = tuple(faults)
        raise error
    staging = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        staging.write_text(_csv(table), encoding="utf-8", newline="")
        before(staging)
        staging.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: wanted to write the portal's file; got {error.strerror or str(error)!r}. "
            "Nothing was kept. Choose another place."
        ) from None
    finally:
        with suppress(OSError):
            staging.unlink(missing_ok=True)


def _csv(table: pd.DataFrame) -> str:
    whole = ("year", "orgnr", "denominator")
    numbers = {name: _numbers(table[name]).round().astype("int64") for name in whole}
    shown = table[list(COLUMNS)].assign(**numbers, var=_numbers(table["var"]).map(_shown))
    return str(shown.to_csv(index=False, lineterminator="\n"))


def _shown(value: float) -> str:
    return f"{float(value):.3f}".rstrip("0").rstrip(".")


def _need(table: pd.DataFrame, columns: list[str]) -> None:
    for name in columns:
        if name not in table:
            raise ColumnError(
                f"providers: wanted a column {name!r}; got {', '.join(map(str, table.columns))}."
                f"{did_you_mean(name, map(str, table.columns))}"
            )


def _years(providers: pd.DataFrame, year: int | None, years: Mapping[str, int]) -> pd.Series | int:
    if year is not None:
        return int(year)
    periods = providers["period"].astype(str)
    known = {one: years.get(one, one) for one in periods.unique()}
    strange = sorted(one for one, at in known.items() if not re.fullmatch(r"\d{4}", str(at)))
    if strange:
        raise ValuesError(
            f"period: wanted years; got {', '.join(strange[:_EXAMPLES])}. Say which year each is, "
            "with years."
        )
    return periods.map(known).astype("int64")


def _comparable(column: pd.Series) -> pd.Series:
    return column if pd.api.types.is_numeric_dtype(column) else column.astype(str)


def _organisations(provider_id: pd.Series, orgnr: Mapping[str, int | str]) -> pd.Series:
    names = provider_id.astype(str)
    missing = sorted(set(names) - {str(one) for one in orgnr})
    if missing:
        raise ValuesError(
            f"orgnr: wanted an organisation number for every provider; got none for "
            f"{len(missing)}, such as {', '.join(missing[:_EXAMPLES])}. Give them in "
            "the FILE of --organisations, or in the study's export.skde.organisations and run it "
            "again."
        )
    return names.map({str(name): number for name, number in orgnr.items()})


def _together(provider_id: pd.Series, orgnr: pd.Series) -> Mapping[int | str, tuple[str, ...]]:
    """Return the organisations that several providers are, each with their names."""
    pairs = pd.DataFrame({"them": provider_id.astype(str), "orgnr": orgnr}).drop_duplicates()
    by = pairs.groupby("orgnr", sort=False)["them"].agg(tuple)
    return MappingProxyType({number: them for number, them in by.items() if len(them) > 1})


def _refuse_repeated(provider_id: pd.Series, year: pd.Series) -> None:
    repeated = pd.DataFrame({"provider": provider_id.astype(str), "year": year}).duplicated()
    if repeated.any():
        name = provider_id[repeated.to_numpy()].iloc[0]
        raise ValuesError(
            f"provider_id: wanted a row per provider and year; got {name!r} more than once. "
            "Choose one outcome and one learner."
        )


def _added_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Add up units of one organisation; nothing is known of a sum of which a part is hidden."""
    keys = ["context", "year", "orgnr", "ind_id"]
    return rows.groupby(keys, sort=False, as_index=False)[["var", "denominator"]].agg(
        lambda one: one.sum(skipna=False)
    )


def _counts(name: str, values: pd.Series) -> pd.Series:
    away = values[(values - values.round()).abs() > _WHOLE]
    if len(away):
        raise ValuesError(f"{name}: wanted whole numbers; got {away.iloc[0]:g}.")
    return values.round().astype("int64")


class _Rows(NamedTuple):
    """A table to be checked, and what the portal knows."""

    table: pd.DataFrame
    types: Mapping[str, str] | None
    organisations: Collection[int] | None

    def has(self, *names: str) -> bool:
        return all(name in self.table for name in names)

    def numeric(self, *names: str) -> bool:
        """Whether all are there and hold numbers wherever they hold something."""
        return self.has(*names) and not any(self.not_numbers(name).any() for name in names)

    def not_numbers(self, name: str) -> pd.Series:
        return self.there(name) & _numbers(self.table[name]).isna()

    def of(self, name: str) -> pd.Series:
        return _numbers(self.table[name])

    def there(self, *names: str) -> pd.Series:
        """Whether none of the columns is missing in a row."""
        return ~self.table[list(names)].apply(_is_missing).any(axis=1)

    def kind(self) -> pd.DataFrame:
        """Return, row by row, how the portal treats the indicator; a share where unknown."""
        names = self.table["ind_id"].astype(str)
        types = {one: (self.types or {}).get(one, "andel") for one in names.unique()}
        found = [TYPES[types[one]] for one in names]
        return pd.DataFrame(found, columns=["share", "once"], dtype=bool)

    def share(self) -> pd.Series:
        if not self.has("ind_id"):
            return pd.Series(True, index=self.table.index)
        return self.kind()["share"]


def _numbers(column: pd.Series) -> pd.Series:
    """Return what a reader of the file takes for numbers; NaN elsewhere."""
    plain = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return pd.to_numeric(column if plain else column.astype(str), errors="coerce").astype("float64")


def _is_missing(column: pd.Series) -> pd.Series:
    nothing = column.isna() | column.astype(str).str.strip().isin(["", "nan", "NA"])
    return nothing | np.isinf(_numbers(column))


def _is_natural(values: pd.Series) -> pd.Series:
    return (values >= 0) & ((values - values.round()).abs() < _WHOLE)


def _fault(
    check: str,
    column: str,
    wanted: str,
    wrong: pd.Series,
    found: pd.Series,
    say: Callable[[Any], str] | None = None,
) -> Iterator[PortalFault]:
    """Yield one fault when some rows are wrong."""
    if wrong.any():
        rows = tuple(int(one) + 1 for one in np.flatnonzero(wrong))
        shown = tuple(dict.fromkeys((say or _text)(one) for one in found[wrong]))[:_EXAMPLES]
        yield PortalFault(check, column, wanted, rows, shown)


def _text(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{value:.12g}"
    return repr(value) if isinstance(value, str) else str(value)


def _missing_var(rows: _Rows) -> Iterator[PortalFault]:
    absent = tuple(one for one in COLUMNS if one not in rows.table)
    if absent:
        wanted = f"the columns {', '.join(COLUMNS)}"
        yield PortalFault("missing_var", "file", wanted, (), (f"none called {', '.join(absent)}",))


def _invalid_var(rows: _Rows) -> Iterator[PortalFault]:
    strange = tuple(repr(str(one)) for one in rows.table.columns if one not in COLUMNS)
    if strange:
        wanted = f"no columns but {', '.join(COLUMNS)}"
        yield PortalFault("invalid_var", "file", wanted, (), strange[:_EXAMPLES])


def _values_exists(rows: _Rows) -> Iterator[PortalFault]:
    for name in COLUMNS:
        if rows.has(name):
            found, wanted = rows.table[name], "a value in every row"
            wrong = _is_missing(found)
            yield from _fault("values_exists", name, wanted, wrong, found, lambda _: "nothing")


def _invalid_context(rows: _Rows) -> Iterator[PortalFault]:
    if rows.has("context"):
        found = rows.table["context"]
        wrong = rows.there("context") & ~found.isin(CONTEXTS)
        yield from _fault("invalid_context", "context", " or ".join(CONTEXTS), wrong, found)


def _invalid_org(rows: _Rows) -> Iterator[PortalFault]:
    if not rows.has("orgnr"):
        return
    found = rows.table["orgnr"]
    numbers = rows.of("orgnr")
    wrong = rows.there("orgnr") & ~(_is_natural(numbers) & (numbers > 0))
    yield from _fault("invalid_org", "orgnr", "organisation numbers", wrong, found)
    if rows.organisations is not None:
        unknown = rows.there("orgnr") & ~wrong & ~numbers.isin(list(rows.organisations))
        wanted = "organisations that the portal knows"
        yield from _fault("invalid_org", "orgnr", wanted, unknown, found)


def _invalid_ind(rows: _Rows) -> Iterator[PortalFault]:
    if rows.types is not None and rows.has("ind_id"):
        found = rows.table["ind_id"]
        wrong = rows.there("ind_id") & ~found.isin(list(rows.types))
        yield from _fault("invalid_ind", "ind_id", "the registry's indicators", wrong, found)


def _numeric(name: str) -> Callable[[_Rows], Iterator[PortalFault]]:
    def check(rows: _Rows) -> Iterator[PortalFault]:
        if rows.has(name):
            wrong = rows.not_numbers(name)
            yield from _fault(f"numeric_{name}", name, "numbers", wrong, rows.table[name])

    return check


def _natural(name: str, shares_only: bool) -> Callable[[_Rows], Iterator[PortalFault]]:
    def check(rows: _Rows) -> Iterator[PortalFault]:
        if rows.numeric(name):
            wrong = rows.there(name) & ~_is_natural(rows.of(name))
            wrong &= rows.share() if shares_only else True
            wanted = "whole numbers of 0 or more"
            yield from _fault(f"natural_{name}", name, wanted, wrong, rows.table[name])

    return check


def _overflow_var(rows: _Rows) -> Iterator[PortalFault]:
    if not rows.numeric("var", "denominator"):
        return
    counts, totals = rows.of("var"), rows.of("denominator")
    wrong = (counts > totals) & rows.there("var", "denominator") & rows.share()
    pairs = counts.map(_text).astype(str) + " of " + totals.map(_text).astype(str)
    yield from _fault("overflow_var", "var", "no more than the denominator", wrong, pairs, str)


def _decimals_var(rows: _Rows) -> Iterator[PortalFault]:
    if rows.numeric("var"):
        value = rows.of("var")
        wrong = rows.there("var") & ~rows.share() & ((value - value.round(3)).abs() > _WHOLE)
        yield from _fault("decimals_var", "var", "3 decimals at most", wrong, rows.table["var"])


def _zero_denominator(rows: _Rows) -> Iterator[PortalFault]:
    if rows.numeric("denominator"):
        wrong = rows.there("denominator") & (rows.of("denominator") == 0)
        found = rows.table["denominator"]
        yield from _fault("zero_denominator", "denominator", "numbers above 0", wrong, found)


def _mixing_ind(rows: _Rows) -> Iterator[PortalFault]:
    if rows.has("ind_id") and rows.share().nunique() > 1:
        computed = dict.fromkeys(rows.table["ind_id"][~rows.share()].map(_text))
        wanted = "shares alone, or computed values alone, in one file"
        found = f"both, the computed ones {', '.join(list(computed)[:_EXAMPLES])}"
        yield PortalFault("mixing_ind", "ind_id", wanted, (), (found,))


def _duplicated_inds(rows: _Rows) -> Iterator[PortalFault]:
    keys = ["ind_id", "orgnr", "context", "year"]
    if rows.has(*keys):
        repeated = rows.table.duplicated(keys, keep=False) & rows.kind()["once"]
        wanted = "a computed indicator once for a unit, year and context"
        found = rows.table["ind_id"]
        yield from _fault("duplicated_inds", "ind_id", wanted, repeated, found)


_CHECKS: dict[str, Callable[[_Rows], Iterator[PortalFault]]] = {
    "missing_var": _missing_var,
    "invalid_var": _invalid_var,
    "invalid_context": _invalid_context,
    "invalid_org": _invalid_org,
    "invalid_ind": _invalid_ind,
    "numeric_var": _numeric("var"),
    "natural_var": _natural("var", shares_only=True),
    "overflow_var": _overflow_var,
    "numeric_denominator": _numeric("denominator"),
    "natural_denominator": _natural("denominator", shares_only=False),
    "zero_denominator": _zero_denominator,
    "numeric_year": _numeric("year"),
    "natural_year": _natural("year", shares_only=False),
    "values_exists": _values_exists,
    "duplicated_inds": _duplicated_inds,
    "mixing_ind": _mixing_ind,
    "decimals_var": _decimals_var,
}

CHECKS: tuple[str, ...] = tuple(_CHECKS)
"""The checks by the portal's names, in its order, then those outside its configuration."""
