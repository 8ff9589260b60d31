"""Who counts: episodes after selection, with the flow of who left and why."""

from riskadj.cohort.select import Cohort, select_cohort

__all__ = ["Cohort", "select_cohort"]
