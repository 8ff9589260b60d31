"""REDCap exports: wide and with events, repeated forms, codes, and files that do not fit."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riskadj.episodes import COLUMNS, ValuesFault, find_faults, to_declared
from riskadj.episodes.mapping import read_mapping
from riskadj.episodes.redcap import read_redcap
from riskadj.episodes.redcap_mapping import RedcapMapping
from riskadj.episodes.scores import add_scores
from riskadj.errors import ColumnError, FileFormatError, FileMissingError, UnknownNameError

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "tests" / "examples"
HIP = read_mapping(ROOT / "configs" / "mappings" / "redcap_hip.yaml", RedcapMapping)
KNEE = read_mapping(ROOT / "configs" / "mappings" / "redcap_knee_wide.yaml", RedcapMapping)

EVENTS: dict[str, Any] = {
    "format": "redcap",
    "before": {"event": "before", "date": "when"},
    "after": {"event": "after", "date": "when"},
    "instruments": [{"instrument": "EQ_VAS", "score": "vas"}],
    "columns": {"provider_id": {"field": "redcap_data_access_group"}},
}
HEADER = (
    "record_id,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,"
    "redcap_data_access_group,when,vas,box___1,box___2"
)
BEFORE = "1,before,,,H01,2021-05-01,40,,"
AFTER = "1,after,,,H01,2021-12-01,80,,"


def mapping(**changes: Any) -> RedcapMapping:
    columns = EVENTS["columns"] | changes.pop("columns", {})
    return RedcapMapping.model_validate(EVENTS | {"columns": columns} | changes)


def export(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "export.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as the study sees it: declared, in range, scored."""
    declared, faults = to_declared(table, COLUMNS)
    scored, score_faults = add_scores(declared)
    assert faults + score_faults + find_faults(scored, COLUMNS) == []
    return scored


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., pd.DataFrame]:
    def read_rows(*rows: str, **changes: Any) -> pd.DataFrame:
        return read_redcap(export(tmp_path, *rows), mapping(**changes))

    return read_rows


Read = Callable[..., pd.DataFrame]


def test_an_export_with_events_becomes_one_row_per_operation() -> None:
    raw = read_redcap(EXAMPLES / "redcap_hip.csv", HIP)
    table = typed(raw)
    assert table["episode_id"].tolist() == ["1", "2"]
    assert table["provider_id"].tolist() == ["H01", "H02"]
    assert table["procedure_group"].tolist() == ["HIP_PRIM", "HIP_REV"]
    assert table["sex"].tolist() == ["female", "male"]
    assert table["index_date"].dt.date.astype(str).tolist() == ["2021-06-01", "2021-06-10"]
    # Answers 3 of 5 are 2 of 4: 12 x 2; the second has ten answers, 1 and 0 by turns: 5 x 12 / 10.
    assert table["q1_score_ohs"].tolist() == [24.0, 6.0]
    assert table["q1_score_eq5d"].tolist() == [0.516, 0.202]
    assert table["comorb_diabetes"].tolist() == [1.0, 0.0]
    assert table["comorb_block_answered"].tolist() == [1.0, 0.0]


def test_a_form_filled_in_again_is_read_whole_from_the_last_time() -> None:
    table = typed(read_redcap(EXAMPLES / "redcap_hip.csv", HIP))
    row = table.iloc[0]
    assert (row["q2_score_ohs"], row["q2_score_eqvas"], row["satisfaction"]) == (48.0, 80.0, 2.0)
    assert str(row["q2_date"].date()) == "2021-12-05"


def test_what_is_left_out_is_counted() -> None:
    assert read_redcap(EXAMPLES / "redcap_hip.csv", HIP).attrs["left_out"] == {
        "repeated forms: not the last instance": 1,
        "records: without index_date": 1,
    }


def test_missing_data_codes_are_missing() -> None:
    row = read_redcap(EXAMPLES / "redcap_hip.csv", HIP).iloc[1]
    assert (row["q1_item_ohs_11"], row["q1_score_eqvas"], row["q2_item_ohs_01"]) == ("", "", "")


