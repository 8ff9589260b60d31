"""Disclosure control: small numbers leave nothing, and cannot be worked out from the rest.

NHS England's rules (CSV footnotes 2018/19): with 1 to 5 episodes every figure of a provider is
hidden; with fewer modelled records than the minimum nothing is adjusted. Besides, 1 to 5 modelled
records hide every figure too, as those of a single record would be a patient's; and as many more
rows are hidden as keep the hidden ones from following from totals, whichever table has them.

Every table passes here on its way to a card, a page, a figure, a run folder or a log. What is
hidden is the same in all of them.
"""

from riskadj.report.disclosure.contributions import coarse_contributions
from riskadj.report.disclosure.flow import suppress_flow
from riskadj.report.disclosure.patients import (
    keep_shown_parts,
    suppress_balance,
    suppress_curves,
    suppress_deciles,
    suppress_drift,
    suppress_gaming,
    suppress_groups,
    suppress_metrics,
    suppress_missing,
    suppress_subgroups,
    suppress_thirds,
)
from riskadj.report.disclosure.providers import (
    NOT_ADJUSTED,
    SUPPRESSED,
    keep_rated,
    keep_shown,
    suppress_providers,
    suppress_rates,
    suppress_strata,
    suppress_value,
)
from riskadj.report.disclosure.rounding import rounded

__all__ = [
    "NOT_ADJUSTED",
    "SUPPRESSED",
    "coarse_contributions",
    "keep_rated",
    "keep_shown",
    "keep_shown_parts",
    "rounded",
    "suppress_balance",
    "suppress_curves",
    "suppress_deciles",
    "suppress_drift",
    "suppress_flow",
    "suppress_gaming",
    "suppress_groups",
    "suppress_metrics",
    "suppress_missing",
    "suppress_providers",
    "suppress_rates",
    "suppress_strata",
    "suppress_subgroups",
    "suppress_thirds",
    "suppress_value",
]
