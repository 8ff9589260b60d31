"""Contracts tried out before they are signed: in worlds whose truth is known."""

from riskadj.trial.operating import Operating
from riskadj.trial.run import Settings, Trial, run_trial
from riskadj.trial.writing import write_trial

__all__ = ["Operating", "Settings", "Trial", "run_trial", "write_trial"]
