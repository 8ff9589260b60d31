"""Record files as NHS England publishes them: headers of every year, codes, and other tables."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from riskadj.episodes import Episodes, ValuesFault, read_episodes
from riskadj.errors import ColumnError, FileFormatError

HEADER = """
    Provider Code,Procedure,Revision Flag,Year,Age Band,Gender,Pre-Op Q Assisted,
    Pre-Op Q Assisted By,Pre-Op Q Symptom Period,Pre-Op Q Previous Surgery,
    Pre-Op Q Living Arrangements,Pre-Op Q Disability,Heart Disease,High Bp,Stroke,Circulation,
    Lung Disease,Diabetes,Kidney Disease,Nervous System,Liver Disease,Cancer,Depression,
    Arthritis,Pre-Op Q Mobility,Pre-Op Q Self-Care,Pre-Op Q Activity,Pre-Op Q Discomfort,
    Pre-Op Q Anxiety,Pre-Op Q EQ5D Index Profile,Pre-Op Q EQ5D Index,Post-Op Q Assisted,
    Post-Op Q Assisted By,Post-Op Q Living Arrangements,Post-Op Q Disability,Post-Op Q Mobility,
    Post-Op Q Self-Care,Post-Op Q Activity,Post-Op Q Discomfort,Post-Op Q Anxiety,
    Post-Op Q Satisfaction,Post-Op Q Sucess,Post-Op Q Allergy,Post-Op Q Bleeding,
    Post-Op Q Wound,Post-Op Q Urine,Post-Op Q Further Surgery,Post-Op Q Readmitted,
    Post-Op Q EQ5D Index Profile,Post-Op Q EQ5D Index
