"""CMS's mock hospital-specific reports: predicted, expected and excess ratio from patient rows.

Hospital Readmissions Reduction Program, fiscal years 2022, 2023 and 2025: mock patients, real
national coefficients. The files are public but not ours to pass on; these tests say so and are
skipped where ../shared/data/cms_hrrp_mock is absent.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from riskadj.stats.standardise import indirect_standardisation, predicted_over_expected

DATA = Path(__file__).parents[3] / "shared" / "data" / "cms_hrrp_mock"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public CMS mock reports are not here"),
]

SHEETS = {"AMI": "AMI", "COPD": "COPD", "HF": "HF", "Pneumonia": "PN", "THA/TKA": "HK"}
REPORTED = [
    *[("2022", one) for one in ("COPD", "HF", "Pneumonia", "THA/TKA")],
    *[("2023", one) for one in SHEETS],
    *[("2025", one) for one in SHEETS],
]
TOLERANCE = 1e-12


class Discharges(NamedTuple):
    """What one sheet says of the hospital's own patients, and of the nation."""

    linear_predictor: np.ndarray
    readmitted: np.ndarray
    hospital_effect: float
    average_effect: float


@pytest.fixture(scope="module")
def published():
    table = pd.read_csv(DATA / "measure_results.csv", dtype=str)
    # Footnote marks and blanks follow some names.
    measure = table["measure"].str.replace(r"\[\w\]", "", regex=True).str.strip()
    return table.assign(measure=measure).set_index(["fiscal_year", "measure"])


def discharges(year, measure):
    """Read one sheet: coefficients in its first row, then a row per discharge."""
    sheet = pd.read_csv(DATA / f"FY{year}_{SHEETS[measure]}_discharges.csv.gz", dtype=str)
    named = {name.split(":", 1)[1]: place for place, name in enumerate(sheet.columns)}
    first = 1 + next(at for name, at in named.items() if name.startswith("Provider ID of Readmit"))
    stay = next(at for name, at in named.items() if name.startswith("Index Stay"))
    event = next(at for name, at in named.items() if name.startswith("Unplanned Readmission"))
    assert list(named)[-2:] == ["HOSP_EFFECT", "AVG_EFFECT"]
    patients = sheet[sheet.iloc[:, stay] == "Yes"]
    return Discharges(
        patients.iloc[:, first:-2].astype(float).to_numpy()
        @ sheet.iloc[0, first:-2].astype(float).to_numpy(),
        (patients.iloc[:, event] == "Yes").to_numpy(dtype=float),
        *sheet.iloc[0, -2:].astype(float),
    )


def profiled(sheet):
    return predicted_over_expected(
        sheet.linear_predictor,
        ["hospital"] * len(sheet.linear_predictor),
        {"hospital": sheet.hospital_effect},
        sheet.average_effect,
        link="logit",
    )


def test_every_measure_with_a_result_is_tested(published):
    with_result = published.index[published["predicted_rate"] != "NQ"]
    assert sorted(with_result) == sorted(REPORTED)
    assert len(REPORTED) == 14


@pytest.mark.parametrize(("year", "measure"), REPORTED)
def test_predicted_expected_and_excess_ratio_are_the_published_ones(published, year, measure):
    row = published.loc[(year, measure)]
    result = profiled(discharges(year, measure))
    assert abs(result.predicted[0] - float(row["predicted_rate"])) < TOLERANCE
    assert abs(result.expected[0] - float(row["expected_rate"])) < TOLERANCE
    assert abs(result.ratio[0] - float(row["excess_readmission_ratio"])) < TOLERANCE


@pytest.mark.parametrize(("year", "measure"), REPORTED)
def test_eligible_discharges_and_readmissions_are_those_of_the_rows(published, year, measure):
    row, sheet = published.loc[(year, measure)], discharges(year, measure)
    assert profiled(sheet).n.tolist() == [int(row["eligible_discharges"])]
    assert sheet.readmitted.sum() == int(row["readmissions"])


def test_no_event_makes_a_ratio_of_0_observed_but_of_0_88_predicted(published):
    """FY2025 hip and knee: 45 patients, none readmitted."""
    row, sheet = published.loc[("2025", "THA/TKA")], discharges("2025", "THA/TKA")
    predicted = profiled(sheet)
    expected = np.full(45, predicted.expected[0])
    observed = indirect_standardisation(sheet.readmitted, expected, ["hospital"] * 45)
    assert observed.ratio.tolist() == [0.0]
    assert predicted.ratio[0] == pytest.approx(0.88194557229393, abs=TOLERANCE)
    national = float(row["national_observed_rate"])
    assert predicted.risk_standardised(national)[0] == pytest.approx(0.03974815, abs=5e-9)


@pytest.mark.parametrize(("year", "measure"), REPORTED)
def test_a_hospital_at_the_average_effect_has_a_ratio_of_1(year, measure):
    sheet = discharges(year, measure)
    assert profiled(sheet._replace(hospital_effect=sheet.average_effect)).ratio[0] == 1.0
