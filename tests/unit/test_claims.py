"""Episodes out of claims, by hand: what starts one, whose it is, what counts, and who leaves."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from claims_worlds import line, patient, rules_of, write_world

from riskadj.casemix.roles import refusal
from riskadj.claims import read_claims
from riskadj.claims.episodes import MADE
from riskadj.episodes import COLUMNS, Episodes, ValuesFault

INDEX = line("ann", "2020-03-01", to_date="2020-03-05", drg="470", paid_amount="1000")
ANNUALISE = {"annualise_from_days": 10}


def care(day: str, setting: str = "outpatient", amount: str = "10", **more: Any) -> dict[str, Any]:
    return line("ann", day, setting, paid_amount=amount, **more)


def read(folder: Path, lines: Any, ann: Any = None, **changes: Any) -> Episodes:
    files = write_world(folder, lines, [patient("ann", **(ann or {})), patient("bob")])
    return read_claims(files, rules_of(folder, **changes), threads=1)


def only(folder: Path, lines: Any, ann: Any = None, **changes: Any) -> pd.Series:
    table = read(folder, lines, ann, **changes).table
    assert len(table) == 1
    return table.iloc[0]


# --- what an episode holds ---


def test_care_that_names_no_provider_is_the_index_providers_cost(tmp_path: Path) -> None:
    later = [care("2020-03-20", one, provider_id="") for one in ("snf", "professional")]
    one = only(tmp_path, [INDEX, *later])
    assert one["provider_id"] == "A"
    assert (one["cost_postacute_90d"], one["cost_professional_90d"]) == (10, 10)


def test_an_episode_says_who_where_when_and_what(tmp_path: Path) -> None:
    one = only(tmp_path, [INDEX])
    assert one["episode_id"].startswith("E")
    assert "ann" not in one["episode_id"]
    assert (one["patient_id"], one["provider_id"], one["drg"]) == ("ann", "A", "470")
    assert (one["procedure_group"], one["period"]) == ("HIP_PRIM", "2020")
    assert one["index_date"] == pd.Timestamp("2020-03-01")
    assert one["discharge_date"] == pd.Timestamp("2020-03-05")
    assert (one["age_years"], one["sex"], one["length_of_stay"]) == (69, "female", 4)


@pytest.mark.parametrize(
    ("born", "age"), [("1950-03-01", 70), ("1950-03-02", 69), ("1952-02-29", 68), ("", None)]
)
def test_age_is_in_whole_years_at_admission(tmp_path: Path, born: str, age: float | None) -> None:
    found = only(tmp_path, [INDEX], {"birth_date": born})["age_years"]
    assert found == age or (age is None and pd.isna(found))


@pytest.mark.parametrize(("day", "year"), [("2020-03-31", "2019/20"), ("2020-04-01", "2020/21")])
def test_the_period_may_be_a_financial_year(tmp_path: Path, day: str, year: str) -> None:
    files = write_world(tmp_path, [line("ann", day, drg="470")], [patient("ann")])
    found = read_claims(files, rules_of(tmp_path), period_from="financial_year_april")
    assert found.table["period"].tolist() == [year]


def test_every_column_is_canonical_and_in_its_order(tmp_path: Path) -> None:
    found = read(tmp_path, [INDEX], comorbidity={"charlson": True, "elixhauser": True,
                                                 "cms_hcc": "V28"})  # fmt: skip
    names = list(found.table.columns)
    assert names == [name for name in COLUMNS if name in names]
    assert list(found.columns) == names
    assert set(names) - MADE == {"sex"}


@pytest.mark.parametrize(
    "name", ["prior_cost", "length_of_stay", "drg", "cost_index", "cost_total_90d", "readmitted"]
)
def test_what_the_provider_decides_or_codes_is_no_case_mix(name: str) -> None:
    assert refusal(COLUMNS[name])


@pytest.mark.parametrize("name", ["charlson_index", "elixhauser_obesity", "cms_hcc_score"])
def test_what_was_known_before_is_case_mix(name: str) -> None:
    assert not refusal(COLUMNS[name])


# --- what counts ---


def test_care_is_counted_by_part_and_by_the_day_on_which_it_begins(tmp_path: Path) -> None:
    lines = [
        INDEX,
        care("2020-03-01", "professional", "300"),  # the surgeon
        care("2020-02-29", "outpatient", "7"),  # the day before
        care("2020-04-04", "outpatient", "11"),  # day 30
        care("2020-04-05", "outpatient", "13"),  # day 31
        care("2020-06-03", "drug", "17"),  # day 90
        care("2020-06-04", "equipment", "19"),  # day 91
        care("2020-03-05", "snf", "500", to_date="2020-05-30"),
        care("2020-05-01", "home_health", "40"),
        care("2020-05-20", "inpatient", "2000", to_date="2020-06-20", drg="871"),
    ]
    one = only(tmp_path, lines)
    assert one["cost_index"] == 1000
    assert [one[f"cost_outpatient_{days}d"] for days in (30, 90)] == [11, 41]
    assert [one[f"cost_professional_{days}d"] for days in (30, 90)] == [300, 300]
    assert [one[f"cost_postacute_{days}d"] for days in (30, 90)] == [500, 540]
    assert [one[f"cost_readmit_{days}d"] for days in (30, 90)] == [0, 2000]
    assert [one[f"cost_total_{days}d"] for days in (30, 90)] == [1811, 3881]
    assert [one[f"readmitted_{days}d"] for days in (30, 90)] == [0, 1]
    assert one["readmitted"] == 1
    assert one["prior_cost"] == 7


def test_day_0_may_be_that_of_admission(tmp_path: Path) -> None:
    lines = [INDEX, care("2020-03-31", amount="11"), care("2020-04-01", amount="13")]
    one = only(tmp_path, lines, counted_from="admission")
    assert [one[f"cost_outpatient_{days}d"] for days in (30, 90)] == [11, 24]


def test_lines_of_one_claim_are_one_stay(tmp_path: Path) -> None:
    room = {**INDEX, "from_date": "2020-03-03", "to_date": "2020-03-07", "paid_amount": "50"}
    one = only(tmp_path, [INDEX, room])
    assert (one["cost_index"], one["length_of_stay"], one["readmitted"]) == (1050, 6, 0)


def test_an_operation_without_a_stay_starts_an_episode_too(tmp_path: Path) -> None:
    knee = care("2020-03-01", amount="800", procedure_code="27447", claim_id="k")
    lines = [knee, {**knee, "procedure_code": "", "paid_amount": "30"}, care("2020-03-01")]
    one = only(tmp_path, lines)
    assert (one["procedure_group"], one["cost_index"]) == ("KNEE_DAY", 830)
    assert (one["cost_outpatient_30d"], one["length_of_stay"]) == (10, 0)


def test_drg_and_procedure_must_both_hold_where_both_are_named(tmp_path: Path) -> None:
    index = {"FUSION": {"drgs": ["460"], "procedures": ["22612"]}, "OTHER": {"drgs": ["460"]}}
    stay = {**INDEX, "drg": "460"}
    assert only(tmp_path, [stay], index=index)["procedure_group"] == "OTHER"
    fused = {**stay, "procedure_code": "22612"}
    assert only(tmp_path, [fused], index=index)["procedure_group"] == "FUSION"


def test_amounts_are_added_as_whole_minor_units(tmp_path: Path) -> None:
    lines = [INDEX, *(care("2020-03-10", amount="0.10", claim_id=str(one)) for one in range(30))]
    assert only(tmp_path, lines)["cost_outpatient_30d"] == 3.0
    yen = [{**INDEX, "paid_amount": "1000.0"}]
    assert only(tmp_path, yen, currency="JPY", minor_units=0)["cost_index"] == 1000


def test_the_look_back_holds_what_ended_before_admission(tmp_path: Path) -> None:
    lines = [
        INDEX,
        care("2019-09-02", amount="1"),  # 181 days before
        care("2019-09-03", amount="2"),  # 180 days before
        care("2020-02-29", amount="4", diagnosis_codes="E11.9"),
        care("2020-02-20", amount="8", to_date="2020-03-01", diagnosis_codes="I252"),
        care("2020-03-02", amount="16", diagnosis_codes="C509"),
    ]
    one = only(tmp_path, lines, comorbidity={"charlson": True})
    assert one["prior_cost"] == 6
    assert one["charlson_diabetes"] == 1
    assert (one["charlson_myocardial_infarction"], one["charlson_cancer"]) == (0, 0)
    assert one["charlson_index"] == 1


# --- transfers ---

TRANSFER = [
    {**INDEX, "discharge_status": "transfer"},
    line("ann", "2020-03-06", to_date="2020-03-12", provider_id="B", drg="871", paid_amount="400"),
]


@pytest.mark.parametrize(("rule", "provider"), [("to_first", "A"), ("to_last", "B")])
def test_a_transfer_goes_on_with_the_stay(tmp_path: Path, rule: str, provider: str) -> None:
    one = only(tmp_path, TRANSFER, transfers=rule)
    assert (one["provider_id"], one["cost_index"], one["drg"]) == (provider, 1400, "470")
    assert (one["length_of_stay"], one["readmitted"]) == (11, 0)


def test_a_transfer_may_be_a_stay_of_its_own(tmp_path: Path) -> None:
    one = only(tmp_path, TRANSFER, transfers="separate")
    assert (one["cost_index"], one["cost_readmit_30d"], one["length_of_stay"]) == (1000, 400, 4)


@pytest.mark.parametrize(
    "change", [{"from_date": "2020-03-07"}, {"claim_id": "x", "from_date": "2020-03-08"}]
)
def test_a_later_stay_is_no_transfer(tmp_path: Path, change: dict[str, str]) -> None:
    one = only(tmp_path, [TRANSFER[0], {**TRANSFER[1], **change}])
    assert (one["cost_index"], one["readmitted"]) == (1000, 1)


def test_an_operation_after_a_transfer_starts_with_the_first_stay(tmp_path: Path) -> None:
    lines = [{**TRANSFER[0], "drg": "871"}, {**TRANSFER[1], "drg": "470"}]
    one = only(tmp_path, lines)
    assert (one["provider_id"], one["index_date"]) == ("A", pd.Timestamp("2020-03-01"))
    assert one["drg"] == "470"


@pytest.mark.parametrize("day", ["2020-03-01", "2020-03-04"])
def test_another_stay_that_begins_before_discharge_is_no_readmission(
    tmp_path: Path, day: str
) -> None:
    other = care(day, "inpatient", "60", drg="871", provider_id="B")
    one = only(tmp_path, [INDEX, other])
    assert (one["cost_index"], one["cost_readmit_30d"], one["readmitted_30d"]) == (1060, 0, 0)
    assert one["cost_total_30d"] == 1060
    other = care("2020-03-05", "inpatient", "60", drg="871", provider_id="B")
    one = only(tmp_path, [INDEX, other])
    assert (one["cost_index"], one["cost_readmit_30d"], one["readmitted_30d"]) == (1000, 60, 1)


def test_a_stay_within_a_stay_does_not_break_a_transfer(tmp_path: Path) -> None:
    within = care("2020-03-03", "inpatient", "60", drg="871", provider_id="C")
    one = only(tmp_path, [TRANSFER[0], within, TRANSFER[1]], transfers="to_last")
    assert (one["provider_id"], one["cost_index"], one["readmitted"]) == ("B", 1460, 0)
    assert one["discharge_date"] == pd.Timestamp("2020-03-12")


@pytest.mark.parametrize("provider", ["A", "B"])
def test_interim_bills_of_one_provider_are_one_stay(tmp_path: Path, provider: str) -> None:
    interim = {**INDEX, "claim_id": "interim", "from_date": "2020-03-03", "to_date": "2020-03-07",
               "paid_amount": "500", "provider_id": provider}  # fmt: skip
    found = read(tmp_path, [INDEX, interim])
    one = found.table.iloc[0]
    assert (one["cost_index"], one["readmitted"], one["cost_readmit_90d"]) == (1500, 0, 0)
    assert one["length_of_stay"] == (6 if provider == "A" else 4)
    told = {} if provider == "A" else {"index events: part of an earlier episode": 1}
    assert found.left_out == told


# --- overlaps ---


def other_hip(day: str) -> dict[str, Any]:
    return line("ann", day, drg="470", paid_amount="700")


def test_the_first_episode_takes_in_the_second(tmp_path: Path) -> None:
    lines = [INDEX, other_hip("2020-06-03"), other_hip("2020-06-04")]
    found = read(tmp_path, lines)
    assert found.table["index_date"].dt.strftime("%m-%d").tolist() == ["03-01", "06-04"]
    assert found.table["cost_readmit_90d"].tolist() == [700, 0]
    assert found.left_out == {"index events: part of an earlier episode": 1}


def test_overlapping_episodes_may_both_be_dropped(tmp_path: Path) -> None:
    lines = [INDEX, other_hip("2020-06-03"), other_hip("2021-03-01")]
    found = read(tmp_path, lines, overlap="drop_both")
    assert found.table["index_date"].dt.year.tolist() == [2021]
    assert sum(found.left_out.values()) == 2


# --- who leaves, and who is annualised ---


@pytest.mark.parametrize(
    ("ann", "changes", "reason"),
    [
        ({}, {"period": {"begins": "2019-09-04", "ends": "2022-12-31"}}, "look-back begins"),
        ({}, {"period": {"begins": "2019-01-01", "ends": "2020-06-02"}}, "window ends after"),
        ({"enrolled_from": "2019-09-04"}, {}, "not enrolled through the look-back"),
        ({"enrolled_to": "2020-02-29"}, {}, "not enrolled at admission"),
        ({"enrolled_to": "2020-06-02"}, {}, "disenrolled in the window"),
        ({"death_date": "2020-06-03"}, {"death": "exclude"}, "died in the window"),
        ({"death_date": "2020-03-14"}, {"death": "annualise", **ANNUALISE}, "died too early"),
        (
            {"enrolled_to": "2020-03-14"},
            {"disenrolment": "annualise", **ANNUALISE},
            "disenrolled too early",
        ),
    ],
)
def test_who_leaves_is_counted_by_reason(
    tmp_path: Path, ann: dict[str, str], changes: dict[str, Any], reason: str
) -> None:
    day = "2020-04-01" if "begins" in reason else "2020-01-15"
    bob = line("bob", day, drg="470", claim_id="bob")
    found = read(tmp_path, [INDEX, bob], ann, **changes)
    assert found.table["patient_id"].tolist() == ["bob"]
    assert list(found.left_out.values()) == [1]
    assert reason in next(iter(found.left_out))


@pytest.mark.parametrize(
    ("ann", "changes"),
    [
        ({}, {"period": {"begins": "2019-09-03", "ends": "2020-06-03"}}),
        ({"enrolled_from": "2019-09-03", "enrolled_to": "2020-06-03"}, {}),
        ({"death_date": "2020-06-04"}, {"death": "exclude"}),
        ({"death_date": "2020-03-20", "enrolled_to": "2020-03-20"}, {"death": "keep"}),
        ({"death_date": "2020-03-15"}, {"death": "annualise", **ANNUALISE}),
        ({"enrolled_to": "2020-03-15"}, {"disenrolment": "annualise", **ANNUALISE}),
    ],
)
def test_who_stays_to_the_last_day_is_kept(
    tmp_path: Path, ann: dict[str, str], changes: dict[str, Any]
) -> None:
    assert not read(tmp_path, [INDEX], ann, **changes).left_out


def test_a_death_in_the_index_stay_is_a_death(tmp_path: Path) -> None:
    bob = line("bob", "2020-01-15", drg="470", claim_id="bob")
    found = read(tmp_path, [{**INDEX, "discharge_status": "died"}, bob], death="exclude")
    assert found.left_out == {"index events: died in the window": 1}


DIED_AGAIN = care("2020-03-20", "inpatient", "60", to_date="2020-03-25", drg="871",
                  discharge_status="died")  # fmt: skip


def test_a_death_in_a_readmission_is_a_death(tmp_path: Path) -> None:
    bob = line("bob", "2020-01-15", drg="470", claim_id="bob")
    found = read(tmp_path, [INDEX, DIED_AGAIN, bob], death="exclude")
    assert found.left_out == {"index events: died in the window": 1}
    one = only(tmp_path, [INDEX, DIED_AGAIN], death="annualise", **ANNUALISE)
    assert one["cost_readmit_90d"] == 60 * 90 / 20
    # The patients' own date goes before.
    ann = {"death_date": "2020-04-04"}
    one = only(tmp_path, [INDEX, DIED_AGAIN], ann, death="annualise", **ANNUALISE)
    assert one["cost_readmit_90d"] == 60 * 90 / 30


@pytest.mark.parametrize(
    ("lines", "ann"),
    [([], {"death_date": "2020-03-30"}), ([DIED_AGAIN], {})],
)
def test_care_after_a_death_is_refused_with_its_count(
    tmp_path: Path, lines: list[Any], ann: dict[str, str]
) -> None:
    after = [care("2020-03-31"), care("2020-04-01")]
    with pytest.raises(ValuesFault, match=r"up to the death of the patient.*2 lines differ"):
        read(tmp_path, [INDEX, *lines, *after], ann)
    assert len(read(tmp_path, [INDEX, *lines], ann).table) == 1


def test_annualised_costs_are_whole_minor_units_halves_rounded_up(tmp_path: Path) -> None:
    ann = {"enrolled_to": "2020-03-25"}
    lines = [INDEX, care("2020-03-10", amount="0.01")]
    one = only(tmp_path, lines, ann, disenrolment="annualise", **ANNUALISE)
    # 0.01 in 20 days: 0.015 in 30, 0.045 in 90.
    assert (one["cost_outpatient_30d"], one["cost_outpatient_90d"]) == (0.02, 0.05)


@pytest.mark.parametrize(
    ("ann", "rule"),
    [({"death_date": "2020-03-25"}, "death"), ({"enrolled_to": "2020-03-25"}, "disenrolment")],
)
def test_what_came_after_day_0_is_annualised(
    tmp_path: Path, ann: dict[str, str], rule: str
) -> None:
    lines = [
        INDEX,
        care("2020-03-02", "professional", "300"),  # by day 0: as it is
        care("2020-03-05", "outpatient", "9"),  # on day 0
        care("2020-03-10", "outpatient", "20"),
    ]
    one = only(tmp_path, lines, ann, **{rule: "annualise"}, **ANNUALISE)
    assert one["cost_index"] == 1000
    assert one["cost_professional_90d"] == 300
    # 20 days were seen.
    assert one["cost_outpatient_30d"] == 9 + 20 * 30 / 20
    assert one["cost_outpatient_90d"] == 9 + 20 * 90 / 20
    assert one["cost_total_90d"] == 1000 + 300 + 99


# --- where it came from ---


def test_the_digest_is_of_the_files_and_of_the_rules_but_not_of_the_place(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    first, same = read(tmp_path, [INDEX]), read(other, [INDEX])
    assert first.digest == same.digest
    assert first.digest != read(tmp_path, [INDEX], windows=[30]).digest
    assert first.digest != read(tmp_path, [INDEX, care("2020-03-10")]).digest
    assert [(one.name, one.rows) for one in first.sources] == [
        ("claims.csv", 1), ("patients.csv", 2), ("claims rules", 0),
    ]  # fmt: skip
