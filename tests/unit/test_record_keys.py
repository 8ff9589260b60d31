"""Every record says which of its keys do not go together, or are not what they should be."""

import re

import numpy as np
import pytest
from pydantic import ValidationError

from riskadj.episodes.columns import Column
from riskadj.errors import FileFormatError
from riskadj.experiment.records import Experiment
from riskadj.instruments.value_set_terms import checked_values
from riskadj.payment.steps import ExcessMeasure, QualityMeasure, Scale
from riskadj.payment.terms import Target
from riskadj.simulate.scenario import Scenario
from riskadj.study.data import Data
from riskadj.study.fairness import SocialRules
from riskadj.study.learners import Split
from riskadj.study.outcomes import Outcome

EXCESS = {"name": "Readmissions", "ratio_column": "ratio", "n_column": "n", "weight": 0.1}
COST = {"name": "cost", "kind": "cost", "column": "cost", "currency": "EUR", "price_year": 2024}
SOURCED = {"source": "agreed", "confirmed": True}
EXPECTED = {"baseline": {"kind": "expected"} | SOURCED}
COLUMN = {"name": "x", "kind": "number", "known_at": "baseline", "role": "clinical", "meaning": "X"}

REFUSED = {
    "claims without their rules": (
        Data, {"format": "claims", "paths": ["lines.csv"]}, "wanted claims .their rules.*got none"
    ),
    "periods that are no list": (
        Split, {"train": 2024, "test": ["2025"], "seed": 1}, "train\n.*tuple"
    ),
    "periods of a world that are no list": (Scenario, {"periods": 2024}, "periods\n.*tuple"),
    "a social factor twice": (
        SocialRules, {"columns": ["age_years", "age_years"]}, "wanted each column once"
    ),
    "bounds the wrong way round": (
        Column, COLUMN | {"low": 2, "high": 1}, "wanted low up to high; got 2 and 1"
    ),
    "a ratio without its cases": (ExcessMeasure, EXCESS | {"n_column": None}, "wanted n_column"),
    "a ratio of two origins": (ExcessMeasure, EXCESS | {"outcome": "ohs"}, "outcome or a ratio_c"),
    "a weight and a column of it": (
        ExcessMeasure, EXCESS | {"weight_column": "share"}, "wanted a weight or a weight_column"
    ),
    "a median and a column of it": (
        ExcessMeasure, EXCESS | {"median": 1, "median_column": "m"}, "a median or a median_column"
    ),
    "two ends that are one": (
        Scale, {"kind": "linear", "zero": 3, "full": 3}, "wanted two ends that differ"
    ),
    "a measure of nothing": (
        QualityMeasure, {"name": "q", "weight": 1, "scale": {"kind": "percentile"}},
        "wanted an outcome or a column",
    ),
    "case mix twice in a target": (
        Target, EXPECTED | {"case_mix": "ratio"}, "which holds it already"
    ),
    "more cells than anybody works out": (
        Experiment,
        {"grid": [{str(k): ["split.seed=1"] for k in range(100)} for _ in range(3)]},
        "wanted up to .* cells; got more",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("record", "given", "says"), REFUSED.values(), ids=REFUSED)
def test_keys_that_do_not_go_together_are_refused(record, given, says):
    with pytest.raises(ValidationError) as refused:
        record.model_validate(given)
    assert re.search(says, str(refused.value))


def test_an_outcome_without_a_threshold_has_no_rule_of_one():
    with pytest.raises(ValueError, match="outcome cost: kind cost has no threshold"):
        assert Outcome.model_validate(COST).rule


def test_values_of_an_instrument_are_numbers():
    with pytest.raises(FileFormatError, match="XX: wanted a number for every profile"):
        checked_values("XX", np.array([1.0, np.nan]))
