"""What would be expected at the average provider, and how good that is."""

from riskadj.expected.ceiling import CeilingExpectation
from riskadj.expected.cost_learners import (
    GammaExpectation,
    LogSmearingExpectation,
    TweedieExpectation,
    TwoPartExpectation,
)
from riskadj.expected.crossfit import Expectations, Learned, cross_fit
from riskadj.expected.evaluate import Evaluation, evaluate
from riskadj.expected.folds import grouped_folds, last_period
from riskadj.expected.learners import LightGBMExpectation, LinearExpectation
from riskadj.expected.model import ExpectationModel, load_model, save_model
from riskadj.expected.nets import NetExpectation
from riskadj.expected.parts import PartsExpectation, score_parts
from riskadj.expected.recalibrate import recalibration
from riskadj.expected.stacked import StackedExpectation
from riskadj.expected.tuning import LIGHTGBM_SPACE, LINEAR_SPACE, Span, Tuning, tune
from riskadj.expected.validation import LeftOut, leave_out, validate_elsewhere
from riskadj.expected.written import read_learner, write_learner

__all__ = [
    "CeilingExpectation",
    "Evaluation",
    "ExpectationModel",
    "Expectations",
    "GammaExpectation",
    "LIGHTGBM_SPACE",
    "LINEAR_SPACE",
    "Learned",
    "LeftOut",
    "LightGBMExpectation",
    "LinearExpectation",
    "LogSmearingExpectation",
    "NetExpectation",
    "PartsExpectation",
    "Span",
    "StackedExpectation",
    "Tuning",
    "TweedieExpectation",
    "TwoPartExpectation",
    "cross_fit",
    "evaluate",
    "grouped_folds",
    "last_period",
    "leave_out",
    "load_model",
    "read_learner",
    "recalibration",
    "save_model",
    "score_parts",
    "tune",
    "validate_elsewhere",
    "write_learner",
]
