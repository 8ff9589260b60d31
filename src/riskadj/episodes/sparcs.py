"""New York's SPARCS de-identified inpatient discharges, as published, as episodes.

A row is a discharge: no patient, no date beyond the year. What is coded (diagnosis, procedure,
DRG, severity) is coded at discharge. Cells of `#` are numbers that a spreadsheet had no room for;
they are missing. A stay without a procedure has the procedure group "none". Discharges whose
facility is withheld (abortions) are nobody's, and left out; so are rows that are the same in every
cell as one before.
"""

from pathlib import Path

import pandas as pd

from riskadj.episodes.distinct import map_distinct
from riskadj.episodes.files import read_text_table
from riskadj.episodes.mapping import LEFT_OUT
from riskadj.episodes.shown import shown_list
from riskadj.errors import ColumnError, FileFormatError

INPATIENT = "INPATIENT"
"""The one procedure group: any stay in hospital."""

HEADERS = {
    "Permanent Facility Id": "provider_id",
    "Discharge Year": "period",
    "Age Group": "age_group",
    "Zip Code - 3 digits": "area",
    "Gender": "sex",
    "Race": "race",
    "Ethnicity": "ethnicity",
    "Type of Admission": "admission_type",
    "Emergency Department Indicator": "emergency",
    "Payment Typology 1": "insurance",
    "Birth Weight": "birth_weight",
    "CCSR Diagnosis Code": "diagnosis_group",
    "CCSR Procedure Code": "procedure_code_group",
    "APR DRG Code": "drg",
    "APR Severity of Illness Code": "drg_severity",
    "APR Risk of Mortality": "drg_mortality_risk",
    "APR Medical Surgical Description": "drg_kind",
    "Patient Disposition": "disposition",
    "Length of Stay": "length_of_stay",
    "Total Charges": "charges",
    "Total Costs": "cost_index",
}
_CODES = {
    "sex": {"M": "male", "F": "female", "U": ""},
    "emergency": {"Y": "1", "N": "0"},
    "length_of_stay": {"120 +": "120"},
    "drg_mortality_risk": {"Minor": "1", "Moderate": "2", "Major": "3", "Extreme": "4"},
    "drg_severity": {"0": ""},
    "drg_kind": {"Not Applicable": ""},
    "procedure_code_group": {"": "none"},
    "birth_weight": {"UNKN": "", "00000": ""},
}
"""From the file's words to those of the canonical columns; others pass as they are."""
_NUMBERS = ("length_of_stay", "charges", "cost_index", "birth_weight")
WITHHELD = "facility withheld"
TWICE = "the same in every cell as an earlier row"


def read_sparcs_file(path: Path) -> pd.DataFrame:
    """Read one file of discharges.

    Returns
    -------
    DataFrame
        Canonical column names; cells still text, with missing as empty text. `attrs` count what
        is left out.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
    """
    raw = read_text_table(path)
    absent = [one for one in HEADERS if one not in raw.columns]
    if len(absent) > len(HEADERS) / 2:
        raise FileFormatError(
            f"{path}: wanted SPARCS inpatient discharges (Permanent Facility Id, APR DRG Code, "
            f"Total Costs, ...); got a table that begins with {shown_list(raw.columns[:3])}."
        )
    if absent:
        raise ColumnError(
            f"{path}: wanted the published columns; got none called "
            f"{', '.join(repr(one) for one in absent[:3])}. Use the file as published."
        )
    repeated = raw.duplicated()
    withheld = raw["Permanent Facility Id"].str.strip().eq("") & ~repeated
    kept = raw[~repeated & ~withheld]
    table = pd.DataFrame({name: _translate(kept[old], name) for old, name in HEADERS.items()})
    table["procedure_group"] = INPATIENT
    table.attrs[LEFT_OUT] = {
        reason: int(count)
        for reason, count in ((TWICE, repeated.sum()), (WITHHELD, withheld.sum()))
        if count
    }
    return table.reset_index(drop=True)


def _translate(cells: pd.Series, name: str) -> pd.Series:
    return map_distinct(cells, lambda distinct: _translate_distinct(distinct, name))


def _translate_distinct(cells: pd.Series, name: str) -> pd.Series:
    text = cells.str.strip()
    text = text.mask(text.str.fullmatch("#+"), "")
    if name in _NUMBERS:
        text = text.str.replace(",", "", regex=False)
    codes = _CODES.get(name, {})
    return text.map(codes).where(text.isin(codes), text)
