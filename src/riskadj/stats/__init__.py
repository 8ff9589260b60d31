"""Arithmetic on arrays: accuracy, calibration, control limits."""

from riskadj.stats.accuracy import Accuracy, accuracy
from riskadj.stats.calibration import calibration_line, groups_by_rank
from riskadj.stats.limits import Z95, Z998, limits_of_mean, z_of_mean

__all__ = [
    "Z95",
    "Z998",
    "Accuracy",
    "accuracy",
    "calibration_line",
    "groups_by_rank",
    "limits_of_mean",
    "z_of_mean",
]
