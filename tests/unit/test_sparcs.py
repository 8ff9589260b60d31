"""New York's discharges: what a published file becomes, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from riskadj.casemix.roles import refusal, refusal_by
from riskadj.episodes import COLUMNS, read_episodes
from riskadj.episodes.sparcs import HEADERS, TWICE, WITHHELD
from riskadj.errors import ColumnError, FileFormatError, ValuesError
from riskadj.study.cohort import CaseMixRules

ROW = {
    "Permanent Facility Id": "1454", "Discharge Year": "2022", "Age Group": "18 to 29",
    "Zip Code - 3 digits": "100", "Gender": "M", "Race": "White",
    "Ethnicity": "Unknown", "Type of Admission": "Emergency",
    "Emergency Department Indicator": "Y", "Payment Typology 1": "Medicaid", "Birth Weight": "",
    "CCSR Diagnosis Code": "MBD003", "CCSR Procedure Code": "", "APR DRG Code": "753",
    "APR Severity of Illness Code": "2", "APR Risk of Mortality": "Major",
    "APR Medical Surgical Description": "Medical", "Patient Disposition": "Home or Self Care",
    "Length of Stay": "3", "Total Charges": "21,943.33", "Total Costs": "19793.21",
}  # fmt: skip


def written(tmp_path, *rows):
    path = tmp_path / "discharges.csv"
    pd.DataFrame([ROW | one for one in rows]).to_csv(path, index=False)
    return path


def test_a_discharge_becomes_an_episode(tmp_path):
    table = read_episodes([written(tmp_path, {})], "sparcs").table
    row = table.iloc[0]
    assert (row["provider_id"], row["period"], row["procedure_group"]) == (
        "1454",
        "2022",
        "INPATIENT",
    )
    assert (row["sex"], row["emergency"], row["drg"]) == ("male", 1.0, "753")
    assert (row["drg_severity"], row["drg_mortality_risk"]) == (2.0, 3.0)
    assert (row["cost_index"], row["charges"]) == (19793.21, 21943.33)
    assert row["procedure_code_group"] == "none"


@pytest.mark.parametrize("header", ["Total Costs", "Total Charges"])
def test_a_number_that_a_spreadsheet_had_no_room_for_is_missing(tmp_path, header):
    table = read_episodes([written(tmp_path, {header: "##########"})], "sparcs").table
    assert np.isnan(table[HEADERS[header]].iloc[0])


def test_rows_that_are_the_same_and_facilities_withheld_are_counted(tmp_path):
    path = written(tmp_path, {}, {}, {"Permanent Facility Id": ""}, {"Length of Stay": "120 +"})
    found = read_episodes([path], "sparcs")
    assert found.left_out == {TWICE: 1, WITHHELD: 1}
    assert found.table["length_of_stay"].tolist() == [3.0, 120.0]


def test_a_negative_cost_is_refused_by_name(tmp_path):
    with pytest.raises(ValuesError, match="cost_index"):
        read_episodes([written(tmp_path, {"Total Costs": "-5"})], "sparcs")


def test_another_table_is_none_of_these(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(FileFormatError, match="SPARCS"):
        read_episodes([path], "sparcs")


def test_a_column_that_is_gone_is_named(tmp_path):
    path = tmp_path / "discharges.csv"
    pd.DataFrame([ROW]).drop(columns="Total Costs").to_csv(path, index=False)
    with pytest.raises(ColumnError, match="'Total Costs'"):
        read_episodes([path], "sparcs")


def test_what_is_coded_at_discharge_gets_in_by_name_only():
    rules = {"columns": ["drg"], "allow_provider_influenced": False}
    without = CaseMixRules(**rules)
    named = CaseMixRules(**rules, coded_at_discharge=["drg"])
    assert "coded_at_discharge" in refusal_by(without, COLUMNS["drg"])
    assert refusal_by(named, COLUMNS["drg"]) == ""
    assert refusal_by(named, COLUMNS["drg_severity"])


@pytest.mark.parametrize("name", ["length_of_stay", "charges", "disposition"])
def test_what_the_provider_influences_stays_out_even_so(name):
    assert "influences" in refusal(COLUMNS[name], coded_at_discharge=True)
