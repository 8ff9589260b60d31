"""Who counts: episodes after selection, with the flow of who left and why."""

from riskadj.cohort.select import Cohort, outcome_faults, select_cohort, study_faults

__all__ = ["Cohort", "outcome_faults", "select_cohort", "study_faults"]
