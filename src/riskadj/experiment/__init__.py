"""Experiments: a question, a grid of studies that answers it, and runs held against each other."""

from riskadj.experiment.compare import Comparison, compare_runs
from riskadj.experiment.records import Experiment, load_experiment
from riskadj.experiment.run import Finished, run_experiment

__all__ = [
    "Comparison",
    "Experiment",
    "Finished",
    "compare_runs",
    "load_experiment",
    "run_experiment",
]
