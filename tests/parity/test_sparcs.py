"""Expected cost on real and very skewed costs: New York's inpatient discharges of 2022.

The sample is a convenience sample of 11,999 discharges; its R2 moves by a few hundredths with the
folds. What is used is known at admission or coded at discharge, and declared so; length of stay,
charges and disposition are not used.
"""

from pathlib import Path

import numpy as np
import pytest

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.expected import cross_fit
from riskadj.pipeline import read_study
from riskadj.profile import profile_providers
from riskadj.stats.cost_fit import cost_fit
from riskadj.study import load_study

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "sparcs_2022_sample"
pytestmark = [
    pytest.mark.data,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public discharges are not here"),
]
INFLUENCED = {"length_of_stay", "charges", "disposition"}


@pytest.fixture(scope="module")
def study():
    return load_study(ROOT / "configs" / "studies" / "sparcs_cost.yaml")


@pytest.fixture(scope="module")
def cohort(study):
    return select_cohort(read_study(study), study, study.outcomes[0])


@pytest.fixture(scope="module")
def expectations(study, cohort):
    return cross_fit(choose_casemix(cohort, study), study)


@pytest.fixture(scope="module")
def fits(expectations):
    return {
        learner: cost_fit(rows["observed"].to_numpy(), rows["expected"].to_numpy())
        for learner, rows in expectations.by_learner()
    }


def test_overflow_cells_duplicates_and_withheld_facilities_are_accounted_for(cohort):
    flow = cohort.flow.set_index("reason")["left"]
    assert len(cohort.test) == 11_968
    assert flow["left out of the same in every cell as an earlier row"] == 3
    assert flow["left out of facility withheld"] == 20
    assert flow["no cost"] == 8


def test_nothing_that_the_provider_influences_is_adjusted_for(expectations):
    names = set(expectations.casemix.names)
    assert not names & INFLUENCED
    late = {one.name for one in expectations.casemix.columns if one.known_at != "baseline"}
    assert late == {
        "diagnosis_group", "procedure_code_group", "drg", "drg_severity", "drg_mortality_risk",
        "drg_kind",
    }  # fmt: skip


def test_the_best_learner_explains_what_was_asked_for(fits):
    assert max(one.r2 for one in fits.values()) >= 0.36
    assert fits["stacked"].r2 >= 0.36


def test_every_learner_expects_what_was_spent_and_nothing_negative(fits):
    for learner, one in fits.items():
        assert one.total_ratio == pytest.approx(1, abs=0.001), learner
        assert one.negative_share == 0, learner


def test_facilities_with_thirty_or_more_have_a_ratio_and_an_interval(study, expectations):
    table = profile_providers(expectations, study).table
    enough = table[table["n"] >= 30]
    assert set(enough["learner"]) == {one.kind for one in study.learners}
    assert (enough.groupby("learner")["provider_id"].nunique() == 34).all()
    assert (enough["ratio"] > 0).all()
    assert np.isfinite(enough[["ci_lower95", "ci_upper95"]]).all(axis=None)
    assert (enough["ci_lower95"] < enough["adjusted"]).all()
    assert (enough["adjusted"] < enough["ci_upper95"]).all()
