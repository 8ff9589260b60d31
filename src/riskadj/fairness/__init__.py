"""Whether expectations are fair to every group of patients, and what changes between periods."""

from riskadj.fairness.assess import Fairness, assess_fairness
from riskadj.fairness.drift import DRIFT_COLUMNS, follow_drift
from riskadj.fairness.groupings import Grouping, group_faults, groupings
from riskadj.fairness.groups import GROUP_COLUMNS, audit_groups, in_sample

__all__ = [
    "DRIFT_COLUMNS",
    "GROUP_COLUMNS",
    "Fairness",
    "Grouping",
    "assess_fairness",
    "audit_groups",
    "follow_drift",
    "group_faults",
    "groupings",
    "in_sample",
]