def test_a_wide_export_becomes_one_row_per_record() -> None:
    table = typed(read_redcap(EXAMPLES / "redcap_knee_wide.csv", KNEE))
    assert table["episode_id"].tolist() == ["A-1", "A-2"]
    assert table["procedure_group"].tolist() == ["KNEE_PRIM"] * 2
    assert table["q1_score_oks"].tolist() == [12.0, 24.0]
    assert table["q2_score_oks"].isna().tolist() == [False, True]
    assert str(table["q2_date"].iloc[0].date()) == "2021-02-01"


def test_what_means_missing_in_an_item_is_no_missing_total(tmp_path: Path) -> None:
    lines = (EXAMPLES / "redcap_knee_wide.csv").read_text().splitlines()
    low = lines[1].replace("1,1,1,1,1,1,1,1,1,1,1,1,12,", "1,1,1,1,1,1,1,1,1,0,0,0,9,")
    table = read_redcap(export(tmp_path, low, header=lines[0]), KNEE)
    assert table["q1_score_oks"].tolist() == ["9"]


@pytest.mark.parametrize("ending", [".csv.gz", ".zip"])
def test_packed_exports_read_the_same(ending: str, tmp_path: Path) -> None:
    plain = EXAMPLES / "redcap_hip.csv"
    packed = tmp_path / f"export{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(plain, "export.csv")
    else:
        packed.write_bytes(gzip.compress(plain.read_bytes()))
    pd.testing.assert_frame_equal(read_redcap(packed, HIP), read_redcap(plain, HIP))


def test_a_field_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = export(tmp_path, BEFORE, header=HEADER.replace("vas", "vas_"))
    with pytest.raises(ColumnError, match=r"none called 'vas'. Did you mean 'vas_'\?"):
        read_redcap(path, mapping())


def test_labels_instead_of_names_are_refused(tmp_path: Path) -> None:
    path = export(tmp_path, "1,Before", header="Record ID,Event Name")
    with pytest.raises(ColumnError, match="'redcap_event_name'"):
        read_redcap(path, mapping())


def test_an_event_that_the_mapping_does_not_know_is_named_with_its_rows(read: Read) -> None:
    with pytest.raises(UnknownNameError, match=r"got 'afterr' in 2 rows\. Did you mean 'after'"):
        read(BEFORE, AFTER, "1,afterr,,,H01,,,,", "2,afterr,,,H01,,,,")


def test_an_event_of_the_mapping_that_no_row_has_is_named(read: Read) -> None:
    with pytest.raises(UnknownNameError, match="none called 'after'"):
        read(BEFORE)


def test_events_to_ignore_are_not_read_but_their_records_stay(read: Read) -> None:
    table = read(BEFORE, AFTER, "2,extra,,,H02,,99,,", ignore_events=["extra"])
    assert table["episode_id"].tolist() == ["1", "2"]
    assert table["q2_score_eqvas"].tolist() == ["80", ""]


def test_events_in_the_file_alone_are_refused(tmp_path: Path) -> None:
    wide = mapping(before={"suffix": "_pre"}, after={"suffix": "_post"})
    path = export(tmp_path, BEFORE, header=HEADER)
    with pytest.raises(FileFormatError, match="a project with events"):
        read_redcap(path, wide)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([BEFORE, BEFORE, AFTER], r"record_id: wanted each record once per event; 2 rows"),
        ([BEFORE, AFTER, ",after,,,H01,,,,"], r"record_id: wanted a value; 1 row"),
        (
            [BEFORE, AFTER.replace("H01", "H02")],
            r"redcap_data_access_group \(provider_id\): wanted one value per record; 2 rows",
        ),
        ([BEFORE, AFTER, "2,after,form,x,H01,,7,,"], r"instance: wanted a whole number; 1 .*3: x"),
        (
            [BEFORE, "1,after,form,1,H01,,70,,", "1,after,form,2,H01,,80,,"],
            r"instance: wanted each form once per record and event \(see repeats",
        ),
        (
            [BEFORE, "1,after,form,1,H01,,70,,", "1,after,other,1,H01,,80,,"],
            r"vas \(q2_score_eqvas\): wanted one value per record; 2 rows",
        ),
    ],
)
def test_records_that_contradict_themselves_are_faults(
    rows: list[str], fault: str, read: Read
) -> None:
    with pytest.raises(ValuesFault, match=fault):
        read(*rows)


