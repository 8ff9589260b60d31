"""Disclosure control: small numbers leave nothing, and cannot be worked out from the rest.

NHS England's rules (CSV footnotes 2018/19): with 1 to 5 episodes every figure of a provider is
hidden; with fewer modelled records than the minimum nothing is adjusted. Besides, 1 to 5 modelled
records hide every figure too, as those of a single record would be a patient's; and where a single
row of a set is hidden, the next smallest is hidden too, as the hidden one would follow from the
total.
"""

import numpy as np
import pandas as pd

from riskadj.profile.nhs_england import TOO_FEW

SUPPRESSED = "all"
NOT_ADJUSTED = "adjusted"
_PROVIDER_KEYS = ("outcome", "learner", "provider_id", "flag", "suppression")
_SUBGROUP_KEYS = ("outcome", "learner", "column", "level")


def suppress_providers(table: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return provider rows that may leave.

    Parameters
    ----------
    table : DataFrame
        As in `Profiles.table`.
    below : int
        Fewer eligible episodes than this, or fewer with both scores, and any at all: every figure
        is hidden.

    Returns
    -------
    DataFrame
        With `suppression`: `all` where every figure is null, `adjusted` where only the adjusted
        ones are, else empty.
    """
    sizes = table["n"].where(table["n"] > 0, table["episodes"])
    groups = sizes.groupby([table["outcome"], table["learner"]], sort=False)
    hidden = groups.transform(lambda one: _hidden(one, below)).astype(bool)
    table = table.assign(
        suppression=np.select(
            [hidden, table["adjusted"].isna() & (table["episodes"] > 0)],
            [SUPPRESSED, NOT_ADJUSTED],
            default="",
        )
    )
    table["note"] = table["note"].mask(hidden, "")
    table["flag"] = table["flag"].mask(hidden, TOO_FEW)
    return _blank(table, hidden, (*_PROVIDER_KEYS, "note"))


def suppress_subgroups(table: pd.DataFrame, below: int) -> pd.DataFrame:
    """Return subgroup rows that may leave: small ones are blank, and never just one of them."""
    if table.empty:
        return table
    groups = table.groupby(["outcome", "learner", "column"], sort=False)["n"]
    hidden = groups.transform(lambda sizes: _hidden(sizes, below)).astype(bool)
    return _blank(table, hidden, _SUBGROUP_KEYS)


def keep_shown(table: pd.DataFrame, providers: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table by provider whose provider is not hidden."""
    keys = ["outcome", "learner", "provider_id"]
    shown = providers.loc[providers["suppression"] != SUPPRESSED, keys]
    return table.merge(shown, on=keys, how="inner")


def _hidden(sizes: pd.Series, below: int) -> pd.Series:
    small = (sizes > 0) & (sizes < below)
    if small.sum() == 1 and (sizes >= below).any():
        small.loc[sizes[sizes >= below].idxmin()] = True
    return small


def _blank(table: pd.DataFrame, hidden: pd.Series, keys: tuple[str, ...]) -> pd.DataFrame:
    figures = [name for name in table.columns if name not in keys]
    blanked = table.copy()
    whole = [name for name in figures if pd.api.types.is_integer_dtype(blanked[name])]
    blanked[whole] = blanked[whole].astype("Int64")
    blanked.loc[hidden, whole] = pd.NA
    blanked.loc[hidden, [name for name in figures if name not in whole]] = np.nan
    return blanked
