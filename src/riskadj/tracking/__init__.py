"""Where runs are logged: MLflow, which nothing outside this package knows."""

from riskadj.tracking.log import LoggedRun, log_run

__all__ = ["LoggedRun", "log_run"]