@pytest.mark.parametrize("rule", ["first", "last"])
def test_the_same_instance_twice_is_a_fault(rule: str, read: Read) -> None:
    with pytest.raises(ValuesFault, match="each instance once per record, event and form"):
        read(BEFORE, *["1,after,form,2,H01,,70,,"] * 2, repeats=rule)


@pytest.mark.parametrize(
    ("rule", "want", "unused"), [("first", ("", "70"), 2), ("last", ("2021-12-09", ""), 2)]
)
def test_an_instance_is_chosen_whole_and_by_number(
    rule: str, want: tuple[str, str], unused: int, read: Read
) -> None:
    table = read(
        BEFORE,
        "1,after,form,10,H01,2021-12-09,,,",
        "1,after,form,9,H01,2021-12-08,75,,",
        "1,after,form,2,H01,,70,,",
        "1,after,form,11,H01,,,0,0",  # opened, nothing answered
        repeats=rule,
        columns={"comorb_heart": {"field": "box___1", "event": "after"}},
    )
    assert (table["q2_date"][0], table["q2_score_eqvas"][0]) == want
    assert table.attrs["left_out"] == {f"repeated forms: not the {rule} instance": unused}


def test_a_form_filled_in_once_needs_no_rule_for_repeats(read: Read) -> None:
    table = read(BEFORE, AFTER.replace("80", ""), "1,after,form,1,H01,,70,,")
    assert table["q2_score_eqvas"].tolist() == ["70"]


@pytest.mark.parametrize(
    ("cells", "want"),
    [
        ("1,0", "1"),
        ("0,1", "1"),
        ("0,0", "0"),
        (",0", "0"),
        (",", ""),
        ("-99,", ""),
        ("-99,1", "1"),
    ],
)
def test_several_checkboxes_are_ticked_when_any_is(cells: str, want: str, read: Read) -> None:
    table = read(
        BEFORE.removesuffix(",,") + f",{cells}",
        AFTER,
        missing=["-99"],
        columns={
            "comorb_block_answered": {"any_of": ["box___1", "box___2"], "event": "before"}
        },
    )  # fmt: skip
    assert table["comorb_block_answered"].tolist() == [want]


def test_a_code_that_the_mapping_does_not_know_is_a_fault_that_shows_it(read: Read) -> None:
    codes = {"field": "box___1", "event": "before", "codes": {1: "male", 2: "female"}}
    says = r"box___1 \(sex\): wanted one of 1, 2; 1 row differs \(row 1: 3\)"
    with pytest.raises(ValuesFault, match=says):
        read("1,before,,,H01,,40,3,", AFTER, columns={"sex": codes})


def test_a_code_unknown_in_every_item_is_one_fault_in_the_names_of_the_fields(
    tmp_path: Path,
) -> None:
    lines = (EXAMPLES / "redcap_hip.csv").read_text().splitlines()
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]
    items = [f"ohs_{one}" for one in range(1, 13)]
    answered = [
        row for row in rows if row["ohs_1"] and row["redcap_event_name"] != "month_12_arm_1"
    ]
    for row in answered:
        row.update(dict.fromkeys(items, "6"))
    path = export(tmp_path, *(",".join(row.values()) for row in rows), header=lines[0])
    with pytest.raises(ValuesFault) as caught:
        read_redcap(path, HIP)
    (fault,) = caught.value.faults
    assert fault.column == "ohs_1, ohs_2, ohs_3 and 9 more fields"
    assert fault.rule == "one of 1, 2, 3, 4, 5"
    first = rows.index(answered[0]) + 1
    assert fault.examples[:2] == ((first, "6 in ohs_1"), (first, "6 in ohs_2"))
    assert 1 < fault.count <= len(answered)


def test_unknown_codes_of_two_fields_are_told_by_row(tmp_path: Path) -> None:
    lines = (EXAMPLES / "redcap_hip.csv").read_text().splitlines()
    at = lines[0].split(",").index("ohs_1")
    first = next(number for number, one in enumerate(lines) if number and one.split(",")[at])
    cells = lines[first].split(",")
    cells[at], cells[at + 2] = "9", "8"
    lines[first] = ",".join(cells)
    with pytest.raises(ValuesFault) as caught:
        read_redcap(export(tmp_path, *lines[1:], header=lines[0]), HIP)
    (fault,) = caught.value.faults
    assert fault.column == "ohs_1, ohs_3 (q1_item_ohs_01, q1_item_ohs_03)"
    assert (fault.count, fault.examples) == (1, ((first, "9 in ohs_1"), (first, "8 in ohs_3")))


