"""Claim lines and patients that are not as they should be: refused by name, with counts."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from claims_worlds import line, patient, rules_of, write_world

from riskadj.claims import ClaimRules, read_claims
from riskadj.episodes import Episodes, ValuesFault
from riskadj.errors import (
    ColumnError,
    EmptyCohortError,
    FileFormatError,
    FileMissingError,
    StudyError,
)

INDEX = line("ann", "2020-03-01", to_date="2020-03-05", drg="470")
VISIT = line("ann", "2020-03-20", "outpatient", paid_amount="25.50")


def read(folder: Path, lines: Any, patients: Any = None, **changes: Any) -> Episodes:
    files = write_world(folder, lines, patients or [patient("ann"), patient("bob")])
    return read_claims(files, rules_of(folder, **changes), threads=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"claim_id": ""}, "claim_id: wanted a value"),
        ({"patient_id": "carl"}, "patient_id: wanted a patient of the patients' file"),
        ({"patient_id": ""}, "patient_id: wanted a patient"),
        ({"from_date": "soon"}, "from_date: wanted a date such as 2019-03-31"),
        ({"to_date": "2020-02-30"}, "to_date: wanted a date such as 2019-03-31"),
        ({"to_date": "2020-03-19"}, "to_date: wanted a date on or after from_date"),
        ({"from_date": "2018-12-31"}, "wanted a date in the data's period, 2019-01-01 to"),
        ({"from_date": "2023-01-01", "to_date": "2023-01-01"}, "wanted a date in the data's"),
        ({"setting": "hotel"}, "setting: wanted one of inpatient, .*('hotel' in 2)"),
        ({"paid_amount": ""}, "paid_amount: wanted an amount"),
        ({"paid_amount": "free"}, "paid_amount: wanted an amount"),
        ({"paid_amount": "nan"}, "paid_amount: wanted an amount"),
        ({"paid_amount": "-0.01"}, "paid_amount: wanted 0 or more"),
        ({"paid_amount": "-inf"}, "paid_amount: wanted 0 or more"),
        ({"paid_amount": "1.005"}, r"paid_amount: wanted at most 2 decimals \(minor_units\)"),
        ({"paid_amount": "999999999999.995"}, "paid_amount: wanted at most 2 decimals"),
        ({"paid_amount": "inf"}, r"paid_amount: wanted at most 1e\+12"),
        ({"setting": "inpatient", "provider_id": "", "drg": "470"}, "provider_id: wanted a value"),
        (
            {"setting": "inpatient", "discharge_status": "gone", "drg": "470"},
            "discharge_status: wanted one of home, .*('gone' in 2)",
        ),
        ({"setting": "inpatient", "drg": "999"}, "drg: wanted a DRG of known_drgs.*'999' in 2"),
        ({"setting": "inpatient", "drg": ""}, "drg: wanted a DRG of known_drgs.*'' in 2"),
    ],
)
def test_lines_that_are_wrong_are_named_and_counted(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    wrong = {**VISIT, **change}
    other = {**wrong, "claim_id": wrong["claim_id"] and "other"}
    with pytest.raises(ValuesFault, match=f"claims.csv: .*{message}") as caught:
        read(tmp_path, [INDEX, wrong, VISIT, other], known_drgs=["470", "467", "468"])
    assert "2 lines differ" in str(caught.value)
    assert all(name not in str(caught.value) for name in ("ann", "bob", "carl"))


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_faults_name_the_first_five_rows_of_the_file(tmp_path: Path, ending: str) -> None:
    wrong = {**VISIT, "paid_amount": "-1"}
    lines = [INDEX, wrong, VISIT, *({**wrong, "claim_id": f"c{one}"} for one in range(9))]
    path = tmp_path / f"claims.{ending}"
    write_world(tmp_path, lines, [patient("ann")])
    table = pd.DataFrame(lines)
    if ending == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    with pytest.raises(ValuesFault) as caught:
        read_claims([path], rules_of(tmp_path), threads=2)
    assert "10 lines differ (rows 2, 4, 5, 6, 7)" in str(caught.value)


def test_rows_are_counted_by_file_where_there_are_several(tmp_path: Path) -> None:
    wrong = {**VISIT, "setting": "hotel"}
    write_world(tmp_path, [INDEX], [patient("ann")])
    names = ["a.csv", "b.csv", "c.csv"]
    for name, lines in zip(names, ([INDEX, wrong], [VISIT], [VISIT, VISIT, wrong]), strict=True):
        pd.DataFrame(lines).to_csv(tmp_path / name, index=False)
    with pytest.raises(ValuesFault) as caught:
        read_claims([tmp_path / one for one in names], rules_of(tmp_path), threads=1)
    assert "2 lines differ ('hotel' in 2; a.csv row 2; c.csv row 3)" in str(caught.value)


def test_rows_count_on_over_cells_with_line_breaks_and_many_rows(tmp_path: Path) -> None:
    odd = {**VISIT, "procedure_code": "two\nlines"}
    many = [{**VISIT, "claim_id": f"c{one}"} for one in range(30_000)]
    wrong = {**VISIT, "paid_amount": "-1"}
    with pytest.raises(ValuesFault, match=r"1 line differs \(row 30003\)"):
        read(tmp_path, [INDEX, odd, *many, wrong])


def test_a_negative_amount_is_taken_for_a_reversal(tmp_path: Path) -> None:
    with pytest.raises(ValuesFault, match="net the two by claim before, or drop both"):
        read(tmp_path, [INDEX, {**VISIT, "paid_amount": "-25.50"}])


@pytest.mark.parametrize("amount", [0.1 + 0.2, 99_999_999.99, 1.1, 4.35])
def test_an_amount_that_is_off_by_binary_fractions_is_taken(tmp_path: Path, amount: float) -> None:
    files = write_world(tmp_path, [INDEX], [patient("ann")])
    pd.DataFrame([{**INDEX, "paid_amount": amount}]).to_parquet(tmp_path / "claims.parquet")
    table = read_claims([tmp_path / "claims.parquet"], rules_of(tmp_path)).table
    assert table["cost_index"].tolist() == [round(amount, 2)]
    assert len(files) == 1


def test_a_line_that_is_there_twice_is_refused_unless_the_rules_keep_it(tmp_path: Path) -> None:
    lines = [INDEX, VISIT, VISIT, VISIT, {**VISIT, "paid_amount": "25.51"}]
    told = r"claim_id: wanted each line once.*2 lines differ \(rows 2, 3, 4\)"
    with pytest.raises(ValuesFault, match=told):
        read(tmp_path, lines)
    table = read(tmp_path, lines, duplicates="keep").table
    assert table["cost_outpatient_30d"].tolist() == [102.01]


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    lines = [INDEX, {**VISIT, "paid_amount": "-1", "setting": "hotel"}, {**VISIT, "from_date": ""}]
    with pytest.raises(ValuesFault) as caught:
        read(tmp_path, lines)
    assert {one.column for one in caught.value.faults} == {"paid_amount", "setting", "from_date"}
    assert all(one.count == 1 for one in caught.value.faults)


@pytest.mark.parametrize("currency", ["EUR", ""])
def test_a_second_currency_is_refused(tmp_path: Path, currency: str) -> None:
    lines = [{**INDEX, "currency": "USD"}, {**VISIT, "currency": currency}]
    with pytest.raises(ValuesFault, match=rf"wanted USD alone; 1 line differs \('{currency}' in 1"):
        read(tmp_path, lines)
    lines[1]["currency"] = "USD"
    assert len(read(tmp_path, lines).table) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patient_id": ""}, "patient_id: wanted a value"),
        ({"patient_id": "ann"}, "each patient once; 2 patients differ"),
        ({"birth_date": "1950"}, "birth_date: wanted a date such as"),
        ({"enrolled_from": ""}, "enrolled_from: wanted a date"),
        ({"enrolled_to": "2010-01-01"}, "enrolled_to: wanted a date on or after enrolled_from"),
        ({"death_date": "1900-01-01"}, "death_date: wanted a date on or after birth_date"),
        ({"death_date": "never"}, "death_date: wanted a date such as"),
    ],
)
def test_patients_who_are_wrong_are_named_and_counted(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises(ValuesFault, match=f"patients.csv: .*{message}") as caught:
        read(tmp_path, [INDEX], [patient("ann"), patient("bob", **change)])
    assert "row 2" in str(caught.value) or "rows 1, 2" in str(caught.value)
    assert "'ann'" not in str(caught.value)


def test_columns_of_the_patients_are_told_by_their_own_rows(tmp_path: Path) -> None:
    people = [patient("zoe", bmi="25"), patient("eve", bmi="30"), patient("ann", bmi="heavy")]
    later = line("ann", "2021-06-01", to_date="2021-06-05", drg="470", claim_id="later")
    lines = [line("eve", "2020-03-01", to_date="2020-03-05", drg="470"), INDEX, later]
    told = r"patients.csv: bmi: wanted a number; 1 row differs \(row 3: heavy\)"
    with pytest.raises(ValuesFault, match=told):
        read(tmp_path, lines, people)
    people[2]["bmi"] = "900"
    told = r"bmi: wanted 10 to .*; 2 episodes differ \(row 3 of patients.csv: 900; row 3 of"
    with pytest.raises(ValuesFault, match=told):
        read(tmp_path, lines, people)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"provider_id": "B"}, "provider_id"),
        ({"drg": "467"}, "drg"),
        ({"discharge_status": "transfer"}, "discharge_status"),
    ],
)
def test_an_index_claim_whose_lines_contradict_each_other_is_refused(
    tmp_path: Path, change: dict[str, str], column: str
) -> None:
    with pytest.raises(ValuesFault, match=f"claims: {column}: wanted the same on all lines"):
        read(tmp_path, [INDEX, {**INDEX, **change}])


def test_a_patient_who_died_before_the_operation_is_refused(tmp_path: Path) -> None:
    dead = patient("ann", death_date="2020-02-01")
    with pytest.raises(ValuesFault, match="death_date: wanted a date on or after the index event"):
        read(tmp_path, [INDEX], [dead])


@pytest.mark.parametrize("name", ["claim_id", "paid_amount", "setting", "drg", "from_date"])
def test_a_column_that_is_needed_is_missed(tmp_path: Path, name: str) -> None:
    lines = [{key: value for key, value in INDEX.items() if key != name}]
    with pytest.raises(ColumnError, match=f"wanted the column '{name}'; there is none"):
        read(tmp_path, lines)


def test_a_column_that_no_rule_asks_for_may_be_absent(tmp_path: Path) -> None:
    lines = [{key: value for key, value in INDEX.items() if key != "diagnosis_codes"}]
    assert len(read(tmp_path, lines).table) == 1
    with pytest.raises(ColumnError, match="wanted the column 'diagnosis_codes'"):
        read(tmp_path, lines, comorbidity={"charlson": True})


def test_columns_go_by_other_names_when_the_rules_say_so(tmp_path: Path) -> None:
    odd = 'paid "net"; DROP TABLE lines'
    renamed = [{odd if key == "paid_amount" else key: value for key, value in INDEX.items()}]
    table = read(tmp_path, renamed, rename={odd: "paid_amount"}).table
    assert table["cost_index"].tolist() == [100.0]
    with pytest.raises(ColumnError, match="got 'nothing', which none has"):
        read(tmp_path, [INDEX], rename={"nothing": "paid_amount"})
    with pytest.raises(ColumnError, match="wanted each column once; got 'drg' twice"):
        read(tmp_path, [INDEX], rename={"procedure_code": "drg"})


def test_values_are_never_taken_for_statements(tmp_path: Path) -> None:
    name = "x'); DROP TABLE lines; --"
    table = read(tmp_path, [{**INDEX, "provider_id": name, "claim_id": name}]).table
    assert table["provider_id"].tolist() == [name]


@pytest.mark.parametrize(
    "text",
    [
        "a title\nclaim_id,patient_id\n1,ann\n",
        "claim_id,claim_id\n1,ann\n",
        "claim_id,patient_id\n1,ann,3\n",
        "claim_id,patient_id\n1\n",
        "",
    ],
)
def test_a_file_that_is_no_table_is_refused_without_its_content(tmp_path: Path, text: str) -> None:
    write_world(tmp_path, [INDEX], [patient("ann")])
    (tmp_path / "claims.csv").write_text(text)
    with pytest.raises((FileFormatError, ColumnError)) as caught:
        read_claims([tmp_path / "claims.csv"], rules_of(tmp_path))
    assert "ann" not in str(caught.value)


def test_a_line_that_looks_like_a_comment_is_a_line(tmp_path: Path) -> None:
    lines = [{**INDEX, "claim_id": "#1"}, VISIT]
    assert read(tmp_path, lines).sources[0].rows == 2


def test_files_of_any_accepted_form_hold_the_same(tmp_path: Path) -> None:
    plain = read(tmp_path, [INDEX, VISIT]).table
    rules = rules_of(tmp_path)
    with gzip.open(tmp_path / "claims.csv.gz", "wb") as stream:
        stream.write((tmp_path / "claims.csv").read_bytes())
    typed = pd.DataFrame([INDEX, VISIT]).assign(paid_amount=[100.0, 25.5])
    for name in ("from_date", "to_date"):
        typed[name] = pd.to_datetime(typed[name])
    typed.to_parquet(tmp_path / "claims.parquet")
    for name in ("claims.csv.gz", "claims.parquet"):
        pd.testing.assert_frame_equal(read_claims([tmp_path / name], rules).table, plain)


def test_a_file_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    files = write_world(tmp_path, [INDEX], [patient("ann")])
    copy = tmp_path / "copy.csv"
    copy.write_bytes(files[0].read_bytes())
    for other in (files[0], copy):
        with pytest.raises(FileFormatError, match="wanted each file once; got the same content"):
            read_claims([files[0], other], rules_of(tmp_path))


@pytest.mark.parametrize(
    ("paths", "error", "message"),
    [
        ([], FileFormatError, "wanted a file of claim lines or more"),
        (["absent.csv"], FileMissingError, "there is none"),
        (["claims.txt"], FileFormatError, "ends in .parquet, .csv, .csv.gz"),
        (["claims[1].csv"], FileFormatError, "which stand for several files"),
        (["broken.parquet"], FileFormatError, "wanted a table that opens"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(
    tmp_path: Path, paths: list[str], error: type[Exception], message: str
) -> None:
    write_world(tmp_path, [INDEX], [patient("ann")])
    for name in ("claims.txt", "claims[1].csv", "broken.parquet"):
        (tmp_path / name).write_text("ann")
    with pytest.raises(error, match=message):
        read_claims([tmp_path / one for one in paths], rules_of(tmp_path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory_limit": "plenty"}, "memory_limit such as 4GB"),
        ({"threads": 0}, "1 thread or more"),
        ({"period_from": "period"}, "calendar_year or financial_year_april"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    files = write_world(tmp_path, [INDEX], [patient("ann")])
    with pytest.raises(StudyError, match=message):
        read_claims(files, rules_of(tmp_path), **settings)


def test_claims_without_an_index_event_are_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(EmptyCohortError, match="no line is an index event"):
        read(tmp_path, [VISIT])
    with pytest.raises(EmptyCohortError, match="look-back begins before the data: 1"):
        read(tmp_path, [{**INDEX, "from_date": "2019-02-01", "to_date": "2019-02-02"}])


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    files = write_world(tmp_path, [INDEX], [patient("ann")])
    folder = tmp_path / "scratch"
    folder.mkdir()
    rules: ClaimRules = rules_of(tmp_path)
    read_claims(files, rules, folder=folder)
    with pytest.raises(ValuesFault):
        read_claims(write_world(tmp_path, [{**INDEX, "setting": "x"}], [patient("ann")]), rules,
                    folder=folder)  # fmt: skip
    assert not list(folder.iterdir())
