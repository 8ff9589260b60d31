"""Arithmetic on arrays: accuracy, calibration, control limits, intervals."""

from riskadj.stats.accuracy import Accuracy, accuracy
from riskadj.stats.calibration import calibration_line, groups_by_rank
from riskadj.stats.intervals import Interval, proportion_interval, ratio_interval
from riskadj.stats.limits import Z95, Z998, limits_of_mean, z_of_mean

__all__ = [
    "Z95",
    "Z998",
    "Accuracy",
    "Interval",
    "accuracy",
    "calibration_line",
    "groups_by_rank",
    "limits_of_mean",
    "proportion_interval",
    "ratio_interval",
    "z_of_mean",
]
