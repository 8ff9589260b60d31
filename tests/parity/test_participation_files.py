"""NHS England's participation files as a study names them, and the rates that come of them.

The files are public but not ours to pass on; these tests say so and are skipped where
../shared/data/nhs_proms is absent.
"""

from pathlib import Path

import pandas as pd
import pytest

from riskadj import cross_fit, load_study, profile_providers, read_study, select_cohort
from riskadj.casemix import choose_casemix
from riskadj.cohort.rates import ALL
from riskadj.episodes.participation import NATION, read_participation
from riskadj.followup import follow_up
from riskadj.followup.follow import NOT_THERE

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "nhs_proms"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public NHS files are not here"),
]
GROUPS = {
    "All Procedures",
    "Hip Replacement",
    "Primary Hip Replacement",
    "Revision Hip Replacement",
}
OF_ENGLAND = {"participation": 0.6907777, "linkage": 1.0, "issue": 0.9496552, "response": 0.7706972}
"""Primary hips, 2018/19, as published."""


@pytest.mark.parametrize(("year", "providers"), [("1617", 311), ("1718", 313), ("1819", 316)])
def test_every_published_file_is_read(year, providers):
    found = read_participation([DATA / f"participation_hip_{year}.csv"])
    assert set(found.table["counted"]) == GROUPS
    assert found.table["provider_id"].nunique() == providers + 1
    own, hip = found.of("HIP_PRIM"), found.of("HIP_PRIM")["counted"].value_counts()
    assert own.loc[NATION, "q1"] > 45_000
    assert hip["Primary Hip Replacement"] > 150


def test_three_years_are_added():
    parts = [read_participation([DATA / f"participation_hip_{one}.csv"])
             for one in ("1617", "1718", "1819")]  # fmt: skip
    whole = read_participation(
        [DATA / f"participation_hip_{one}.csv" for one in ("1617", "1718", "1819")]
    )
    sums = sum(one.of("HIP_PRIM").loc[NATION, "q1"] for one in parts)
    assert whole.of("HIP_PRIM").loc[NATION, "q1"] == sums == 52_494 + 47_405 + 52_200


@pytest.fixture(scope="module")
def expectations():
    study = load_study(
        ROOT / "configs" / "studies" / "nhs_hip.yaml",
        ["learners=[{kind: reference}]", "profile.sensitivity={}", "split.train=[2016/17]",
         f"data.paths=[{DATA / 'Hip Replacement Provider 1617.csv.zip'}, "
         f"{DATA / 'Hip Replacement Provider 1819.csv.zip'}]",
         "profile.minimum_response=0.6"],
    )  # fmt: skip
    cohort = select_cohort(read_study(study), study, study.outcomes[0])
    return cross_fit(choose_casemix(cohort, study), study), study


def test_the_hip_study_has_englands_rates_and_nothing_of_those_who_did_not_answer(expectations):
    known, study = expectations
    found = follow_up(known, study)
    england = found.rates.set_index("provider_id").loc[ALL]
    for name, published in OF_ENGLAND.items():
        assert england[name] == pytest.approx(published, abs=5.1e-8)
    assert found.told == NOT_THERE
    assert found.analyses.empty


def test_a_minimum_response_of_six_in_ten_holds_seventeen_back(expectations):
    known, study = expectations
    table = profile_providers(known, study).table.set_index("provider_id")
    low = table[table["flag"] == "Response too low"]
    assert len(low) == 17
    assert low["adjusted"].notna().all()
    rates = known.cohort.rates.set_index("provider_id")["response"]
    assert pd.to_numeric(rates.loc[low.index]).max() < 0.6
