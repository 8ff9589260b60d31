"""The provider table that a contract names: whether it is sound, and what it says of whom."""

from collections.abc import Iterable, Mapping

import pandas as pd

from riskadj.errors import ColumnError, UnknownNameError, ValuesError, did_you_mean
from riskadj.payment.contract import (
    Contract,
    columns_of_money,
    columns_wanted,
    shares_wanted,
)
from riskadj.payment.tables import Floats, check_not_negative, figures_of


def given_values(
    contract: Contract, table: pd.DataFrame | None, profile: Iterable[str]
) -> dict[str, dict[str, float]] | None:
    """Return the wanted values of the provider table, by the names of the profile.

    None where there is no table, or nothing is wanted of it.
    """
    wanted = columns_wanted(contract)
    where = f"provider table of contract {contract.name}"
    if table is None and (needed := columns_of_money(contract)):
        raise ColumnError(f"{where}: wanted {', '.join(needed)}; there is no table. Name one.")
    if table is None or not wanted:
        return None
    lacking = [one for one in ["provider_id", *wanted] if one not in table]
    if lacking:
        raise ColumnError(
            f"{where}: wanted the column {lacking[0]!r}; there is none."
            f"{did_you_mean(lacking[0], table.columns)} Add it, empty where not known."
        )
    named = table.set_index(_known_names(table["provider_id"], profile, where))
    figures = figures_of(named, wanted, where)
    check_not_negative(figures, named, where)
    _check_shares({one: figures[one] for one in shares_wanted(contract)}, named, where)
    return {
        str(name): {one: float(values[at]) for one, values in figures.items()}
        for at, name in enumerate(named.index)
    }


def _check_shares(figures: Mapping[str, Floats], rows: pd.DataFrame, where: str) -> None:
    """Refuse shares above 1, by the name of the first: per cent would pass any gate."""
    for name, values in figures.items():
        wrong = values > 1
        if wrong.any():
            at = int(wrong.argmax())
            raise ValuesError(
                f"{where}: {name}: wanted a share from 0 to 1; got {values[at]:g} for "
                f"{rows.index[at]}. Divide per cent by 100; of other values say share: false in "
                "the contract."
            )


def _known_names(column: pd.Series, profile: Iterable[str], where: str) -> pd.Series:
    """Return the names of a table as the profile has them; spaces around a name do not count."""
    ours: dict[str, str] = {}
    for one in profile:
        if ours.setdefault(one.strip(), one) != one:
            raise ValuesError(
                f"{where}: wanted names of the profile that differ by more than spaces; got "
                f"{ours[one.strip()]!r} and {one!r}. Give one provider one name."
            )
    names = column.astype(str).str.strip()
    if names.duplicated().any():
        raise ValuesError(
            f"{where}: wanted each provider once; got {names[names.duplicated()].iloc[0]!r} "
            "twice, spaces aside. Keep one row of each."
        )
    if strangers := [one for one in names if one not in ours]:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise UnknownNameError(
            f"{where}: wanted providers that are in the profile; got {strangers[0]!r}{more}, which "
            f"are not.{did_you_mean(strangers[0], ours)} Correct or leave out their rows."
        )
    return names.map(ours)
