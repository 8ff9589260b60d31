"""Winsorising: costs above a quantile count as the quantile, and by how much is told."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from riskadj.study import Outcome
from riskadj.study.records import Split, Winsorise


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
        of = f" of its {self.by} ({self.groups:,} groups)" if self.by else ""
        return (
            f"costs above the {self.upper:g} quantile{of} count as it: {self.n_capped:,}, and "
            f"{100 * self.share_capped:.2f} % of the cost compared is left out of account"
        )


def winsorised(
    kept: pd.DataFrame, outcome: Outcome, split: Split
) -> tuple[pd.DataFrame, Winsorising | None]:
    """Return the episodes with capped costs, and what that did.

    Quantiles are of the episodes that teach. Of a group with fewer of these than lie beyond the
    quantile once, the own quantile tells nothing; it counts where it is above that of all
    episodes, which a group that never taught has alone.

    Parameters
    ----------
    kept : DataFrame
        With `observed_score`, the cost.
    outcome : Outcome
    split : Split
        Says which periods teach, and which are compared.
    """
    rules = outcome.winsorise
    teaches = kept["period"].isin(split.train)
    if rules is None or not teaches.any():
        return kept, None
    cost = kept["observed_score"]
    group = _groups(kept, rules)
    caps = _caps(cost[teaches], group[teaches], rules)
    cap = group.map(caps).fillna(cost[teaches].quantile(rules.upper))
    capped = np.minimum(cost, cap)
    compared = kept["period"].isin(split.test)
    whole = float(cost[compared].sum())
    share = float((cost - capped)[compared].sum()) / whole if whole else 0.0
    found = Winsorising(rules.upper, rules.by, len(caps), len(kept), int((cost > cap).sum()), share)
    return kept.assign(observed_score=capped), found


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
