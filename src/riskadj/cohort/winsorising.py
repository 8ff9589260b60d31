"""Winsorising: costs above a quantile count as the quantile, and by how much is told."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskadj.study import Outcome
from riskadj.study.learners import Split
from riskadj.study.outcomes import Winsorise


@dataclass(frozen=True)
class Winsorising:
    """What capping did to the episodes of an outcome.

    Attributes
    ----------
    upper : float
        The quantile, from 0 to 1.
    by : str or None
        The column whose groups have a quantile each.
    groups : int
        How many quantiles; 1 without groups.
    n, n_capped : int
        Episodes, and how many of them cost more than the cap.
    share_capped : float
        Of the cost of the episodes compared: what the cap takes off.
    """

    upper: float
    by: str | None
    groups: int
    n: int
    n_capped: int
    share_capped: float

    @property
    def told(self) -> str:
        """What the flow says; nobody leaves."""
        return (
            f"{self.told_without_numbers}: {self.n_capped:,}, and {100 * self.share_capped:.2f} % "
            "of the cost compared is left out of account"
        )

    @property
    def told_without_numbers(self) -> str:
        """The same without how many these are."""
        of = f" of its {self.by} ({self.groups:,} groups)" if self.by else ""
        return f"costs above the {self.upper:g} quantile{of} count as it"


def winsorised(
    table: pd.DataFrame, here: NDArray[np.bool_], outcome: Outcome, split: Split
) -> tuple[pd.DataFrame, Winsorising | None]:
    """Return the episodes with capped costs, and what that did.

    Quantiles are of the episodes that teach. Of a group with fewer of these than lie beyond the
    quantile once, the own quantile tells nothing; it counts where it is above that of all
    episodes, which a group that never taught has alone.

    Parameters
    ----------
    table : DataFrame
        With `observed_score`, the cost.
    here : ndarray of bool
        Whose costs count; those of others are left as they are.
    outcome : Outcome
    split : Split
        Says which periods teach, and which are compared.
    """
    rules = outcome.winsorise
    if rules is None:
        return table, None
    needed = ["period", "observed_score", *([rules.by] if rules.by else [])]
    kept = table.loc[here, needed]
    teaches = kept["period"].isin(split.train)
    if not teaches.any():
        return table, None
    cost = kept["observed_score"]
    group = _groups(kept, rules)
    caps = _caps(cost[teaches], group[teaches], rules)
    cap = group.map(caps).fillna(cost[teaches].quantile(rules.upper))
    capped = np.minimum(cost, cap)
    compared = kept["period"].isin(split.test)
    whole = float(cost[compared].sum())
    share = float((cost - capped)[compared].sum()) / whole if whole else 0.0
    found = Winsorising(rules.upper, rules.by, len(caps), len(kept), int((cost > cap).sum()), share)
    observed = table["observed_score"].to_numpy(dtype=float, copy=True)
    observed[here] = capped
    return table.assign(observed_score=observed), found


def _groups(kept: pd.DataFrame, rules: Winsorise) -> pd.Series:
    if rules.by is None:
        return pd.Series("", index=kept.index)
    return kept[rules.by].map(str, na_action="ignore")


def _caps(cost: pd.Series, group: pd.Series, rules: Winsorise) -> pd.Series:
    """Return the cap of each group that teaches."""
    by_group = cost.groupby(group)
    own, size = by_group.quantile(rules.upper), by_group.size()
    tells = size * (1 - rules.upper) >= 1
    return own.where(tells, np.maximum(own, cost.quantile(rules.upper)))
