"""The Hospital Readmissions Reduction Program's payment factor, from patient rows of CMS's mock
hospital-specific reports, fiscal years 2022, 2023 and 2025: mock patients, real national
coefficients. The files are public but not ours to pass on; these tests say so and are skipped where
../shared/data/cms_hrrp_mock is absent.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskadj.payment import excess_readmission_ratio, hrrp_payment_factor, hrrp_penalties

DATA = Path(__file__).parents[3] / "shared" / "data" / "cms_hrrp_mock"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public CMS mock reports are not here"),
]

SHEETS = {"AMI": "AMI", "COPD": "COPD", "HF": "HF", "Pneumonia": "PN", "THA/TKA": "HK"}
COLUMNS = {
    "eligible_discharges": "n",
    "excess_readmission_ratio": "err",
    "peer_group_median_err": "peer_median",
    "drg_payment_ratio": "drg_ratio",
}
YEARS = {"2022": 1.0, "2023": 0.9956, "2025": 0.9993}
"""Published payment adjustment factors, and that of the year without a penalty."""
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def modifiers():
    table = pd.read_csv(DATA / "payment.csv", dtype={"fiscal_year": str})
    return table.set_index("fiscal_year")["neutrality_modifier"]


@cache
def published(year):
    """Return a year's measures as they are printed: text, with NQ and blanks."""
    table = pd.read_csv(DATA / "measure_results.csv", dtype=str, keep_default_na=False)
    # Footnote marks and blanks follow some names.
    measure = table["measure"].str.replace(r"\[\w\]", "", regex=True).str.strip()
    rows = table.assign(measure=measure)[table["fiscal_year"] == year]
    return rows.set_index("measure").rename(columns=COLUMNS)


@cache
def from_patients(year, measure):
    """Return what one sheet of discharges gives: coefficients in its first row, then patients."""
    sheet = pd.read_csv(DATA / f"FY{year}_{SHEETS[measure]}_discharges.csv.gz", dtype=str)
    names = pd.Series(sheet.columns).str.split(":", n=1).str[1]
    place = {word: int(names.str.startswith(word).argmax()) for word in ("Index Stay", "Unplanned")}
    first = 1 + int(names.str.startswith("Provider ID of Readmit").argmax())
    factors, effects = sheet.columns[first:-2], sheet.iloc[0, -2:].astype(float)
    assert effects.index.str.split(":").str[1].tolist() == ["HOSP_EFFECT", "AVG_EFFECT"]
    patients = sheet[sheet.iloc[:, place["Index Stay"]] == "Yes"]
    return excess_readmission_ratio(
        patients[factors].astype(float),
        sheet.loc[0, factors].astype(float),
        *effects,
        readmitted=(patients.iloc[:, place["Unplanned"]] == "Yes").astype(float),
    )


def with_results(year):
    return [one for one in SHEETS if published(year).loc[one, "n"] != "NQ"]


def measures_from_patients(year):
    """Return the measures of a year with n and the excess ratio from patient rows."""
    table = published(year)[["n", "err", "peer_median", "drg_ratio"]].copy()
    for measure in with_results(year):
        found = from_patients(year, measure)
        table.loc[measure, ["n", "err"]] = [str(found.n), repr(found.ratio)]
    return table


@pytest.mark.parametrize(("year", "factor"), YEARS.items())
def test_the_payment_factor_from_patient_rows_is_the_published_one(modifiers, year, factor):
    assert hrrp_payment_factor(measures_from_patients(year), modifiers[year]) == factor


@pytest.mark.parametrize(("year", "factor"), YEARS.items())
def test_the_payment_factor_from_published_ratios_is_the_published_one(modifiers, year, factor):
    assert hrrp_payment_factor(published(year), modifiers[year]) == factor
    as_numbers = published(year)[["n", "err", "peer_median", "drg_ratio"]].apply(
        pd.to_numeric, errors="coerce"
    )
    assert hrrp_payment_factor(as_numbers, modifiers[year]) == factor


