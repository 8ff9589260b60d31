"""What would be expected at the average provider, and how good that is."""

from riskadj.expected.crossfit import Expectations, Learned, cross_fit
from riskadj.expected.evaluate import Evaluation, evaluate
from riskadj.expected.learners import LightGBMExpectation, LinearExpectation
from riskadj.expected.model import ExpectationModel, load_model, save_model

__all__ = [
    "Evaluation",
    "ExpectationModel",
    "Expectations",
    "Learned",
    "LightGBMExpectation",
    "LinearExpectation",
    "cross_fit",
    "evaluate",
    "load_model",
    "save_model",
]
