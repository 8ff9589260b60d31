"""NHS England's PROMs record files, exactly as published, as the canonical episode table.

Zip or CSV in latin-1, one row per patient with both questionnaires; `*` suppressed, 9 missing
(999 on the EQ VAS), comorbidities 1 for yes and 9 for not ticked (NHS Digital, PROMs Data
Dictionary 3.4; CSV footnotes 2018/19). Headers differ in spaces and punctuation between years
and procedures, so they are matched on their letters and digits.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from riskadj.episodes.columns import COMORBIDITIES
from riskadj.episodes.distinct import map_distinct
from riskadj.episodes.files import read_text_table
from riskadj.episodes.shown import shown_cell, shown_list
from riskadj.errors import ColumnError, FileFormatError

_JOINTS = {
    "Hip Replacement": ("HIP", "ohs"),
    "Knee Replacement": ("KNEE", "oks"),
}
_STAGES = {"0": "PRIM", "1": "REV"}

_OXFORD_ITEMS = {
    "ohs": (
        "Pain", "Sudden Pain", "Night Pain", "Washing", "Transport", "Dressing",
        "Shopping", "Walking", "Limping", "Stairs", "Standing", "Work",
    ),
    "oks": (
        "Pain", "Night Pain", "Washing", "Transport", "Walking", "Standing",
        "Limping", "Kneeling", "Work", "Confidence", "Shopping", "Stairs",
    ),
}  # fmt: skip
_EQ5D_ITEMS = ("Mobility", "Self-Care", "Activity", "Discomfort", "Anxiety")
_COMORBIDITY_HEADERS = (
    "Heart Disease", "High Bp", "Stroke", "Circulation", "Lung Disease", "Diabetes",
    "Kidney Disease", "Nervous System", "Liver Disease", "Cancer", "Depression", "Arthritis",
)  # fmt: skip

_NINE = ("9",)
_VAS = ("999",)
_YES_NO = {"1": "1", "2": "0"}
_TICKED = {"1": "1", "9": "0"}


@dataclass(frozen=True)
class Mapped:
    """One canonical column and where the file has it.

    Attributes
    ----------
    name : str
        The canonical column.
    header : str
        Its header in the file.
    missing : tuple of str
        Codes that mean missing, besides those of the canonical column.
    codes : dict of str to str or None
        From the file's codes to those of the canonical column.
    """

    name: str
    header: str
    missing: tuple[str, ...] = ()
    codes: dict[str, str] | None = None


def _shared_columns() -> list[Mapped]:
    mapped = [
        Mapped("provider_id", "Provider Code"),
        Mapped("period", "Year"),
        Mapped("age_band_10y", "Age Band"),
        Mapped("sex", "Gender", _NINE),
        Mapped("assisted_q1", "Pre-Op Q Assisted", _NINE, _YES_NO),
        Mapped("symptom_period", "Pre-Op Q Symptom Period", _NINE),
        Mapped("previous_surgery", "Pre-Op Q Previous Surgery", _NINE, _YES_NO),
        Mapped("living_arrangements", "Pre-Op Q Living Arrangements", _NINE),
        Mapped("disability", "Pre-Op Q Disability", _NINE, _YES_NO),
        Mapped("anchor_change", "Post-Op Q Sucess", _NINE),
        Mapped("satisfaction", "Post-Op Q Satisfaction", _NINE),
        Mapped("further_surgery", "Post-Op Q Further Surgery", _NINE, _YES_NO),
        Mapped("readmitted", "Post-Op Q Readmitted", _NINE, _YES_NO),
    ]
    mapped += [
        Mapped(f"complication_{one}", f"Post-Op Q {one.title()}", _NINE, _YES_NO)
        for one in ("allergy", "bleeding", "wound", "urine")
    ]
    mapped += [
        Mapped(f"comorb_{one}", header, (), _TICKED)
        for one, header in zip(COMORBIDITIES, _COMORBIDITY_HEADERS, strict=True)
    ]
    for q, when in (("q1", "Pre-Op Q"), ("q2", "Post-Op Q")):
        mapped += [Mapped(f"{q}_score_eqvas", f"{when} EQ VAS", _VAS)]
        mapped += [Mapped(f"{q}_score_eq5d", f"{when} EQ5D Index")]
        mapped += [
            Mapped(f"{q}_item_eq5d_{number:02d}", f"{when} {item}", _NINE)
            for number, item in enumerate(_EQ5D_ITEMS, start=1)
        ]
    return mapped


def _joint_columns(procedure: str, measure: str) -> list[Mapped]:
    mapped = [
        Mapped("reference_predicted_eq5d", f"{procedure} EQ5D Index Post-Op Q Predicted"),
        Mapped("reference_predicted_eqvas", f"{procedure} EQ VAS Post-Op Q Predicted"),
        Mapped(
            f"reference_predicted_{measure}",
            f"{procedure} {measure.upper()} Post-Op Q Predicted",
        ),
    ]
    for q, when in (("q1", "Pre-Op Q"), ("q2", "Post-Op Q")):
        mapped += [Mapped(f"{q}_score_{measure}", f"{procedure} {when} Score")]
        mapped += [
            Mapped(f"{q}_item_{measure}_{number:02d}", f"{procedure} {when} {item}", _NINE)
            for number, item in enumerate(_OXFORD_ITEMS[measure], start=1)
        ]
    return mapped


def read_nhs_file(path: Path) -> pd.DataFrame:
    """Read one record file, hip or knee, as published.

    Returns
    -------
    DataFrame
        Canonical column names; cells still text, with missing as empty text.

    Raises
    ------
    FileMissingError, FileFormatError, ColumnError
    """
    raw = read_text_table(path, encoding="latin-1")
    headers = {_plain(one): one for one in raw.columns}
    _check_apart(raw.columns, headers, path)
    if not {"providercode", "procedure", "revisionflag"} <= set(headers):
        raise FileFormatError(
            f"{path}: wanted an NHS England PROMs record file (Provider Code, Procedure, Revision "
            f"Flag, Year, ...); got a table that begins with {shown_list(raw.columns[:3])}."
        )
    procedure = _one_procedure(raw[headers["procedure"]], path)
    joint, measure = _JOINTS[procedure]
    mapped = [*_shared_columns(), *_joint_columns(procedure, measure)]
    _check_headers(mapped, headers, path)
    table = {one.name: _translate(raw[headers[_plain(one.header)]], one) for one in mapped}
    table["age_band_10y"] = map_distinct(
        table["age_band_10y"], lambda bands: bands.str.split(" ", n=1).str[0]
    )
    stage = _stages(raw[headers["revisionflag"]].str.strip(), path)
    table["procedure_group"] = f"{joint}_" + stage
    ticked = [table[f"comorb_{one}"] == "1" for one in COMORBIDITIES]
    table["comorb_block_answered"] = (
        pd.concat(ticked, axis=1).any(axis=1).map({True: "1", False: "0"})
    )
    return pd.DataFrame(table)


def _plain(header: str) -> str:
    return "".join(letter for letter in header.lower() if letter.isalnum())


def _check_apart(columns: pd.Index, headers: dict[str, str], path: Path) -> None:
    """Refuse two columns whose names differ in signs only, as either might be meant."""
    alike = next((one for one in columns if _plain(one) and headers[_plain(one)] != one), None)
    if alike is not None:
        raise ColumnError(
            f"{path}: wanted each column once; got {shown_cell(alike)!r} and "
            f"{shown_cell(headers[_plain(alike)])!r}. Use the file as published."
        )


def _one_procedure(column: pd.Series, path: Path) -> str:
    found: list[str] = sorted(set(column))
    if len(found) != 1 or found[0] not in _JOINTS:
        raise FileFormatError(
            f"{path}: wanted one procedure among {', '.join(_JOINTS)}; "
            f"got {shown_list(found[:5]) or 'none'}."
        )
    return found[0]


def _stages(flags: pd.Series, path: Path) -> pd.Series:
    strange = flags[~flags.isin(_STAGES)]
    if not strange.empty:
        raise FileFormatError(
            f"{path}: wanted a Revision Flag of 0 or 1 in every row; got "
            f"{shown_cell(strange.iloc[0])!r} in {len(strange):,}, first in row "
            f"{strange.index[0] + 1}."
        )
    return flags.map(_STAGES)


def _check_headers(mapped: list[Mapped], headers: dict[str, str], path: Path) -> None:
    absent = [one.header for one in mapped if _plain(one.header) not in headers]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise ColumnError(
            f"{path}: wanted the published columns; got none called "
            f"{', '.join(repr(one) for one in absent[:3])}{more}. Use the file as published."
        )


def _translate(raw: pd.Series, mapped: Mapped) -> pd.Series:
    return map_distinct(raw, lambda codes: _translate_codes(codes, mapped))


def _translate_codes(codes: pd.Series, mapped: Mapped) -> pd.Series:
    text = codes.str.strip()
    text = text.mask(text.isin(mapped.missing), "")
    return text.map(mapped.codes).where(text.isin(mapped.codes), text) if mapped.codes else text