def test_the_factors_in_the_file_are_those_tested():
    table = pd.read_csv(DATA / "payment.csv", dtype={"fiscal_year": str})
    given = table.set_index("fiscal_year")["payment_adjustment_factor"]
    assert given.to_dict() == YEARS


@pytest.mark.parametrize(
    ("year", "measure"), [(year, one) for year in YEARS for one in with_results(year)]
    if DATA.is_dir() else [],
)  # fmt: skip
def test_every_triplet_from_patient_rows_is_the_published_one(year, measure):
    row, found = published(year).loc[measure], from_patients(year, measure)
    assert found.n == int(row["n"])
    assert abs(found.predicted - float(row["predicted_rate"])) < TOLERANCE
    assert abs(found.expected - float(row["expected_rate"])) < TOLERANCE
    assert abs(found.ratio - float(row["err"])) < TOLERANCE
    assert found.observed * found.n == pytest.approx(float(row["readmissions"]))


def test_fourteen_measures_have_patient_rows():
    assert sum(len(with_results(year)) for year in YEARS) == 14


@pytest.mark.parametrize("year", YEARS)
def test_a_measure_is_penalised_exactly_where_the_report_says_so(modifiers, year):
    table = published(year)
    found = hrrp_penalties(table, modifiers[year])
    assert (found["penalty"] > 0).to_dict() == (table["penalty_indicator"] == "Yes").to_dict()


@pytest.mark.parametrize(
    ("year", "measure", "reason"),
    [
        ("2022", "AMI", "no_result"),
        ("2022", "COPD", "below_minimum"),
        ("2023", "Pneumonia", "suppressed"),
        ("2023", "CABG", "no_result"),
        ("2023", "HF", ""),
        ("2025", "COPD", "below_minimum"),
        ("2025", "HF", "not_above_peers"),
        ("2025", "THA/TKA", "not_above_peers"),
    ],
)
def test_a_measure_that_takes_nothing_off_says_why(modifiers, year, measure, reason):
    found = hrrp_penalties(measures_from_patients(year), modifiers[year]).loc[measure]
    assert found["reason"] == reason
    assert (found["penalty"] > 0) == (reason == "")


def test_2025_pneumonia_alone_is_penalised(modifiers):
    """n 32, ratio 1.00678 above the median 0.99115, share of payments 4.94 %."""
    found = hrrp_penalties(measures_from_patients("2025"), modifiers["2025"])["penalty"]
    assert found["Pneumonia"] == pytest.approx(0.00074607868, abs=5e-12)
    assert found.sum() == found["Pneumonia"]


def test_2023_heart_failure_and_hip_and_knee_add_up(modifiers):
    found = hrrp_penalties(measures_from_patients("2023"), modifiers["2023"])
    assert found["penalty"].sum() == pytest.approx(0.00438227716, abs=5e-12)
    assert found.index[found["penalty"] > 0].tolist() == ["HF", "THA/TKA"]


def test_with_a_lower_minimum_copd_of_2025_would_be_penalised(modifiers):
    """A ratio of 1.00036 above the median 0.99236, on 18 discharges."""
    at_18 = hrrp_penalties(published("2025"), modifiers["2025"], minimum=18).loc["COPD"]
    assert at_18["reason"] == ""
    wanted = modifiers["2025"] * 0.02260994823283 * (1.00035693831461 - 0.99236323101915)
    assert at_18["penalty"] == pytest.approx(wanted, rel=1e-12)


def test_no_event_in_45_is_0_observed_but_0_88_predicted():
    found = from_patients("2025", "THA/TKA")
    assert (found.n, found.observed, found.observed_ratio) == (45, 0.0, 0.0)
    assert found.ratio == pytest.approx(0.88194557229393, abs=TOLERANCE)
    assert found.ratio * 0.04506871240135 == pytest.approx(0.03974815, abs=5e-9)
    assert not np.isclose(found.ratio, found.observed_ratio)


def test_a_hospital_with_more_penalty_than_the_cap_keeps_97_per_cent(modifiers):
    table = published("2023").assign(err="1.9", n="100", peer_median="1.0", drg_ratio="1.00%")
    assert hrrp_payment_factor(table, modifiers["2023"]) == 0.97
