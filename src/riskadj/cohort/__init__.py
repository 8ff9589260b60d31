"""Who counts: episodes after selection, with the flow of who left and why."""

from riskadj.cohort.anchored import AnchoredThresholds, anchored_thresholds
from riskadj.cohort.rates import response_by_provider
from riskadj.cohort.select import Cohort, outcome_faults, select_cohort, study_faults
from riskadj.cohort.winsorising import Winsorising

__all__ = [
    "AnchoredThresholds",
    "Winsorising",
    "Cohort",
    "anchored_thresholds",
    "outcome_faults",
    "response_by_provider",
    "select_cohort",
    "study_faults",
]
