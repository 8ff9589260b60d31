"""Whether expectations are fair to every group of patients, and what changes between periods."""

from riskadj.fairness.assess import Fairness, assess_fairness
from riskadj.fairness.drift import DRIFT_COLUMNS, follow_drift
from riskadj.fairness.fair import FairAdjustment, adjust_fairly, shown_groups
from riskadj.fairness.faults import fairness_cohort_faults, fairness_faults
from riskadj.fairness.gaming import Price, gaming_sensitivity
from riskadj.fairness.groupings import Grouping, groupings
from riskadj.fairness.groups import GROUP_COLUMNS, audit_groups, in_sample
from riskadj.fairness.social import SocialAdjustment, adjust_socially

__all__ = [
    "DRIFT_COLUMNS",
    "GROUP_COLUMNS",
    "FairAdjustment",
    "Fairness",
    "Grouping",
    "Price",
    "SocialAdjustment",
    "adjust_fairly",
    "adjust_socially",
    "assess_fairness",
    "audit_groups",
    "fairness_cohort_faults",
    "fairness_faults",
    "follow_drift",
    "gaming_sensitivity",
    "groupings",
    "in_sample",
    "shown_groups",
]
