"""NHS England's published figures, recomputed from its own record files.

The files are public but not ours to pass on; these tests say so and are skipped where
../shared/data/nhs_proms is absent.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj.casemix import choose_casemix
from riskadj.cohort import select_cohort
from riskadj.episodes import read_episodes
from riskadj.episodes.nhs import read_nhs_file
from riskadj.expected import cross_fit
from riskadj.instruments import INSTRUMENTS, score
from riskadj.profile import flag_from_z, profile_providers
from riskadj.stats import z_of_mean
from riskadj.study import load_study

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "nhs_proms"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public NHS files are not here"),
]

FILES = {
    "hip 2016/17": ("Hip Replacement Provider 1617.csv.zip", 44_241, "ohs"),
    "hip 2017/18": ("Hip Replacements Provider 1718.csv.zip", 39_323, "ohs"),
    "hip 2018/19": ("Hip Replacement Provider 1819.csv.zip", 41_280, "ohs"),
    "knee 2016/17": ("Knee Replacement Provider 1617.csv.zip", 47_604, "oks"),
}
MEASURES = {"ohs": "Oxford Hip Score", "eq5d": "EQ-5D Index", "eqvas": "EQ VAS"}
STAGES = {"HIP_PRIM": "Hip Replacement Primary", "HIP_REV": "Hip Replacement Revision"}
GAIN_TOLERANCE = {"ohs": 0.002, "eq5d": 0.0001, "eqvas": 0.002}
SD_TOLERANCE = 5e-5
MINIMUM_COMPARED = {"HIP_PRIM": 200, "HIP_REV": 12}


@pytest.fixture(scope="module")
def published():
    return pd.read_csv(DATA / "published_provider_results.csv", dtype=str)


@pytest.fixture(scope="module")
def records():
    """Return every file's cells as published, before any score is filled in."""
    return {file: read_nhs_file(DATA / name) for file, (name, _, _) in FILES.items()}


@pytest.fixture(scope="module")
def hip_1718():
    return read_episodes([DATA / FILES["hip 2017/18"][0]], "nhs_proms")


@pytest.mark.parametrize("file", FILES)
def test_every_published_score_is_that_of_its_items(records, file):
    _, rows, oxford = FILES[file]
    assert len(records[file]) == rows
    for measure in (oxford, "eq5d"):
        instrument = next(one for one in INSTRUMENTS.values() if one.measure == measure)
        for q in ("q1", "q2"):
            items = [one for one in records[file] if one.startswith(f"{q}_item_{measure}")]
            numbers = records[file][[*items, f"{q}_score_{measure}"]].apply(_numbers)
            computed = score(instrument, numbers[items])
            published = numbers[f"{q}_score_{measure}"].to_numpy()
            assert (~np.isnan(published)).sum() > 0.9 * rows
            np.testing.assert_array_equal(computed, published)


def test_all_files_hold_172448_records(records):
    assert sum(map(len, records.values())) == 172_448


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("measure", MEASURES)
def test_adjusted_gains_of_2017_18_are_the_published_ones(hip_1718, published, stage, measure):
    """The centre is England's published gain: the files leave out providers of 1 to 5 records."""
    england = _published(published, STAGES[stage], MEASURES[measure], "1718", "England")
    mine = _profile(hip_1718, stage, measure, england.iloc[0])
    theirs = _published(published, STAGES[stage], MEASURES[measure], "1718", "Provider")
    both = mine.join(theirs, how="inner")
    same = both[(both["n"] == both["published_n"]) & both["published_adjusted"].notna()]
    assert len(same) >= MINIMUM_COMPARED[stage]
    assert (same["adjusted"] - same["published_adjusted"]).abs().max() <= GAIN_TOLERANCE[measure]
    assert (same["sd"] - same["published_sd"]).abs().max() <= SD_TOLERANCE


@pytest.mark.parametrize("measure", MEASURES)
def test_flags_of_2017_18_are_the_published_ones_where_the_records_are(
    hip_1718, published, measure
):
    england = _published(published, STAGES["HIP_PRIM"], MEASURES[measure], "1718", "England")
    mine = _profile(hip_1718, "HIP_PRIM", measure, england.iloc[0])
    theirs = _published(published, STAGES["HIP_PRIM"], MEASURES[measure], "1718", "Provider")
    both = mine.join(theirs, how="inner")
    same = both[both["n"] == both["published_n"]]
    assert (same["flag"] == same["published_flag"]).all()


def test_every_published_primary_and_revision_flag_follows_from_the_gains(published):
    rows = published[published["Procedure"].str.contains("Primary|Revision")].copy()
    numbers = {
        "n": "Modelled Records",
        "gain": "Adjusted Average Health Gain",
        "sd": "Standard Deviation",
    }
    for new, old in numbers.items():
        rows[new] = pd.to_numeric(rows[old], errors="coerce")
    key = ["Procedure", "Measure", "year"]
    england = rows[rows["Organisation Type"] == "England"].set_index(key)
    providers = rows[rows["Organisation Type"] == "Provider"]
    judged = providers[providers["gain"].notna()]
    assert len(judged) == 2_951
    for at, group in judged.groupby(key):
        centre, sd = england.loc[at, "Health Gain"], england.loc[at, "sd"]
        z = z_of_mean(group["gain"], group["n"], float(centre), float(sd))
        np.testing.assert_array_equal(flag_from_z(z), group["Outlier"].to_numpy())
    unjudged = providers[providers["gain"].isna()]["Outlier"]
    assert set(unjudged) == {"Insufficient records", "No procedures"}


def _numbers(text):
    return pd.to_numeric(text.replace("", None))


def _profile(episodes, stage, measure, england):
    study = load_study(
        ROOT / "configs/studies/nhs_hip.yaml",
        [
            f"cohort.procedure_group={stage}",
            "learners=[{kind: reference}]",
            "split.train=[2017/18]",
            "split.test=[2017/18]",
            f"outcomes.{list(MEASURES).index(measure)}.reference="
            f"{{gain: {england['published_gain']}, sd: {england['published_sd']}}}",
        ],
    )
    outcome = next(one for one in study.outcomes if one.name == measure)
    casemix = choose_casemix(select_cohort(episodes, study, outcome), study)
    return profile_providers(cross_fit(casemix, study), study).table.set_index("provider_id")


def _published(published, procedure, measure, year, kind):
    rows = published[
        (published["Procedure"] == procedure)
        & (published["Measure"] == measure)
        & (published["year"] == year)
        & (published["Organisation Type"] == kind)
    ].set_index("Organisation Code")
    columns = {
        "Modelled Records": "published_n",
        "Health Gain": "published_gain",
        "Adjusted Average Health Gain": "published_adjusted",
        "Standard Deviation": "published_sd",
    }
    numbers = rows[list(columns)].rename(columns=columns).apply(pd.to_numeric, errors="coerce")
    return numbers.assign(published_flag=rows["Outlier"])