def test_no_fault_shows_what_may_name_a_patient(read: Read) -> None:
    named = {"field": "box___1", "codes": {"x": "y"}}
    columns = {"patient_id": named, "surgeon_id": named, "their_own": named}
    with pytest.raises(ValuesFault) as caught:
        read("SECRET,before,,,H01,,40,SECRET,", "SECRET,after,,,H01,,50,,", columns=columns)
    (fault,) = caught.value.faults
    assert fault.column == "box___1 (patient_id, surgeon_id, their_own)"
    assert fault.examples == ((1, "(not shown)"),) * 3
    assert "SECRET" not in " ".join(map(str, caught.value.faults))


def test_a_follow_up_before_the_operation_is_a_fault_of_the_table(read: Read) -> None:
    columns = {"index_date": {"value": "2021-12-02"}}
    table, _ = to_declared(read(BEFORE, AFTER, columns=columns), COLUMNS)
    (fault,) = find_faults(table, COLUMNS)
    assert (fault.column, fault.rule) == ("q2_date", "a date on or after the operation")


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError):
        read_redcap(tmp_path / "export.csv", HIP)


WIDE = {"before": {"prefix": "b_", "date": "when"}, "after": {"suffix": "_a", "date": "when"}}
SCORES = st.one_of(st.just(""), st.integers(0, 100).map(str))


@settings(max_examples=40, deadline=None)
@given(scores=st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=8), data=st.data())
def test_events_in_any_order_of_rows_read_as_the_wide_export_does(
    scores: list[tuple[str, str]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("redcap")
    header = "record_id,redcap_data_access_group,b_when,b_vas,when_a,vas_a"
    wide = [
        f"{n},H01,2021-05-01,{before},2021-12-01,{after}"
        for n, (before, after) in enumerate(scores)
    ]
    want = read_redcap(export(folder, *wide, header=header), mapping(**WIDE))
    rows = [
        f"{n},{event},,,H01,{date},{score},,"
        for n, pair in enumerate(scores)
        for event, date, score in zip(
            ("before", "after"), ("2021-05-01", "2021-12-01"), pair, strict=True
        )
    ]
    got = read_redcap(export(folder, *data.draw(st.permutations(rows))), mapping())
    got = got.sort_values("episode_id", key=lambda one: one.astype(int), ignore_index=True)
    pd.testing.assert_frame_equal(got[list(want.columns)], want)


@pytest.mark.parametrize(
    ("status", "finished", "want"),
    [("2", ["2"], "80"), ("0", ["2"], ""), ("", ["2"], ""), ("1", ["2"], ""), ("1", [1, 2], "80")],
)
def test_a_form_that_is_not_finished_is_unanswered_and_counted(
    status: str, finished: list[Any], want: str, tmp_path: Path
) -> None:
    """REDCap's status: 0 incomplete, 1 unverified, 2 complete."""
    header = f"{HEADER},vas_complete"
    rows = export(tmp_path, f"{BEFORE},2", f"{AFTER},{status}", header=header)
    status_of = {"date": "when", "complete": "vas_complete"}
    rounds = {
        "before": {"event": "before", **status_of},
        "after": {"event": "after", **status_of, "finished": finished},
    }
    table = read_redcap(rows, mapping(**rounds))
    assert table["q2_score_eqvas"].tolist() == [want]
    assert table["q2_date"].tolist() == ["2021-12-01" if want else ""]
    assert table["q1_score_eqvas"].tolist() == ["40"]
    unfinished = {} if want else {"forms not finished, after": 1}
    assert table.attrs["left_out"] == unfinished


def test_a_status_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    rounds = {"before": {"event": "before", "complete": "vas_complete"}}
    with pytest.raises(ColumnError, match="'vas_complete'"):
        read_redcap(export(tmp_path, BEFORE, AFTER), mapping(**rounds))