"""
SHARED = [one.strip() for one in HEADER.split(",")]
ITEMS = {
    "Hip": (
        "Pain", "Sudden Pain", "Night Pain", "Washing", "Transport", "Dressing",
        "Shopping", "Walking", "Limping", "Stairs", "Standing", "Work",
    ),
    "Knee": (
        "Pain", "Night Pain", "Washing", "Transport", "Walking", "Standing",
        "Limping", "Kneeling", "Work", "Confidence", "Shopping", "Stairs",
    ),
}  # fmt: skip
PREDICTED = {  # as published: hip in all three years, knee in 2016/17
    "Hip": ("EQ5D Index Post-Op Q Predicted", "EQ VAS Post-Op Q Predicted", "OHS"),
    "Knee": ("EQ 5D Index Post-Op Q Predicted", "EQ VAS_Post-Op Q Predicted", "OKS"),
}
MEASURES = {"Hip": "ohs", "Knee": "oks"}


def record(joint: str = "Hip", **changes: str) -> dict[str, str]:
    """Return one published row: every pre-op item 2 or the middle, every post-op item the best."""
    name = f"{joint} Replacement"
    eq5d, vas, oxford = PREDICTED[joint]
    row = dict.fromkeys(SHARED, "9")
    row |= {"Provider Code": "RAA01", "Procedure": name, "Revision Flag": "0", "Year": "2018/19"}
    row |= {"Age Band": "60 to 69", "Gender": "2", "Pre-Op Q Symptom Period": "2"}
    row |= dict.fromkeys(SHARED[24:29], "2") | dict.fromkeys(SHARED[35:40], "1")
    row |= {"Pre-Op Q EQ5D Index Profile": "22222", "Pre-Op Q EQ5D Index": "0.516"}
    row |= {"Post-Op Q EQ5D Index Profile": "11111", "Post-Op Q EQ5D Index": "1"}
    row |= {f"{name} {eq5d}": "0.75", "Pre-Op Q EQ VAS": "50", "Post-Op Q EQ VAS": "80"}
    row |= {f"{name} {vas}": "71.5"}
    for when, level, score in (("Pre-Op Q", "2", "24"), ("Post-Op Q", "4", "48")):
        row |= {f"{name} {when} {item}": level for item in ITEMS[joint]}
        row |= {f"{name} {when} Score": score}
    return row | {f"{name} {oxford} Post-Op Q Predicted": "38.5"} | changes


def published(folder: Path, *rows: dict[str, str], drop: tuple[str, ...] = ()) -> Path:
    """Write rows as the publisher does: one latin-1 CSV in a zip, beside what macOS leaves."""
    table = pd.DataFrame(list(rows)).drop(columns=list(drop))
    path = folder / "Replacement Provider 1819.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Provider.csv", table.to_csv(index=False).encode("latin-1"))
        archive.writestr("__MACOSX/._Provider.csv", b"\x00\x05")
    return path


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Episodes]:
    def read_rows(*rows: dict[str, str], **options: Any) -> Episodes:
        return read_episodes([published(tmp_path, *rows, **options)], "nhs_proms")

    return read_rows


Read = Callable[..., Episodes]


@pytest.mark.parametrize("joint", ["Hip", "Knee"])
def test_a_published_record_becomes_a_canonical_episode(joint: str, read: Read) -> None:
    row = read(record(joint)).table.iloc[0]
    measure = MEASURES[joint]
    assert row["provider_id"] == "RAA01"
    assert row["period"] == "2018/19"
    assert row["procedure_group"] == f"{joint.upper()}_PRIM"
    assert (row["age_band_10y"], row["sex"], row["symptom_period"]) == (60.0, "female", 2.0)
    assert (row[f"q1_score_{measure}"], row[f"q2_score_{measure}"]) == (24.0, 48.0)
    assert (row["q1_score_eq5d"], row["q2_score_eq5d"]) == (0.516, 1.0)
    assert (row["q1_score_eqvas"], row["q2_score_eqvas"]) == (50.0, 80.0)


@pytest.mark.parametrize("joint", ["Hip", "Knee"])
def test_the_publishers_own_expectations_are_read_for_every_measure(joint: str, read: Read) -> None:
    row = read(record(joint)).table.iloc[0]
    got = [row[f"reference_predicted_{one}"] for one in (MEASURES[joint], "eq5d", "eqvas")]
    assert got == [38.5, 0.75, 71.5]


@pytest.mark.parametrize(
    ("published_as", "also"),
    [
        ("EQ5D Index Post-Op Q Predicted", "EQ 5D Index Post-Op Q Predicted"),
        ("EQ VAS Post-Op Q Predicted", "EQ VAS_Post-Op Q Predicted"),
        ("Pre-Op Q Self-Care", "Pre Op Q Self Care"),
        ("Provider Code", "PROVIDER CODE "),
    ],
)
def test_headers_are_matched_on_letters_and_digits(
    published_as: str, also: str, read: Read
) -> None:
    renamed = {key.replace(published_as, also): one for key, one in record().items()}
    assert renamed.keys() != record().keys()
    got, want = (read(one).table.drop(columns="episode_id") for one in (renamed, record()))
    pd.testing.assert_frame_equal(got, want)


@pytest.mark.parametrize(("flag", "want"), [("0", "KNEE_PRIM"), ("1", "KNEE_REV")])
def test_revisions_are_another_procedure_group(flag: str, want: str, read: Read) -> None:
    row = record("Knee", **{"Revision Flag": flag})
    assert read(row).table["procedure_group"].tolist() == [want]


@pytest.mark.parametrize("flag", ["2", "", "*", "9"])
def test_a_record_that_is_neither_primary_nor_revision_is_refused(flag: str, read: Read) -> None:
    with pytest.raises(FileFormatError, match=r"Flag of 0 or 1 .* got '.*' in 1, first in row 2"):
        read(record(), record(**{"Revision Flag": flag}))


@pytest.mark.parametrize(
    ("header", "cell", "column"),
    [
        ("Age Band", "*", "age_band_10y"),
        ("Gender", "*", "sex"),
        ("Gender", "9", "sex"),
        ("Pre-Op Q Symptom Period", "9", "symptom_period"),
        ("Pre-Op Q Previous Surgery", "9", "previous_surgery"),
        ("Pre-Op Q Living Arrangements", "9", "living_arrangements"),
        ("Pre-Op Q EQ VAS", "999", "q1_score_eqvas"),
        ("Post-Op Q EQ VAS", "999", "q2_score_eqvas"),
        ("Post-Op Q Satisfaction", "9", "satisfaction"),
        ("Post-Op Q Readmitted", "9", "readmitted"),
        ("Hip Replacement OHS Post-Op Q Predicted", "", "reference_predicted_ohs"),
    ],
)
def test_published_codes_for_missing_are_null(
    header: str, cell: str, column: str, read: Read
) -> None:
    assert read(record(**{header: cell})).table[column].isna().all()


@pytest.mark.parametrize(
    ("header", "cell", "column", "want"),
    [
        ("Gender", "1", "sex", "male"),
        ("Age Band", "90 to 120", "age_band_10y", 90.0),
        ("Pre-Op Q Disability", "1", "disability", 1.0),
        ("Pre-Op Q Disability", "2", "disability", 0.0),
        ("Pre-Op Q Living Arrangements", "3", "living_arrangements", "care_home"),
        ("Heart Disease", "1", "comorb_heart", 1.0),
        ("Heart Disease", "9", "comorb_heart", 0.0),
        ("High Bp", "1", "comorb_high_bp", 1.0),
        ("Post-Op Q Sucess", "1", "anchor_change", 1.0),
        ("Post-Op Q Wound", "2", "complication_wound", 0.0),
    ],
)
def test_published_codes_mean_what_the_dictionary_says(
    header: str, cell: str, column: str, want: object, read: Read
) -> None:
    assert read(record(**{header: cell})).table[column].tolist() == [want]


def test_a_block_of_comorbidities_counts_as_answered_when_one_is_ticked(read: Read) -> None:
    table = read(record(Cancer="1"), record()).table
    assert table["comorb_block_answered"].tolist() == [1.0, 0.0]


def test_nine_on_the_visual_analogue_scale_is_a_nine(read: Read) -> None:
    assert read(record(**{"Pre-Op Q EQ VAS": "9"})).table["q1_score_eqvas"].tolist() == [9.0]


@pytest.mark.parametrize(("missing", "score"), [(2, 24.0), (3, None)])
def test_a_score_without_some_answers_follows_the_rule_for_missing_items(
    missing: int, score: float | None, read: Read
) -> None:
    gaps = {f"Hip Replacement Pre-Op Q {item}": "9" for item in ITEMS["Hip"][:missing]}
    row = record(**gaps, **{"Hip Replacement Pre-Op Q Score": ""})
    got = read(row).table["q1_score_ohs"].iloc[0]
    assert pd.isna(got) if score is None else got == score


@pytest.mark.parametrize(
    ("header", "cell", "column"),
    [
        ("Hip Replacement Pre-Op Q Score", "25", "q1_score_ohs"),
        ("Post-Op Q EQ5D Index", "0.9", "q2_score_eq5d"),
    ],
)
def test_a_published_score_that_its_items_do_not_give_is_a_fault(
    header: str, cell: str, column: str, read: Read
) -> None:
    with pytest.raises(ValuesFault, match=rf"{column}: wanted the score that its items give"):
        read(record(), record(**{header: cell}))


def test_an_answer_that_is_none_is_a_fault(read: Read) -> None:
    with pytest.raises(ValuesFault, match=r"q1_item_ohs_01: wanted 0 to 4 code; 1 row differs"):
        read(record(**{"Hip Replacement Pre-Op Q Pain": "5"}))


def test_a_table_of_organisations_is_refused_as_another_file(tmp_path: Path) -> None:
    table = {"Procedure": "Hip Replacement", "Organisation Type": "CCG", "Organisation Code": "00C"}
    with pytest.raises(FileFormatError, match="begins with Procedure, Organisation Type"):
        read_episodes([published(tmp_path, table)], "nhs_proms")


@pytest.mark.parametrize("rows", [[record(), record("Knee")], [record(Procedure="Varicose Vein")]])
def test_a_file_of_other_procedures_is_refused(rows: list[dict[str, str]], read: Read) -> None:
    with pytest.raises(FileFormatError, match="wanted one procedure among Hip Replacement"):
        read(*rows)


def test_published_columns_that_are_not_there_are_named(read: Read) -> None:
    with pytest.raises(ColumnError, match=r"none called 'Age Band', 'Gender'\. Use the file as"):
        read(record(), drop=("Age Band", "Gender"))


def test_many_absent_columns_are_counted(read: Read) -> None:
    with pytest.raises(ColumnError, match="and 9 more"):
        read(record(), drop=tuple(SHARED[12:24]))


def test_the_same_file_twice_is_a_fault(tmp_path: Path) -> None:
    path = published(tmp_path, record())
    with pytest.raises(ValuesFault, match="episode_id: wanted each value once"):
        read_episodes([path, path], "nhs_proms")
